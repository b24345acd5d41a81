"""Real `stageport` processes, run between the stand-ins of a ``World``."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.contract.harness import IDENTIFIER, TOKEN, World

SECONDS = 50


@dataclass(frozen=True)
class Result:
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment_of(world: World, folder: str) -> dict[str, str]:
    """Return all that a process needs to find the stand-ins, and nothing of whoever runs the tests."""
    options = world.state.options
    return {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ},
        "HOME": folder,
        "BACKSTAGE_URL": world.backstage.url,
        "BACKSTAGE_TOKEN": TOKEN,
        "PORT_BASE_URL": world.port.url,
        "PORT_CLIENT_ID": options.client_id,
        "PORT_CLIENT_SECRET": options.client_secret,
        "STAGEPORT_INTEGRATION_IDENTIFIER": IDENTIFIER,
        "STAGEPORT_WORKERS": "1",
        "STAGEPORT_UNREACHABLE_TIMEOUT": "0.2",
        "STAGEPORT_START_TIMEOUT": "0",
    }


async def start(*words: str, environment: dict[str, str], folder: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stageport", *words),
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process, *, seconds: float = SECONDS) -> Result:
    """Wait for a process; no person ever sees a traceback."""
    out, err = await asyncio.wait_for(process.communicate(), seconds)
    assert process.returncode is not None
    result = Result(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in result.err, result.err
    return result


async def stageport(
    world: World,
    *words: str,
    without: tuple[str, ...] = (),
    files: dict[str, str] | None = None,
    stop: tuple[Callable[[], bool], signal.Signals] | None = None,
    **environment: str,
) -> Result:
    """Run one command to its end, in a folder of its own with these files in it.

    ``without`` are variables to leave out; ``stop`` a signal to send, and the condition that it waits for. Secrets must
    not turn up in what is printed.
    """
    with tempfile.TemporaryDirectory(prefix="stageport-test-") as folder:
        for name, text in (files or {}).items():
            with open(f"{folder}/{name}", "w") as file:  # noqa: ASYNC230, PTH123 - a few bytes
                file.write(text)
        given = environment_of(world, folder) | environment
        process = await start(
            *words, environment={name: given[name] for name in given if name not in without}, folder=folder
        )
        if stop is not None:
            condition, number = stop
            while not condition() and process.returncode is None:
                await asyncio.sleep(0.002)
            process.send_signal(number)
        result = await finish(process)
    for name in ("BACKSTAGE_TOKEN", "PORT_CLIENT_SECRET"):
        assert not given[name] or given[name] not in result.out + result.err
    return result
