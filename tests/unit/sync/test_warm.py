"""The mapper that stays from pass to pass."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from stageport.mapping.defaults import default_mapping
from stageport.mapping.document import MappingDocument, parse_mapping
from stageport.model.entities import MappedSource, SourceEntity
from stageport.sync.seams import Mapper
from stageport.sync.warm import WarmMapper


class Counted:
    """A mapper that maps nothing."""

    async def map_page(
        self, kind: str, sources: Sequence[SourceEntity], *, resources: Sequence[int] | None = None
    ) -> Sequence[MappedSource]:
        return []


class Bench:
    """Starts mappers and remembers which run."""

    def __init__(self) -> None:
        self.started: list[MappingDocument] = []
        self.running = 0

    @asynccontextmanager
    async def start(self, document: MappingDocument) -> AsyncIterator[Mapper]:
        self.started.append(document)
        self.running += 1
        try:
            yield Counted()
        finally:
            self.running -= 1


ONE = parse_mapping(default_mapping())
OTHER = parse_mapping({**default_mapping(), "entityDeletionThreshold": 0.1})


async def test_one_document_has_one_mapper() -> None:
    bench = Bench()
    warm = WarmMapper(bench.start)
    async with warm.start(ONE) as first:
        pass
    assert warm.is_kept
    async with warm.start(parse_mapping(default_mapping())) as second:
        assert second is first
    await warm.close()
    assert (len(bench.started), bench.running, warm.is_kept) == (1, 0, False)


async def test_another_document_takes_its_place() -> None:
    bench = Bench()
    warm = WarmMapper(bench.start)
    async with warm.start(ONE):
        pass
    async with warm.start(OTHER):
        assert bench.running == 1
    await warm.close()
    assert bench.started == [ONE, OTHER]


async def test_while_it_is_lent_another_document_gets_a_passing_one() -> None:
    """A pass asks for a second mapper, of nothing but identifiers, while it uses the first."""
    bench = Bench()
    warm = WarmMapper(bench.start)
    async with warm.start(ONE) as first:
        async with warm.start(OTHER) as passing:
            assert (passing is not first, bench.running) == (True, 2)
        assert bench.running == 1
        await warm.renew(OTHER)
        assert bench.running == 1, "nor is it taken away from whoever uses it"
        async with warm.start(ONE) as again:
            assert again is first
    await warm.close()


async def test_it_may_be_started_before_it_is_needed() -> None:
    bench = Bench()
    warm = WarmMapper(bench.start)
    await warm.renew(ONE)
    await warm.renew(ONE)
    assert (len(bench.started), bench.running) == (2, 1), "a new one forgives what was set aside"
    await warm.close()
