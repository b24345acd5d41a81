"""Where a target entity as desired differs from the one Port holds.

Only what the mapping names is compared: under merge, Port keeps everything else (Port's docs). What Port is known or
allowed to normalise is no difference: null and absent are the same, ``team`` is a set whether sent as a string or
a list, a many-relation is a set. Calculated properties are never compared, because nobody can write them.
"""

from collections.abc import Iterator, Mapping

import msgspec

from stageport.model.blueprints import Blueprint
from stageport.model.changes import FieldChange
from stageport.model.entities import Json


def diff_target(
    desired: Json, current: Json, *, blueprint: Blueprint | None = None, merge: bool = True
) -> tuple[FieldChange, ...]:
    """Return the fields of ``desired`` that ``current`` does not have yet; empty when nothing needs writing.

    ``desired`` is a target entity's body, ``current`` the entity as Port returned it. Without ``merge``, Port drops
    what is not sent, so properties and relations that only ``current`` has are differences too.
    """
    return tuple(_changes(desired, current, blueprint, merge=merge))


def same_json(left: Json, right: Json) -> bool:
    """Compare as JSON does: 3 equals 3.0, but true is not 1, and null equals only null."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_json(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)


def is_search(value: Json) -> bool:
    """Tell whether a value is a search query (``combinator`` and ``rules``), which Port evaluates when it writes."""
    return isinstance(value, dict) and "combinator" in value and "rules" in value


def holds_search(body: bytes) -> bool:
    """Tell whether Port finds the team or a relation of a body by a query; what it finds may differ every time."""
    if b'"combinator"' not in body:
        return False
    desired = msgspec.json.decode(body)
    return is_search(desired.get("team")) or any(map(is_search, (desired.get("relations") or {}).values()))


def _changes(desired: Json, current: Json, blueprint: Blueprint | None, *, merge: bool) -> Iterator[FieldChange]:
    yield from _plain(desired, current)
    yield from _properties(desired, current, blueprint, merge=merge)
    yield from _relations(desired, current, merge=merge)


def _plain(desired: Json, current: Json) -> Iterator[FieldChange]:
    for name in ("title", "icon"):
        if name in desired and not _same_plain(desired[name], current.get(name), current):
            yield FieldChange(name, current.get(name), desired[name])
    if "team" in desired:
        after = desired["team"]
        if is_search(after) or _as_set(after) != _as_set(current.get("team")):
            yield FieldChange("team", current.get("team"), after)


def _same_plain(after: Json, before: Json, current: Json) -> bool:
    # An entity without a title is shown, and by some routes returned, under its identifier.
    return after == before or (after is None and before in ("", current.get("identifier")))


def _properties(desired: Json, current: Json, blueprint: Blueprint | None, *, merge: bool) -> Iterator[FieldChange]:
    wanted: Mapping[str, Json] = desired.get("properties") or {}
    held: Mapping[str, Json] = current.get("properties") or {}
    for name, after in wanted.items():
        if not same_json(after, held.get(name)):
            yield FieldChange(f"properties.{name}", held.get(name), after)
    if not merge:
        computed = blueprint.read_only if blueprint else frozenset()
        for name, before in held.items():
            if name not in wanted and before is not None and name not in computed:
                yield FieldChange(f"properties.{name}", before, None)


def _relations(desired: Json, current: Json, *, merge: bool) -> Iterator[FieldChange]:
    wanted: Mapping[str, Json] = desired.get("relations") or {}
    held: Mapping[str, Json] = current.get("relations") or {}
    for name, after in wanted.items():
        if is_search(after) or _as_set(after) != _as_set(held.get(name)):
            yield FieldChange(f"relations.{name}", held.get(name), after)
    if not merge:
        for name, before in held.items():
            if name not in wanted and before:
                yield FieldChange(f"relations.{name}", before, None)


def _as_set(value: Json) -> frozenset[str]:
    if value is None or value == "":
        return frozenset()
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset((str(value),))
