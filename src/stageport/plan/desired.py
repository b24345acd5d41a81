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
    paths: frozenset[str]
    change: Change | None


class DesiredTargets:
    """Gathers wants and answers, at the end, which changes they come to."""

    def __init__(self, *, merge: bool) -> None:
        self._merge = merge
        self._lines: dict[TargetKey, _Line] = {}
        # The sets of paths are few, one or two for each resource: keeping one of each keeps lines small.
        self._paths: dict[frozenset[str], frozenset[str]] = {}
        self.shared = 0
        """How many wants named a target entity that another one had named before."""

    def __contains__(self, key: object) -> bool:
        return key in self._lines

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, want: Want) -> None:
        """Take a want in."""
        line = self._lines.get(want.key)
        if line is None:
            self._lines[want.key] = _Line(want.rank, self._same(want.paths), _change(want))
        else:
            self.shared += 1
            paths = self._same(line.paths | want.paths)
            self._lines[want.key] = _Line(max(line.rank, want.rank), paths, self._fold(line, want))

    def protect(self, key: TargetKey) -> None:
        """Count a target entity as wanted without wanting anything of it."""
        self._lines.setdefault(key, _Line((), frozenset(), None))

    def _same(self, paths: frozenset[str]) -> frozenset[str]:
        return self._paths.setdefault(paths, paths)

    def keys(self) -> Iterator[TargetKey]:
        """Yield every target entity that somebody wants."""
        yield from self._lines

    def changes(self) -> Sequence[Change]:
        """Return what has to be written, in the order of the mapping."""
        lines = sorted(self._lines.values(), key=lambda line: line.rank)
        return [line.change for line in lines if line.change is not None]

    def unchanged(self) -> int:
        """Count the target entities that Port already has as wanted."""
        return sum(1 for line in self._lines.values() if line.change is None)

    def _fold(self, line: _Line, want: Want) -> Change | None:
        if want.rank < line.rank:
            return _overlay_below(line, want, merge=self._merge)
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


def _overlay_below(line: _Line, want: Want, *, merge: bool) -> Change | None:
    """Put a want under what was wanted before; only fields that nobody above speaks of count."""
    top = line.change
    if not merge:
        return top
    unspoken = tuple(field for field in want.fields if field.path not in line.paths)
    if top is None:
        below = _change(want)
        return replace(below, body=_without(want.body, line.paths), fields=unspoken) if below and unspoken else None
    return replace(top, body=_merge_bodies(want.body, top.body), fields=unspoken + top.fields)


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
