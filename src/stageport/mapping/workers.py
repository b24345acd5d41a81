"""The mapping, ready to be run: expressions evaluated by worker processes that may die of them."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from stageport.mapping.chunk_runner import ChunkRunner
from stageport.mapping.chunks import Chunk, ChunkQueue, split_page
from stageport.mapping.document import MappingDocument
from stageport.mapping.frames import NO_SLOT
from stageport.mapping.layout import PlannedResource, Slot
from stageport.mapping.reading import Path
from stageport.mapping.strikes import ExpressionBook, Where
from stageport.mapping.worker_process import Limits, uninterrupted
from stageport.model.entities import MappedSource, SourceEntity
from stageport.model.errors import ExpressionError
from stageport.model.events import Listener, ignore


@dataclass(frozen=True, slots=True)
class ExpressionFault:
    """An expression that does not compile; ``error`` tells the place within it, ``slot`` the place in the document."""

    resource: int
    slot: Slot
    error: ExpressionError


@dataclass(frozen=True, slots=True)
class SlotTrace:
    """What one expression gave for one item; the item is 0 for resources without ``itemsToParse``, -1 for that itself.

    ``value`` is JSON; None when the expression failed with ``error``.
    """

    resource: int
    item: int
    slot: Slot
    value: bytes | None
    error: str


@dataclass(frozen=True, slots=True)
class SourceTrace:
    """What became of one source entity, and every value on the way."""

    mapped: MappedSource
    values: tuple[SlotTrace, ...]


class WorkerPool:
    """Maps pages of source entities through a document. Use it as an async context manager.

    ``where`` says where in its file a path of the document stands, for messages.
    """

    def __init__(
        self,
        document: MappingDocument,
        *,
        workers: int = 2,
        limits: Limits | None = None,
        listener: Listener = ignore,
        where: Where | None = None,
    ) -> None:
        self.document = document
        self.faults: tuple[ExpressionFault, ...] = ()
        self._limits = limits or Limits()
        self._book = ExpressionBook(document, limits=self._limits, listener=listener, where=where or _nowhere)
        self._problems: Counter[tuple[int, str]] = Counter()
        self._queue = ChunkQueue()
        self._runners = [
            ChunkRunner(self._book, limits=self._limits, problems=self._problems, listener=listener)
            for _ in range(max(1, workers))
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start the first worker and have it compile every expression; ``faults`` are those that do not compile."""
        try:
            self.faults = await self._check()
        except BaseException:
            await self.close()
            raise
        self._tasks = [asyncio.create_task(self._work(runner)) for runner in self._runners]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the workers."""
        await self.close()

    @property
    def resources(self) -> tuple[PlannedResource, ...]:
        """The document's resources, with every expression's field and path."""
        return self._book.planned

    @property
    def problems(self) -> Mapping[tuple[int, str], int]:
        """How many source entities each (resource, field) failed on, including those not told one by one."""
        return self._problems

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of the workers there are at the moment."""
        return [runner.pid for runner in self._runners if runner.pid is not None]

    async def map_page(
        self, kind: str, sources: Sequence[SourceEntity], *, resources: Sequence[int] | None = None
    ) -> Sequence[MappedSource]:
        """Map source entities of one kind; answers in the same order.

        ``resources`` are indices into the document's resources; None stands for all that map this kind.
        """
        indices = self._indices(kind) if resources is None else tuple(resources)
        if not indices:
            return [MappedSource(source.ref) for source in sources]
        loop = asyncio.get_running_loop()
        parts = list(split_page(sources, self._limits))
        told = -(-self._limits.told_problems // max(1, len(parts)))
        chunks = [Chunk(indices, part, loop.create_future(), told=told) for part in parts]
        await self._run(chunks)
        return [mapped for chunk in chunks for mapped in chunk.mapped]

    async def trace(self, kind: str, source: SourceEntity, *, resources: Sequence[int] | None = None) -> SourceTrace:
        """Map one source entity and tell what every expression gave, also those behind a selector that is false."""
        indices = self._indices(kind) if resources is None else tuple(resources)
        future = asyncio.get_running_loop().create_future()
        chunk = Chunk(indices, [source], future, told=self._limits.told_problems, trace=True)
        if not indices:
            return SourceTrace(MappedSource(source.ref), ())
        await self._run([chunk])
        values = tuple(
            SlotTrace(told.resource, told.item, self._book.slot((told.resource, told.slot)), told.value, told.error)
            for told in chunk.traced
        )
        return SourceTrace(chunk.mapped[0], values)

    async def close(self) -> None:
        """Kill all the workers, whoever cancels this meanwhile; what is being mapped is abandoned."""
        await uninterrupted(self._close())

    async def _close(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for runner in self._runners:
            await runner.close()

    async def _run(self, chunks: Sequence[Chunk]) -> None:
        if not self._tasks:
            raise RuntimeError("the worker pool is not running: use it as an async context manager")
        self._queue.put_page(chunks)
        try:
            outcomes = await asyncio.gather(*(chunk.done for chunk in chunks), return_exceptions=True)
        finally:
            for chunk in chunks:
                chunk.done.cancel()
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _work(self, runner: ChunkRunner) -> None:
        """Serve chunks until cancelled; what breaks one chunk is told to whoever waits for it."""
        while True:
            chunk = await self._queue.get()
            if chunk.done.done():
                continue
            try:
                await runner.run(chunk)
            except asyncio.CancelledError:
                chunk.done.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - it goes to the caller of map_page
                await runner.close()
                if not chunk.done.done():
                    chunk.done.set_exception(error)
            else:
                if not chunk.done.done():
                    chunk.done.set_result(None)

    async def _check(self) -> tuple[ExpressionFault, ...]:
        keys = [(planned.plan.index, slot) for planned in self.resources for slot in range(len(planned.slots))]
        texts = list(dict.fromkeys(self._book.slot(key).expression for key in keys))
        errors = dict(zip(texts, await self._runners[0].check(texts), strict=True))
        return tuple(self._faults(keys, errors))

    def _faults(
        self, keys: Sequence[tuple[int, int]], errors: Mapping[str, ExpressionError | None]
    ) -> Iterator[ExpressionFault]:
        for key in keys:
            slot = self._book.slot(key)
            error = errors[slot.expression]
            if error is not None:
                self._book.mark_uncompiled(key, error)
                yield ExpressionFault(key[0], slot, error)

    def _indices(self, kind: str) -> tuple[int, ...]:
        return tuple(
            index for index, resource in enumerate(self.document.resources) if resource.kind.lower() == kind.lower()
        )


def _nowhere(path: Path) -> str:
    del path
    return ""


__all__ = ["NO_SLOT", "ExpressionFault", "Limits", "SlotTrace", "SourceTrace", "WorkerPool"]
