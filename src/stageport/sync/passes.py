"""The passes, made of the same parts.

| pass   | reads Backstage                          | reads Port                  | writes                             |
|--------|------------------------------------------|-----------------------------|------------------------------------|
| hinted | what hints name, by refs                 | nothing                     | the changes                        |
| delta  | an inventory, then what changed, by refs | nothing                     | the changes                        |
| resync | everything, and maps what changed        | which entities are ours     | the changes, and what went missing |
| verify | everything                               | our entities, field by field| also what drifted at Port          |

Losing the ledger turns the next pass into a verify, and nothing else.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum

from stageport.mapping.static import reads_of
from stageport.model.changes import Change, WriteOptions
from stageport.model.entities import SourceEntity
from stageport.model.errors import SourceError
from stageport.model.events import PageRead
from stageport.model.hints import Hint
from stageport.model.ledger import UNKNOWN, SourceRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.plan.plan import Plan
from stageport.plan.safety import Verdict
from stageport.sync.conclude import Conclusion
from stageport.sync.erase import Eraser, read_relations, requiring
from stageport.sync.findings import Findings
from stageport.sync.gather import KINDS_AT_ONCE, Gatherer
from stageport.sync.hinted import HintReader
from stageport.sync.holds import add_up_deletes
from stageport.sync.keeping import gathering
from stageport.sync.look import Looker
from stageport.sync.names import LedgerNames, Place
from stageport.sync.seams import Ledger, Mapper
from stageport.sync.sink import Collector, Sink
from stageport.sync.surroundings import Ground, Surroundings
from stageport.sync.tasks import beside, both, run_limited
from stageport.sync.trust import distrust_relations, is_verified, mapping_fingerprint, note_verified
from stageport.sync.weigh import Weigher, read_refs
from stageport.sync.write import Applied, Writer

CHANGED_AT_ONCE = 500

_RELIABLE_ETAG = re.compile(r"[0-9a-f]{40}")
"""Backstage's own etag is the SHA-1 of the whole entity; one that a descriptor sets itself stays as it is."""


class PassKind(StrEnum):
    """How much a pass reads."""

    HINTED = "hinted"
    DELTA = "delta"
    RESYNC = "resync"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pass is to do. ``kinds`` (lower case) narrows it; a narrowed pass deletes only what came from them.

    ``hints`` are what a hinted pass looks at. ``again``: a delta also looks at what came to nothing before.
    """

    kind: PassKind
    release_deletes: bool = False
    kinds: frozenset[str] = frozenset()
    hints: tuple[Hint, ...] = ()
    again: bool = True

    @property
    def lists_owned(self) -> bool:
        """Whether Port is asked for all that is ours."""
        return self.kind in (PassKind.RESYNC, PassKind.VERIFY)


@dataclass(frozen=True, slots=True)
class Conducted:
    """What came of a pass: the plan it came to, what Port took of it, and what was seen of the source.

    ``unsure`` are hinted refs that have to be looked at once more.
    """

    plan: Plan
    applied: Applied
    examples: dict[str, list[bytes]] = field(default_factory=dict)
    unsure: frozenset[SourceRef] = frozenset()


async def conduct(
    around: Surroundings, ground: Ground, ledger: Ledger, scope: Scope, *, options: WriteOptions, now: str
) -> Conducted:
    """Run one pass and write what it comes to.

    Raises:
        StageportError: one of the catalogs could not be used. What was written stays written, and is remembered.
    """
    async with gathering(ledger):
        return await _conduct(around, ground, ledger, scope, options=options, now=now)


async def _conduct(
    around: Surroundings, ground: Ground, ledger: Ledger, scope: Scope, *, options: WriteOptions, now: str
) -> Conducted:
    # A ledger that knows nothing yet comes to know all that is written to blueprints that were created just now.
    empty = ground.created if ledger.is_empty else frozenset()
    number = ledger.begin_pass(mapping=mapping_fingerprint(ground.document))
    writer = Writer(around.target, ledger, options=options, number=number, listener=around.listener)
    findings = Findings(around.listener, narrowed=scope.kind is PassKind.HINTED)
    try:
        run = _Pass(
            around, ground, ledger, sink=writer, findings=findings, scope=scope, number=number, empty=empty, writes=True
        )
        verdict = await run.judge(before_end=lambda: writer.finish(ground.blueprints))
        if scope.kind is PassKind.VERIFY:
            looker = Looker(around.target, ground, ledger)
            await looker.read_back(writer.written)
            await looker.read_back(writer.searched, searched=True)
        relations = await read_relations(around.target, ground, verdict.deletes)
        touched = writer.applied.written + len(writer.applied.refused)
        plan = _plan(
            findings,
            verdict,
            ledger,
            number,
            remarks=ground.remarks,
            upserts=writer.reported,
            touched=touched,
            relations=relations,
        )
        eraser = Eraser(
            around.target,
            ledger,
            options=options,
            required=requiring(ground.blueprints),
            applied=writer.applied,
            listener=around.listener,
        )
        if not findings.failures and not scope.kinds:
            add_up_deletes(ledger, len(plan.deletes), narrowed=findings.narrowed)
        distrust_relations(ledger, [change.key for change in plan.deletes])
        await eraser.erase(plan)
    finally:
        await writer.stop()
    if scope.kind is PassKind.VERIFY and not findings.failures and not scope.kinds:
        note_verified(ledger, ground.document, now=now)
    return Conducted(plan, writer.applied, findings.examples, frozenset(findings.unsure))


async def preview(around: Surroundings, ground: Ground, ledger: Ledger, scope: Scope) -> Plan:
    """Plan a verify pass and write nothing, neither to Port nor to the ledger.

    Raises:
        StageportError: one of the catalogs could not be read.
    """
    scratch = ledger.scratch()
    try:
        number = scratch.begin_pass(mapping=mapping_fingerprint(ground.document))
        collector, findings = Collector(), Findings(around.listener)
        run = _Pass(around, ground, scratch, sink=collector, findings=findings, scope=scope, number=number)
        verdict = await run.judge()
        changes = collector.changes()
        return _plan(
            findings,
            verdict,
            scratch,
            number,
            remarks=ground.remarks,
            upserts=changes,
            touched=len(changes),
            relations={},
        )
    finally:
        scratch.close()


class _Pass:
    def __init__(
        self,
        around: Surroundings,
        ground: Ground,
        ledger: Ledger,
        *,
        sink: Sink,
        findings: Findings,
        scope: Scope,
        number: int,
        empty: frozenset[str] = frozenset(),
        writes: bool = False,
    ) -> None:
        self._around = around
        self._ground = ground
        self._ledger = ledger
        self._sink = sink
        self._findings = findings
        self._scope = scope
        self._number = number
        self._empty = empty
        self._writes = writes
        self._names = LedgerNames(reads_of(ground.document))
        kinds = scope.kinds
        self._missing: list[TargetKey] = []
        self._torn: set[SourceRef] = set()
        self._places = [place for place in self._names.places if not kinds or place[1].kind.lower() in kinds]

    async def judge(self, *, before_end: Callable[[], Awaitable[None]] | None = None) -> Verdict:
        """Read, map and weigh everything in scope, and judge what is stale."""
        owned = self._scope.lists_owned
        known = self._ledger.count_targets()
        remembers = is_verified(self._ledger, self._ground.document)
        async with (
            self._around.start_mapper(self._ground.document) as mapper,
            beside(self._warm_up(mapper) if not remembers else None),
        ):
            weigher = self._weigher(mapper, looks=self._scope.kind is PassKind.VERIFY)
            gone = await self._read(weigher, mapper)
            conclusion = Conclusion(
                self._around,
                self._ground,
                ledger=self._ledger,
                weigher=weigher,
                findings=self._findings,
                number=self._number,
                owned=owned,
                known=known,
                narrowed=self._findings.narrowed,
                kinds=self._scope.kinds,
                remembers=remembers,
            )
            verdict = await conclusion.judge(gone, release_deletes=self._scope.release_deletes)
            if before_end is not None:
                await before_end()
        return verdict

    async def _warm_up(self, mapper: Mapper) -> None:
        """Have the mapping's processes start while the first pages are on their way: all of them are to be mapped."""
        for _, read in self._places[:1]:
            await mapper.map_page(read.kind, [], resources=read.resources)

    def _weigher(self, mapper: Mapper, *, looks: bool) -> Weigher:
        return Weigher(
            self._around,
            self._ground,
            mapper,
            ledger=self._ledger,
            sink=self._sink,
            findings=self._findings,
            number=self._number,
            looks=looks,
            empty=self._empty,
            searches_again=self._writes,
        )

    async def _list_owned(self) -> None:
        self._ledger.note_owned([], number=self._number)
        async for page in self._around.target.read_owned():
            self._ledger.note_owned(page, number=self._number)

    async def _read(self, weigher: Weigher, mapper: Mapper) -> list[SourceRef]:
        """Read what the pass reads; return the names of source entities that were not seen."""
        if self._scope.kind is PassKind.HINTED:
            reader = HintReader(
                self._around, ledger=self._ledger, weigher=weigher, findings=self._findings, names=self._names
            )
            return await reader.read(self._scope.hints)
        if self._scope.kind is PassKind.DELTA:
            return await self._read_inventory(weigher)
        await self._read_everything(weigher)
        if self._scope.kind is PassKind.RESYNC:
            await self._restore(self._weigher(mapper, looks=True))
        return [name for name in self._ledger.unseen(number=self._number) if self._in_scope(name)]

    async def _read_everything(self, weigher: Weigher) -> None:
        """Read every kind, and have Port list what is ours meanwhile; nothing is written before it has done so."""
        listed = weigher.wait_before_writing()

        async def list_owned() -> None:
            await self._list_owned()
            if self._scope.kind is PassKind.RESYNC:
                await self._note_missing()
            listed.set()

        gatherer = Gatherer(self._around.source, self._findings, take=weigher.take, listener=self._around.listener)
        await both(list_owned(), gatherer.read_all(self._places))

    def _in_scope(self, name: SourceRef) -> bool:
        place = self._names.place(name)
        return place in self._places if place is not None or self._scope.kinds else True

    async def _note_missing(self) -> None:
        """Note what somebody has deleted at Port, or taken over, before this pass writes anything in its place.

        Where it was deleted, the relations to it went along.
        """
        self._missing = list(self._ledger.unowned(number=self._number))
        there = await Looker(self._around.target, self._ground, self._ledger).present(self._missing)
        self._torn = distrust_relations(self._ledger, [key for key in self._missing if key not in there])

    async def _restore(self, weigher: Weigher) -> None:
        """Bring back what is missing at Port although it is wanted, and the relations to it."""
        names = set(self._torn)
        for start in range(0, len(self._missing), CHANGED_AT_ONCE):
            wanters = self._ledger.wanters_of(self._missing[start : start + CHANGED_AT_ONCE])
            names |= {want.ref for wants in wanters.values() for want in wants}
        for place, group in self._names.by_place(names).items():
            if place in self._places:
                await weigher.force(place, await read_refs(self._around, map(self._names.ref, group)))

    # Delta

    async def _read_inventory(self, weigher: Weigher) -> list[SourceRef]:
        gone: list[SourceRef] = []

        async def scan(place: Place) -> None:
            try:
                gone.extend(await self._scan(place, weigher))
            except SourceError as error:
                self._findings.note_failure(place[1].kind, error)

        await run_limited(scan, self._places, limit=KINDS_AT_ONCE)
        if self._places and len(self._findings.failures) == len(self._places):
            raise self._findings.errors[0]
        return gone

    async def _scan(self, place: Place, weigher: Weigher) -> list[SourceRef]:
        number, read = place
        kind = read.kind.lower()
        counts = self._findings.read_by_kind
        counts.setdefault(kind, 0)
        changed: list[SourceRef] = []
        seen: set[SourceRef] = set()
        async with aclosing(self._around.source.read_inventory(read.kind, filters=read.filters)) as inventory:
            async for page in inventory:
                counts[kind] += len(page)
                self._around.listener(PageRead(read.kind, len(page), counts[kind]))
                names = [self._names.name(one.ref, number) for one in page]
                known = self._ledger.sources(names)
                due = [self._is_due(known.get(name), one) for name, one in zip(names, page, strict=True)]
                left = [known[name] for name, is_due in zip(names, due, strict=True) if not is_due]
                self._findings.skipped += len(left)
                self._findings.passed_over += sum(record.failed for record in left)
                seen.update(names)
                changed += [one.ref for one, is_due in zip(page, due, strict=True) if is_due]
        known_names = self._ledger.kind_refs(kind)
        gone = [name for name in known_names if name not in seen and self._names.place(name) == place]
        for start in range(0, len(changed), CHANGED_AT_ONCE):
            found = await read_refs(self._around, changed[start : start + CHANGED_AT_ONCE])
            await weigher.take(number, read, found)
        return gone

    def _is_due(self, record: SourceRecord | None, seen: SourceEntity) -> bool:
        return _has_changed(record, seen) or (record is not None and record.failed and self._scope.again)


def _has_changed(record: SourceRecord | None, seen: SourceEntity) -> bool:
    if record is None or (record.uid, record.etag) != (seen.uid, seen.etag) or not _RELIABLE_ETAG.fullmatch(seen.etag):
        return True
    return record.digest == UNKNOWN


def _plan(
    findings: Findings,
    verdict: Verdict,
    ledger: Ledger,
    number: int,
    *,
    remarks: Sequence[str],
    upserts: Sequence[Change],
    touched: int,
    relations: dict[TargetKey, tuple[TargetKey, ...]],
) -> Plan:
    # Of what is held back, the ledger remembers who wanted it, until it may go.
    kept_wanted = len(ledger.wanters_of([change.key for change in verdict.kept]))
    return Plan(
        upserts=tuple(upserts),
        deletes=verdict.deletes,
        kept=verdict.kept,
        blocked=tuple(findings.blocked),
        unchanged=max(0, ledger.count_wanted() - touched - kept_wanted),
        owned=ledger.count_owned(number=number),
        counts=findings.all_counts,
        failures=tuple(findings.failures),
        problems=tuple(findings.problems),
        problem_count=findings.problem_count,
        notes=(*remarks, *verdict.notes, *findings.notes()),
        relations=relations,
        passed_over=findings.passed_over,
    )
