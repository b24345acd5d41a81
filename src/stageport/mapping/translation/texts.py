"""What jq's functions make of strings."""

from typing import Final

from stageport.mapping.translation.json_text import json_of
from stageport.mapping.translation.values import JqError, Unproven, Value, bounded, each


def byte_length(value: Value) -> int:
    """Return the length of a string in UTF-8."""
    if value.__class__ is str:
        return len(value) if value.isascii() else len(value.encode())
    raise JqError


def contains(value: Value, part: Value) -> bool:
    """Tell whether a string contains another."""
    if value.__class__ is str and part.__class__ is str:
        return part in value
    raise Unproven


def index_of(value: Value, part: Value) -> int | None:
    """Return where a string first contains another, None when it does not."""
    if value.__class__ is not str or part.__class__ is not str or not part:
        raise Unproven
    at = value.find(part)
    return at if at >= 0 else None


def last_index_of(value: Value, part: Value) -> int | None:
    """Return where a string last contains another, None when it does not."""
    if value.__class__ is not str or part.__class__ is not str or not part:
        raise Unproven
    at = value.rfind(part)
    return at if at >= 0 else None


def starts(value: Value, part: Value) -> bool:
    """Tell whether a string starts with another."""
    if value.__class__ is str and part.__class__ is str:
        return value.startswith(part)
    raise JqError


def ends(value: Value, part: Value) -> bool:
    """Tell whether a string ends with another."""
    if value.__class__ is str and part.__class__ is str:
        return value.endswith(part)
    raise JqError


def without_start(value: Value, part: Value) -> str:
    """Return what ``ltrimstr`` gives; this libjq refuses what is no string."""
    if value.__class__ is str and part.__class__ is str:
        return value.removeprefix(part)
    raise Unproven


def without_end(value: Value, part: Value) -> str:
    """Return what ``rtrimstr`` gives."""
    if value.__class__ is str and part.__class__ is str:
        return value.removesuffix(part)
    raise Unproven


def _ascii(value: Value) -> str:
    if value.__class__ is str and value.isascii():
        return value
    raise Unproven


_SPACE: Final = " \t\n\r\f\v"


def trim(value: Value) -> str:
    """Return a string without white space around it."""
    return _ascii(value).strip(_SPACE)


def trim_left(value: Value) -> str:
    """Return a string without white space before it."""
    return _ascii(value).lstrip(_SPACE)


def trim_right(value: Value) -> str:
    """Return a string without white space behind it."""
    return _ascii(value).rstrip(_SPACE)


_DOWN: Final = {ordinal: ordinal + 32 for ordinal in range(65, 91)}

_UP: Final = {ordinal: ordinal - 32 for ordinal in range(97, 123)}


def lower(value: Value) -> str:
    """Return a string with the letters A to Z in lower case."""
    if value.__class__ is not str:
        raise JqError
    return value.lower() if value.isascii() else value.translate(_DOWN)


def upper(value: Value) -> str:
    """Return a string with the letters a to z in upper case."""
    if value.__class__ is not str:
        raise JqError
    return value.upper() if value.isascii() else value.translate(_UP)


def join(value: Value, separator: Value) -> str:
    """Return the entries of an array of strings, whole numbers, booleans and nulls as one string."""
    if separator.__class__ is not str:
        raise Unproven
    text: str = bounded(separator.join([_joined(one) for one in each(value)]))
    return text


def _joined(value: Value) -> str:
    if value.__class__ is str:
        return value
    if value is None:
        return ""
    if value.__class__ in (bool, int):
        return json_of(value)
    raise Unproven
