"""The Port stand-in as a server: in a test, or as a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from stageport.sandbox.faults import FaultPlan, add_fault_routes, fault_middleware
from stageport.sandbox.port.gate import MAX_BODY, STATE, Gate, same_site_only
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.routes.admin import add_admin_routes
from stageport.sandbox.port.routes.auth import add_auth_routes
from stageport.sandbox.port.routes.blueprints import add_blueprint_routes
from stageport.sandbox.port.routes.entities import add_entity_routes
from stageport.sandbox.port.routes.ingest import add_ingest_routes
from stageport.sandbox.port.routes.integrations import add_integration_routes
from stageport.sandbox.port.routes.pages import add_page_routes
from stageport.sandbox.port.routes.search import add_search_routes
from stageport.sandbox.port.state import PortState

# Bodies are read beyond Port's limit so that a client gets its 413 instead of a broken pipe.
_READ_AT_MOST = 32 * MAX_BODY


@dataclass(frozen=True, slots=True)
class RunningPort:
    """A stand-in that listens. ``url`` is its base (without ``/v1``), ``state`` everything it holds."""

    url: str
    state: PortState

    @property
    def faults(self) -> FaultPlan:
        """The faults it injects; add and clear them while it runs."""
        return self.state.faults


def build_app(state: PortState) -> web.Application:
    """Build the application; the order of routes matters where a literal stands where an identifier could."""
    app = web.Application(
        middlewares=[fault_middleware(state.faults), Gate(state).middleware(), same_site_only],
        client_max_size=_READ_AT_MOST,
    )
    app[STATE] = state
    router = app.router
    add_auth_routes(router)
    # Before the routes of entities: `search` and `datasource-entities` would be taken for identifiers.
    add_search_routes(router, datasource_listing=state.options.behaviour.datasource_listing)
    add_entity_routes(router)
    add_blueprint_routes(router)
    add_integration_routes(router)
    add_ingest_routes(router)
    add_fault_routes(router, state.faults)
    add_admin_routes(router)
    add_page_routes(router)
    return app


@asynccontextmanager
async def serve_port(
    options: PortOptions | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[RunningPort]:
    """Run a stand-in while the block lasts; port 0 takes any that is free."""
    state = PortState(options or PortOptions())
    runner = web.AppRunner(build_app(state), access_log=None, shutdown_timeout=1)
    try:
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        bound_host, bound_port = runner.addresses[0][:2]
        shown_host = f"[{bound_host}]" if ":" in bound_host else bound_host
        yield RunningPort(url=f"http://{shown_host}:{bound_port}", state=state)
    finally:
        await runner.cleanup()
        state.store.close()


async def run_port_sandbox(
    options: PortOptions, *, host: str = "127.0.0.1", port: int = 8787, ready: Callable[[str], None]
) -> None:
    """Run a stand-in until it is cancelled; ``ready`` is told its base URL once it listens."""
    async with serve_port(options, host=host, port=port) as running:
        ready(running.url)
        await asyncio.Event().wait()
