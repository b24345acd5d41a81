"""Reads every mapped kind, maps it page by page, and compares what comes out with what Port holds.

Kinds are read side by side and pages overlap: while one page travels, another is in the mapping and a third is being
compared. Only what differs is kept, so memory holds the differences and the names, not the catalogs.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec

from stageport.mapping.static import Read, reads_of
from stageport.model.changes import Change, Operation
from stageport.model.entities import FieldProblem, Json, MappedSource, SourceEntity, TargetEntity
from stageport.model.errors import MissingBlueprintError, SourceError, SourceRefusedError, SourceUnreachableError
from stageport.model.events import FieldFailed, PageMapped, PageRead
from stageport.model.refs import SourceRef, TargetKey
from stageport.plan.desired import DesiredTargets, Rank, Want, paths_of
from stageport.plan.diff import diff_target
from stageport.plan.order import related_keys
from stageport.plan.plan import ReadCounts, SourceFailure
from stageport.sync.seams import Mapper
from stageport.sync.surroundings import Ground, Surroundings
from stageport.sync.tasks import run_all, run_limited

KINDS_AT_ONCE = 3
PAGES_AT_ONCE = 4
SEARCHES_AT_ONCE = 8
PROBLEMS_KEPT = 200
EXAMPLES_KEPT = 5
LATE = 1_000_000
"""The page, as it were, of what was found on the second look: after everything that the scan saw."""


@dataclass(slots=True)
class Gathered:
    """What a pass has learned so far."""

    desired: DesiredTargets
    seen: dict[Read, set[SourceRef]] = field(default_factory=dict)
    read_by_kind: dict[str, int] = field(default_factory=dict)
    failed: set[SourceRef] = field(default_factory=set)
    related: set[TargetKey] = field(default_factory=set)
    blocked: list[Change] = field(default_factory=list)
    failures: list[SourceFailure] = field(default_factory=list)
    problems: list[FieldProblem] = field(default_factory=list)
    problem_count: int = 0
    unmatched: int = 0
    ambiguous: int = 0
    counts: ReadCounts = field(default_factory=ReadCounts)
    examples: dict[str, list[bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One mapped target entity on its way to be compared."""

    source: SourceRef
    rank: Rank
    target: TargetEntity
    body: Json


class Gatherer:
    """One reading of the source, from the first page to the last; ``gathered`` is what it comes to."""

    def __init__(self, surroundings: Surroundings, ground: Ground, mapper: Mapper) -> None:
        self._around = surroundings
        self._ground = ground
        self._mapper = mapper
        self._pages = asyncio.Semaphore(PAGES_AT_ONCE)
        self._errors: list[SourceError] = []
        self._closed: SourceError | None = None
        self.gathered = Gathered(DesiredTargets(merge=ground.document.merge))

    async def read_all(self) -> None:
        """Read and map every kind of the mapping; a kind that cannot be read is noted, and the others go on.

        Raises:
            SourceError: not one kind could be read.
        """
        reads = reads_of(self._ground.document)
        await run_limited(self._read, enumerate(reads), limit=KINDS_AT_ONCE)
        if reads and len(self.gathered.failures) == len(reads) and not self.gathered.counts.sources:
            raise self._errors[0]

    async def map_late(self, read: Read, sources: Sequence[SourceEntity], *, number: int) -> None:
        """Map source entities that the scan of the ``number``-th read did not show, and compare them."""
        await self._map_page(read, sources, (number, LATE))

    async def _read(self, place: tuple[int, Read]) -> None:
        number, read = place
        self.gathered.read_by_kind.setdefault(read.kind.lower(), 0)
        if self._closed is not None:
            self.note_failure(read, self._closed)
            return
        try:
            await self._read_pages(number, read)
        except SourceError as error:
            # A door that is closed to one kind is closed to all; each would stand before it for as long.
            if isinstance(error, SourceUnreachableError | SourceRefusedError):
                self._closed = error
            self._errors.append(error)
            self.note_failure(read, error)

    def note_failure(self, read: Read, error: SourceError) -> None:
        """Note that a kind could not be read, or not wholly; nothing will be deleted."""
        self.gathered.failures.append(SourceFailure(read.kind, error.message, error.hint))

    async def _read_pages(self, number: int, read: Read) -> None:
        failed: list[SourceError] = []

        async def pages() -> None:
            count = 0
            try:
                async with aclosing(self._around.source.read_kind(read.kind, filters=read.filters)) as scan:
                    async for page in scan:
                        self._note_page(read, page.entities, page.total)
                        await self._pages.acquire()
                        group.create_task(self._map_and_release(read, page.entities, (number, count)))
                        count += 1
            except SourceError as error:
                failed.append(error)

        async with asyncio.TaskGroup() as group:
            await pages()
        if failed:
            raise failed[0]

    async def _map_and_release(self, read: Read, sources: Sequence[SourceEntity], rank: Rank) -> None:
        try:
            await self._map_page(read, sources, rank)
        finally:
            self._pages.release()

    def _note_page(self, read: Read, sources: Sequence[SourceEntity], total: int) -> None:
        examples = self.gathered.examples.setdefault(read.kind, [])
        examples.extend(source.raw for source in sources[: EXAMPLES_KEPT - len(examples)])
        self.gathered.read_by_kind[read.kind.lower()] += len(sources)
        self._around.listener(PageRead(read.kind, len(sources), total))

    async def _map_page(self, read: Read, sources: Sequence[SourceEntity], rank: Rank) -> None:
        mapped = await self._mapper.map_page(read.kind, sources, resources=read.resources)
        self.gathered.seen.setdefault(read, set()).update(one.ref for one in mapped)
        self._count(mapped)
        self._around.listener(PageMapped(read.kind, len(sources), sum(len(one.targets) for one in mapped)))
        wanted = [
            _Wanted(one.ref, (*rank, index, place), target, msgspec.json.decode(target.body))
            for index, one in enumerate(mapped)
            for place, target in enumerate(one.targets)
        ]
        await run_all(self._compare(name, group) for name, group in _by_blueprint(wanted).items())

    def _count(self, mapped: Sequence[MappedSource]) -> None:
        got = self.gathered
        nameless = any(_is_nameless(problem) for one in mapped for problem in one.problems)
        errors = 0
        for one in mapped:
            if one.errors or (one.dropped and nameless):
                got.failed.add(one.ref)
                errors += one.errors or one.dropped
            for problem in one.problems:
                self._note_problem(problem)
        old = got.counts
        got.counts = ReadCounts(
            sources=old.sources + len(mapped),
            targets=old.targets + sum(len(one.targets) for one in mapped),
            filtered_out=old.filtered_out + sum(one.filtered_out for one in mapped),
            dropped=old.dropped + sum(one.dropped for one in mapped),
            errors=old.errors + errors,
        )

    def _note_problem(self, problem: FieldProblem) -> None:
        self.gathered.problem_count += 1
        if len(self.gathered.problems) < PROBLEMS_KEPT:
            self.gathered.problems.append(problem)
        self._around.listener(FieldFailed(problem))

    async def _compare(self, name: str, wanted: Sequence[_Wanted]) -> None:
        if name not in self._ground.blueprints:
            self._block(wanted)
            return
        blueprint = self._ground.blueprints[name]
        for want in wanted:
            self.gathered.related.update(related_keys(want.body, blueprint))
        try:
            await self._compare_named(name, [want for want in wanted if want.target.identifier is not None])
            searching = [want for want in wanted if want.target.identifier is None]
            await run_limited(self._compare_searching, searching, limit=SEARCHES_AT_ONCE)
        except MissingBlueprintError:
            self._block(wanted)

    async def _compare_named(self, name: str, wanted: Sequence[_Wanted]) -> None:
        identifiers = list(dict.fromkeys(want.target.identifier or "" for want in wanted))
        if not identifiers:
            return
        known: Mapping[str, Json] = {}
        if name not in self._ground.coming:
            known = await self._around.target.read_entities(name, identifiers, fields=self._fields(name, wanted))
        for want in wanted:
            identifier = want.target.identifier or ""
            self._add(want, TargetKey(name, identifier), known.get(identifier))

    async def _compare_searching(self, want: _Wanted) -> None:
        name = want.target.blueprint
        fields = self._fields(name, [want])
        if name in self._ground.coming:
            self.gathered.unmatched += 1
            return
        found = await self._around.target.find_entities(name, want.body["identifier"], fields=fields)
        if len(found) == 1:
            self._add(want, TargetKey(name, str(found[0]["identifier"])), found[0])
        elif found:
            self.gathered.ambiguous += 1
            for one in found:
                self.gathered.desired.protect(TargetKey(name, str(one["identifier"])))
        else:
            self.gathered.unmatched += 1

    def _fields(self, name: str, wanted: Iterable[_Wanted]) -> list[str]:
        """Name the fields to read: those the wants speak of; without merge all, because Port drops the others."""
        document, blueprint = self._ground.document, self._ground.blueprints[name]
        paths = {path for want in wanted for path in paths_of(want.body)}
        if not document.merge:
            paths.update(f"properties.{key}" for key in blueprint.properties)
            paths.update(f"relations.{key}" for key in blueprint.relations)
        return sorted(paths)

    def _add(self, want: _Wanted, key: TargetKey, current: Json | None) -> None:
        merge = self._ground.document.merge
        blueprint = self._ground.blueprints[key.blueprint]
        fields = () if current is None else diff_target(want.body, current, blueprint=blueprint, merge=merge)
        self.gathered.desired.add(
            Want(
                key=key,
                source=want.source,
                rank=want.rank,
                body=want.target.body,
                paths=paths_of(want.body),
                fields=fields,
                exists=current is not None,
            )
        )

    def _block(self, wanted: Iterable[_Wanted]) -> None:
        for want in wanted:
            name, identifier = want.target.blueprint, want.target.identifier or "?"
            self.gathered.blocked.append(Change(Operation.CREATE, name, identifier, source=want.source))


def _by_blueprint(wanted: Iterable[_Wanted]) -> Mapping[str, list[_Wanted]]:
    groups: dict[str, list[_Wanted]] = {}
    for want in wanted:
        groups.setdefault(want.target.blueprint, []).append(want)
    return groups


def _is_nameless(problem: FieldProblem) -> bool:
    return problem.field.split(".")[0] in ("identifier", "blueprint")
