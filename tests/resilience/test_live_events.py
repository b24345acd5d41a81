"""Real ``stageport run`` processes under live events: killed, stopped, and flooded."""

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from tests.contract.command import environment_of, start
from tests.contract.harness import World, component, group, ref, serve_world
from tests.contract.live_rig import PATH, SECRET, Sender, changed, until
from tests.contract.test_safety_rules import BOTH, OWNED, TEAM

from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync.passes import PassKind

CART = ("component", "component:default/cart")


@dataclass
class Process:
    """A real ``stageport run``."""

    process: asyncio.subprocess.Process
    url: str

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.communicate()


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
