"""What jq makes of values, for the operations that translated expressions use.

Values are Python's own: None, bool, str, list, dict, and int for whole numbers that are written plainly and stay
below 2^53. Every other number is an ``OddNumber``: jq remembers how it was written, so it may be passed on and told
from other types, and nothing else.

``JqError`` says that jq certainly fails; ``Unproven`` that nobody has shown what jq gives. Neither carries a message:
libjq is asked for it.
"""

from collections.abc import Iterable
from typing import Any, Final

Value = Any

LARGEST: Final = 1 << 53

LONGEST_TEXT: Final = 1 << 24
"""Characters and entries that translated code makes at most; more is for jq, whose memory is watched."""


class JqError(Exception):
    """jq raises an error here."""


class Unproven(Exception):  # noqa: N818 - no error: jq has to be asked
    """What jq gives here has not been proven."""


class OddNumber:
    """A number with a fraction or an exponent, a negative zero, or a whole one of 2^53 and more."""

    __slots__ = ("text",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        """Tell whether two values are equal in jq, which no other type is to a number."""
        if other.__class__ is int or other.__class__ is OddNumber:
            raise Unproven
        return False


def field(base: Value, key: str) -> Value:
    """Return ``base[key]`` for a key that is a string."""
    if base.__class__ is dict:
        return base.get(key)
    if base is None:
        return None
    raise JqError


def lookup(base: Value, key: Value) -> Value:
    """Return ``base[key]``."""
    if key.__class__ is str:
        return field(base, key)
    if key.__class__ is not int:
        raise Unproven
    if base is None:
        return None
    if base.__class__ is not list:
        raise JqError if base.__class__ in (dict, bool, int) else Unproven
    if key < 0:
        key += len(base)
    return base[key] if 0 <= key < len(base) else None


def may_lookup(base: Value, key: Value) -> bool:
    """Tell whether ``base[key]?`` gives a value at all."""
    if base is None:
        return _is_key(key)
    kind = base.__class__
    if key.__class__ is str:
        return kind is dict
    if key.__class__ is int and kind is not str:
        return kind is list
    raise Unproven


def _is_key(key: Value) -> bool:
    if key.__class__ in (str, int):
        return True
    raise Unproven


def piece(base: Value, start: int | None, stop: int | None) -> Value:
    """Return ``base[start:stop]``."""
    if base is None:
        return None
    if base.__class__ is str or base.__class__ is list:
        return base[start:stop]
    raise JqError


def may_slice(base: Value) -> bool:
    """Tell whether ``base[start:stop]?`` gives a value at all."""
    return base is None or base.__class__ is str or base.__class__ is list


def each(base: Value) -> Iterable[Value]:
    """Return the values of an array or an object."""
    if base.__class__ is list:
        return base
    if base.__class__ is dict:
        return base.values()
    raise JqError


def each_if_any(base: Value) -> Iterable[Value]:
    """Return the values of an array or an object, none of anything else."""
    if base.__class__ is list:
        return base
    return base.values() if base.__class__ is dict else ()


def same(left: Value, right: Value) -> bool:
    """Tell whether two values are equal; true is not 1."""
    kind = left.__class__
    if kind is not right.__class__:
        # Odd numbers answer for themselves.
        return (kind is OddNumber or right.__class__ is OddNumber) and bool(left == right)
    if kind is list:
        return len(left) == len(right) and all(map(same, left, right))
    if kind is dict:
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    return bool(left == right)


def less(left: Value, right: Value) -> bool:
    """Tell whether one string or whole number is less than another."""
    kind = left.__class__
    if kind is right.__class__ and (kind is str or kind is int):
        return bool(left < right)
    raise Unproven


def add(left: Value, right: Value) -> Value:
    """Return ``left + right``."""
    kind = left.__class__
    if left is None:
        return right
    if right is None:
        return left
    if kind is not right.__class__:
        raise Unproven if kind is OddNumber or right.__class__ is OddNumber else JqError
    if kind is str:
        return bounded(left + right)
    if kind is int:
        return _small(left + right)
    if kind is list:
        return bounded(left + right)
    if kind is dict:
        return {**left, **right}
    raise JqError if kind is bool else Unproven


def _small(number: int) -> int:
    if -LARGEST < number < LARGEST:
        return number
    raise Unproven


def bounded(value: Value) -> Value:
    """Return a value that is not larger than translated code may make."""
    if len(value) > LONGEST_TEXT:
        raise Unproven
    return value


def subtract(left: Value, right: Value) -> Value:
    """Return ``left - right`` for numbers and arrays."""
    kind = left.__class__
    if kind is right.__class__ and kind is int:
        return _small(left - right)
    if kind is right.__class__ and kind is list:
        if len(left) * len(right) > 1_000_000:
            raise Unproven
        return [one for one in left if not any(same(one, other) for other in right)]
    raise Unproven


def divide(left: Value, right: Value) -> Value:
    """Return ``left / right`` for strings: what splitting gives."""
    if left.__class__ is not str or right.__class__ is not str:
        raise Unproven
    if not left:
        return []
    return left.split(right) if right else list(left)


def type_of(value: Value) -> str:
    """Return the name of a value's type."""
    return _TYPES[value.__class__]


_TYPES: Final = {
    type(None): "null",
    bool: "boolean",
    str: "string",
    list: "array",
    dict: "object",
    int: "number",
    OddNumber: "number",
}


def length(value: Value) -> Value:
    """Return how many characters, entries or keys a value has; of a number its absolute value."""
    kind = value.__class__
    if kind is str or kind is list or kind is dict:
        return len(value)
    if value is None:
        return 0
    if kind is int:
        return abs(value)
    raise Unproven


def negate(value: Value) -> bool:
    """Return what ``not`` gives."""
    return value is None or value is False


def keys(value: Value) -> list[Value]:
    """Return the sorted keys of an object, or the indices of an array."""
    if value.__class__ is dict:
        return sorted(value)
    if value.__class__ is list:
        return list(range(len(value)))
    raise JqError


def unsorted_keys(value: Value) -> list[Value]:
    """Return the keys of an object as they stand there, or the indices of an array."""
    return list(value) if value.__class__ is dict else keys(value)


def has(value: Value, key: Value) -> bool:
    """Tell whether an object has a key, or an array an index."""
    if value.__class__ is dict and key.__class__ is str:
        return key in value
    if value.__class__ is list and key.__class__ is int:
        return 0 <= key < len(value)
    raise Unproven


def is_in(key: Value, value: Value) -> bool:
    """Return what ``in`` gives."""
    return has(value, key)


def key_of(value: Value) -> str:
    """Return a computed key of an object, which must be a string."""
    if value.__class__ is str:
        return value
    raise JqError
