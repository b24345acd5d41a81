"""A value against the JSON Schema of its property: everything that is wrong with it, in words for people.

Port holds every property of an entity against its blueprint with a JSON Schema validator; these are its rules, for
the keywords that a property of a blueprint may have.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from stageport.model.entities import Json
from stageport.plan.formats import FORMATS, is_url

Wrong = tuple[str, str]
"""Where in the value, and what; the first is ``[0]`` or ``.url``, empty for the value itself."""

SHOWN: Final = 40


def wrongs_of(value: Json, schema: Json) -> Iterator[Wrong]:
    """Yield what a schema has against a value, with the place of each inside the value."""
    if not isinstance(schema, Mapping):
        return
    problem = _type_problem(value, schema.get("type"))
    if problem:
        # A value of the wrong type breaks every other rule too; one sentence is enough.
        yield "", problem
        return
    yield from (("", words) for words in _enum(value, schema))
    for kind, rules in _RULES:
        if kind(value):
            yield from rules(value, schema)


def shown(value: Json) -> str:
    """Write a value for a message, shortened."""
    if not is_scalar(value):
        return type_name(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def is_scalar(value: Json) -> bool:
    """Tell whether a value is neither list nor object."""
    return not isinstance(value, dict | list)


def type_name(value: Json) -> str:
    """Name the type of a value in JSON's words."""
    if value is None:
        return "null"
    for name, test in _TYPES.items():
        if name != "integer" and test(value):
            return f"an {name}" if name[0] in "aeiou" else f"a {name}"
    return "no JSON"


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value == int(value),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _type_problem(value: Json, wanted: Json) -> str:
    names = [wanted] if isinstance(wanted, str) else [name for name in wanted or () if isinstance(name, str)]
    if not names or any(name not in _TYPES or _TYPES[name](value) for name in names):
        return ""
    given = f"{type_name(value)}, {shown(value)}" if is_scalar(value) and value is not None else type_name(value)
    return f"is {given}; it must be {' or '.join(f'of type {name}' for name in names)}"


def _enum(value: Json, schema: Json) -> Iterator[str]:
    allowed = schema.get("enum")
    if isinstance(allowed, list) and not any(_same(value, one) for one in allowed):
        yield f"is {shown(value)}; it must be one of {', '.join(map(shown, allowed))}"


def _same(one: Json, other: Json) -> bool:
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


def _text_rules(value: str, schema: Json) -> Iterator[Wrong]:
    name = schema.get("format")
    if name in FORMATS:
        test, words = FORMATS[name]
        if not test(value):
            yield "", f"is {shown(value)}; format {name} wants {words}"
    shortest, longest, pattern = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern")
    if shortest is not None and len(value) < shortest:
        yield "", f"has {len(value)} characters; at least {shortest} are wanted"
    if longest is not None and len(value) > longest:
        yield "", f"has {len(value)} characters; {longest} is the most"
    compiled = _pattern(pattern) if isinstance(pattern, str) else None
    if compiled is not None and compiled.search(value) is None:
        yield "", f"is {shown(value)}; it must match the pattern {pattern}"


def _number_rules(value: float, schema: Json) -> Iterator[Wrong]:
    bounds: tuple[tuple[str, Callable[[float], bool], str], ...] = (
        ("minimum", lambda bound: value >= bound, "at least"),
        ("maximum", lambda bound: value <= bound, "at most"),
        ("exclusiveMinimum", lambda bound: value > bound, "more than"),
        ("exclusiveMaximum", lambda bound: value < bound, "less than"),
    )
    for key, holds, words in bounds:
        if _is_number(schema.get(key)) and not holds(schema[key]):
            yield "", f"is {value}; it must be {words} {schema[key]}"


def _array_rules(value: list[Json], schema: Json) -> Iterator[Wrong]:
    fewest, most = schema.get("minItems"), schema.get("maxItems")
    if fewest is not None and len(value) < fewest:
        yield "", f"has {len(value)} items; at least {fewest} are wanted"
    if most is not None and len(value) > most:
        yield "", f"has {len(value)} items; {most} is the most"
    if schema.get("uniqueItems"):
        twice = next((one for at, one in enumerate(value) if any(_same(one, seen) for seen in value[:at])), None)
        if twice is not None:
            yield "", f"holds {shown(twice)} more than once"
    for index, item in enumerate(value):
        yield from ((f"[{index}]{where}", words) for where, words in wrongs_of(item, schema.get("items")))


def _object_rules(value: dict[str, Json], schema: Json) -> Iterator[Wrong]:
    if schema.get("format") == "labeled-url":
        yield from _labeled_url(value)
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        if name not in value:
            yield "", f"lacks the key {name}"
    for name, inner in value.items():
        for each in _member_schemas(name, schema):
            yield from ((f".{name}{where}", words) for where, words in wrongs_of(inner, each))
        if schema.get("additionalProperties") is False and not _member_schemas(name, schema):
            yield f".{name}", "is not foreseen: the property allows no further keys"


def _member_schemas(name: str, schema: Json) -> list[Json]:
    found = [schema["properties"][name]] if name in (schema.get("properties") or {}) else []
    for pattern, inner in (schema.get("patternProperties") or {}).items():
        compiled = _pattern(pattern)
        if compiled is not None and compiled.search(name):
            found.append(inner)
    rest = schema.get("additionalProperties")
    return found or ([rest] if isinstance(rest, Mapping) else [])


def _labeled_url(value: dict[str, Json]) -> Iterator[Wrong]:
    url = value.get("url")
    if not isinstance(url, str) or not is_url(url):
        yield ".url", f"is {shown(url)}; format labeled-url wants {FORMATS['url'][1]}"
    if not isinstance(value.get("displayText", ""), str):
        yield ".displayText", "must be text"
    for name in value.keys() - {"url", "displayText"}:
        yield f".{name}", "is not foreseen: a labeled-url has the keys url and displayText"


_ECMASCRIPT: Final = re.compile(r"\\p\{L\}|\\.|\(\?<(?![=!])|\$|\[(?:\\.|[^\]\\])*\]")


def _pattern(pattern: str) -> re.Pattern[str] | None:
    """Read an ECMAScript pattern; None when Python has no equivalent, and nothing can be said."""
    try:
        return re.compile(_ECMASCRIPT.sub(_to_python, pattern), re.ASCII)
    except re.error:
        return None


def _to_python(found: re.Match[str]) -> str:
    part = found[0]
    if part.startswith("["):
        return part.replace(r"\p{L}", "A-Za-z\u00aa-\U0010ffff")
    return {"$": r"\Z", "(?<": "(?P<", r"\p{L}": r"(?u:[^\W\d_])"}.get(part, part)


_RULES: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any, Json], Iterator[Wrong]]], ...]] = (
    (_TYPES["string"], _text_rules),
    (_TYPES["number"], _number_rules),
    (_TYPES["array"], _array_rules),
    (_TYPES["object"], _object_rules),
)
