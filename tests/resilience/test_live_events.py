"""Real ``stageport run`` processes under live events: killed, stopped, and flooded."""

import asyncio
import json
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp
import pytest
from tests.contract.command import environment_of, start
from tests.contract.harness import World, component, group, ref, serve_world
from tests.contract.live_rig import PATH, SECRET, Sender, changed, until
from tests.contract.test_safety_rules import BOTH, OWNED, TEAM
from tests.expectation import BLUEPRINT_OF
from tests.resilience.processes import shared_bytes, tree
from tests.resilience.sizes import BURST

from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync.passes import PassKind

MOST_MEMORY = 160 << 20
"""Bytes, of the service and its mapping processes together, however many changes come at once."""
CART = ("component", "component:default/cart")


@dataclass
class Process:
    """A real ``stageport run``."""

    process: asyncio.subprocess.Process
    url: str

    async def read_on(self) -> None:
        """Read what it logs, so that it never waits for a reader."""
        assert self.process.stderr is not None
        async for _ in self.process.stderr:
            pass

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


async def serve(world: World, folder: Path, **more: str) -> Process:
    environment = environment_of(world, str(folder)) | {
        "APPLICATION__PORT": "0",
        "STAGEPORT_HTTP_HOST": "127.0.0.1",
        "STAGEPORT_LEDGER": str(folder / "ledger.sqlite3"),
        "STAGEPORT_LIVE_EVENTS_SECRET": SECRET,
        "STAGEPORT_LOG_FORMAT": "json",
        **more,
    }
    process = await start("run", environment=environment, folder=str(folder))
    assert process.stderr is not None
    async for line in process.stderr:
        said = json.loads(line)
        if "url" in said:
            return Process(process, said["url"])
    raise AssertionError("it did not serve")


@asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="stageport-test-") as name:
        yield Path(name)


@pytest.mark.timeout(120)
async def test_a_process_killed_between_the_answer_and_the_write_loses_nothing() -> None:
    refs = [ref("component", f"c{number}") for number in range(200)]
    async with (
        serve_world([component("pay"), group("team-a")], kind=PassKind.RESYNC) as world,
        folder() as place,
        aiohttp.ClientSession() as session,
    ):
        world.install(BOTH, blueprints=[TEAM, OWNED])
        # Without a pass at the start and without scans: nothing but the queue can tell the next process.
        quiet = {"STAGEPORT_DELTA_INTERVAL": "0", "OCEAN__EVENT_LISTENER__RESYNC_ON_START": "false"}
        first = await serve(world, place)
        await until(lambda: world.resync_state() == "completed", seconds=30)
        await first.kill()
        for one in refs:
            world.catalog.put(component(one.partition("/")[2]))
        killed = 0
        while killed < 4:
            process = await serve(world, place, **quiet)
            if killed == 0:
                world.port.faults.add(Fault(kind=FaultKind.LATENCY, delay_ms=300, path="/bulk"))
                answer = await Sender(process.url, session).post(changed(*refs))
                assert answer.status == 202
            else:
                await asyncio.sleep(0.1 * killed)
            await process.kill()
            killed += 1
        world.port.faults.clear()
        last = await serve(world, place, **quiet)
        try:
            await until(lambda: {("service", one) for one in refs} <= world.present(), seconds=30)
        finally:
            await last.kill()
        assert world.writes()["created"] >= 200


@pytest.mark.timeout(60)
async def test_a_process_that_is_told_to_stop_keeps_what_it_took() -> None:
    async with (
        serve_world([component("pay")], kind=PassKind.RESYNC) as world,
        folder() as place,
        aiohttp.ClientSession() as session,
    ):
        process = await serve(world, place)
        await until(lambda: world.resync_state() == "completed", seconds=30)
        world.port.faults.add(Fault(kind=FaultKind.LATENCY, delay_ms=1500, path="/bulk"))
        world.catalog.put(component("cart"))
        sender = Sender(process.url, session)
        assert (await sender.tell("component:default/cart")).status == 202
        process.process.terminate()
        await process.process.communicate()
        world.port.faults.clear()
        again = await serve(world, place, STAGEPORT_DELTA_INTERVAL="0", OCEAN__EVENT_LISTENER__RESYNC_ON_START="false")
        try:
            await until(lambda: CART in world.held(), seconds=30)
            plain = {"content-type": "application/json"}
            sender = Sender(again.url, session)
            assert (await sender.post({"entityRefs": ["component:cart"]}, plain, path=PATH)).status == 401
        finally:
            await again.kill()


class Memory:
    """Looks at a process tree until it is told to stop; ``peak`` is the most it has seen, in bytes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.start = shared_bytes(tree(pid))
        self.peak = self.start

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(0.05):
            self.peak = max(self.peak, shared_bytes(tree(self._pid)))


async def flood(sender: Sender, refs: Sequence[str]) -> list[float]:
    """Tell of all at once, in messages of 500; return how long each answer took."""

    async def tell(part: Sequence[str]) -> float:
        began = time.perf_counter()
        assert (await sender.tell(*part)).status == 202
        return time.perf_counter() - began

    return await asyncio.gather(*(tell(refs[start : start + 500]) for start in range(0, len(refs), 500)))


async def work_off(sender: Sender) -> list[float]:
    """Go on sending while it is worked off, until nothing waits any more; return how long each answer took."""
    took = []
    while True:
        began = time.perf_counter()
        assert (await sender.tell("location:default/nobody-maps-this")).status == 202
        took.append(time.perf_counter() - began)
        async with sender.session.get(f"{sender.url}/status") as answer:
            hints = (await answer.json())["hints"]
        if hints["waiting"] <= 1:
            return took
        await asyncio.sleep(0.2)


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


@pytest.mark.timeout(120 + BURST // 20)
async def test_a_burst_is_taken_at_once_and_worked_off_in_few_requests() -> None:
    """Everything changes at once: the receiver answers on, memory stays flat, and Port ends equal."""
    async with (
        serve_world(entities=BURST, kind=PassKind.RESYNC) as world,
        folder() as place,
        aiohttp.ClientSession() as session,
    ):
        process = await serve(world, place, STAGEPORT_DELTA_INTERVAL="0")
        reading = asyncio.create_task(process.read_on())
        await until(lambda: world.resync_state() == "completed", seconds=60 + BURST / 20)
        changed_refs = [one.ref for one in world.catalog if one.kind.lower() in BLUEPRINT_OF.keys() - {"user"}]
        for one in changed_refs:
            world.catalog.update(one, lambda entity: entity["metadata"].update(title="Changed by the burst"))
        world.forget()
        sender, began = Sender(process.url, session), time.perf_counter()
        with Memory(process.process.pid) as memory:
            at_once = await flood(sender, changed_refs)
            meanwhile = await work_off(sender)
        seconds = time.perf_counter() - began
        await process.kill()
        await reading
        by_refs = sum(1 for request in world.backstage.requests if request.endswith("/by-refs"))
        bulks = sum(1 for seen in world.requests() if seen.route.endswith("/bulk"))
        kinds = Counter(one.partition(":")[0] for one in changed_refs)
        least = (-(-len(changed_refs) // 500), sum(-(-count // 20) for count in kinds.values()))
        print(
            f"\n{len(changed_refs)} changes, {world.writes().total()} written in {seconds:.1f} s: "
            f"{by_refs} by-refs (least {least[0]}), {bulks} bulk (least {least[1]}), "
            f"{len(world.requests()) - bulks} other requests to Port; "
            f"answers in {median(at_once) * 1000:.0f} ms (most {max(at_once) * 1000:.0f}) at once, "
            f"{median(meanwhile) * 1000:.0f} ms (most {max(meanwhile) * 1000:.0f}) meanwhile; "
            f"memory {memory.start >> 20} MiB before, {memory.peak >> 20} at most"
        )
        assert world.wrong() == []
        assert by_refs <= least[0] * 1.2 + 4
        assert bulks <= least[1] * 1.2 + 20
        assert memory.peak < MOST_MEMORY
