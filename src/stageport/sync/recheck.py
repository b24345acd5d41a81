"""Second looks, taken only when something is about to be deleted.

Safety rule 5: a scan by cursor can miss an entity that is deleted and recreated while the scan runs, because its new
uid may sort before the cursor. So the sources of stale target entities are asked for once more by ref where the
identifier is a ref, and otherwise by a second inventory of the kinds.

Safety rule 4: which target entities a source entity with a failed mapping stands for is found out by mapping it once
more with nothing but identifier and blueprint.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from stageport.mapping.document import MappingDocument
from stageport.mapping.static import Read, blueprints_of, probe_document, reads_of
from stageport.model.entities import SourceEntity
from stageport.model.refs import SourceRef, TargetKey, parse_ref
from stageport.sync.gather import Gatherer
from stageport.sync.surroundings import Ground, Surroundings

LATE = 1_000_000
"""Rank of what was found on the second look: after everything that the scan saw."""
CHUNK = 500


async def recheck_sources(gatherer: Gatherer, around: Surroundings, ground: Ground, stale: Sequence[TargetKey]) -> None:
    """Ask for the sources of stale target entities, and map those that exist after all."""
    missed = _refs_of(stale, ground.document) - gatherer.gathered.seen
    if not all(_names_source(key) for key in stale) or _has_filters(ground.document):
        missed |= await _inventory(around, ground.document) - gatherer.gathered.seen
    found = await _read(around, missed)
    for number, (kind, sources) in enumerate(_by_kind(found).items()):
        await gatherer.map_sources(kind, sources, rank=(LATE, number))


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
                if one.targets and not one.errors and not one.dropped:
                    continue
                # Nobody can say which target entities this one stands for: keep all it could have written.
                names = blueprints_of(ground.document, kind)
                everything = everything or names is None
                blueprints |= names or frozenset()
    return lambda key: everything or key in keys or key.blueprint in blueprints


def _names_source(key: TargetKey) -> bool:
    try:
        return parse_ref(key.identifier) == key.identifier
    except ValueError:
        return False


def _has_filters(document: MappingDocument) -> bool:
    return any(read.filters for read in reads_of(document))


def _refs_of(stale: Iterable[TargetKey], document: MappingDocument) -> set[SourceRef]:
    """Name the sources that identifiers speak of, for kinds that are read whole."""
    kinds = {read.kind.lower() for read in reads_of(document) if not read.filters}
    refs = {parse_ref(key.identifier) for key in stale if _names_source(key)}
    return {ref for ref in refs if ref.partition(":")[0] in kinds}


async def _inventory(around: Surroundings, document: MappingDocument) -> set[SourceRef]:
    found: set[SourceRef] = set()
    for read in reads_of(document):
        async for page in around.source.read_inventory(read.kind, filters=read.filters):
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


def resources_for(reads: Iterable[Read], kind: str) -> tuple[int, ...]:
    """Return the indices of all resources that map a kind, whatever their filters."""
    return tuple(index for read in reads if read.kind.lower() == kind.lower() for index in read.resources)
