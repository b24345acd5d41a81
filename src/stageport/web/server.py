"""The HTTP server of a running service.

    async with serve_web(service, host="0.0.0.0", port=8000, metrics=metrics) as running:
        running.url            # http://127.0.0.1:8000

It answers from what the process knows, without asking Backstage or Port, so that a probe says something of the process
and of nothing else. There is no access log: probes and scrapes come every few seconds.
"""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from stageport.model.errors import SettingsError
from stageport.telemetry.metrics import CONTENT_TYPE, Metrics
from stageport.web.answers import health_answer, json_answer, page_answer, problem_answer, text_answer
from stageport.web.routes import SECRET_HEADER, SECRET_QUERY, docs_page, openapi_document, paths, routes
from stageport.web.watched import Watched

WEBHOOK_REASON = "the webhook"


@dataclass(frozen=True, slots=True)
class Webhook:
    """``POST /resync`` is answered; with a ``secret``, only to those who know it.

    Port can be told an address and nothing else, so the secret may come as a parameter of it
    (``https://…/resync?secret=…``); whoever can choose headers sends ``X-Stageport-Secret``.
    """

    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """What clients may take, in seconds and bytes.

    A connection has ``idle`` seconds to send the head of its first or next request: longer than load balancers keep
    theirs (60 s), or they would send into connections that are just being closed. The rest of a request has ``request``
    seconds, and so has the client that takes the answer. ``closing`` is what requests under way get at the end.
    """

    idle: float = 75.0
    request: float = 10.0
    closing: float = 0.3
    body: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class RunningWeb:
    """A server that serves."""

    url: str


@asynccontextmanager
async def serve_web(
    watched: Watched,
    *,
    host: str,
    port: int,
    metrics: Metrics,
    version: str,
    path_prefix: str = "",
    webhook: Webhook | None = None,
    patience: Patience | None = None,
) -> AsyncIterator[RunningWeb]:
    """Serve while the context lasts; port 0 takes a free one, an empty host all addresses of both families.

    Raises:
        SettingsError: nothing can listen there.
    """
    patience = patience or Patience()
    pages = _Pages(watched, metrics=metrics, version=version, path_prefix=path_prefix, webhook=webhook)
    runner = web.AppRunner(
        pages.application(patience),
        access_log=None,
        logger=_silent_logger(),
        keepalive_timeout=patience.idle,
        lingering_time=min(1.0, patience.request),
        shutdown_timeout=patience.closing,
    )
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield RunningWeb(_url(runner))
    finally:
        await runner.cleanup()


class _Pages:
    """The answers, each behind the name that the table of routes gives it."""

    def __init__(
        self, watched: Watched, *, metrics: Metrics, version: str, path_prefix: str, webhook: Webhook | None
    ) -> None:
        self._watched = watched
        self._metrics = metrics
        self._version = version
        self._prefix = path_prefix
        self._webhook = webhook
        self._routes = routes(webhook=webhook is not None)
        self._has_secret = webhook is not None and webhook.secret is not None

    def application(self, patience: Patience) -> web.Application:
        """Put the application together."""
        middlewares = [_within(patience.request), _explained]
        app = web.Application(middlewares=middlewares, client_max_size=patience.body)
        by_name: Mapping[str, Callable[[web.Request], Awaitable[web.Response]]] = {
            "live": self._live,
            "ready": self._ready,
            "status": self._status,
            "metrics": self._render_metrics,
            "docs": self._docs,
            "openapi": self._openapi,
            "resync": self._resync,
        }
        for route in self._routes:
            for path in paths(route, self._prefix):
                add = app.router.add_get if route.method == "GET" else app.router.add_post
                add(path, by_name[route.name])
        return app

    async def _live(self, _request: web.Request) -> web.Response:
        alive = self._watched.is_alive()
        return health_answer("live", version=self._version, ok=alive, reason="" if alive else "the loop stands still")

    async def _ready(self, _request: web.Request) -> web.Response:
        ready = self._watched.readiness()
        return health_answer("ready", version=self._version, ok=ready.ok, reason=ready.reason)

    async def _status(self, _request: web.Request) -> web.Response:
        return json_answer(self._watched.status())

    async def _render_metrics(self, _request: web.Request) -> web.Response:
        return text_answer(self._metrics.render(), content_type=CONTENT_TYPE)

    async def _docs(self, _request: web.Request) -> web.Response:
        return page_answer(docs_page(self._routes, version=self._version))

    async def _openapi(self, _request: web.Request) -> web.Response:
        return json_answer(
            openapi_document(self._routes, version=self._version, prefix=self._prefix, secret=self._has_secret)
        )

    async def _resync(self, request: web.Request) -> web.Response:
        if not self._is_admitted(request):
            return problem_answer(401, f"The secret is missing or wrong; send it as {SECRET_HEADER}.")
        await request.read()  # it says nothing of use, but a client may insist on being heard to the end
        await self._watched.request_resync(WEBHOOK_REASON)
        return json_answer({"ok": True})

    def _is_admitted(self, request: web.Request) -> bool:
        secret = self._webhook.secret if self._webhook else None
        if secret is None:
            return True
        given = request.headers.get(SECRET_HEADER) or request.query.get(SECRET_QUERY) or ""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())


def _within(seconds: float) -> Middleware:
    """Give a client so many seconds to send the rest of a request, and as many to take the answer."""

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            async with asyncio.timeout(seconds):
                answer = await handler(request)
        except TimeoutError:
            answer = problem_answer(503 if request.content.is_eof() else 408)
            answer.force_close()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await answer.prepare(request)
                await answer.write_eof()
                return answer
        if request.transport is not None:
            request.transport.abort()
        return answer

    return limit


@web.middleware
async def _explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what goes wrong into JSON; only a fault of ours is worth a line in the log."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        answer = problem_answer(error.status)
        if isinstance(error, web.HTTPMethodNotAllowed):
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except Exception:  # noqa: BLE001 -- a page that fails must not take the service with it
        structlog.get_logger().exception("a request could not be answered", path=request.path)
        return problem_answer(500)


def _silent_logger() -> logging.Logger:
    """Return a logger that says nothing: what clients send amiss is no news, and our own faults are told before."""
    logger = logging.Logger("stageport.web")
    logger.addHandler(logging.NullHandler())
    return logger


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host or None, port).start()
    except OSError as error:
        raise SettingsError(
            f"Nothing can listen on port {port} of {host or 'this machine'}: {error.strerror or error}.",
            hint="Choose another one with APPLICATION__PORT, or stop what holds it.",
        ) from error


def _url(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reached}:{port}"
