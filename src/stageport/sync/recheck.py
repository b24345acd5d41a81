"""Second looks, taken only when something is about to be deleted.

Safety rule 5: a scan by cursor can miss an entity that is deleted and recreated while the scan runs, because its new
uid may sort before the cursor. So the sources of stale target entities are asked for once more by ref where the
identifier is a ref, and otherwise by a second inventory of the kinds.

Safety rule 4: which target entities a source entity with a failed mapping stands for is found out by mapping it once
more with nothing but identifier and blueprint.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import aclosing

from stageport.mapping.static import Read, blueprints_of, probe_document, reads_of
from stageport.model.entities import MappedSource, SourceEntity
from stageport.model.errors import SourceError
from stageport.model.refs import SourceRef, TargetKey, parse_ref
from stageport.sync.gather import Gatherer
from stageport.sync.surroundings import Ground, Surroundings

CHUNK = 500


async def recheck_sources(gatherer: Gatherer, around: Surroundings, ground: Ground, stale: Sequence[TargetKey]) -> None:
    """Ask for the sources of stale target entities, and map those that exist after all.

    A kind that cannot be asked for again counts as not wholly read.
    """
    named = {parse_ref(key.identifier) for key in stale if _names_source(key)}
    all_named = all(map(_names_source, stale))
    for number, read in enumerate(reads_of(ground.document)):
        # Asked for by ref, an entity comes even if a filter of the read would leave it out.
        by_ref = all_named and not read.filters
        try:
            refs = _of_kind(named, read.kind) if by_ref else await _inventory(around, read)
            missed = refs - gatherer.gathered.seen.get(read, set())
            found = await _read(around, missed)
        except SourceError as error:
            gatherer.note_failure(read, error)
            continue
        if found:
            await gatherer.map_late(read, found, number=number)


async def protect_failed(
    around: Surroundings, ground: Ground, failed: Collection[SourceRef]
) -> Callable[[TargetKey], bool]:
    """Return a test that tells whether a stale target entity may belong to a source entity whose mapping failed."""
    if not failed:
        return lambda _: False
    keys: set[TargetKey] = set()
    blueprints: set[str] = set()
    everything = False
    async with around.start_mapper(probe_document(ground.document)) as probe:
        for kind, sources in _by_kind(await _read(around, failed)).items():
            for one in await probe.map_page(kind, sources):
                keys.update(target.key for target in one.targets if target.key)
                if _tells_targets(one):
                    continue
                # Nobody can say which target entities this one stands for: keep all it could have written.
                names = blueprints_of(ground.document, kind)
                everything = everything or names is None
                blueprints |= names or frozenset()
    return lambda key: everything or key in keys or key.blueprint in blueprints


def _tells_targets(one: MappedSource) -> bool:
    """Say whether the probe named every target entity; one that is found by a search query has no name yet."""
    return bool(one.targets) and not one.errors and not one.dropped and all(target.key for target in one.targets)


def _names_source(key: TargetKey) -> bool:
    try:
        return parse_ref(key.identifier) == key.identifier
    except ValueError:
        return False


def _of_kind(refs: Iterable[SourceRef], kind: str) -> set[SourceRef]:
    return {ref for ref in refs if ref.partition(":")[0] == kind.lower()}


async def _inventory(around: Surroundings, read: Read) -> set[SourceRef]:
    found: set[SourceRef] = set()
    async with aclosing(around.source.read_inventory(read.kind, filters=read.filters)) as scan:
        async for page in scan:
            found.update(one.ref for one in page)
    return found


async def _read(around: Surroundings, refs: Iterable[SourceRef]) -> list[SourceEntity]:
    wanted, found = sorted(refs), list[SourceEntity]()
    for start in range(0, len(wanted), CHUNK):
        answers = await around.source.read_refs(wanted[start : start + CHUNK])
        found.extend(entity for entity in answers.values() if entity is not None)
    return found


def _by_kind(sources: Iterable[SourceEntity]) -> dict[str, list[SourceEntity]]:
    groups: dict[str, list[SourceEntity]] = {}
    for source in sources:
        groups.setdefault(source.ref.partition(":")[0], []).append(source)
    return groups
