"""The verify pass: read everything on both sides, and plan the difference. It writes nothing."""

from collections.abc import Callable, Iterable, Mapping

from stageport.mapping.static import blueprints_of, searched_blueprints
from stageport.model.changes import OwnedEntity
from stageport.model.errors import SourceError
from stageport.model.refs import TargetKey
from stageport.plan.plan import Plan, SourceFailure
from stageport.plan.safety import Evidence, judge_stale
from stageport.sync.gather import Gathered, Gatherer
from stageport.sync.recheck import protect_failed, recheck_sources
from stageport.sync.surroundings import Ground, Surroundings


async def plan_verify(around: Surroundings, ground: Ground, *, release_deletes: bool) -> tuple[Plan, Gathered]:
    """Compare both catalogs wholly and return what would make Port agree, with what was gathered on the way.

    Port's list of our entities is taken first, before anything is written: so the share of stale ones is a share of
    all that is ours (safety rule 3), not of what this run left untouched.

    Raises:
        TargetError: Port could not be read.
        MappingError: the mapping's processes could not be started.
    """
    owned = await _read_owned(around, ground)
    async with around.start_mapper(ground.document) as mapper:
        gatherer = Gatherer(around, ground, mapper)
        await gatherer.read_all()
        is_protected = await _look_again(gatherer, around, ground, owned)
    gathered = gatherer.gathered
    verdict = judge_stale(_evidence(ground, gathered, owned, is_protected, release_deletes=release_deletes))
    upserts = tuple(gathered.desired.changes())
    plan = Plan(
        upserts=upserts,
        deletes=verdict.deletes,
        kept=verdict.kept,
        blocked=tuple(gathered.blocked),
        unchanged=len(gathered.desired) - len(upserts),
        owned=len(owned),
        counts=gathered.counts,
        failures=tuple(gathered.failures),
        problems=tuple(gathered.problems),
        problem_count=gathered.problem_count,
        notes=(*ground.remarks, *verdict.notes, *_notes(gathered)),
        relations={change.key: owned[change.key] for change in verdict.deletes},
    )
    return plan, gathered


async def _look_again(
    gatherer: Gatherer, around: Surroundings, ground: Ground, owned: "Owned"
) -> Callable[[TargetKey], bool]:
    """Take the second looks of rules 4 and 5; return what tells whether a failed mapping protects a target entity."""
    gathered = gatherer.gathered
    stale = () if gathered.failures else _stale(owned, ground, gathered)
    if stale:
        await recheck_sources(gatherer, around, ground, stale)
    if not stale or gathered.failures:
        return lambda _: False
    try:
        return await protect_failed(around, ground, gathered.failed)
    except SourceError as error:
        gathered.failures.append(SourceFailure("*", error.message, error.hint))
        return lambda _: False


Owned = Mapping[TargetKey, tuple[TargetKey, ...]]
"""Our entities at Port, with those they relate to where deletes need an order."""


async def _read_owned(around: Surroundings, ground: Ground) -> Owned:
    ordered = not ground.document.delete_dependents
    owned: dict[TargetKey, tuple[TargetKey, ...]] = {}
    async for page in around.target.read_owned():
        for one in page:
            owned[one.key] = tuple(_ends(one, ground)) if ordered else ()
    return owned


def _ends(one: OwnedEntity, ground: Ground) -> Iterable[TargetKey]:
    blueprint = ground.blueprints.get(one.key.blueprint)
    known = blueprint.relations if blueprint else {}
    for name, identifiers in one.relations.items():
        if name in known:
            yield from (TargetKey(known[name].target, identifier) for identifier in identifiers)


def _stale(owned: Iterable[TargetKey], ground: Ground, gathered: Gathered) -> list[TargetKey]:
    """Name our entities that nobody wants, but for those of which that cannot be told.

    What the mapping only ever finds by search, others created: to have written to it is no licence to delete it.
    """
    blocked = {change.key for change in gathered.blocked}
    found = searched_blueprints(ground.document)
    return [key for key in owned if key not in gathered.desired and key not in blocked and key.blueprint not in found]


def _evidence(
    ground: Ground,
    gathered: Gathered,
    owned: Owned,
    is_protected: Callable[[TargetKey], bool],
    *,
    release_deletes: bool,
) -> Evidence:
    document = ground.document
    keeps_related = document.create_missing_related or document.delete_dependents
    return Evidence(
        stale=_stale(owned, ground, gathered),
        owned=len(owned),
        sources=gathered.counts.sources,
        threshold=document.deletion_threshold,
        complete=not gathered.failures,
        emptied=_emptied(ground, gathered),
        is_protected=is_protected,
        is_related=lambda key: keeps_related and key in gathered.related,
        released=release_deletes,
    )


def _emptied(ground: Ground, gathered: Gathered) -> Callable[[TargetKey], list[str]]:
    """Return what names the kinds that a key may come from and of which Backstage shows nothing."""
    counts = gathered.read_by_kind
    names = {kind: blueprints_of(ground.document, kind) or frozenset() for kind in counts}
    alone = {
        kind: names[kind].difference(*(names[other] for other in counts if other != kind))
        for kind in counts
        if counts[kind] == 0
    }

    def emptied(key: TargetKey) -> list[str]:
        named, _, _ = key.identifier.lower().partition(":")
        return [kind for kind, blueprints in alone.items() if kind.lower() == named or key.blueprint in blueprints]

    return emptied


def _notes(gathered: Gathered) -> list[str]:
    notes = []
    if not gathered.counts.sources and not gathered.failures:
        notes.append(
            "Backstage shows no entity of any mapped kind. A token without permission to read the catalog looks just "
            "like that, and so does a catalog that is still filling up."
        )
    if gathered.unmatched:
        notes.append(f"{gathered.unmatched} search identifiers match no entity at Port; nothing is written for them.")
    if gathered.ambiguous:
        notes.append(f"{gathered.ambiguous} search identifiers match more than one entity at Port; Port would refuse.")
    if gathered.desired.shared:
        notes.append(f"{gathered.desired.shared} target entities are mapped more than once; the last one wins.")
    return notes
