"""The end of a pass: which target entities nobody wants any more, and which of them may go.

Second looks are taken only when something is about to be deleted (safety rules 4 and 5): the sources of stale target
entities are asked for once more, by ref where the ledger knows them, else by what the identifier says, else by another
inventory of the kinds.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from stageport.mapping.document import MappingDocument
from stageport.mapping.static import (
    Read,
    blueprints_of,
    blueprints_read,
    probe_document,
    reads_of,
    searched_blueprints,
)
from stageport.model.changes import Change
from stageport.model.entities import MappedSource, SourceEntity
from stageport.model.errors import SourceError
from stageport.model.refs import SourceRef, TargetKey, parse_ref
from stageport.plan.safety import Evidence, Verdict, judge_stale
from stageport.sync.findings import Findings
from stageport.sync.holds import count_held_of, note_holds, read_emptied, read_hinted_deletes
from stageport.sync.names import LedgerNames, Place
from stageport.sync.seams import Ledger
from stageport.sync.surroundings import Ground, Surroundings
from stageport.sync.trust import distrust_targets
from stageport.sync.weigh import Weigher, read_refs


class Conclusion:
    """Judges what is stale at the end of a pass.

    ``number`` is the pass; ``owned`` tells whether Port's list of what is ours was taken in it (resync and verify),
    ``known`` how many target entities the ledger knew before the pass wrote any. A ``narrowed`` pass looked at a few
    source entities only: nothing else is stale for it. ``kinds`` (lower case), where there are any, are those that the
    pass looked at, and only what came from them is stale for it; ``remembers`` tells whether the ledger knows what all
    others want. ``gone`` are source entities, by their name in the ledger, that the pass did not see.
    """

    def __init__(
        self,
        around: Surroundings,
        ground: Ground,
        *,
        ledger: Ledger,
        weigher: Weigher,
        findings: Findings,
        number: int,
        owned: bool,
        known: int,
        narrowed: bool = False,
        kinds: frozenset[str] = frozenset(),
        remembers: bool = True,
    ) -> None:
        self._around = around
        self._ground = ground
        self._ledger = ledger
        self._weigher = weigher
        self._findings = findings
        self._number = number
        self._owned = owned
        self._known = known
        self._narrowed = narrowed
        self._kinds = kinds
        self._is_partial = narrowed or bool(kinds)
        self._came_from_kinds = from_kinds(ground.document, kinds)
        self._unseen_relate_to = frozenset[str]() if remembers else related_by_others(ground, kinds)
        self._names = LedgerNames(reads_of(ground.document))

    async def judge(self, gone: Sequence[SourceRef], *, release_deletes: bool) -> Verdict:
        """Return what may be deleted and what is kept; what may go is no longer wanted in the ledger afterwards."""
        lost = self._seem_gone(gone) if self._findings.failures else await self._confirm_gone(gone)
        stale = self._stale(lost)
        if stale and not self._findings.failures and self._owned:
            await self._look_for_unknown_sources(stale)
            stale = self._stale(lost)
        protected = await self._protected(stale, lost)
        evidence = self._evidence(stale, lost, protected, release_deletes=release_deletes)
        verdict = judge_stale(evidence)
        if verdict.deletes:
            stale = await self._still_ours(stale, doomed=verdict.deletes)
            evidence = replace(evidence, stale=stale)
            verdict = judge_stale(evidence)
        if not self._findings.failures:
            note_holds(
                self._ledger, verdict, owned=evidence.owned, emptied=evidence.emptied, whole=not self._is_partial
            )
            if verdict.hold is None:
                await self._let_go(lost)
        if self._owned:
            self._forget_others()
        return verdict

    # Sources

    def _seem_gone(self, gone: Sequence[SourceRef]) -> list[SourceRef]:
        """Name those of kinds that were read to their end: nothing is deleted for them now, but people are told."""
        unread = {failure.kind.lower() for failure in self._findings.failures}
        return [name for name in gone if name.partition(":")[0] not in unread]

    async def _confirm_gone(self, gone: Sequence[SourceRef]) -> list[SourceRef]:
        """Ask once more for source entities that were not seen; weigh those that exist after all (rule 5)."""
        lost = [name for name in gone if self._names.place(name) is None]
        for place, names in self._names.by_place(gone).items():
            found = await self._ask(place, [self._names.ref(name) for name in names])
            if found is None:
                return []
            await self._weigher.force(place, found)
            there = {one.ref for one in found}
            lost += [name for name in names if self._names.ref(name) not in there]
        return lost

    async def _ask(self, place: Place, refs: Iterable[SourceRef]) -> list[SourceEntity] | None:
        """Read entities by ref; None when that failed. Where a read has filters, only what they let through counts."""
        _, read = place
        wanted = set(refs)
        try:
            if read.filters:
                wanted &= await self._inventory(read)
            return await read_refs(self._around, wanted)
        except SourceError as error:
            self._findings.note_failure(read.kind, error)
            return None

    async def _inventory(self, read: Read) -> set[SourceRef]:
        found: set[SourceRef] = set()
        async with aclosing(self._around.source.read_inventory(read.kind, filters=read.filters)) as scan:
            async for page in scan:
                found.update(one.ref for one in page)
        return found

    async def _look_for_unknown_sources(self, stale: Sequence[TargetKey]) -> None:
        """Look for sources that neither the scan nor the ledger knows: by the identifier, or by another inventory."""
        named = {parse_ref(key.identifier) for key in stale if _names_source(key)}
        all_named = all(map(_names_source, stale))
        for place in self._names.places:
            number, read = place
            if self._kinds and read.kind.lower() not in self._kinds:
                continue
            try:
                by_ref = all_named and not read.filters
                refs = {ref for ref in named if ref.partition(":")[0] == read.kind.lower()}
                refs = refs if by_ref else await self._inventory(read)
                known = self._ledger.sources([self._names.name(ref, number) for ref in refs])
                missed = [ref for ref in refs if self._names.name(ref, number) not in known]
                await self._weigher.force(place, await read_refs(self._around, missed))
            except SourceError as error:
                self._findings.note_failure(read.kind, error)

    async def _let_go(self, lost: Sequence[SourceRef]) -> None:
        """Forget source entities that are gone; what they shared with others is folded anew without them."""
        wants = self._ledger.wants_of(lost)
        keys = {want.key for held in wants.values() for want in held}
        gone = set(lost)
        others = {
            key: {want.ref for want in wanters} - gone for key, wanters in self._ledger.wanters_of(sorted(keys)).items()
        }
        # Until the shared ones are written without them, it must not look as if nothing were left to do.
        self._weigher.unsettle(set().union(*others.values()))
        distrust_targets(self._ledger, [key for key, refs in others.items() if not refs])
        self._ledger.drop_sources(lost)
        await self._weigher.refold(key for key, refs in others.items() if refs)

    def _forget_others(self) -> None:
        """Forget what nobody wants and Port does not list as ours: others deleted it, or took it over."""
        unwanted = list(self._ledger.unwanted_targets())
        ours = self._ledger.owned_among(unwanted, number=self._number)
        self._ledger.drop_targets([key for key in unwanted if key not in ours])

    # Targets

    def _stale(self, lost: Sequence[SourceRef]) -> list[TargetKey]:
        """Name our target entities that nobody wants, but for those of which that cannot be told.

        What the mapping only ever finds by search, others created: to have written to it is no licence to delete it.
        """
        ledger, number = self._ledger, self._number
        unwanted = ledger.unwanted_owned(number=number) if self._owned else self._unwanted()
        stale = dict.fromkeys(filter(self._came_from_kinds, unwanted))
        exclusive = self._exclusive(lost)
        stale |= dict.fromkeys(ledger.owned_among(exclusive, number=number) if self._owned else exclusive)
        blocked = {change.key for change in self._findings.blocked}
        found = searched_blueprints(self._ground.document)
        spared = self._findings.spared
        return sorted(key for key in stale if key not in blocked and key not in spared and key.blueprint not in found)

    def _unwanted(self) -> Iterable[TargetKey]:
        """Name the target entities we know of and nobody wants; in a narrowed pass, those it made unwanted itself."""
        if not self._narrowed:
            return self._ledger.unwanted_targets()
        known = self._ledger.targets(sorted(self._findings.released))
        return known.keys() - self._ledger.wanters_of(list(known)).keys()

    async def _still_ours(self, stale: Sequence[TargetKey], *, doomed: Sequence[Change]) -> list[TargetKey]:
        """Ask whose they are by now: the ledger tells what we wrote, not what others have taken over since (rule 3)."""
        asked = [change.key for change in doomed]
        others = set(asked) - await self._around.target.still_owned(asked)
        self._ledger.drop_targets(sorted(others))
        return [key for key in stale if key not in others]

    def _exclusive(self, lost: Sequence[SourceRef]) -> list[TargetKey]:
        """Name the target entities that only source entities want which are gone."""
        gone = set(lost)
        keys = sorted({want.key for held in self._ledger.wants_of(lost).values() for want in held})
        wanters = self._ledger.wanters_of(keys)
        return [key for key in keys if all(want.ref in gone for want in wanters.get(key, ()))]

    async def _protected(self, stale: Sequence[TargetKey], lost: Sequence[SourceRef]) -> Callable[[TargetKey], bool]:
        """Return what tells whether a source entity whose mapping failed may stand for a target entity (rule 4)."""
        if not stale or self._findings.failures:
            return lambda _: False
        failed = {*self._findings.failed, *self._ledger.failed_sources()}.difference(lost)
        if not failed:
            return lambda _: False
        try:
            return await protect_failed(self._around, self._ground, self._names, failed)
        except SourceError as error:
            self._findings.note_failure("*", error)
            return lambda _: False

    def _evidence(
        self,
        stale: Sequence[TargetKey],
        lost: Sequence[SourceRef],
        protected: Callable[[TargetKey], bool],
        *,
        release_deletes: bool,
    ) -> Evidence:
        document, ledger = self._ground.document, self._ledger
        mapped = {resource.kind.lower() for resource in document.resources}
        counts = {**self._findings.read_by_kind, **dict.fromkeys(read_emptied(ledger) & mapped, 0)}
        keeps_related = document.create_missing_related or document.delete_dependents
        related = self._related(stale, lost) if keeps_related and stale else set()
        asked = {"asked_of": "of the kinds that were looked at"} if self._narrowed else {}
        return Evidence(
            **asked,
            stale=stale,
            owned=count_held_of(ledger, ledger.count_owned(number=self._number) if self._owned else self._known),
            gone_before=read_hinted_deletes(ledger) if self._narrowed else 0,
            sources=self._findings.sources,
            threshold=document.deletion_threshold,
            complete=not self._findings.failures,
            emptied=emptied_by(document, counts, self._origins(stale)),
            is_protected=protected,
            is_related=lambda key: key in related or (keeps_related and key.blueprint in self._unseen_relate_to),
            released=release_deletes,
        )

    def _origins(self, keys: Sequence[TargetKey]) -> dict[TargetKey, set[str]]:
        """Name the kinds that target entities come from, as far as the ledger knows."""
        wanters = self._ledger.wanters_of(keys)
        return {key: {want.ref.partition(":")[0] for want in wants} for key, wants in wanters.items()}

    def _related(self, stale: Sequence[TargetKey], lost: Sequence[SourceRef]) -> set[TargetKey]:
        """Name those stale target entities to which one that stays relates."""
        return self._ledger.related_among(stale, without=lost)


async def protect_failed(
    around: Surroundings, ground: Ground, names: LedgerNames, failed: Collection[SourceRef]
) -> Callable[[TargetKey], bool]:
    """Return a test that tells whether a stale target entity may belong to a source entity whose mapping failed.

    ``failed`` are names in the ledger: where a kind is read several times, only the resources of that read count. The
    source entities are mapped once more with nothing but identifier and blueprint.
    """
    keys: set[TargetKey] = set()
    blueprints: set[str] = set()
    everything = False
    async with around.start_mapper(probe_document(ground.document)) as probe:
        for (_, read), group in names.by_place(failed).items():
            sources = await read_refs(around, map(names.ref, group))
            for one in await probe.map_page(read.kind, sources, resources=read.resources):
                keys.update(target.key for target in one.targets if target.key)
                if _tells_targets(one):
                    continue
                # Nobody can say which target entities this one stands for: keep all it could have written.
                written = blueprints_read(ground.document, read)
                everything = everything or written is None
                blueprints |= written or frozenset()
    return lambda key: everything or key in keys or key.blueprint in blueprints


def _tells_targets(one: MappedSource) -> bool:
    """Say whether the probe named every target entity; one that is found by a search query has no name yet."""
    return bool(one.targets) and not one.errors and not one.dropped and all(target.key for target in one.targets)


def _names_source(key: TargetKey) -> bool:
    try:
        return parse_ref(key.identifier) == key.identifier
    except ValueError:
        return False


def from_kinds(document: MappingDocument, kinds: frozenset[str]) -> Callable[[TargetKey], bool]:
    """Return a test that tells whether a target entity of unknown origin can only have come from these kinds.

    Without kinds, all are meant. Where another kind may write to the same blueprint, only a pass that looks at both
    can tell that nobody wants it.
    """
    if not kinds:
        return lambda _: True
    mapped = {resource.kind.lower() for resource in document.resources}
    inside = [blueprints_of(document, kind) for kind in mapped & kinds]
    outside = [blueprints_of(document, kind) for kind in mapped - kinds]

    def may_come(key: TargetKey, written: Sequence[frozenset[str] | None]) -> bool:
        return any(names is None or key.blueprint in names for names in written)

    return lambda key: may_come(key, inside) and not may_come(key, outside)


def related_by_others(ground: Ground, kinds: frozenset[str]) -> frozenset[str]:
    """Return the blueprints that what comes from other kinds than these may relate to; nothing where all are meant.

    Who remembers nothing of the others, and does not look at them, cannot tell whether they do (rule 6).
    """
    if not kinds:
        return frozenset()
    others = {resource.kind.lower() for resource in ground.document.resources} - kinds
    written = [blueprints_of(ground.document, kind) for kind in others]
    names = ground.blueprints.keys() if None in written else frozenset[str]().union(*filter(None, written))
    found = (ground.blueprints[name] for name in names if name in ground.blueprints)
    return frozenset(relation.target for blueprint in found for relation in blueprint.relations.values())


def emptied_by(
    document: MappingDocument, counts: Mapping[str, int], origins: Mapping[TargetKey, Collection[str]]
) -> Callable[[TargetKey], list[str]]:
    """Return what names the kinds that a key may come from and of which Backstage shows nothing (rule 2).

    ``counts`` are the source entities seen of each kind, ``origins`` the kinds that a key is known to come from. Of
    others, the identifier may tell; else it is any kind that may write to the blueprint.
    """
    writes = {kind: blueprints_of(document, kind) for kind, count in counts.items() if count == 0}

    def emptied(key: TargetKey) -> list[str]:
        named = key.identifier.lower().partition(":")[0]
        known = origins.get(key) or ({named} if named in counts else ())
        if known:
            return [kind for kind in writes if kind in known]
        return [kind for kind, names in writes.items() if names is None or key.blueprint in names]

    return emptied
