"""What the mapping wants at Port, one line for each target entity, gathered page by page.

Several resources, or several source entities, may want the same target entity. Port's own integration writes them
one after the other, so the last one wins, field by field under merge, as a whole without. Here they are folded into
one line before anything is written, in the order of the mapping, so that a second run finds nothing to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import NamedTuple

import msgspec

from stageport.model.changes import Change, FieldChange, Operation
from stageport.model.entities import Json
from stageport.model.refs import SourceRef, TargetKey

Rank = tuple[int, ...]
"""Where a want stands in the mapping's order; the higher rank wins."""


@dataclass(frozen=True, slots=True)
class Want:
    """One target entity as one source entity wants it, compared with what Port holds.

    ``paths`` are all fields the want speaks of, ``fields`` those that differ; ``exists`` tells whether Port has it.
    """

    key: TargetKey
    source: SourceRef
    rank: Rank
    body: bytes
    paths: frozenset[str]
    fields: tuple[FieldChange, ...]
    exists: bool


class _Part(NamedTuple):
    """What is left of a want: all it speaks of, and the change it comes to by itself."""

    rank: Rank
    paths: frozenset[str]
    change: Change | None


class DesiredTargets:
    """Gathers wants and answers, at the end, which changes they come to.

    Wants arrive in any order, since pages overlap: they are folded only when all are there.
    """

    def __init__(self, *, merge: bool) -> None:
        self._merge = merge
        self._parts: dict[TargetKey, tuple[_Part, ...]] = {}
        # The sets of paths are few, one or two for each resource: keeping one of each keeps parts small.
        self._paths: dict[frozenset[str], frozenset[str]] = {}
        self.shared = 0
        """How many wants named a target entity that another one had named before."""

    def __contains__(self, key: object) -> bool:
        return key in self._parts

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, want: Want) -> None:
        """Take a want in."""
        part = _Part(want.rank, self._paths.setdefault(want.paths, want.paths), _change(want))
        before = self._parts.get(want.key, ())
        self.shared += bool(before)
        self._parts[want.key] = (*before, part)

    def protect(self, key: TargetKey) -> None:
        """Count a target entity as wanted without wanting anything of it."""
        self._parts.setdefault(key, ())

    def changes(self) -> Sequence[Change]:
        """Return what has to be written, in the order of the mapping."""
        folded = ((max(part.rank for part in parts), self._fold(parts)) for parts in self._parts.values() if parts)
        changed = [(rank, change) for rank, change in folded if change is not None]
        return [change for _, change in sorted(changed, key=itemgetter(0))]

    def _fold(self, parts: Sequence[_Part]) -> Change | None:
        if len(parts) == 1:
            return parts[0].change
        downwards = sorted(parts, key=lambda part: part.rank, reverse=True)
        return _overlay(downwards) if self._merge else downwards[0].change


def _change(want: Want) -> Change | None:
    if want.exists and not want.fields:
        return None
    operation = Operation.UPDATE if want.exists else Operation.CREATE
    return Change(operation, *want.key, source=want.source, body=want.body, fields=want.fields)


def _overlay(downwards: Sequence[_Part]) -> Change | None:
    """Lay wants over each other, the highest rank first: of a lower one only what nobody above speaks of counts."""
    change: Change | None = None
    spoken: frozenset[str] = frozenset()
    for part in downwards:
        lower = part.change
        if lower is not None:
            change = lower if change is None and not spoken else _put_under(change, lower, spoken)
        spoken |= part.paths
    return change


def _put_under(change: Change | None, lower: Change, spoken: frozenset[str]) -> Change | None:
    fields = tuple(field for field in lower.fields if field.path not in spoken)
    if lower.operation is Operation.UPDATE and not fields:
        return change
    body = _without(lower.body, spoken)
    if change is None:
        return replace(lower, body=body, fields=fields)
    return replace(change, body=_merge_bodies(body, change.body), fields=fields + change.fields)


def _without(body: bytes, paths: frozenset[str]) -> bytes:
    """Drop fields from a body."""
    found = msgspec.json.decode(body)
    kept = {name: value for name, value in found.items() if name not in paths}
    for part in ("properties", "relations"):
        if part in kept:
            kept[part] = {name: value for name, value in kept[part].items() if f"{part}.{name}" not in paths}
    return msgspec.json.encode(kept)


def _merge_bodies(below: bytes, top: bytes) -> bytes:
    lower, upper = msgspec.json.decode(below), msgspec.json.decode(top)
    merged = {**lower, **upper}
    for part in ("properties", "relations"):
        if part in lower and part in upper:
            merged[part] = {**lower[part], **upper[part]}
    return msgspec.json.encode(merged)


def paths_of(body: Json) -> frozenset[str]:
    """Name every field a target entity's body speaks of, as ``FieldChange.path`` does."""
    plain = {name for name in ("title", "icon", "team") if name in body}
    nested = {f"{part}.{name}" for part in ("properties", "relations") for name in (body.get(part) or {})}
    return frozenset(plain | nested)
