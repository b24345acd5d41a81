"""The Port stand-in in a thread of its own, so that blocking tests can run real `stageport` processes against it."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.server import RunningPort, serve_port

Key = tuple[str, str]
SYNC_SECONDS = 120


@contextmanager
def port_in_thread(options: PortOptions) -> Iterator[RunningPort]:
    """Serve a Port stand-in from a thread while the block lasts."""
    started: asyncio.Event | None = None
    ready = threading.Event()
    running: list[RunningPort] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        nonlocal started
        started = asyncio.Event()
        async with serve_port(options) as port:
            running.append(port)
            ready.set()
            await started.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10), "the Port stand-in did not start"
    try:
        yield running[0]
    finally:
        if started is not None:
            loop.call_soon_threadsafe(started.set)
        thread.join(10)
        loop.close()


@dataclass(frozen=True)
class Result:
    """What a `stageport` process left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Stageport:
    """Runs real `stageport` processes against one Backstage and one Port stand-in."""

    def __init__(self, *, backstage_url: str, token: str, port: RunningPort, folder: Path) -> None:
        self.port = port
        self._folder = folder
        options = port.state.options
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "BACKSTAGE_URL": backstage_url,
            "BACKSTAGE_TOKEN": token,
            "PORT_BASE_URL": port.url,
            "PORT_CLIENT_ID": options.client_id,
            "PORT_CLIENT_SECRET": options.client_secret,
        }

    def run(self, *words: str, **environment: str) -> Result:
        """Run one command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "stageport", *words],
            env=self._environment | environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=SYNC_SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        for secret in (self._environment["BACKSTAGE_TOKEN"], self._environment["PORT_CLIENT_SECRET"]):
            assert secret not in done.stdout + done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def sync(self, *words: str, **environment: str) -> Result:
        """Run `stageport sync` with JSON output."""
        return self.run("sync", "--quiet", "--output", "json", *words, **environment)

    def held(self) -> dict[Key, dict[str, Any]]:
        """Return everything Port holds that was not there from the beginning."""
        exported = self.port.state.export()["entities"]
        return {
            (blueprint, entity["identifier"]): entity
            for blueprint, entities in exported.items()
            for entity in entities
            if not blueprint.startswith("_")
        }

    def writes(self) -> dict[str, int]:
        """Return how many entities were created, updated, left unchanged and deleted since the last call."""
        journal = self.port.state.journal
        counts = {str(fate): count for fate, count in journal.entities.items()}
        journal.entities.clear()
        return counts
