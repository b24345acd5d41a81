"""The Backstage stand-in as a server.

    async with serve_backstage(BackstageOptions(entities=1000, token="a-token")) as running:
        running.url            # http://127.0.0.1:40123
        running.catalog.put({...})

Without ``entities`` or ``descriptors`` it serves the sample catalog.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from stageport.sandbox.backstage.access import Access, Gate
from stageport.sandbox.backstage.answers import (
    COMPRESSES,
    ApiError,
    ServiceUnavailableError,
    empty_answer,
    error_answer,
    json_answer,
)
from stageport.sandbox.backstage.bus import EventBus
from stageport.sandbox.backstage.catalog import Catalog
from stageport.sandbox.backstage.descriptors import Descriptor, sample_conditions, sample_descriptors
from stageport.sandbox.backstage.routes.table import find_route
from stageport.sandbox.backstage.synthetic import synthetic_catalog
from stageport.sandbox.backstage.traps import Phase, RateLimit, RateLimiter, Stage, StartUp, Traps
from stageport.sandbox.backstage.view import MOUNT, CatalogView, routed_url
from stageport.sandbox.faults import ADMIN_PREFIX, Fault, FaultKind, FaultPlan, add_fault_routes, fault_middleware

_HEAD_LIMIT = 16 * 1024  # Node's --max-http-header-size
_ACCEPTED_HEAD = 1024 * 1024
_ACCEPTED_BODY = 64 * 1024 * 1024
_REMEMBERED_REQUESTS = 10_000
_WELCOME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Backstage stand-in</title>
<h1>The Backstage stand-in of Stageport</h1>
<p>It has Backstage's catalog API at <code>/api/catalog</code>, and no frontend. Where no token was asked for, a browser
can read it: <a href="/api/catalog/entities/by-query?limit=10">ten entities</a>.</p>
</html>
"""
_TOO_MANY = (
    b'{"error":{"name":"Error","message":"Too many requests, please try again later"},"response":{"statusCode":429}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackstageOptions:
    """What the stand-in serves, to whom, and with which troubles.

    ``descriptors`` or ``entities`` (how many synthetic ones) make the catalog; neither means the sample. ``token``
    is one that may do everything; ``tokens`` are further ones. With no token at all, everybody may read. ``compress``
    answers to clients that ask for it: that takes five times the work of everything else, as it does in Backstage. With
    ``bus_seconds`` there is an event bus, which keeps a reader for so long when it has nothing to tell.
    """

    descriptors: Sequence[Descriptor] | None = None
    entities: int | None = None
    seed: int = 0
    token: str | None = None
    tokens: Mapping[str, Access] = field(default_factory=dict)
    latency_ms: float = 0.0
    compress: bool = True
    rate_limit: RateLimit | None = None
    bus_seconds: float | None = None
    startup: Sequence[Phase] = ()
    faults: Sequence[Fault] = ()

    def accepted_tokens(self) -> Mapping[str, Access]:
        """Return every token with what it may do."""
        return {**({self.token: Access.FULL} if self.token else {}), **self.tokens}


def build_catalog(options: BackstageOptions) -> Catalog:
    """Make the catalog that the options ask for."""
    if options.descriptors is not None:
        return Catalog(options.descriptors, seed=options.seed)
    if options.entities is not None:
        return synthetic_catalog(options.entities, seed=options.seed)
    return sample_catalog(seed=options.seed)


def sample_catalog(*, seed: int = 0) -> Catalog:
    """Make the sample catalog, with its orphan, its failing entity and its further owners."""
    catalog = Catalog(sample_descriptors(), seed=seed)
    for condition in sample_conditions():
        if "error" in condition:
            catalog.fail(condition["entity"], condition["error"])
        elif "relation" in condition:
            catalog.relate(condition["entity"], condition["relation"], condition["target"])
        else:
            catalog.set_orphan(condition["entity"])
    return catalog


@dataclass(slots=True)
class RunningBackstage:
    """A stand-in that serves: where it is, and the handles to change it while it runs.

    ``requests`` are the last requests to the catalog, as ``GET /api/catalog/…``. ``bus`` is the event bus, if any.
    """

    url: str
    catalog: Catalog
    traps: Traps
    faults: FaultPlan
    requests: list[str]
    _startup: StartUp
    bus: EventBus | None = None

    def restart(self, phases: Sequence[Phase], *, renew_uids: bool = False) -> None:
        """Behave as a backend that starts up anew; with ``renew_uids``, on a database that forgets."""
        if renew_uids:
            self.catalog.renew_uids()
        self._startup.begin(phases)


class _Backstage:
    """The application: everything before the routes, in the order in which Backstage does it."""

    def __init__(self, options: BackstageOptions, catalog: Catalog) -> None:
        self.catalog = catalog
        self.traps = Traps()
        self.startup = StartUp(options.startup)
        self.requests: list[str] = []
        self.faults = FaultPlan(_faults(options))
        self._compresses = options.compress
        self._gate = Gate(options.accepted_tokens())
        self._limiter = RateLimiter(options.rate_limit)
        self.bus = None if options.bus_seconds is None else EventBus(self._gate, notify_seconds=options.bus_seconds)
        self._full = CatalogView(catalog, traps=self.traps)
        self._nothing = CatalogView(Catalog(), traps=Traps())

    def application(self) -> web.Application:
        """Put the application together."""
        middlewares = [_limit_head, fault_middleware(self.faults), self._limit_rate()]
        app = web.Application(middlewares=middlewares, client_max_size=_ACCEPTED_BODY)
        app[COMPRESSES] = self._compresses
        add_fault_routes(app.router, self.faults)
        app.router.add_route("*", f"{MOUNT}{{tail:(/.*)?}}", self._answer)
        if self.bus is not None:
            self.bus.add_to(app)
        app.router.add_get("/", _welcome)
        app.router.add_route("*", "/{tail:.*}", _not_found)
        return app

    def _limit_rate(self) -> Middleware:
        @web.middleware
        async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(ADMIN_PREFIX):
                return await handler(request)
            passes, headers = self._limiter.take()
            answer = await handler(request) if passes else json_answer(request, _TOO_MANY, status=429)
            answer.headers.update(headers)
            return answer

        return limit

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self._remember(request)
        stage = self.startup.meet()
        if stage is Stage.SILENT:
            return empty_answer(404)
        try:
            if stage is Stage.WAITING:
                raise ServiceUnavailableError("Service has not started up yet")
            return await self._route(request, self._nothing if stage is Stage.EMPTY else self._full)
        except ApiError as error:
            return error_answer(request, error, url=routed_url(request))

    def _remember(self, request: web.Request) -> None:
        self.requests.append(f"{request.method} {request.raw_path}")
        if len(self.requests) > _REMEMBERED_REQUESTS:
            del self.requests[: _REMEMBERED_REQUESTS // 2]

    async def _route(self, request: web.Request, view: CatalogView) -> web.StreamResponse:
        access = self._gate.enter(request.headers.get("Authorization"))
        match = find_route(request.method, routed_url(request).partition("?")[0])
        if match is None:
            return empty_answer(404)
        return await match.answer(view, request, access, *match.variables)


async def _welcome(request: web.Request) -> web.StreamResponse:
    """Tell a person's browser where to look; a program gets the empty 404 of a backend without a frontend."""
    if "text/html" not in request.headers.get("Accept", ""):
        return empty_answer(404)
    return web.Response(text=_WELCOME, content_type="text/html")


async def _not_found(_request: web.Request) -> web.StreamResponse:
    return empty_answer(404)


@web.middleware
async def _limit_head(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a head of more than 16 KB, as Node does before Backstage sees anything of it."""
    if len(request.raw_path) + sum(len(name) + len(value) for name, value in request.raw_headers) > _HEAD_LIMIT:
        answer = empty_answer(431)
        answer.force_close()
        return answer
    return await handler(request)


def _faults(options: BackstageOptions) -> Sequence[Fault]:
    if not options.latency_ms:
        return options.faults
    return [Fault(kind=FaultKind.LATENCY, delay_ms=options.latency_ms), *options.faults]


@asynccontextmanager
async def serve_backstage(
    options: BackstageOptions | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[RunningBackstage]:
    """Serve a Backstage catalog while the context lasts; port 0 takes a free one."""
    options = options or BackstageOptions()
    backstage = _Backstage(options, build_catalog(options))
    runner = web.AppRunner(
        backstage.application(), access_log=None, max_line_size=_ACCEPTED_HEAD, max_field_size=_ACCEPTED_HEAD
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0]
        yield RunningBackstage(
            url=f"http://{bound[0]}:{bound[1]}",
            catalog=backstage.catalog,
            traps=backstage.traps,
            faults=backstage.faults,
            requests=backstage.requests,
            _startup=backstage.startup,
            bus=backstage.bus,
        )
    finally:
        await runner.cleanup()


async def run_backstage_sandbox(
    options: BackstageOptions, *, host: str, port: int, ready: Callable[[RunningBackstage], None]
) -> None:
    """Serve until cancelled; ``ready`` is called once, when the first request may come."""
    async with serve_backstage(options, host=host, port=port) as running:
        ready(running)
        await asyncio.Event().wait()
