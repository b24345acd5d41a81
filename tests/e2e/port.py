"""Stand-ins in threads of their own, so that blocking tests can run real `stageport` processes against them."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tests.contract.command import Result

from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.server import RunningPort, serve_port

Key = tuple[str, str]
T = TypeVar("T")
SYNC_SECONDS = 120
START_SECONDS = 30


@contextmanager
def in_thread(serve: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Serve a stand-in from a thread with an event loop of its own while the block lasts."""
    ended: asyncio.Event | None = None
    ready = threading.Event()
    running: list[T] = []
    loop = asyncio.new_event_loop()

    async def run() -> None:
        nonlocal ended
        ended = asyncio.Event()
        async with serve() as served:
            running.append(served)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(START_SECONDS), "the stand-in did not start"
    try:
        yield running[0]
    finally:
        if ended is not None:
            loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


def port_in_thread(options: PortOptions) -> AbstractContextManager[RunningPort]:
    """Serve a Port stand-in from a thread while the block lasts."""
    return in_thread(lambda: serve_port(options))


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
        return self._run([sys.executable, "-m", "stageport", *words], **environment)

    def shell(self, script: str) -> Result:
        """Run a shell script to its end; ``$STAGEPORT`` is the command."""
        return self._run(["sh", "-c", script], STAGEPORT=f"{sys.executable} -m stageport")

    def _run(self, command: list[str], **environment: str) -> Result:
        done = subprocess.run(
            command,
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

    @contextmanager
    def running(self, *words: str, **environment: str) -> "Iterator[subprocess.Popen[str]]":
        """Start one command in a session of its own; what is left of it at the end of the block is killed."""
        process = subprocess.Popen(
            [sys.executable, "-m", "stageport", *words],
            env=self._environment | environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            with process:
                try:
                    yield process
                finally:
                    process.kill()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

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
