"""Weighs source entities: maps those that changed, folds what several want of one target entity, and decides.

A source entity whose raw bytes hash as they did when all its target entities were acknowledged is not mapped again.
What it wants stands in the ledger; its content is fetched and mapped only when somebody else wants the same target
entity, because both then have to be folded into one body.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import starmap
from typing import NamedTuple

import msgspec

from stageport.mapping.static import Read, reads_of
from stageport.model.changes import Change, Operation
from stageport.model.entities import Json, MappedSource, SourceEntity, TargetEntity
from stageport.model.errors import MissingBlueprintError
from stageport.model.events import ChangesFound, PageMapped
from stageport.model.fingerprint import digest_of, name_hash
from stageport.model.ledger import UNKNOWN, UNTRUSTED, Fingerprint, SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.plan.decide import Decision, Sight, decide
from stageport.plan.diff import is_search
from stageport.plan.fold import fold_bodies
from stageport.plan.order import related_names
from stageport.sync.findings import Findings
from stageport.sync.look import NOTHING_SEEN, Looker, Seen
from stageport.sync.names import LedgerNames, Place
from stageport.sync.seams import Ledger, Mapper
from stageport.sync.sink import Sink
from stageport.sync.spool import Upsert
from stageport.sync.surroundings import Ground, Surroundings
from stageport.sync.tasks import Turns, run_limited
from stageport.sync.trust import distrust_targets

SEARCHES_AT_ONCE = 8
CHUNK = 500

Bodies = dict[tuple[SourceRef, TargetKey], bytes]


class _RelatedBody(msgspec.Struct):
    """What a body relates to; the rest of it, by far the larger part, is passed over."""

    relations: dict[str, Json] | None = None


_related_bodies = msgspec.json.Decoder(_RelatedBody)


class _Folded(NamedTuple):
    """What all who want a target entity make of it together; ``origin`` is the source entity whose word counts last."""

    body: bytes
    fingerprint: Fingerprint
    origin: SourceRef


class Weigher:
    """Weighs pages of one pass. With ``looks`` it compares with what Port holds, otherwise with the ledger alone.

    ``empty`` are blueprints of which Port held nothing when the pass began. ``searches_again``: what Port found by a
    query is written once more, to have it look again.
    """

    def __init__(
        self,
        around: Surroundings,
        ground: Ground,
        mapper: Mapper,
        *,
        ledger: Ledger,
        sink: Sink,
        findings: Findings,
        number: int,
        looks: bool,
        empty: Collection[str] = frozenset(),
        searches_again: bool = False,
    ) -> None:
        self._around = around
        self._ground = ground
        self._mapper = mapper
        self._ledger = ledger
        self._sink = sink
        self._findings = findings
        self._number = number
        looker = Looker(around.target, ground, ledger, empty=empty, searches_again=searches_again)
        self._looker = looker if looks else None
        self._names = LedgerNames(reads_of(ground.document))
        self._turns = Turns()
        self._may_write = asyncio.Event()
        self._may_write.set()

    def wait_before_writing(self) -> asyncio.Event:
        """Weigh, but hand nothing on to be written until the event that this returns is set."""
        self._may_write.clear()
        return self._may_write

    async def take(self, number: int, read: Read, sources: Sequence[SourceEntity]) -> None:
        """Weigh a page of source entities as they were read.

        Raises:
            TargetError: Port could not be read, or written.
        """
        digests = {source.ref: digest_of(source.raw) for source in sources}
        names = {source.ref: self._names.name(source.ref, number) for source in sources}
        known = self._ledger.sources(list(names.values()))
        same = [one for one in sources if _is_settled(known.get(names[one.ref]), digests[one.ref])]
        moved = await self._moved([names[one.ref] for one in same])
        rest = {one.ref for one in same if names[one.ref] not in moved}
        self._ledger.touch([names[ref] for ref in sorted(rest)], number=self._number)
        self._findings.skipped += len(rest)
        changed = [one for one in sources if one.ref not in rest]
        if changed:
            await self._weigh((number, read), changed, digests)

    async def force(self, place: Place, sources: Sequence[SourceEntity]) -> None:
        """Weigh source entities whether they changed or not."""
        if sources:
            await self._weigh(place, sources, {one.ref: digest_of(one.raw) for one in sources})

    def unsettle(self, names: Iterable[SourceRef]) -> None:
        """Have the next pass map these again, unless they are weighed anew in this one."""
        refs = sorted(names)
        self._ledger.unsettle_sources(refs)
        self._sink.forget_sources(refs)

    async def refold(self, keys: Iterable[TargetKey]) -> None:
        """Weigh target entities again of which a wanter went away."""
        await self._weigh_keys(list(keys), {})

    async def _moved(self, same: Sequence[SourceRef]) -> set[SourceRef]:
        """Name the unchanged source entities of which something at Port is not as it was last seen."""
        if self._looker is None or not same:
            return set()
        wants = self._ledger.wants_of(same)
        keys = {want.key for held in wants.values() for want in held if want.fingerprint != UNKNOWN}
        still = await self._looker.unmoved(keys)
        return {ref for ref, held in wants.items() if any(want.key in keys and want.key not in still for want in held)}

    async def _weigh(
        self, place: Place, sources: Sequence[SourceEntity], digests: Mapping[SourceRef, Fingerprint]
    ) -> None:
        number, read = place
        mapped = await self._mapper.map_page(read.kind, sources, resources=read.resources)
        failing = self._findings.note_mapped(mapped)
        self._findings.failed.update(self._names.name(ref, number) for ref in failing)
        targets = sum(len(one.targets) for one in mapped)
        filtered_out = sum(one.filtered_out for one in mapped)
        self._around.listener(PageMapped(read.kind, len(sources), targets, filtered_out))
        named = await self._name(mapped)
        by_ref = {source.ref: source for source in sources}
        bodies: Bodies = {}
        entries = []
        for one in mapped:
            source, name = by_ref[one.ref], self._names.name(one.ref, number)
            failed = name in self._findings.failed
            # Without its blueprint, a target entity is as unwritten as one that Port refused: look again next time.
            homeless = any(target.blueprint not in self._ground.blueprints for target in one.targets)
            record = SourceRecord(name, source.uid, source.etag, digests[one.ref], failed or homeless)
            wants = self._wants(name, named[one.ref], number, bodies)
            entries.append((record, [*wants, *self._protecting(name, wants)] if failed else wants))
        released = self._open(entries)
        wants = [want for _, wanted in entries for want in wanted]
        keys = dict.fromkeys([*(want.key for want in wants), *released])
        opened = {record.ref for record, _ in entries}
        await self._weigh_keys(list(keys), bodies, mine=wants)
        self._sink.close_sources(opened)

    def _open(self, entries: Sequence[tuple[SourceRecord, Sequence[WantRecord]]]) -> list[TargetKey]:
        """Put what source entities want into the ledger; return what they no longer want and others still do."""
        refs = {record.ref for record, _ in entries}
        before = self._ledger.wants_of(sorted(refs))
        now = {want.key for _, wants in entries for want in wants}
        released = sorted({want.key for held in before.values() for want in held} - now)
        others = {
            key: {want.ref for want in wanters} - refs for key, wanters in self._ledger.wanters_of(released).items()
        }
        # Their target entities are to be written anew: until then they must not look as if nothing were left to do.
        self.unsettle(set().union(*others.values()))
        self._ledger.open_sources(entries, number=self._number)
        for record, _ in entries:
            self._sink.open_source(record)
        unwanted = [key for key in released if not others.get(key)]
        for key in unwanted:
            self._sink.cancel(key)
        self._findings.released.update(unwanted)
        # Whatever keeps them at Port, what becomes of them there is not followed.
        distrust_targets(self._ledger, unwanted)
        return [key for key in released if others.get(key)]

    def _protecting(self, name: SourceRef, wants: Sequence[WantRecord]) -> list[WantRecord]:
        """A source entity whose mapping failed goes on wanting what it did, whatever that was (safety rule 4)."""
        now = {want.key for want in wants}
        held = self._ledger.wants_of([name]).get(name, ())
        return [want._replace(fingerprint=UNKNOWN) for want in held if want.key not in now]

    def _wants(
        self, name: SourceRef, named: Sequence[tuple[TargetKey, TargetEntity]], number: int, bodies: Bodies
    ) -> list[WantRecord]:
        found: dict[TargetKey, WantRecord] = {}
        for index, (key, target) in enumerate(named):
            body = self._keep_body(bodies, name, key, target)
            found[key] = WantRecord(name, key, (number, index), digest_of(body), self._related(key, body))
        return list(found.values())

    def _keep_body(self, bodies: Bodies, name: SourceRef, key: TargetKey, target: TargetEntity) -> bytes:
        """Keep a body; what one source entity wants of a target through several resources is folded at once."""
        earlier = bodies.get((name, key))
        body = target.body if earlier is None else fold_bodies([earlier, target.body], merge=self._merge)
        bodies[name, key] = body
        return body

    @property
    def _merge(self) -> bool:
        return self._ground.document.merge

    def _related(self, key: TargetKey, body: bytes) -> bytes:
        blueprint = self._ground.blueprints.get(key.blueprint)
        relations = _related_bodies.decode(body).relations
        return b"".join(starmap(name_hash, related_names(relations, blueprint)))

    # Names

    async def _name(self, mapped: Sequence[MappedSource]) -> dict[SourceRef, list[tuple[TargetKey, TargetEntity]]]:
        """Name every target entity: most name themselves, others are found at Port by a search query."""
        found: dict[SourceRef, list[tuple[TargetKey, TargetEntity]]] = {one.ref: [] for one in mapped}
        searching: list[tuple[SourceRef, TargetEntity]] = []
        for one in mapped:
            for target in one.targets:
                if target.blueprint not in self._ground.blueprints:
                    self._block(one.ref, target)
                elif target.key is None and is_search(msgspec.json.decode(target.body)["identifier"]):
                    searching.append((one.ref, target))
                else:
                    found[one.ref].append((target.key or _odd_key(target), target))

        async def search(place: tuple[SourceRef, TargetEntity]) -> None:
            ref, target = place
            key = await self._search(ref, target)
            if key is not None:
                found[ref].append((key, target))

        await run_limited(search, searching, limit=SEARCHES_AT_ONCE)
        return found

    async def _search(self, ref: SourceRef, target: TargetEntity) -> TargetKey | None:
        name = target.blueprint
        if name in self._ground.coming:
            self._findings.unmatched += 1
            return None
        query = msgspec.json.decode(target.body)["identifier"]
        try:
            found = await self._around.target.find_entities(name, query, fields=["title"])
        except MissingBlueprintError:
            self._block(ref, target)
            return None
        keys = [TargetKey(name, str(one["identifier"])) for one in found]
        if len(keys) == 1:
            return keys[0]
        if keys:
            self._findings.ambiguous += 1
            self._findings.spared.update(keys)
        else:
            self._findings.unmatched += 1
        return None

    def _block(self, ref: SourceRef, target: TargetEntity) -> None:
        change = Change(Operation.CREATE, target.blueprint, target.identifier or "?", source=ref)
        self._findings.blocked.append(change)

    # Decisions

    async def _weigh_keys(self, keys: Sequence[TargetKey], bodies: Bodies, *, mine: Sequence[WantRecord] = ()) -> None:
        async with self._turns.take(keys):
            await self._weigh_in_turn(keys, bodies, mine)

    async def _weigh_in_turn(self, keys: Sequence[TargetKey], bodies: Bodies, mine: Sequence[WantRecord]) -> None:
        wanters = self._ledger.wanters_of(keys, mine=mine)
        await self._fetch_bodies(wanters, bodies)
        folded = self._fold(keys, wanters, bodies, mine)
        # Asked for before Port is: what is sent while it answers would show in its answer, or not.
        under_way = self._sink.withhold(folded)
        known = self._ledger.targets(list(folded))
        sights = await self._see({key: one.body for key, one in folded.items()})
        records: list[TargetRecord] = []
        found: list[tuple[Upsert, list[SourceRef], bool]] = []
        for key, one in folded.items():
            sight, fields, stored = sights[key]
            # Another body is on its way there: what is seen is what was, and this one has to follow.
            sight = Sight.MOVED if key in under_way and sight is not Sight.UNSEEN else sight
            held = known.get(key)
            decision = decide(wanted=one.fingerprint, acknowledged=held.acknowledged if held else UNKNOWN, sight=sight)
            if decision in (Decision.RECORD, Decision.NOTHING):
                self._sink.cancel(key)
                if sight is Sight.EQUAL:
                    records.append(TargetRecord(key, one.fingerprint, stored))
            elif decision in (Decision.CREATE, Decision.UPDATE):
                operation = Operation.CREATE if decision is Decision.CREATE else Operation.UPDATE
                change = Change(operation, *key, source=one.origin, body=one.body, fields=fields)
                late = sight in (Sight.UNMOVED, Sight.MOVED)
                if sight in (Sight.BARE, Sight.MOVED) and key not in under_way:
                    # Should Port refuse it, it must not look as if Port held what it took before.
                    records.append(TargetRecord(key, UNTRUSTED, stored))
                found.append((Upsert(change, one.fingerprint), [want.ref for want in wanters[key]], late))
        if records:
            self._ledger.acknowledge(records)
        await self._send(found)

    def _fold(
        self,
        keys: Sequence[TargetKey],
        wanters: Mapping[TargetKey, Sequence[WantRecord]],
        bodies: Bodies,
        mine: Sequence[WantRecord],
    ) -> dict[TargetKey, _Folded]:
        """Make one body of what all want of a target entity; nothing of one of which there is no body."""
        hashed = {(want.ref, want.key): want.fingerprint for want in mine}
        folded: dict[TargetKey, _Folded] = {}
        for key in keys:
            wants = [want for want in wanters.get(key, ()) if (want.ref, key) in bodies]
            if not wants:
                continue
            body = fold_bodies([bodies[want.ref, key] for want in wants], merge=self._merge)
            alone = hashed.get((wants[0].ref, key)) if len(wants) == 1 else None
            folded[key] = _Folded(body, alone or digest_of(body), self._names.ref(wants[-1].ref))
            if len(wants) > 1:
                self._findings.shared.add(key)
        return folded

    async def _send(self, found: Sequence[tuple[Upsert, Sequence[SourceRef], bool]]) -> None:
        """Hand upserts on; those that replace something wait until everybody's wants are known.

        A ledger that knows nothing yet cannot tell who else wants a target entity, and writing it as the first one
        wants it, and then as the last one does, would never come to rest. What is absent, or there as an empty stub
        that some relation has made, is written at once: in a first sync that is everything.
        """
        if not found:
            return
        self._around.listener(ChangesFound(len(found)))
        await self._may_write.wait()
        for upsert, refs, late in found:
            await self._sink.put(upsert, refs=refs, late=late)
        await self._sink.push()

    async def _see(self, folded: Mapping[TargetKey, bytes]) -> Mapping[TargetKey, Seen]:
        if self._looker is None:
            return dict.fromkeys(folded, NOTHING_SEEN)
        return await self._looker.compare(folded)

    async def _fetch_bodies(self, wanters: Mapping[TargetKey, Sequence[WantRecord]], bodies: Bodies) -> None:
        """Map the other wanters of shared target entities, whose wants the ledger has and whose bodies it has not."""
        missing = {
            want.ref
            for key, wants in wanters.items()
            for want in wants
            if want.fingerprint != UNKNOWN and (want.ref, key) not in bodies
        }
        for (number, read), names in self._names.by_place(missing).items():
            sources = await read_refs(self._around, [self._names.ref(name) for name in names])
            mapped = await self._mapper.map_page(read.kind, sources, resources=read.resources)
            for ref, named in (await self._name(mapped)).items():
                for key, target in named:
                    self._keep_body(bodies, self._names.name(ref, number), key, target)


def _odd_key(target: TargetEntity) -> TargetKey:
    """Name a target entity whose identifier is no text: Port will refuse it, and a person has to see which it was."""
    identifier = msgspec.json.decode(target.body)["identifier"]
    return TargetKey(target.blueprint, msgspec.json.encode(identifier).decode())


def _is_settled(record: SourceRecord | None, digest: Fingerprint) -> bool:
    return record is not None and not record.failed and record.digest == digest


async def read_refs(around: Surroundings, refs: Iterable[SourceRef]) -> list[SourceEntity]:
    """Ask the source for entities by ref, in chunks; those that do not exist are left out."""
    wanted, found = sorted(refs), list[SourceEntity]()
    for start in range(0, len(wanted), CHUNK):
        answers = await around.source.read_refs(wanted[start : start + CHUNK])
        found.extend(entity for entity in answers.values() if entity is not None)
    return found
