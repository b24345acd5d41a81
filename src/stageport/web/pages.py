"""What is answered at each address."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from stageport.model.entities import Json
from stageport.telemetry.metrics import CONTENT_TYPE, Metrics
from stageport.web.answers import health_answer, json_answer, page_answer, problem_answer, redirect_answer, text_answer
from stageport.web.overview import Seen, overview_page
from stageport.web.receiver import Receiver
from stageport.web.routes import SECRET_HEADER, SECRET_QUERY, clean_prefix, openapi_document, paths, routes
from stageport.web.watched import Watched

WEBHOOK_REASON = "the webhook"
PAGE_PATIENCE = 2.0
"""Seconds that the page for people waits for the service; load balancers that probe it wait no longer than a few."""
LOOKED_AT = 50
"""Passes of the history among which the last one is looked for that looked at everything."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Webhook:
    """``POST /resync`` is answered; with a ``secret``, only to those who know it.

    Port can be told an address and nothing else, so the secret may come as a parameter of it
    (``https://…/resync?secret=…``); whoever can choose headers sends ``X-Stageport-Secret``.
    """

    secret: str | None = None


class Pages:
    """The answers, each behind the name that the table of routes gives it.

    ``home`` is the loop that the service runs on, where this is another one.
    """

    def __init__(
        self,
        watched: Watched,
        *,
        home: asyncio.AbstractEventLoop,
        metrics: Metrics,
        version: str,
        path_prefix: str,
        webhook: Webhook | None,
        receiver: Receiver | None = None,
    ) -> None:
        self._watched = watched
        self._home = home
        self._metrics = metrics
        self._version = version
        self._prefix = path_prefix
        self._secret = webhook.secret if webhook else None
        self._receiver = receiver
        self._routes = routes(webhook=webhook is not None, hints=receiver is not None)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Put every answer at its addresses."""
        by_name: Mapping[str, Callable[[web.Request], Awaitable[web.Response]]] = {
            "live": self._live,
            "ready": self._ready,
            "status": self._status,
            "metrics": self._render_metrics,
            "docs": self._docs,
            "openapi": self._openapi,
            "resync": self._resync,
            "hints": self._take_hints,
        }
        for route in self._routes:
            for path in paths(route, self._prefix):
                add = router.add_get if route.method == "GET" else router.add_post
                add(path, by_name[route.name])
        for start in dict.fromkeys(("/", clean_prefix(self._prefix) or "/", f"{clean_prefix(self._prefix)}/")):
            router.add_get(start, self._home_page)

    async def _live(self, _request: web.Request) -> web.Response:
        alive = self._watched.is_alive()
        return health_answer("live", version=self._version, ok=alive, reason="" if alive else "the loop stands still")

    async def _ready(self, _request: web.Request) -> web.Response:
        ready = self._watched.readiness()
        return health_answer("ready", version=self._version, ok=ready.ok, reason=ready.reason)

    async def _status(self, _request: web.Request) -> web.Response:
        return json_answer(await self._at_home(self._read_status()))

    async def _render_metrics(self, _request: web.Request) -> web.Response:
        return text_answer(self._metrics.render(), content_type=CONTENT_TYPE)

    async def _home_page(self, request: web.Request) -> web.Response:
        # Relative where it can be: a proxy may have taken a prefix away that we do not know of.
        return redirect_answer("docs" if request.path.endswith("/") else f"{request.path}/docs")

    async def _docs(self, _request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(PAGE_PATIENCE):
                seen = await self._at_home(self._look())
        except TimeoutError:
            seen = None
        return page_answer(overview_page(self._routes, seen, version=self._version))

    async def _look(self) -> Seen:
        return Seen(self._watched.status(), self._watched.runs(limit=LOOKED_AT))

    async def _openapi(self, _request: web.Request) -> web.Response:
        has_secret = self._secret is not None
        document = openapi_document(self._routes, version=self._version, prefix=self._prefix, secret=has_secret)
        return json_answer(document)

    async def _resync(self, request: web.Request) -> web.Response:
        if not self._is_admitted(request):
            return problem_answer(401, f"The secret is missing or wrong; send it as {SECRET_HEADER}.")
        await request.read()  # it says nothing of use, but a client may insist on being heard to the end
        await self._at_home(self._watched.request_resync(WEBHOOK_REASON))
        return json_answer({"ok": True})

    async def _take_hints(self, request: web.Request) -> web.Response:
        assert self._receiver is not None, "there is an address for hints only with a receiver"
        return await self._receiver.answer(request, stopping=not self._watched.readiness().ok)

    def _is_admitted(self, request: web.Request) -> bool:
        if self._secret is None:
            return True
        given = request.headers.get(SECRET_HEADER) or request.query.get(SECRET_QUERY) or ""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._secret.encode())

    async def _read_status(self) -> Json:
        return self._watched.status()

    async def _at_home(self, question: Coroutine[None, None, T]) -> T:
        """Ask the service on its own loop, for what changes while it is read."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, self._home))
