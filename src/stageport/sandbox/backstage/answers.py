"""How the catalog answers: errors in Backstage's shape, JSON as Express writes it, entities as a stream."""

import base64
import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from aiohttp import web

from stageport.model.entities import Json

_JSON = "application/json; charset=utf-8"
_COMPRESSED_FROM = 1024
COMPRESSES = web.AppKey("compresses", bool)
"""Whether an application compresses its answers when a client asks for it."""
_CODINGS = (web.ContentCoding.gzip, web.ContentCoding.deflate)


class ApiError(Exception):
    """An answer that is an error; ``details`` stand beside name and message."""

    status = 500

    def __init__(self, message: str = "", *, details: Mapping[str, Json] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}

    @property
    def name(self) -> str:
        """The name that Backstage gives this error."""
        return type(self).__name__


class InputError(ApiError):
    """The request makes no sense to the catalog."""

    status = 400


class AuthenticationError(ApiError):
    """No credentials, or none that are known here."""

    status = 401


class NotAllowedError(ApiError):
    """Known credentials, which may not do this."""

    status = 403


class NotFoundError(ApiError):
    """No such entity."""

    status = 404


class ServiceUnavailableError(ApiError):
    """The backend is starting or stopping."""

    status = 503


class RangeError(ApiError):
    """A negative limit in a body, which nothing checks before JavaScript trips over it: 500."""


class Error(ApiError):
    """A negative offset in a body, which nothing checks before the query builder refuses it: 500."""


class JWTExpired(ApiError):  # noqa: N818 - the name stands in the answer
    """A legacy token that expired: Backstage answers 500 to it, not 401."""


def error_answer(request: web.Request, error: ApiError, *, url: str) -> web.Response:
    """Answer with an error; ``url`` is the request's, as seen from the catalog's own router."""
    body = {
        "error": {"name": error.name, "message": error.message, **error.details},
        "request": {"method": request.method, "url": url},
        "response": {"statusCode": error.status},
    }
    return json_answer(request, msgspec.json.encode(body), status=error.status)


def json_answer(request: web.Request, body: bytes, *, status: int = 200) -> web.Response:
    """Answer as Express's ``res.json`` does: with a length and a weak ETag, and 304 when the client has it already."""
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()[:27]
    etag = f'W/"{len(body):x}-{digest}"'
    if status == 200 and request.method in ("GET", "HEAD") and _is_fresh(request, etag):
        return web.Response(status=304, headers={"ETag": etag})
    answer = web.Response(body=body, status=status, headers={"Content-Type": _JSON, "ETag": etag})
    return compressed(request, answer, size=len(body))


def _is_fresh(request: web.Request, etag: str) -> bool:
    known = request.headers.get("If-None-Match", "")
    if request.headers.get("Cache-Control", "").strip() == "no-cache":
        return False
    return known.strip() == "*" or etag in (part.strip() for part in known.split(","))


def stream_answer(
    request: web.Request, parts: Iterable[bytes], *, head: bytes = b"", tail: bytes = b""
) -> web.Response:
    """Answer with entities as they are stored: chunked, with no ETag; ``head`` and ``tail`` wrap the array."""
    answer = web.Response(body=head + b"[" + b",".join(parts) + b"]" + tail, headers={"Content-Type": _JSON})
    answer.enable_chunked_encoding()
    return compressed(request, answer)


def broken_answer(body: bytes) -> web.Response:
    """Answer with the first half of a body, ended in good order: Backstage's own way to fail in mid-stream."""
    answer = web.Response(body=body[: len(body) // 2], headers={"Content-Type": _JSON})
    answer.enable_chunked_encoding()
    return answer


def entity_answer(request: web.Request, body: bytes) -> web.Response:
    """Answer with one entity as it is stored: chunked, with no ETag."""
    answer = web.Response(body=body, headers={"Content-Type": _JSON})
    answer.enable_chunked_encoding()
    return compressed(request, answer)


def empty_answer(status: int) -> web.Response:
    """Answer without a body, as routes do that say nothing, and as everything that has no route."""
    return web.Response(status=status)


def compressed(request: web.Request, answer: web.Response, *, size: int | None = None) -> web.Response:
    """Compress where the client asks for it and the body is worth it; one of unknown length always is."""
    if not request.app[COMPRESSES]:
        return answer
    answer.headers["Vary"] = "Accept-Encoding"
    if size is None or size >= _COMPRESSED_FROM:
        coding = _coding(request.headers.get("Accept-Encoding", ""))
        if coding is not None:
            answer.enable_compression(coding)
            answer.enable_chunked_encoding()
    return answer


def _coding(accepted: str) -> web.ContentCoding | None:
    """Choose among the codings that a client accepts. Backstage would take Brotli first, which is not at hand here."""
    offers = (part.lower().partition(";") for part in accepted.split(","))
    wanted = {name.strip() for name, _, weight in offers if weight.strip() not in ("q=0", "q=0.0")}
    return next((coding for coding in _CODINGS if coding.value in wanted or "*" in wanted), None)
