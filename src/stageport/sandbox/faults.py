"""Faults on demand, for both stand-ins: what a network, a gateway or a tired server does to a client.

A plan is a list of :class:`Fault`, looked through in order for each request. Every latency that fires is waited
for; the first other fault that fires decides what becomes of the request. Chance is drawn from a generator seeded
by the fault, so that the same requests in the same order meet the same faults.

Faults are given when a stand-in is built, added and cleared while it runs, or driven from another process by
``GET``, ``POST`` and ``DELETE /_sandbox/faults``. Requests below ``/_sandbox/`` never meet one.
"""

import asyncio
import random
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from enum import StrEnum
from typing import assert_never

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

ADMIN_PREFIX = "/_sandbox/"
FAULTS_ROUTE = "/_sandbox/faults"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Sleep = Callable[[float], Awaitable[None]]


class FaultKind(StrEnum):
    """What can go wrong.

    ``latency``: the answer comes later. ``reset-before``: the connection is reset and nothing was done.
    ``reset-after``: the connection is reset, and the request was carried out. ``cut``: the body ends before its
    Content-Length. ``cut-chunked``: a chunked body ends without its last chunk. ``status``: an error from
    something in between. ``html``: a login page, or the like, with status 200. ``drip``: the body comes in
    small pieces.
    """

    LATENCY = "latency"
    RESET_BEFORE = "reset-before"
    RESET_AFTER = "reset-after"
    CUT = "cut"
    CUT_CHUNKED = "cut-chunked"
    STATUS = "status"
    HTML = "html"
    DRIP = "drip"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong, where, and how often.

    ``method`` and ``path`` are regular expressions: the method matches whole, the path (with its query string)
    anywhere. ``skip`` requests that match pass first, then up to ``times`` are hit (None: without end), each with
    ``probability``.

    ``delay_ms`` and ``jitter_ms`` belong to ``latency`` and ``drip`` (the pause between two pieces of ``piece``
    bytes); ``keep`` is the share of the body that a cut lets through. ``status``, ``body``, ``content_type``,
    ``headers`` and ``retry_after`` (seconds; sent as an HTTP date when ``retry_after_as_date``) belong to
    ``status`` and ``html``; with ``after_handler`` the request is carried out before it is answered so.
    """

    kind: FaultKind
    method: str = ".*"
    path: str = ""
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    keep: float = 0.5
    piece: int = 64
    status: int = 503
    body: str | None = None
    content_type: str | None = None
    headers: dict[str, str] = {}
    retry_after: float | None = None
    retry_after_as_date: bool = False
    after_handler: bool = False

    def __post_init__(self) -> None:
        """Refuse what could never fire, or never end: a plan with a slip in it would test nothing."""
        for pattern in (self.method, self.path):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"not a regular expression: {pattern!r} ({error})") from error
        if not 0.0 < self.probability <= 1.0:
            raise ValueError("probability must be above 0 and at most 1")
        if not 0.0 <= self.keep < 1.0:
            raise ValueError("keep must be at least 0 and below 1")
        if self.piece < 1 or self.skip < 0 or (self.times is not None and self.times < 1):
            raise ValueError("piece and times must be at least 1, skip at least 0")


class _Loaded:
    """A fault of the plan with its generator and its counts."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.chance = random.Random(f"{fault.seed}:{fault.kind}:{fault.method}:{fault.path}")  # noqa: S311 - repeatable
        self.matched = 0
        self.injected = 0
        self._method = re.compile(fault.method, re.IGNORECASE)
        self._path = re.compile(fault.path)

    def fires(self, *, method: str, path: str) -> bool:
        if not self._method.fullmatch(method) or not self._path.search(path):
            return False
        self.matched += 1
        if self.matched <= self.fault.skip or self._spent():
            return False
        if self.fault.probability < 1.0 and self.chance.random() >= self.fault.probability:
            return False
        self.injected += 1
        return True

    def _spent(self) -> bool:
        return self.fault.times is not None and self.injected >= self.fault.times

    def delay(self) -> float:
        """Draw the seconds to wait: the delay, give or take the jitter."""
        spread = self.fault.jitter_ms * (2 * self.chance.random() - 1) if self.fault.jitter_ms else 0.0
        return max(0.0, self.fault.delay_ms + spread) / 1000


class FaultPlan:
    """The faults of one stand-in; ``injected`` counts by kind what was really done."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.injected: Counter[FaultKind] = Counter()
        self._loaded: list[_Loaded] = []
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """Append faults; those added first are asked first."""
        self._loaded.extend(_Loaded(fault) for fault in faults)

    def clear(self) -> None:
        """Forget all faults; the counts stay."""
        self._loaded.clear()

    def draw(self, *, method: str, path: str) -> list[_Loaded]:
        """Return what hits this request: any number of latencies, and at most one other fault, which is last."""
        drawn: list[_Loaded] = []
        for loaded in self._loaded:
            if loaded.fires(method=method, path=path):
                self.injected[loaded.fault.kind] += 1
                drawn.append(loaded)
                if loaded.fault.kind is not FaultKind.LATENCY:
                    break
        return drawn

    def describe(self) -> dict[str, object]:
        """Return the plan and its counts as JSON can hold them."""
        return {
            "faults": [{**msgspec.to_builtins(item.fault), "injected": item.injected} for item in self._loaded],
            "injected": {str(kind): count for kind, count in self.injected.items()},
        }


def fault_middleware(plan: FaultPlan, *, sleep: Sleep = asyncio.sleep) -> Middleware:
    """Build the middleware that carries out a plan; put it outermost, around the handling of errors."""

    @web.middleware
    async def inject(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(ADMIN_PREFIX):
            return await handler(request)
        for drawn in plan.draw(method=request.method, path=request.path_qs):
            if drawn.fault.kind is not FaultKind.LATENCY:
                return await _carry_out(drawn, request, handler, sleep)
            await sleep(drawn.delay())
        return await handler(request)

    return inject


async def _carry_out(drawn: _Loaded, request: web.Request, handler: Handler, sleep: Sleep) -> web.StreamResponse:
    fault = drawn.fault
    match fault.kind:
        case FaultKind.LATENCY:
            return await handler(request)
        case FaultKind.RESET_BEFORE:
            return _reset(request)
        case FaultKind.RESET_AFTER:
            await _answer(request, handler)
            return _reset(request)
        case FaultKind.STATUS | FaultKind.HTML:
            if fault.after_handler:
                await _answer(request, handler)
            return _in_between(fault)
        case FaultKind.CUT | FaultKind.CUT_CHUNKED:
            chunked = fault.kind is FaultKind.CUT_CHUNKED
            return await _cut(request, await _answer(request, handler), keep=fault.keep, chunked=chunked)
        case FaultKind.DRIP:
            return await _drip(request, await _answer(request, handler), drawn, sleep)
        case unknown:
            assert_never(unknown)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return answer


def _reset(request: web.Request) -> web.Response:
    """Reset the connection. The response returned reaches nobody: aiohttp finds the transport closed."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        request.transport.abort()
    return web.Response()


def _in_between(fault: Fault) -> web.Response:
    """Answer as a gateway does that the request never got past."""
    if fault.kind is FaultKind.HTML:
        return web.Response(
            status=200,
            text="<!doctype html><title>Sign in</title><p>Please sign in." if fault.body is None else fault.body,
            content_type=fault.content_type or "text/html",
            headers=fault.headers,
        )
    return web.Response(
        status=fault.status,
        text=fault.body or "",
        content_type=fault.content_type or "application/json",
        headers={**fault.headers, **_retry_after(fault)},
    )


def _retry_after(fault: Fault) -> dict[str, str]:
    if fault.retry_after is None:
        return {}
    if fault.retry_after_as_date:
        return {"Retry-After": formatdate(time.time() + fault.retry_after, usegmt=True)}
    return {"Retry-After": f"{fault.retry_after:g}"}


async def _cut(request: web.Request, answer: web.StreamResponse, *, keep: float, chunked: bool) -> web.StreamResponse:
    """Send a share of the body under the headers of the whole, then close the connection in good order."""
    body = _body(answer)
    cut = _copy_head(answer)
    if chunked:
        cut.enable_chunked_encoding()
    else:
        # A body of nothing cannot be cut short; one byte is promised that never comes.
        cut.content_length = max(len(body), 1)
    await cut.prepare(request)
    sent = body[: int(len(body) * keep)]
    if sent:
        await cut.write(sent)
    if request.transport is not None:
        request.transport.close()
    return cut


async def _drip(request: web.Request, answer: web.StreamResponse, drawn: _Loaded, sleep: Sleep) -> web.StreamResponse:
    body = _body(answer)
    slow = _copy_head(answer)
    slow.content_length = len(body)
    await slow.prepare(request)
    for start in range(0, len(body), drawn.fault.piece):
        await slow.write(body[start : start + drawn.fault.piece])
        await sleep(drawn.delay())
    return slow


def _body(answer: web.StreamResponse) -> bytes:
    body = answer.body if isinstance(answer, web.Response) else None
    return bytes(body) if isinstance(body, bytes | bytearray | memoryview) else b""


def _copy_head(answer: web.StreamResponse) -> web.StreamResponse:
    headers = answer.headers.copy()
    headers.popall("Content-Length", None)
    headers.popall("Transfer-Encoding", None)
    return web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)


def add_fault_routes(router: web.UrlDispatcher, plan: FaultPlan) -> None:
    """Let another process drive the plan: list, add (one fault or a list of them), clear."""

    async def show(_request: web.Request) -> web.Response:
        return web.json_response(plan.describe())

    async def add(request: web.Request) -> web.Response:
        try:
            given = msgspec.json.decode(await request.read(), type=Fault | list[Fault])
        except msgspec.DecodeError as error:
            return web.json_response({"ok": False, "error": "invalid_fault", "message": str(error)}, status=422)
        plan.add(*(given if isinstance(given, list) else [given]))
        return web.json_response(plan.describe())

    async def clear(_request: web.Request) -> web.Response:
        plan.clear()
        return web.json_response(plan.describe())

    router.add_get(FAULTS_ROUTE, show)
    router.add_post(FAULTS_ROUTE, add)
    router.add_delete(FAULTS_ROUTE, clear)
