"""The narrowed delta: looks at the source entities that hints name, and at nothing else.

It asks Backstage for them by ref, and keeps every rule of safety that a whole delta keeps. Rule 2 needs to know whether
a kind lost everything, so kinds that lost something are counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from itertools import groupby

from stageport.model.entities import SourceEntity
from stageport.model.events import PageRead
from stageport.model.hints import Hint
from stageport.model.refs import SourceRef
from stageport.sync.findings import Findings
from stageport.sync.names import LedgerNames, Place
from stageport.sync.seams import Ledger
from stageport.sync.surroundings import Surroundings
from stageport.sync.weigh import Weigher

REFS_AT_ONCE = 500
NAMES_AT_ONCE = 100
"""How many names go into one question for what filters let through; more would not fit into an address."""
FEWEST_NAMES = 10


class HintReader:
    """Reads what hints name, for one pass."""

    def __init__(
        self, around: Surroundings, *, ledger: Ledger, weigher: Weigher, findings: Findings, names: LedgerNames
    ) -> None:
        self._around = around
        self._ledger = ledger
        self._weigher = weigher
        self._findings = findings
        self._names = names

    async def read(self, hints: Sequence[Hint]) -> list[SourceRef]:
        """Read and weigh what hints name; return the names of known source entities that are not there any more.

        Raises:
            SourceError: Backstage could not be read.
        """
        # What nobody maps costs no question.
        places = {place[1].kind.lower(): self._places(place[1].kind.lower()) for place in self._names.places}
        known = [hint for hint in sorted(hints) if _kind(hint.ref) in places]
        gone: list[SourceRef] = []
        for start in range(0, len(known), REFS_AT_ONCE):
            gone += await self._read_chunk(places, known[start : start + REFS_AT_ONCE])
        for kind in sorted({_kind(name) for name in gone}):
            await self._count(places[kind])
        return gone

    def _places(self, kind: str) -> list[Place]:
        return [place for place in self._names.places if place[1].kind.lower() == kind]

    async def _read_chunk(self, places: Mapping[str, Sequence[Place]], hints: Sequence[Hint]) -> list[SourceRef]:
        answers = await self._around.source.read_refs([hint.ref for hint in hints])
        gone: list[SourceRef] = []
        for kind, named in groupby(hints, key=lambda hint: _kind(hint.ref)):
            group = list(named)
            there = {hint.ref: entity for hint in group if (entity := answers.get(hint.ref)) is not None}
            for place in places[kind]:
                gone += await self._take(place, group, there)
        return gone

    async def _take(
        self, place: Place, hints: Sequence[Hint], there: dict[SourceRef, SourceEntity]
    ) -> Iterable[SourceRef]:
        """Weigh what a read shows of a chunk, and name what it knew and does not show any more."""
        number, read = place
        shown = await self._shown(place, there)
        sources = [there[ref] for ref in sorted(shown)]
        counts = self._findings.read_by_kind
        counts[read.kind.lower()] = counts.get(read.kind.lower(), 0) + len(sources)
        self._around.listener(PageRead(read.kind, len(sources), len(hints)))
        if sources:
            await self._weigher.take(number, read, sources)
        hidden = there.keys() - shown
        unsure = {hint.ref for hint in hints if hint.ref in hidden and not hint.looks}
        self._findings.unsure |= unsure
        missing = [self._names.name(hint.ref, number) for hint in hints if hint.ref not in shown | unsure]
        return self._ledger.sources(missing)

    async def _shown(self, place: Place, there: dict[SourceRef, SourceEntity]) -> set[SourceRef]:
        """Return those that the filters of a read let through.

        Backstage filters by a table that it fills a moment after it shows an entity, and tells of its change: whoever
        is filtered out at the first look gets a second one.
        """
        _, read = place
        if not read.filters:
            return set(there)
        found: set[SourceRef] = set()
        names = sorted({ref.partition("/")[2] for ref in there})
        size = max(FEWEST_NAMES, NAMES_AT_ONCE // len(read.filters))
        for start in range(0, len(names), size):
            filters = [_narrowed(given, names[start : start + size]) for given in read.filters]
            async with aclosing(self._around.source.read_inventory(read.kind, filters=filters)) as pages:
                async for page in pages:
                    found.update(one.ref for one in page)
        return found & there.keys()

    async def _count(self, places: Sequence[Place]) -> None:
        """Count a kind of which something is gone: what it still has is no different from having been seen (rule 2)."""
        for _, read in places:
            count = await self._around.source.count_kind(read.kind, filters=read.filters)
            self._findings.counted += count
            self._findings.read_by_kind[read.kind.lower()] += count


def _kind(name: SourceRef) -> str:
    return name.partition(":")[0]


def _narrowed(given: str, names: Sequence[str]) -> str:
    """Add names to a filter; one that names names itself would be widened by that, and stays as it is."""
    if any(term.partition("=")[0].strip().lower() == "metadata.name" for term in given.split(",")):
        return given
    return ",".join([given, *(f"metadata.name={name}" for name in names)])
