"""The work that waits for a worker: pages cut into chunks, taken in turns so that no page waits for another."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stageport.mapping.frames import Traced
from stageport.mapping.worker_process import Limits
from stageport.model.entities import MappedSource, SourceEntity


@dataclass(slots=True)
class Chunk:
    """Source entities that one worker maps in one go, and what has come of them so far."""

    resources: tuple[int, ...]
    sources: Sequence[SourceEntity]
    done: asyncio.Future[None]
    told: int = 1
    trace: bool = False
    mapped: list[MappedSource] = field(default_factory=list)
    traced: list[Traced] = field(default_factory=list)

    @property
    def remaining(self) -> tuple[tuple[str, bytes], ...]:
        """What has not been answered yet."""
        return tuple((str(source.ref), source.raw) for source in self.sources[len(self.mapped) :])


class ChunkQueue:
    """Chunks of several pages; each page gets its turn."""

    def __init__(self) -> None:
        self._pages: deque[deque[Chunk]] = deque()
        self._ready = asyncio.Semaphore(0)

    def put_page(self, chunks: Sequence[Chunk]) -> None:
        """Add the chunks of one page."""
        if chunks:
            self._pages.append(deque(chunks))
        for _ in chunks:
            self._ready.release()

    async def get(self) -> Chunk:
        """Return the next chunk of the page whose turn it is."""
        await self._ready.acquire()
        page = self._pages.popleft()
        chunk = page.popleft()
        if page:
            self._pages.append(page)
        return chunk


def split_page(sources: Sequence[SourceEntity], limits: Limits) -> Iterator[Sequence[SourceEntity]]:
    """Cut a page into runs of bounded count and size."""
    start, size = 0, 0
    for index, source in enumerate(sources):
        full = index - start >= limits.chunk_sources or size + len(source.raw) > limits.chunk_bytes
        if index > start and full:
            yield sources[start:index]
            start, size = index, 0
        size += len(source.raw)
    if start < len(sources):
        yield sources[start:]
