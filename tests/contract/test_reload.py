"""SIGHUP: the settings are read again, and what was counted stays counted. Start and stop are told in the log."""

import asyncio
import json
import re
import signal
import tempfile
from collections.abc import Callable

import aiohttp
from tests.contract.command import SECONDS, environment_of, finish, start
from tests.contract.harness import SERVICE, SERVICES, component, serve_world
from tests.contract.test_kafka import until


async def test_a_reload_keeps_the_counters() -> None:
    async with serve_world([component("pay")]) as world, aiohttp.ClientSession() as session:
        world.install(SERVICES, blueprints=[SERVICE])
        with tempfile.TemporaryDirectory() as folder:
            environment = {
                **environment_of(world, folder),
                "STAGEPORT_HTTP_HOST": "127.0.0.1",
                "STAGEPORT_HTTP_PORT": "0",
                "STAGEPORT_DELTA_INTERVAL": "0",
                "STAGEPORT_LOG_FORMAT": "json",
            }
            process = await start("run", environment=environment, folder=folder)
            lines: list[str] = []
            assert process.stderr is not None
            reading = asyncio.create_task(_read(process.stderr, lines.append))

            def urls() -> list[str]:
                return re.findall(r'"url": "(http[^"]*)"', "".join(lines))

            async def passes() -> float:
                async with session.get(f"{urls()[-1]}/metrics") as answer:
                    found = re.findall(
                        r"^stageport_passes_total\{.*completed.*\} ([0-9.]+)$", await answer.text(), re.MULTILINE
                    )
                return sum(map(float, found))

            async with asyncio.timeout(SECONDS):
                await until(lambda: len(urls()) == 1)
                while await passes() < 1:
                    await asyncio.sleep(0.05)
                process.send_signal(signal.SIGHUP)
                await until(lambda: len(urls()) == 2)
                while await passes() < 2:
                    await asyncio.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            await reading
            assert (await finish(process)).code == 0
    told = [json.loads(line)["event"] for line in lines]
    assert [event.split(" asked")[0] for event in told if event.startswith("stopping: ")] == [
        "stopping: SIGHUP",
        "stopping: a signal",
    ]
    begun = [event for event in told if event.startswith("starting: event listener POLLING. Resyncs: at the start, ")]
    assert len(begun) == 2
    assert told.index(begun[0]) < told.index("serving health, metrics and status")


async def _read(stream: asyncio.StreamReader, take: Callable[[str], None]) -> None:
    async for line in stream:
        take(line.decode())
