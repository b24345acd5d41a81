"""What the always-on service costs and how fast it is: ``python -m bench.always idle|freshness|scrape``.

A real `stageport run` between both stand-ins, which this process serves. Linux only: cost is read from ``/proc``.

* ``idle``: CPU and memory of the service and all its processes while nothing changes.
* ``freshness``: seconds from a change visible in Backstage's API to the entity in Port.
* ``scrape``: milliseconds that a scrape of ``/metrics`` takes while the first pass runs.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, serve_backstage
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.server import RunningPort, serve_port

TOKEN = "a-backstage-token"
SETTLE_SECONDS = 20.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Scene:
    """Both stand-ins and the service between them."""

    backstage: RunningBackstage
    port: RunningPort
    process: asyncio.subprocess.Process
    url: str

    async def passes(self) -> int:
        """Return how many passes are through; 0 while the service does not answer."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/status") as answer:
                return int((await answer.json())["passes"])
        except (aiohttp.ClientError, OSError):
            return 0

    async def first_pass(self) -> None:
        """Wait for the first pass."""
        while not await self.passes():
            if self.process.returncode is not None:
                raise RuntimeError(f"the service ended with {self.process.returncode}")
            await asyncio.sleep(0.2)


@asynccontextmanager
async def scene(*, entities: int, interval: float) -> AsyncIterator[Scene]:
    """Run a service while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="stageport-bench-") as folder:
        async with (
            serve_backstage(BackstageOptions(token=TOKEN, entities=entities)) as backstage,
            serve_port(PortOptions()) as port,
        ):
            number = free_port()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "stageport", "run"),
                env=environment(backstage, port, folder, number, interval),
                cwd=folder,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                yield Scene(backstage, port, process, f"http://127.0.0.1:{number}")
            finally:
                if process.returncode is None:
                    process.terminate()
                await process.wait()


def environment(
    backstage: RunningBackstage, port: RunningPort, folder: str, number: int, interval: float
) -> dict[str, str]:
    """Return all that the service needs to know."""
    options = port.state.options
    return {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "BACKSTAGE_URL": backstage.url,
        "BACKSTAGE_TOKEN": TOKEN,
        "PORT_BASE_URL": port.url,
        "PORT_CLIENT_ID": options.client_id,
        "PORT_CLIENT_SECRET": options.client_secret,
        "STAGEPORT_HTTP_HOST": "127.0.0.1",
        "STAGEPORT_HTTP_PORT": str(number),
        "STAGEPORT_DELTA_INTERVAL": str(interval),
    }


def free_port() -> int:
    """Return a port that nobody has."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(root: int) -> Iterator[int]:
    """Yield a process and all that it started."""
    yield root
    for path in Path(f"/proc/{root}/task").glob("*/children"):
        for child in path.read_text().split():
            yield from family(int(child))


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a process, of those it started, and of those of them that ended."""
    total = 0
    for number in family(root):
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15] if number == root else fields[11:13]))
    return total / TICKS


def memory_megabytes(root: int) -> float:
    """Return the memory of a process and those it started, shared pages shared out (PSS)."""
    kilobytes = 0
    for number in family(root):
        for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


async def idle(*, entities: int, interval: float, seconds: float) -> dict[str, float]:
    """Measure what it costs to have nothing to do."""
    async with scene(entities=entities, interval=interval) as now:
        await now.first_pass()
        await asyncio.sleep(SETTLE_SECONDS)
        before, passes = cpu_seconds(now.process.pid), await now.passes()
        await asyncio.sleep(seconds)
        spent = cpu_seconds(now.process.pid) - before
        return {
            "entities": entities,
            "deltas": await now.passes() - passes,
            "cpu_percent_of_a_core": round(100 * spent / seconds, 2),
            "memory_mb": round(memory_megabytes(now.process.pid), 1),
            "processes": len(list(family(now.process.pid))),
        }


async def freshness(*, entities: int, interval: float, changes: int, seconds: float) -> dict[str, float]:
    """Measure how long a change takes, over changes at moments that have nothing to do with the interval."""
    chance = random.Random(1)
    async with scene(entities=entities, interval=interval) as now:
        await now.first_pass()
        moments = sorted(chance.uniform(0, seconds) for _ in range(changes))
        under_way: dict[str, float] = {}
        waits: list[float] = []
        began = time.monotonic()
        while len(waits) < changes:
            while moments and time.monotonic() - began >= moments[0]:
                name = f"fresh-{len(waits) + len(under_way)}"
                now.backstage.catalog.put(described(name))
                under_way[name] = time.monotonic()
                moments.pop(0)
            there = [name for name in under_way if now.port.state.entity("component", f"component:default/{name}")]
            waits.extend(time.monotonic() - under_way.pop(name) for name in there)
            await asyncio.sleep(0.01)
    ordered = sorted(waits)
    return {
        "changes": changes,
        "interval": interval,
        "median_seconds": round(statistics.median(ordered), 2),
        "p95_seconds": round(ordered[int(len(ordered) * 0.95)], 2),
        "most_seconds": round(ordered[-1], 2),
    }


def described(name: str) -> dict[str, object]:
    """Describe a component."""
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name},
        "spec": {"type": "service", "lifecycle": "production", "owner": "user:default/nobody"},
    }


async def scrape(*, entities: int, interval: float) -> dict[str, float]:
    """Measure scrapes while the first pass runs; one each 100 ms."""
    async with scene(entities=entities, interval=interval) as now:
        scraper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.scraper", now.url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        await now.first_pass()
        told, _ = await scraper.communicate(b"")
    taken: list[float] = json.loads(told)
    ordered = sorted(taken)
    return {
        "entities": entities,
        "scrapes": len(ordered),
        "median_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)], 1),
        "most_ms": round(ordered[-1], 1),
    }


def main() -> None:
    """Measure what is asked for, and print it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.always", description=__doc__)
    parser.add_argument("what", choices=("idle", "freshness", "scrape"))
    parser.add_argument("--entities", type=int, default=10_000)
    parser.add_argument("--interval", type=float, default=15.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--changes", type=int, default=200)
    given = parser.parse_args()
    common = {"entities": given.entities, "interval": given.interval}
    if given.what == "idle":
        found = asyncio.run(idle(**common, seconds=given.seconds))
    elif given.what == "freshness":
        found = asyncio.run(freshness(**common, changes=given.changes, seconds=given.seconds))
    else:
        found = asyncio.run(scrape(**common))
    print(json.dumps({given.what: found}))


if __name__ == "__main__":
    main()
