"""Mapping source entities that are at hand as JSON, the way Port's own integration takes them in: in pages of 20.

A source entity without kind, metadata or name cannot be called anything. There it ends the resource: what earlier
pages gave stays, its own page and all after it are lost. Whoever tries a mapping on entities of a file should see that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from stageport.mapping.workers import WorkerPool
from stageport.model.entities import FieldProblem, Json, MappedSource, SourceEntity, TargetEntity
from stageport.model.refs import SourceRef

OCEAN_PAGE = 20


class UnnamedSourceError(ValueError):
    """The source entity lacks kind, metadata or name; the message says which."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one resource made of some source entities."""

    targets: tuple[TargetEntity, ...] = ()
    filtered_out: int = 0
    dropped: int = 0
    errors: int = 0
    resource_failed: bool = False
    problems: tuple[FieldProblem, ...] = ()


def source_ref_of(document: Json) -> SourceRef:
    """Return the ref of a decoded source entity; a missing or empty namespace counts as ``default``.

    Raises:
        UnnamedSourceError: it has no kind, no metadata or no name.
    """
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(metadata, dict):
        raise UnnamedSourceError("the source entity has no metadata")
    if "kind" not in document:
        raise UnnamedSourceError("the source entity has no kind")
    if "name" not in metadata:
        raise UnnamedSourceError("the source entity has no metadata.name")
    return SourceRef(f"{document['kind']}:{metadata.get('namespace') or 'default'}/{metadata['name']}".lower())


def read_source(raw: bytes) -> SourceEntity:
    """Return a source entity from its JSON.

    Raises:
        UnnamedSourceError: it has no kind, no metadata or no name.
        msgspec.DecodeError: it is no JSON.
    """
    document = msgspec.json.decode(raw)
    ref = source_ref_of(document)
    metadata = document["metadata"]
    return SourceEntity(ref, raw, uid=str(metadata.get("uid") or ""), etag=str(metadata.get("etag") or ""))


def split_array(text: bytes) -> list[bytes]:
    """Return the elements of a JSON array, each exactly as written.

    Raises:
        msgspec.DecodeError: the text is no JSON array.
    """
    return [bytes(part) for part in msgspec.json.decode(text, type=list[msgspec.Raw])]


async def map_batches(pool: WorkerPool, documents: Sequence[bytes], *, resource: int) -> Outcome:
    """Map source entities (each a JSON object) through one resource, whatever their kind."""
    mapped: list[MappedSource] = []
    failed = False
    kind = pool.document.resources[resource].kind
    for start in range(0, len(documents), OCEAN_PAGE):
        try:
            sources = [read_source(raw) for raw in documents[start : start + OCEAN_PAGE]]
        except UnnamedSourceError:
            failed = True
            break
        mapped += await pool.map_page(kind, sources, resources=[resource])
    return Outcome(
        targets=tuple(target for source in mapped for target in source.targets),
        filtered_out=sum(source.filtered_out for source in mapped),
        dropped=sum(source.dropped for source in mapped),
        errors=sum(source.errors for source in mapped),
        resource_failed=failed,
        problems=tuple(problem for source in mapped for problem in source.problems),
    )
