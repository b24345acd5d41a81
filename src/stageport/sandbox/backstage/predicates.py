"""Filter predicates: the one language into which every ``filter`` and ``query`` of the catalog API is read.

    {"kind": "component", "spec.type": {"$in": ["service", "website"]}}

Fields of one object must all match; ``$all``, ``$any`` and ``$not`` combine. Keys and values compare in any casing.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from stageport.model.entities import Json
from stageport.sandbox.backstage.answers import InputError
from stageport.sandbox.backstage.search import Searchable

Matcher = Callable[[Searchable], bool]
_LOGICAL = frozenset({"$all", "$any", "$not"})


def parse_filters(filters: list[str] | None) -> Json:
    """Read the ``filter`` parameters of a request; None when they say nothing.

    Raises:
        InputError: a statement has no key.
    """
    sets = [predicate for text in filters or () if (predicate := _parse_filter(text)) is not None]
    if not sets:
        return None
    return sets[0] if len(sets) == 1 else {"$any": sets}


def _parse_filter(text: str) -> Json:
    values: dict[str, list[str]] = {}
    for statement in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = statement.partition("=")
        key = key.strip() if equals else key
        if not key:
            raise InputError(
                f"Invalid filter, '{statement}' is not a valid statement (expected a string on the form a=b or a= or a)"
            )
        held = values.setdefault(key, [])
        if equals:
            held.append(value.strip())
    predicates = [{key: _value_predicate(held)} for key, held in values.items()]
    if not predicates:
        return None
    return predicates[0] if len(predicates) == 1 else {"$all": predicates}


def _value_predicate(values: list[str]) -> Json:
    if not values:
        return {"$exists": True}
    return values[0] if len(values) == 1 else {"$in": values}


def checked_predicate(predicate: Json) -> Json:
    """Return the ``query`` of a request body if it has the shape of a predicate at all; None stays None.

    Raises:
        InputError: it has not; logical operators, for one, stand alone in their object.
    """
    if predicate is not None and not _is_predicate(predicate):
        raise InputError("Invalid query: Validation error: Invalid input")
    return predicate


def _is_predicate(value: Json) -> bool:
    if not isinstance(value, dict):
        return _is_primitive(value)
    names = set(value)
    if not names & _LOGICAL:
        return all(not key.startswith("$") and _is_value_predicate(held) for key, held in value.items())
    if len(names) != 1:
        return False
    (name, held), *_ = value.items()
    if name == "$not":
        return _is_predicate(held)
    return isinstance(held, list) and all(_is_predicate(item) for item in held)


def _is_value_predicate(value: Json) -> bool:
    if not isinstance(value, dict):
        return _is_primitive(value)
    return (
        ("$exists" in value and isinstance(value["$exists"], bool))
        or ("$in" in value and isinstance(value["$in"], list) and all(_is_primitive(item) for item in value["$in"]))
        or ("$contains" in value and _is_predicate(value["$contains"]))
        or ("$hasPrefix" in value and isinstance(value["$hasPrefix"], str))
    )


def matcher(predicate: Json) -> Matcher:
    """Compile a predicate.

    Raises:
        InputError: it asks for something that the catalog cannot answer.
    """
    if not isinstance(predicate, dict):
        raise InputError(
            "Invalid filter predicate: top-level primitive values are not supported. "
            f'Wrap the value in a field expression, e.g. {{ "kind": {_json(predicate)} }}'
        )
    if "$not" in predicate:
        inner = matcher(predicate["$not"])
        return lambda entity: not inner(entity)
    if "$all" in predicate:
        parts = [matcher(item) for item in predicate["$all"]]
        return lambda entity: all(part(entity) for part in parts)
    if "$any" in predicate:
        parts = [matcher(item) for item in predicate["$any"]]
        return lambda entity: any(part(entity) for part in parts)
    fields = [_field_matcher(key.lower(), value) for key, value in predicate.items()]
    return lambda entity: all(field(entity) for field in fields)


def _field_matcher(key: str, value: Json) -> Matcher:
    if _is_primitive(value):
        return _one_of(key, [value])
    if isinstance(value, dict):
        for operator, build in _BUILDERS.items():
            if operator in value:
                return build(key, value[operator])
    raise InputError(
        f'Invalid filter predicate value for field "{key}": expected a primitive value, $exists, $in, $hasPrefix, '
        f"or $contains operator, but got {_json(value)}"
    )


def _exists(key: str, wanted: bool) -> Matcher:  # noqa: FBT001 - the operand of an operator
    return lambda entity: bool(entity.values(key)) is wanted


def _one_of(key: str, values: list[Json]) -> Matcher:
    wanted = {_text(value) for value in values}
    return lambda entity: not wanted.isdisjoint(entity.values(key))


def _has_prefix(key: str, prefix: str) -> Matcher:
    wanted = prefix.lower()
    return lambda entity: any(value is not None and value.startswith(wanted) for value in entity.values(key))


def _contains(key: str, target: Json) -> Matcher:
    if _is_primitive(target):
        return _one_of(key, [target])
    if isinstance(target, dict) and key == "relations":
        return _contains_relation(target)
    if isinstance(target, dict):
        raise InputError(f'Object form of $contains is not supported for field "{key}"')
    raise InputError(f'Unsupported $contains target for field "{key}": {_json(target)}')


def _contains_relation(target: Mapping[str, Json]) -> Matcher:
    wanted: dict[str, Json] = {}
    for name, value in target.items():
        if name.lower() not in ("type", "targetref"):
            raise InputError(
                f'Unsupported key "{name}" in $contains for "relations". Only "type" and "targetRef" are supported'
            )
        if name.lower() in wanted:
            raise InputError(f'Duplicate key "{name}" in $contains for "relations"')
        wanted[name.lower()] = value
    if not isinstance(wanted.get("type"), str) or not wanted["type"]:
        raise InputError('The $contains operator for "relations" requires a "type" string property')
    key = f"relations.{wanted['type'].lower()}"
    return _one_of(key, _targets(wanted["targetref"])) if "targetref" in wanted else _exists(key, True)  # noqa: FBT003


def _targets(value: Json) -> list[Json]:
    if isinstance(value, str):
        return [value]
    held = value.get("$in") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(held, list) or not all(isinstance(item, str) for item in held):
        raise InputError(
            'Unsupported value in $contains for "relations": expected a string or { "$in": [strings] }, '
            f"but got {_json(value)}"
        )
    if not held:
        raise InputError('Empty "$in" array for $contains on "relations" is not allowed')
    return held


_BUILDERS: Mapping[str, Callable[[str, Json], Matcher]] = MappingProxyType(
    {"$exists": _exists, "$in": _one_of, "$hasPrefix": _has_prefix, "$contains": _contains}
)


def kinds_of(predicate: Json) -> set[str] | None:
    """Return the kinds to which a predicate confines itself, lower-cased; None when it may match any."""
    if not isinstance(predicate, dict):
        return None
    if "$all" in predicate:
        confined = [kinds for item in predicate["$all"] if (kinds := kinds_of(item)) is not None]
        return set.intersection(*confined) if confined else None
    if "$any" in predicate:
        parts = [kinds_of(item) for item in predicate["$any"]]
        return None if not parts or None in parts else set().union(*(part for part in parts if part))
    for key, value in predicate.items():
        if key.lower() == "kind":
            if _is_primitive(value):
                return {_text(value)}
            if isinstance(value, dict) and "$in" in value and "$exists" not in value:
                return {_text(item) for item in value["$in"]}
    return None


def is_only_kind(predicate: Json) -> bool:
    """Tell whether a predicate asks for kinds and nothing else."""
    return (
        isinstance(predicate, dict)
        and [key.lower() for key in predicate] == ["kind"]
        and kinds_of(predicate) is not None
    )


def _is_primitive(value: Json) -> bool:
    return isinstance(value, str | int | float)


def _text(value: Json) -> str:
    return str(value).lower()


def _json(value: Json) -> str:
    return msgspec.json.encode(value).decode()
