"""A mapping whose process stays from one pass to the next: starting one takes longer than all else a hint costs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from stageport.mapping.document import MappingDocument
from stageport.sync.seams import Mapper
from stageport.sync.surroundings import MapperFactory


class WarmMapper:
    """Keeps the mapper of one document; another document takes its place as soon as nobody uses the old one."""

    def __init__(self, start_mapper: MapperFactory) -> None:
        self._start_mapper = start_mapper
        self._kept: tuple[MappingDocument, Mapper] | None = None
        self._stack = AsyncExitStack()
        self._users = 0
        self._turn = asyncio.Lock()

    @property
    def is_kept(self) -> bool:
        """True while a mapper is kept."""
        return self._kept is not None

    @asynccontextmanager
    async def start(self, document: MappingDocument) -> AsyncIterator[Mapper]:
        """Lend the kept mapper, or, while it is lent for another document, one that is gone afterwards."""
        mapper = await self._borrow(document)
        if mapper is None:
            async with self._start_mapper(document) as other:
                yield other
            return
        self._users += 1
        try:
            yield mapper
        finally:
            self._users -= 1

    async def renew(self, document: MappingDocument) -> None:
        """Start a mapper in advance; expressions that were set aside in the old one get another chance."""
        async with self._turn:
            if not self._users:
                await self._replace(document)

    async def close(self) -> None:
        """Stop what is kept."""
        async with self._turn:
            self._kept = None
            await self._stack.aclose()

    async def _borrow(self, document: MappingDocument) -> Mapper | None:
        async with self._turn:
            if self._kept is not None and self._kept[0] == document:
                return self._kept[1]
            return None if self._users else await self._replace(document)

    async def _replace(self, document: MappingDocument) -> Mapper:
        self._kept = None
        await self._stack.aclose()
        mapper = await self._stack.enter_async_context(self._start_mapper(document))
        self._kept = (document, mapper)
        return mapper
