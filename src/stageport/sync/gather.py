"""Reads every mapped kind of the source, page by page, and hands the pages on.

Kinds are read side by side and pages overlap: while one page travels, another is in the mapping and a third is being
compared or written. No more than a few pages are in memory at any time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from stageport.mapping.static import Read
from stageport.model.entities import SourceEntity
from stageport.model.errors import SourceError, SourceRefusedError, SourceUnreachableError
from stageport.model.events import Listener, PageRead
from stageport.sync.findings import Findings
from stageport.sync.seams import SourceCatalog
from stageport.sync.tasks import run_limited

KINDS_AT_ONCE = 8
"""The pages of one kind follow each other: the largest kind has to begin early, and nobody knows yet which it is."""
PAGES_AT_ONCE = 4
EXAMPLES_KEPT = 5

Take = Callable[[int, Read, Sequence[SourceEntity]], Awaitable[None]]
"""Takes a page: the number of the read in the mapping's order, the read, the source entities."""


class Gatherer:
    """One reading of the source, from the first page to the last."""

    def __init__(self, source: SourceCatalog, findings: Findings, *, take: Take, listener: Listener) -> None:
        self._source = source
        self._findings = findings
        self._take = take
        self._listener = listener
        self._pages = asyncio.Semaphore(PAGES_AT_ONCE)
        self._closed: SourceError | None = None

    async def read_all(self, reads: Sequence[tuple[int, Read]]) -> None:
        """Read every kind; one that cannot be read is noted, and the others go on.

        Raises:
            SourceError: not one kind could be read.
        """
        await run_limited(self._read, reads, limit=KINDS_AT_ONCE)
        found = self._findings
        if reads and len(found.failures) == len(reads) and not found.sources:
            raise found.errors[0]

    async def _read(self, place: tuple[int, Read]) -> None:
        number, read = place
        self._findings.read_by_kind.setdefault(read.kind.lower(), 0)
        if self._closed is not None:
            self._findings.note_failure(read.kind, self._closed)
            return
        try:
            await self._read_pages(number, read)
        except SourceError as error:
            # A door that is closed to one kind is closed to all; each would stand before it for as long.
            if isinstance(error, SourceUnreachableError | SourceRefusedError):
                self._closed = error
            self._findings.note_failure(read.kind, error)

    async def _read_pages(self, number: int, read: Read) -> None:
        failed: list[SourceError] = []

        async def pages() -> None:
            try:
                async with aclosing(self._source.read_kind(read.kind, filters=read.filters)) as scan:
                    async for page in scan:
                        self._note_page(read, page.entities, page.total)
                        await self._pages.acquire()
                        group.create_task(self._take_and_release(number, read, page.entities))
            except SourceError as error:
                failed.append(error)

        async with asyncio.TaskGroup() as group:
            await pages()
        if failed:
            raise failed[0]

    async def _take_and_release(self, number: int, read: Read, sources: Sequence[SourceEntity]) -> None:
        try:
            await self._take(number, read, sources)
        finally:
            self._pages.release()

    def _note_page(self, read: Read, sources: Sequence[SourceEntity], total: int) -> None:
        examples = self._findings.examples.setdefault(read.kind, [])
        examples.extend(source.raw for source in sources[: EXAMPLES_KEPT - len(examples)])
        self._findings.read_by_kind[read.kind.lower()] += len(sources)
        self._listener(PageRead(read.kind, len(sources), total))
