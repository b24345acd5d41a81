"""Which addresses there are: one table for the router, the page for people, and the OpenAPI document."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stageport.model.entities import Json

SECRET_HEADER = "X-Stageport-Secret"  # noqa: S105 -- a header's name
SECRET_QUERY = "secret"  # noqa: S105 -- a parameter's name

JSON_TYPE = "application/json"
HTML_TYPE = "text/html"
TEXT_TYPE = "text/plain"


@dataclass(frozen=True, slots=True)
class Route:
    """One address: ``name`` says which answer is behind it, ``answers`` what its statuses mean."""

    method: str
    path: str
    name: str
    summary: str
    answers: tuple[tuple[int, str], ...] = ((200, "OK"),)
    media: str = JSON_TYPE


_LIVE = ((200, "The loop turns."), (503, "It does not: start the process anew."))
_READY = ((200, "The service works."), (503, "It does not, or is about to stop; the body says why."))

SHOWN: tuple[Route, ...] = (
    Route("GET", "/livez", "live", "Whether the process works at all; says nothing of Backstage or Port.", _LIVE),
    Route(
        "GET", "/readyz", "ready", "Whether the settings are valid, the ledger is open, and nobody stops it.", _READY
    ),
    Route("GET", "/health/live", "live", "The same as /livez, where Ocean has it.", _LIVE),
    Route("GET", "/health/ready", "ready", "The same as /readyz, where Ocean has it.", _READY),
    Route("GET", "/status", "status", "What the service is doing, and how the last passes went."),
    Route("GET", "/metrics", "metrics", "Metrics for Prometheus.", media=TEXT_TYPE),
    Route(
        "GET",
        "/docs",
        "docs",
        "What this service does and did, and this list, for people; load balancers probe it.",
        media=HTML_TYPE,
    ),
    Route("GET", "/openapi.json", "openapi", "This list, for programs."),
)
RESYNC = Route(
    "POST",
    "/resync",
    "resync",
    "Asks for a resync. The body does not matter.",
    ((200, "A resync was asked for."), (401, "The secret is missing or wrong."), (413, "The body is too large.")),
)


_HINTS = (
    (202, "The hints are safe; how many."),
    (400, "The message is malformed."),
    (401, "The signature is wrong, missing, or its time too far off."),
    (403, "There is no secret, and the sender is not on this machine."),
    (408, "The body took too long."),
    (409, "A message of this id was taken before."),
    (413, "The message is too large."),
    (415, "The message is not JSON."),
    (429, "Too many messages: see Retry-After."),
    (503, "The service is being stopped, or its ledger fails: see Retry-After."),
)
HINTS: tuple[Route, ...] = (
    Route("POST", "/integration/webhook", "hints", "Takes hints: which entities changed in Backstage.", _HINTS),
    Route("POST", "/backstage/events", "hints", "The same as /integration/webhook.", _HINTS),
)


def routes(*, webhook: bool, hints: bool = False) -> tuple[Route, ...]:
    """Return every address; the webhook and the receiver of hints only where they are on."""
    return (*SHOWN, *((RESYNC,) if webhook else ()), *(HINTS if hints else ()))


def paths(route: Route, prefix: str) -> Iterable[str]:
    """Yield where a route is served: under the prefix and without it, with a slash at the end and without.

    Probes reach the container itself, without the prefix that a shared load balancer is given.
    """
    for start in dict.fromkeys(("", clean_prefix(prefix))):
        yield start + route.path
        yield f"{start}{route.path}/"


def clean_prefix(prefix: str) -> str:
    """Return a prefix with a slash before it and none behind it, or nothing."""
    inner = prefix.strip().strip("/")
    return f"/{inner}" if inner else ""


def openapi_document(known: Sequence[Route], *, version: str, prefix: str, secret: bool) -> Json:
    """Describe the routes as OpenAPI does."""
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "Stageport",
            "version": version,
            "description": "Keeps a Port software catalog in step with a Backstage catalog.",
        },
        "servers": [{"url": clean_prefix(prefix) or "/"}],
        "paths": {route.path: {route.method.lower(): _operation(route, secret=secret)} for route in known},
    }
    if secret:
        document["components"] = {
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": SECRET_HEADER},
                "query": {"type": "apiKey", "in": "query", "name": SECRET_QUERY},
            }
        }
    return document


def _operation(route: Route, *, secret: bool) -> Json:
    content = {route.media: {"schema": {"type": "object" if route.media == JSON_TYPE else "string"}}}
    operation: Json = {
        "operationId": route.path.strip("/").replace("/", "_").replace(".", "_"),
        "summary": route.summary,
        "responses": {
            str(status): {"description": meaning, "content": content if status < 400 else _PROBLEM}
            for status, meaning in route.answers
        },
    }
    if secret and route is RESYNC:
        operation["security"] = [{"header": []}, {"query": []}]
    return operation


_PROBLEM: Json = {JSON_TYPE: {"schema": {"type": "object"}}}
