"""The JSON Schema of a property, compiled to one function per property.

A check returns None for a value that fits, and otherwise what is wrong in the words of a JSON Schema validator.
Compiling once per version of a blueprint is what makes a bulk of entities cheap; a general validator walks the
schema for each value.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from stageport.model.entities import Json
from stageport.sandbox.port.formats import FormatCheck

Check = Callable[[Any], str | None]
Formats = Mapping[str, FormatCheck]

_JS_SYNTAX = re.compile(r"\\p\{L\}|\\.|\(\?<(?![=!])|\$|\[(?:\\.|[^\]\\])*\]")


def compile_property(schema: Mapping[str, Json], *, formats: Formats) -> Check:
    """Compile the schema of one property, or of an array's items."""
    checks = [check for compiler in _COMPILERS if (check := compiler(schema, formats)) is not None]
    if not checks:
        return _anything
    return checks[0] if len(checks) == 1 else _all_of(checks)


def _anything(_value: Json) -> str | None:
    return None


def _all_of(checks: list[Check]) -> Check:
    def check(value: Json) -> str | None:
        for one in checks:
            problem = one(value)
            if problem is not None:
                return problem
        return None

    return check


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value == int(value),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}


def _type(schema: Mapping[str, Json], _formats: Formats) -> Check | None:
    wanted = schema.get("type")
    if wanted is None:
        return None
    names = wanted if isinstance(wanted, list) else [wanted]
    tests = [_TYPES[name] for name in names]
    words = f"must be {','.join(names)}"
    if len(tests) == 1:
        (test,) = tests
        return lambda value: None if test(value) else words
    return lambda value: None if any(test(value) for test in tests) else words


def _enum(schema: Mapping[str, Json], _formats: Formats) -> Check | None:
    values = schema.get("enum")
    if not isinstance(values, list):
        return None
    return lambda value: None if _among(value, values) else "must be equal to one of the allowed values"


def _among(value: Json, values: list[Json]) -> bool:
    """Compare as JSON does: true is not 1."""
    return any(one == value and isinstance(one, bool) is isinstance(value, bool) for one in values)


def _format(schema: Mapping[str, Json], formats: Formats) -> Check | None:
    name = schema.get("format")
    if name == "labeled-url":
        return _labeled_url(formats)
    test = formats.get(str(name))
    if test is None:
        return None
    words = f'must match format "{name}"'
    return lambda value: words if isinstance(value, str) and not test(value) else None


def _labeled_url(formats: Formats) -> Check:
    is_url = formats["url"]

    def check(value: Json) -> str | None:
        if not isinstance(value, dict):
            return None
        url, text = value.get("url"), value.get("displayText", "")
        if not isinstance(url, str) or not is_url(url):
            return 'must have a "url" that matches format "url"'
        if not isinstance(text, str):
            return 'must have a string for "displayText"'
        return None if set(value) <= {"url", "displayText"} else "must NOT have additional properties"

    return check


def _string_rules(schema: Mapping[str, Json], _formats: Formats) -> Check | None:
    shortest, longest, pattern = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern")
    if shortest is None and longest is None and pattern is None:
        return None
    expression = compile_pattern(pattern) if pattern is not None else None

    def check(value: Json) -> str | None:
        if not isinstance(value, str):
            return None
        if shortest is not None and len(value) < shortest:
            return f"must NOT have fewer than {shortest} characters"
        if longest is not None and len(value) > longest:
            return f"must NOT have more than {longest} characters"
        if expression is not None and expression.search(value) is None:
            return f'must match pattern "{pattern}"'
        return None

    return check


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Read an ECMAScript pattern, as JSON Schema means it.

    Raises:
        re.error: it has syntax that Python's engine has no equivalent for.
    """
    return re.compile(_JS_SYNTAX.sub(_to_python, pattern), re.ASCII)


def _to_python(match: re.Match[str]) -> str:
    token = match.group()
    if token == "$":  # noqa: S105 - the end of the text; Python's own `$` also matches before a last newline
        return r"\Z"
    if token == "(?<":  # noqa: S105
        return "(?P<"
    if token.startswith("["):
        return token.replace(r"\p{L}", "A-Za-z\u00aa-\U0010ffff")
    return r"(?u:[^\W\d_])" if token == r"\p{L}" else token  # noqa: S105


def _number_rules(schema: Mapping[str, Json], _formats: Formats) -> Check | None:
    rules: list[tuple[str, Callable[[Any, Any], bool], Json]] = [
        (words, test, schema[key]) for key, words, test in _NUMBER_TESTS if _is_number(schema.get(key))
    ]
    if not rules:
        return None

    def check(value: Json) -> str | None:
        if not _is_number(value):
            return None
        return next((f"must be {words} {bound}" for words, test, bound in rules if not test(value, bound)), None)

    return check


_NUMBER_TESTS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("minimum", ">=", lambda value, bound: value >= bound),
    ("maximum", "<=", lambda value, bound: value <= bound),
    ("exclusiveMinimum", ">", lambda value, bound: value > bound),
    ("exclusiveMaximum", "<", lambda value, bound: value < bound),
)


def _array_rules(schema: Mapping[str, Json], formats: Formats) -> Check | None:
    fewest, most, unique = schema.get("minItems"), schema.get("maxItems"), schema.get("uniqueItems")
    items = schema.get("items")
    each = compile_property(items, formats=formats) if isinstance(items, dict) else None

    def check(value: Json) -> str | None:
        if not isinstance(value, list):
            return None
        if fewest is not None and len(value) < fewest:
            return f"must NOT have fewer than {fewest} items"
        if most is not None and len(value) > most:
            return f"must NOT have more than {most} items"
        if unique and any(_among(item, value[:index]) for index, item in enumerate(value)):
            return "must NOT have duplicate items"
        return _check_items(value, each) if each is not None else None

    return None if fewest is None and most is None and not unique and each is None else check


def _check_items(value: list[Json], each: Check) -> str | None:
    for index, item in enumerate(value):
        problem = each(item)
        if problem is not None:
            return f"item {index} {problem}"
    return None


def _object_rules(schema: Mapping[str, Json], formats: Formats) -> Check | None:
    known = {
        name: compile_property(inner, formats=formats)
        for name, inner in (schema.get("properties") or {}).items()
        if isinstance(inner, dict)
    }
    patterns = [
        (compile_pattern(pattern), compile_property(inner, formats=formats))
        for pattern, inner in (schema.get("patternProperties") or {}).items()
        if isinstance(inner, dict)
    ]
    required = schema.get("required")
    wanted = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    rest = schema.get("additionalProperties", True)
    other = compile_property(rest, formats=formats) if isinstance(rest, dict) else None
    if not (known or patterns or wanted or other) and rest is not False:
        return None

    def check(value: Json) -> str | None:
        if not isinstance(value, dict):
            return None
        missing = next((name for name in wanted if name not in value), None)
        if missing is not None:
            return f"must have required property '{missing}'"
        for name, inner in value.items():
            problem = check_member(name, inner)
            if problem is not None:
                return f'"{name}" {problem}'
        return None

    def check_member(name: str, inner: Json) -> str | None:
        checks = [known[name]] if name in known else []
        checks += [compiled for pattern, compiled in patterns if pattern.search(name)]
        if not checks and rest is False:
            return "must NOT be there: no additional properties"
        if not checks and other is not None:
            checks = [other]
        return next((problem for one in checks if (problem := one(inner)) is not None), None)

    return check


_COMPILERS: tuple[Callable[[Mapping[str, Json], Formats], Check | None], ...] = (
    _type,
    _enum,
    _format,
    _string_rules,
    _number_rules,
    _array_rules,
    _object_rules,
)
