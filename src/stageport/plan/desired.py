"""What the mapping wants at Port, one line for each target entity, gathered page by page.

Several resources, or several source entities, may want the same target entity. Port's own integration writes them
one after the other, so the last one wins, field by field under merge, as a whole without. Here they are folded into
one line before anything is written, in the order of the mapping, so that a second run finds nothing to do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class _Line:
    rank: Rank
    change: Change | None


class DesiredTargets:
    """Gathers wants and answers, at the end, which changes they come to."""

    def __init__(self, *, merge: bool) -> None:
        self._merge = merge
        self._lines: dict[TargetKey, _Line] = {}
        self.shared = 0
        """How many wants named a target entity that another one had named before."""

    def __contains__(self, key: object) -> bool:
        return key in self._lines

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, want: Want) -> None:
        """Take a want in."""
        line = self._lines.get(want.key)
        change = _change(want)
        if line is not None:
            self.shared += 1
            change = self._fold(line, want)
        self._lines[want.key] = _Line(want.rank if line is None else max(line.rank, want.rank), change)

    def protect(self, key: TargetKey) -> None:
        """Count a target entity as wanted without wanting anything of it."""
        self._lines.setdefault(key, _Line((), None))

    def keys(self) -> Iterator[TargetKey]:
        """Yield every target entity that somebody wants."""
        yield from self._lines

    def changes(self) -> Sequence[Change]:
        """Return what has to be written, in the order in which it was first wanted."""
        return [line.change for line in self._lines.values() if line.change is not None]

    def unchanged(self) -> int:
        """Count the target entities that Port already has as wanted."""
        return sum(1 for line in self._lines.values() if line.change is None)

    def _fold(self, line: _Line, want: Want) -> Change | None:
        if want.rank < line.rank:
            return _overlay_below(line.change, want, merge=self._merge)
        return _overlay(line.change, want, merge=self._merge)


def _change(want: Want) -> Change | None:
    if want.exists and not want.fields:
        return None
    operation = Operation.UPDATE if want.exists else Operation.CREATE
    return Change(operation, *want.key, source=want.source, body=want.body, fields=want.fields)


def _overlay(below: Change | None, want: Want, *, merge: bool) -> Change | None:
    """Put a want on top of what was wanted before; its fields win."""
    top = _change(want)
    if below is None or not merge:
        return top
    fields = tuple(field for field in below.fields if field.path not in want.paths) + want.fields
    if want.exists and not fields:
        return None
    return replace(below, source=want.source, body=_merge_bodies(below.body, want.body), fields=fields)


def _overlay_below(top: Change | None, want: Want, *, merge: bool) -> Change | None:
    """Put a want under what was wanted before; only fields that nobody above speaks of count."""
    if not merge or top is None:
        return top
    spoken = paths_of(msgspec.json.decode(top.body))
    fields = tuple(field for field in want.fields if field.path not in spoken) + top.fields
    return replace(top, body=_merge_bodies(want.body, top.body), fields=fields)


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
