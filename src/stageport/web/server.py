"""The HTTP server of a running service.

    async with serve_web(service, host="0.0.0.0", port=8000, metrics=metrics, version="1.0.0") as running:
        running.url            # http://127.0.0.1:8000

It answers from what the process knows, without asking Backstage or Port, so that a probe says something of the process
and of nothing else. It has a thread and a loop of its own: a pass keeps the service's loop to itself for a tenth of a
second now and then, and a loop that stands still for good is what a probe is to find out. There is no access log:
probes and scrapes come every few seconds.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from stageport.model.errors import SettingsError
from stageport.telemetry.metrics import Metrics
from stageport.web.answers import problem_answer
from stageport.web.pages import Pages, Webhook
from stageport.web.receiver import Receiver
from stageport.web.watched import Watched

__all__ = ["Patience", "RunningWeb", "Webhook", "serve_web"]


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
    receiver: Receiver | None = None,
    patience: Patience | None = None,
) -> AsyncIterator[RunningWeb]:
    """Serve while the context lasts; port 0 takes a free one, an empty host all addresses of both families.

    With a ``receiver``, hints are taken.

    Raises:
        SettingsError: nothing can listen there.
    """
    home = asyncio.get_running_loop()
    pages = Pages(
        watched,
        home=home,
        metrics=metrics,
        version=version,
        path_prefix=path_prefix,
        webhook=webhook,
        receiver=receiver,
    )
    url: Future[str] = Future()
    stopped: Future[None] = Future()
    serving = _serve(pages, patience or Patience(), host=host, port=port, url=url, stopped=stopped)
    thread = asyncio.ensure_future(asyncio.to_thread(asyncio.run, serving))
    try:
        yield RunningWeb(await asyncio.shield(asyncio.wrap_future(url)))
    finally:
        stopped.set_result(None)
        await thread


async def _serve(
    pages: Pages, patience: Patience, *, host: str, port: int, url: "Future[str]", stopped: "Future[None]"
) -> None:
    """Run the server until it is stopped; ``url`` is told where it is, or why it is not."""
    app = web.Application(middlewares=[_within(patience.request), _explained], client_max_size=patience.body)
    pages.add_to(app.router)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_silent_logger(),
        keepalive_timeout=patience.idle,
        lingering_time=min(1.0, patience.request),
        shutdown_timeout=patience.closing,
    )
    try:
        await runner.setup()
        url.set_result(await _listen(runner, host, port))
        await asyncio.wrap_future(stopped)
    except Exception as error:  # noqa: BLE001 -- it is raised where the server was asked for
        url.set_exception(error)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    """Begin to listen and return the address.

    Raises:
        SettingsError: nothing can listen there.
    """
    try:
        await web.TCPSite(runner, host or None, port).start()
    except OSError as error:
        raise SettingsError(
            f"Nothing can listen on port {port} of {host or 'this machine'}: {error.strerror or error}.",
            hint="Choose another one with APPLICATION__PORT, or stop what holds it.",
        ) from error
    return _url(runner)


def _url(runner: web.AppRunner) -> str:
    # Whoever listens on both families is more often looked for at the older one.
    host, port = min((address[:2] for address in runner.addresses), key=lambda address: ":" in address[0])
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reached}:{port}"


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
