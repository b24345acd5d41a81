"""A stand-in in a process of its own, with a second, private server through which the benchmark drives it.

``python -m bench.standin_process backstage|port OPTIONS`` prints one line of JSON, ``{"url": …, "control": …}``, and
serves until its standard input ends, so that it never outlives the benchmark. The options are JSON too.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from bench.control import backstage_routes, port_routes, traffic_routes
from bench.traffic import CountingLoop
from stageport.sandbox.backstage.server import BackstageOptions, serve_backstage
from stageport.sandbox.port import Leniency, PortOptions, RateLimit, serve_port

BACKSTAGE_TOKEN = "bench-token"


@asynccontextmanager
async def open_backstage(options: dict[str, Any]) -> AsyncIterator[tuple[str, web.RouteTableDef]]:
    """Serve a synthetic catalog. It is not compressed: that would be the work of the stand-in, five times all else."""
    asked = BackstageOptions(entities=options["entities"], token=BACKSTAGE_TOKEN, compress=False)
    async with serve_backstage(asked) as running:
        yield running.url, backstage_routes(running)


@asynccontextmanager
async def open_port(options: dict[str, Any]) -> AsyncIterator[tuple[str, web.RouteTableDef]]:
    """Serve an empty Port with a rate limit; ``lenient`` lets through what Port's own integration sends."""
    lenient = bool(options.get("lenient"))
    leniency = Leniency(string_for_many=lenient, any_url=lenient, missing_query_parameters=lenient)
    limit = RateLimit(limit=options["limit"], period=options["period"])
    async with serve_port(PortOptions(rate_limit=limit, leniency=leniency)) as running:
        yield running.url, port_routes(running)


OPENERS = {"backstage": open_backstage, "port": open_port}


async def serve(role: str, options: dict[str, Any], loop: CountingLoop) -> None:
    """Serve one stand-in and its control until standard input ends."""
    async with OPENERS[role](options) as (url, routes):
        loop.watching = False
        app = web.Application(client_max_size=1 << 30)
        app.add_routes(routes)
        app.add_routes(traffic_routes(loop.traffic))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        print(json.dumps({"url": url, "control": f"http://{host}:{port}"}), flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        await runner.cleanup()


def main() -> None:
    """Serve what the command line asks for."""
    role, options = sys.argv[1], json.loads(sys.argv[2])
    loop = CountingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(serve(role, options, loop))


if __name__ == "__main__":
    main()
