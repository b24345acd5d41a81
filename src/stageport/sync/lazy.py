"""A mapping whose processes start when there is something to map: most passes find nothing changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from stageport.mapping.document import MappingDocument
from stageport.model.entities import MappedSource, SourceEntity
from stageport.sync.seams import Mapper
from stageport.sync.surroundings import MapperFactory


class _LazyMapper:
    def __init__(self, start: Callable[[], Awaitable[Mapper]]) -> None:
        self._start = start
        self._mapper: Mapper | None = None
        self._starting = asyncio.Lock()

    async def map_page(
        self, kind: str, sources: Sequence[SourceEntity], *, resources: Sequence[int] | None = None
    ) -> Sequence[MappedSource]:
        async with self._starting:
            self._mapper = self._mapper or await self._start()
        return await self._mapper.map_page(kind, sources, resources=resources)


def lazily(start_mapper: MapperFactory) -> MapperFactory:
    """Return a factory whose mappers start their processes on first use."""

    @asynccontextmanager
    async def start(document: MappingDocument) -> AsyncIterator[Mapper]:
        async with AsyncExitStack() as stack:
            yield _LazyMapper(lambda: stack.enter_async_context(start_mapper(document)))

    return start
