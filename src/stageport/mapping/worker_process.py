"""One worker process as seen from the service: started, asked, killed."""

import asyncio
import importlib.util
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from stageport.mapping import worker
from stageport.mapping.frames import (
    LENGTH,
    Begun,
    Broken,
    Checked,
    Done,
    Prepare,
    Ready,
    Request,
    ResourcePlan,
    SlotKey,
    Traced,
    frame,
)
from stageport.model.entities import MappedSource
from stageport.model.errors import StageportError

START_SECONDS: Final = 60.0
LARGEST_FRAME: Final = 256 * 1024 * 1024
ENVIRONMENT: Final = {"HOME": "/nonexistent", "TZ": "UTC"}
"""All that a worker's environment holds. jq reads ``~/.jq`` unasked, so there must be no home."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What expressions may use before they are stopped.

    ``cpu_seconds`` are for all expressions of a resource on one item together, and half of it for each alone.
    Evaluations that take long though not so long (an eighth) may come to ``slow_seconds`` for one expression.
    ``stall_seconds`` of wall time may pass without a word from a worker. An expression that was stopped ``strikes``
    times is set aside for the rest of the run. ``told_problems`` of one field are told for each page. Without
    ``translate``, libjq evaluates every expression.
    """

    cpu_seconds: float = 2.0
    slow_seconds: float = 60.0
    stall_seconds: float = 15.0
    memory_bytes: int = 256 << 20
    strikes: int = 3
    told_problems: int = 20
    chunk_sources: int = 125
    chunk_bytes: int = 2 << 20
    translate: bool = True


class MappedPage(msgspec.Struct, frozen=True, array_like=True, tag="mapped"):
    """``frames.Mapped``, read straight into the values that the rest of the service works with."""

    sources: list[MappedSource]
    strikes: tuple[SlotKey, ...] = ()
    untold: dict[tuple[int, str], int] = {}
    slow: dict[SlotKey, float] = {}


Heard = Ready | Checked | MappedPage | Begun | Traced | Done | Broken


class WorkerDiedError(Exception):
    """The worker ended in the middle of its work; the message says why, as far as a signal can tell."""


class WorkerProcess:
    """A running worker and the plans it knows."""

    def __init__(self, process: Process, limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self._known: dict[int, ResourcePlan] = {}
        self._decode = msgspec.msgpack.Decoder(Heard).decode

    @classmethod
    async def start(cls, limits: Limits) -> "WorkerProcess":
        """Start a worker and wait until it is ready.

        Raises:
            StageportError: it cannot run here.
        """
        options = json.dumps(
            {
                "paths": _import_paths(),
                "memory": limits.memory_bytes,
                "cpu_seconds": limits.cpu_seconds,
                "translate": limits.translate,
            }
        )
        starting = asyncio.ensure_future(_spawn(options))
        try:
            started = cls(await asyncio.shield(starting), limits)
        except asyncio.CancelledError:
            # asyncio leaves a process running whose start is cancelled twice. This one is ended as soon as it is there.
            await uninterrupted(_end(starting))
            raise
        try:
            answer = await started.read(seconds=START_SECONDS)
        except BaseException as error:
            await started.close()
            if isinstance(error, WorkerDiedError):
                raise _cannot_start(str(error)) from error
            raise
        if isinstance(answer, Broken):
            await started.close()
            raise _cannot_start(answer.message)
        return started

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def ask(self, request: Request, *, plans: tuple[ResourcePlan, ...] = ()) -> AsyncGenerator[Heard, None]:
        """Send a request and yield the answers up to and with ``Done``; plans that the worker lacks go first.

        Raises:
            WorkerDiedError: the worker ended, or said nothing for too long and was killed.
        """
        news = tuple(plan for plan in plans if self._known.get(plan.index) is not plan)
        await self._send(*((Prepare(news), request) if news else (request,)))
        self._known.update({plan.index: plan for plan in news})
        while True:
            answer = await self.read(seconds=self._limits.stall_seconds)
            yield answer
            if isinstance(answer, Done):
                return

    async def read(self, *, seconds: float) -> Heard:
        """Return the next answer."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                size = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))[0]
                if size > LARGEST_FRAME:
                    raise WorkerDiedError(f"sent {size} bytes at once")
                heard: Heard = self._decode(await self._process.stdout.readexactly(size))
                return heard
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise WorkerDiedError(f"said nothing for {seconds:g} s") from None
        except asyncio.IncompleteReadError:
            raise WorkerDiedError(_cause(await self._process.wait(), self._limits)) from None

    async def close(self) -> None:
        """Kill the process and wait until it and its pipes are gone, whoever cancels this meanwhile."""
        await uninterrupted(_bury(self._process))

    async def _send(self, *requests: Request) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"".join(frame(request) for request in requests))
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise WorkerDiedError(_cause(await self._process.wait(), self._limits)) from None


async def uninterrupted(work: Coroutine[object, None, None]) -> None:
    """Wait for something short that has to be finished; a cancellation meanwhile takes effect when it is.

    Raises:
        CancelledError: the task was cancelled meanwhile.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    await task


async def _spawn(options: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-S", "-B", worker.__file__, options),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=ENVIRONMENT,
        cwd=os.sep,
        close_fds=True,
    )


async def _end(starting: asyncio.Future[Process]) -> None:
    """End a process whose start nobody waits for any longer; one that could not start needs no end."""
    with suppress(OSError):
        await _bury(await starting)


async def _bury(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    if process.stdout is not None:
        # A reader that never meets the end keeps its pipe open, and the event loop complains of it later.
        await process.stdout.read()
    await process.wait()


def _import_paths() -> list[str]:
    """Return where a worker finds what it imports; it has no site-packages of its own."""
    places = [Path(worker.__file__).parents[2]]
    for name in ("msgspec", "jq"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise _cannot_start(f"the package {name} is not installed")
        places.append(Path(spec.origin).parents[1 if spec.submodule_search_locations else 0])
    return list(dict.fromkeys(str(place) for place in places))


def _cannot_start(why: str) -> StageportError:
    return StageportError(f"the mapping worker cannot start: {why}", hint="reinstall stageport with its dependencies")


def _cause(returncode: int, limits: Limits) -> str:
    causes = {
        signal.SIGPROF: f"used more than {limits.cpu_seconds / 2:g} s of CPU time",
        signal.SIGSEGV: "overflowed the stack of jq",
        signal.SIGABRT: "ran out of memory",
        signal.SIGKILL: "was killed by the system, most likely for its use of memory",
    }
    if returncode >= 0:
        return f"ended the worker with exit code {returncode}"
    number = signal.Signals(-returncode)
    return causes.get(number, f"ended the worker with {number.name}")
