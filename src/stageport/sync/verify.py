"""The verify pass: read everything on both sides, and plan the difference. It writes nothing."""

from collections.abc import Iterable, Mapping

from stageport.mapping.static import blueprints_of, reads_of
from stageport.model.changes import OwnedEntity
from stageport.model.refs import TargetKey
from stageport.plan.plan import Plan
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
        gathered = gatherer.gathered
        if not gathered.failures:
            stale = _stale(owned, gathered)
            if stale and gathered.counts.sources:
                await recheck_sources(gatherer, around, ground, stale)
    verdict = judge_stale(await _evidence(around, ground, gathered, owned, release_deletes=release_deletes))
    plan = Plan(
        upserts=tuple(gathered.desired.changes()),
        deletes=verdict.deletes,
        kept=verdict.kept,
        blocked=tuple(gathered.blocked),
        unchanged=gathered.desired.unchanged(),
        owned=len(owned),
        counts=gathered.counts,
        failures=tuple(gathered.failures),
        problems=tuple(gathered.problems),
        problem_count=gathered.problem_count,
        notes=(*verdict.notes, *_notes(gathered)),
        relations={change.key: owned[change.key] for change in verdict.deletes},
    )
    return plan, gathered


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


def _stale(owned: Iterable[TargetKey], gathered: Gathered) -> list[TargetKey]:
    blocked = {change.key for change in gathered.blocked}
    return [key for key in owned if key not in gathered.desired and key not in blocked]


async def _evidence(
    around: Surroundings, ground: Ground, gathered: Gathered, owned: Owned, *, release_deletes: bool
) -> Evidence:
    stale = _stale(owned, gathered)
    document = ground.document
    keeps_related = document.create_missing_related or document.delete_dependents
    failed = gathered.failed if stale else ()
    return Evidence(
        stale=stale,
        owned=len(owned),
        sources=gathered.counts.sources,
        threshold=document.deletion_threshold,
        complete=not gathered.failures,
        empty_kinds=_emptied(ground, gathered, stale),
        is_protected=await protect_failed(around, ground, failed),
        is_related=lambda key: keeps_related and key in gathered.related,
        released=release_deletes,
    )


def _emptied(ground: Ground, gathered: Gathered, stale: Iterable[TargetKey]) -> list[str]:
    """Name the kinds that Backstage shows nothing of, although stale target entities come from them."""
    empty = [kind for kind, count in gathered.read_by_kind.items() if count == 0]
    return [kind for kind in empty if any(_may_come_from(kind, key, ground) for key in stale)]


def _may_come_from(kind: str, key: TargetKey, ground: Ground) -> bool:
    if key.identifier.lower().startswith(f"{kind.lower()}:"):
        return True
    names = blueprints_of(ground.document, kind)
    others = {read.kind for read in reads_of(ground.document) if read.kind.lower() != kind.lower()}
    shared = frozenset().union(*(blueprints_of(ground.document, other) or frozenset() for other in others))
    return names is not None and key.blueprint in names - shared


def _notes(gathered: Gathered) -> list[str]:
    notes = []
    if gathered.unmatched:
        notes.append(f"{gathered.unmatched} search identifiers match no entity at Port; nothing is written for them.")
    if gathered.ambiguous:
        notes.append(f"{gathered.ambiguous} search identifiers match more than one entity at Port; Port would refuse.")
    if gathered.desired.shared:
        notes.append(f"{gathered.desired.shared} target entities are mapped more than once; the last one wins.")
    return notes
