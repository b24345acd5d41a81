"""In which order changes are written.

Upserts go in the order of the mapping, except that a target entity follows those it relates to when Port is not
allowed to create missing related entities: it would refuse the write (404 ``not_found``). Deletes go the other way
round. Circles have no right order, and in Backstage they are the rule (an API's provider, a component's APIs): their
members are first written without the relations that tie them, then whole.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from stageport.model.blueprints import Blueprint
from stageport.model.changes import Change
from stageport.model.entities import Json
from stageport.model.refs import TargetKey

T = TypeVar("T")


def related_keys(body: Json, blueprint: Blueprint | None) -> Iterator[TargetKey]:
    """Yield the target entities that a body relates to; relations the blueprint does not know are left aside."""
    return (TargetKey(*name) for name in related_names(body.get("relations"), blueprint))


def related_names(relations: Json, blueprint: Blueprint | None) -> Iterator[tuple[str, str]]:
    """Yield blueprint and identifier of what a body's relations lead to, as ``related_keys`` does."""
    if blueprint is None or not relations:
        return
    known = blueprint.relations
    for name, value in relations.items():
        if name not in known:
            continue
        target = known[name].target
        for identifier in value if isinstance(value, list) else (value,):
            if isinstance(identifier, str):
                yield target, identifier


def ends_of(change: Change, blueprints: Mapping[str, Blueprint]) -> set[TargetKey]:
    """Return what an upsert relates to."""
    return set(related_keys(msgspec.json.decode(change.body), blueprints.get(change.blueprint)))


def waves(edges: Mapping[TargetKey, Iterable[TargetKey]]) -> list[list[TargetKey]]:
    """Cut what is to be written into waves: all that one relates to stands in an earlier wave, as far as cycles allow.

    ``edges`` tell what each relates to; what is not to be written itself does not count.
    """
    return _by_depth(edges, depths(edges))


def tied(edges: Mapping[TargetKey, Iterable[TargetKey]]) -> list[TargetKey]:
    """Return those that wait for each other in circles, or for such: no order of them is right."""
    waiting = dict.fromkeys(edges)
    ends = {key: set(related) & waiting.keys() for key, related in edges.items()}
    starts: dict[TargetKey, list[TargetKey]] = {}
    for key, related in ends.items():
        for end in related:
            starts.setdefault(end, []).append(key)
    free = [key for key, related in ends.items() if not related]
    while free:
        gone = free.pop()
        del waiting[gone]
        for start in starts.get(gone, ()):
            ends[start].discard(gone)
            if not ends[start]:
                free.append(start)
    return list(waiting)


def untie(change: Change, others: Collection[TargetKey], blueprints: Mapping[str, Blueprint]) -> Change:
    """Return an upsert without those of its relations that lead to one of the others."""
    body = msgspec.json.decode(change.body)
    blueprint = blueprints.get(change.blueprint)
    kept = {
        name: value
        for name, value in (body.get("relations") or {}).items()
        if not any(key in others for key in related_keys({"relations": {name: value}}, blueprint))
    }
    return replace(change, body=msgspec.json.encode({**body, "relations": kept}))


def delete_waves(changes: Sequence[Change], relations: Mapping[TargetKey, Iterable[TargetKey]]) -> list[list[Change]]:
    """Cut deletes into waves: an entity goes before those it relates to, so that nothing deleted has dependents."""
    by_key = {change.key: change for change in changes}
    steps = waves({key: relations.get(key, ()) for key in by_key})
    return [[by_key[key] for key in step] for step in reversed(steps)]


def circular(edges: Mapping[TargetKey, Iterable[TargetKey]]) -> set[TargetKey]:
    """Name those that lie on a circle, or between two: each has an end and a start among them."""
    left = set(edges)
    while True:
        ends = {key: {end for end in _inside(key, edges) if end in left} for key in left}
        started = set().union(*ends.values())
        kept = {key for key in left if ends[key] and key in started}
        if kept == left:
            return left
        left = kept


def depths(edges: Mapping[TargetKey, Iterable[TargetKey]]) -> dict[TargetKey, int]:
    """Tell for each key how many steps lie below it; an edge that closes a cycle does not count."""
    known: dict[TargetKey, int] = {}
    for start in edges:
        stack = [] if start in known else [(start, _inside(start, edges))]
        entered = {start}
        while stack:
            key, ends = stack[-1]
            below = next((end for end in ends if end not in known and end not in entered), None)
            if below is not None:
                entered.add(below)
                stack.append((below, _inside(below, edges)))
                continue
            stack.pop()
            known[key] = 1 + max((known[end] for end in _inside(key, edges) if end in known), default=-1)
    return known


def _inside(key: TargetKey, edges: Mapping[TargetKey, Iterable[TargetKey]]) -> Iterator[TargetKey]:
    return (end for end in edges[key] if end in edges and end != key)


def _by_depth(keys: Iterable[TargetKey], depth: Mapping[TargetKey, int]) -> list[list[TargetKey]]:
    found: dict[int, list[TargetKey]] = {}
    for key in keys:
        found.setdefault(depth[key], []).append(key)
    return [found[step] for step in sorted(found)]


def group_by_blueprint(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Group changes by blueprint, keeping the order inside each group: a request speaks of one blueprint."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.blueprint, []).append(change)
    return groups


def batches(changes: Sequence[T], *, most: int) -> Iterator[Sequence[T]]:
    """Cut what is to be sent into batches of at most ``most`` members."""
    return (changes[start : start + most] for start in range(0, len(changes), most))
