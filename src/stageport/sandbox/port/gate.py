"""What every request passes: the log, the error envelope, the rate limit, the token.

Answers carry ``X-Trace-Id`` and the ``x-ratelimit-*`` headers, refusals Port's envelope; a route that does not
exist is a refusal like any other.
"""

import math
import secrets
import time
import traceback
from email.utils import formatdate

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from stageport.model.entities import Json
from stageport.sandbox.faults import ADMIN_PREFIX
from stageport.sandbox.port.journal import SeenRequest
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.problems import PortProblem
from stageport.sandbox.port.shapes import need_object
from stageport.sandbox.port.state import PortState

STATE = web.AppKey("state", PortState)
MAX_BODY = 1024 * 1024
AUTH_ROUTE = "/v1/auth/access_token"
_GUARDED = ("/v1/", "/ingest/")

_encode = msgspec.json.Encoder().encode


def answer(payload: Json, *, status: int = 200) -> web.Response:
    """Return a JSON answer in Port's envelope."""
    return web.Response(body=_encode({"ok": True, **payload}), status=status, content_type="application/json")


async def read_json(request: web.Request) -> Json:
    """Return the decoded body of a request.

    Raises:
        PortProblem: 413 above 1 MiB, 415 for another content type, 400 for no JSON.
    """
    body = await request.read()
    if len(body) > MAX_BODY:
        raise _too_large()
    if request.content_type != "application/json":
        raise PortProblem(415, "unsupported_media_type", f"Unsupported Media Type: {request.content_type}")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PortProblem(400, "bad_request", f"Body is not valid JSON: {error}") from error


def _too_large() -> PortProblem:
    return PortProblem(413, "bad_request", "Request body is too large: more than 1 MiB")


async def read_object(request: web.Request, *, empty: bool = False) -> dict[str, Json]:
    """Return the body of a request that must be a JSON object; with ``empty``, no body is an empty object."""
    if empty and not await request.read():
        return {}
    return need_object(await read_json(request), "body")


class RateWindow:
    """Counts requests per period, as Port's headers tell it."""

    def __init__(self, options: PortOptions) -> None:
        self._limit = options.rate_limit
        self._behaviour = options.behaviour
        self._clock = options.clock
        self._start = 0.0
        self._used = 0

    def take(self) -> bool:
        """Count a request; False when it is one too many."""
        now = self._clock()
        if now >= self._start + self._limit.period:
            self._start, self._used = now, 0
        self._used += 1
        return self._used <= self._limit.limit

    def headers(self) -> dict[str, str]:
        """Return the headers every answer carries."""
        in_seconds = self._behaviour.rate_limit_reset == "seconds"
        reset = self.seconds_left() if in_seconds else math.ceil(self._start + self._limit.period)
        return {
            "x-ratelimit-period": str(self._limit.period),
            "x-ratelimit-limit": str(self._limit.limit),
            "x-ratelimit-remaining": str(max(0, self._limit.limit - self._used)),
            "x-ratelimit-reset": str(reset),
        }

    def seconds_left(self) -> int:
        """Return the whole seconds until the period ends."""
        return max(0, math.ceil(self._start + self._limit.period - self._clock()))


class Gate:
    """What stands before all routes of a stand-in."""

    def __init__(self, state: PortState) -> None:
        self._state = state
        self._window = RateWindow(state.options)

    def middleware(self) -> Middleware:
        """Return it as aiohttp takes it."""

        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            started = time.perf_counter()
            response = await self._respond(request, handler)
            self._state.store.commit()
            self._add_headers(response)
            if request.path.startswith(_GUARDED):
                self._state.journal.saw(_seen(request, response, started))
            return response

        return gate

    async def _respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._admit(request)
            return await handler(request)
        except PortProblem as problem:
            return _refuse(problem)
        except web.HTTPRequestEntityTooLarge:
            return _refuse(_too_large())
        except ConnectionResetError:
            # The client went away before its request had come whole: nobody hears this.
            return _refuse(PortProblem(400, "bad_request", "The request was cut short"))
        except web.HTTPException:
            return _refuse(PortProblem(404, "not_found", f"Route {request.method}:{request.path} was not found"))
        except Exception:  # noqa: BLE001 - Port answers 500, and the journal keeps the traceback
            self._state.journal.crashes.append(traceback.format_exc())
            return _refuse(PortProblem(500, "internal_error", "Internal server error"))

    def _admit(self, request: web.Request) -> None:
        if not request.path.startswith(_GUARDED) or request.path == AUTH_ROUTE:
            return
        self._state.tokens.check(request.headers.get("Authorization", ""))
        if not self._window.take():
            raise PortProblem(429, "too_many_requests", "Too many requests, please try again later")

    def _add_headers(self, response: web.StreamResponse) -> None:
        if response.prepared:
            return
        response.headers["X-Trace-Id"] = secrets.token_hex(16)
        response.headers["Date"] = formatdate(self._state.options.clock(), usegmt=True)
        response.headers.update(self._window.headers())
        if response.status == 429 and self._state.options.behaviour.sends_retry_after:
            response.headers["Retry-After"] = str(max(1, self._window.seconds_left()))


def _refuse(problem: PortProblem) -> web.Response:
    return web.Response(body=_encode(problem.envelope()), status=problem.status, content_type="application/json")


def _seen(request: web.Request, response: web.StreamResponse, started: float) -> SeenRequest:
    resource = request.match_info.route.resource
    template = resource.canonical if resource is not None else "(no such route)"
    return SeenRequest(
        route=f"{request.method} {template}",
        path=request.path_qs,
        status=response.status,
        user_agent=request.headers.get("User-Agent", ""),
        milliseconds=(time.perf_counter() - started) * 1000,
    )


@web.middleware
async def same_site_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep web pages of others from driving a stand-in that listens on the reader's own machine."""
    foreign = request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}
    if foreign and request.path.startswith(ADMIN_PREFIX):
        raise PortProblem(403, "missing_permissions", "The routes of the stand-in itself are not for other sites")
    return await handler(request)
