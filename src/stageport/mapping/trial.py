"""Trying a mapping on source entities that are at hand: what would be sent, and what would be lost on the way."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from stageport.mapping.batches import Outcome, UnnamedSourceError, map_batches, source_ref_of
from stageport.mapping.workers import WorkerPool
from stageport.model.entities import FieldProblem, Json
from stageport.model.refs import SourceRef

UNNAMED = SourceRef("")
"""Stands for the ref of a source entity that cannot be called anything."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. ``unmapped`` counts the source entities of each kind that no resource maps."""

    outcome: Outcome
    unmapped: dict[str, int] = field(default_factory=dict)


async def try_mapping(pool: WorkerPool, documents: Sequence[bytes], *, every_kind: bool = False) -> Trial:
    """Map source entities (each a JSON object) through all resources of the pool's document.

    Each resource takes the entities of its kind, whichever way the kind is cased. With ``every_kind`` it takes all:
    for a mapping of one resource that is tried on entities given for it.
    """
    kinds = [kind_of(document) for document in documents]
    resources = pool.document.resources
    taken = [
        [raw for raw, kind in zip(documents, kinds, strict=True) if every_kind or kind == resource.kind.lower()]
        for resource in resources
    ]
    outcomes = [await map_batches(pool, raws, resource=index) for index, raws in enumerate(taken)]
    lost = [problem for index, raws in enumerate(taken) for problem in _unnamed(raws, index)]
    kindless = [] if every_kind else [raw for raw, kind in zip(documents, kinds, strict=True) if kind is None]
    lost += _unnamed(kindless, -1)
    joined = _joined(outcomes, problems=lost, failed=bool(kindless))
    known = {resource.kind.lower() for resource in resources}
    return Trial(joined, {} if every_kind else dict(Counter(kind for kind in kinds if kind and kind not in known)))


def kind_of(raw: bytes) -> str | None:
    """Return the kind of a source entity in lower case, None when it has none."""
    document: Json = msgspec.json.decode(raw)
    kind = document.get("kind") if isinstance(document, dict) else None
    return str(kind).lower() if kind else None


def _unnamed(documents: Iterable[bytes], resource: int) -> Iterator[FieldProblem]:
    for raw in documents:
        try:
            source_ref_of(msgspec.json.decode(raw))
        except UnnamedSourceError as error:
            yield FieldProblem(resource, "", UNNAMED, f"{error}: it ends the resource here, as it does in a sync")


def _joined(outcomes: Sequence[Outcome], *, problems: Sequence[FieldProblem], failed: bool) -> Outcome:
    return Outcome(
        targets=tuple(target for one in outcomes for target in one.targets),
        filtered_out=sum(one.filtered_out for one in outcomes),
        dropped=sum(one.dropped for one in outcomes),
        errors=sum(one.errors for one in outcomes),
        resource_failed=failed or any(one.resource_failed for one in outcomes),
        problems=(*problems, *(problem for one in outcomes for problem in one.problems)),
    )
