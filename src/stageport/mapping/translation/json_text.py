"""JSON as jq reads and writes it, and numbers as text."""

import json
import re
from typing import Final

from stageport.mapping.translation.values import JqError, OddNumber, Unproven, Value


def plain_number(value: Value) -> int | float:
    """Return an odd number as jq's bindings give it to Python: whole ones as int; an encoder's hook.

    Raises:
        TypeError: the value is no odd number.
    """
    if value.__class__ is not OddNumber:
        raise TypeError(type(value).__name__)
    number = float(value.text)
    return int(number) if number == int(number) else number


_PLAIN_INT: Final = re.compile(r"0|-?[1-9][0-9]{0,14}")

_MODEST: Final = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")


def whole_number(text: str) -> int | OddNumber:
    """Return a whole number of JSON."""
    return int(text) if _PLAIN_INT.fullmatch(text) else _odd_number(text)


def _odd_number(text: str) -> OddNumber:
    if not _MODEST.fullmatch(text):
        raise Unproven  # exponents, and more digits than anybody writes
    return OddNumber(text)


def _refuse(text: str) -> Value:
    raise Unproven(text)


_scan: Final = json.JSONDecoder(parse_float=_odd_number, parse_int=whole_number, parse_constant=_refuse).decode

_ODD_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(text: str) -> Value:
    """Return the value that a JSON text stands for.

    Raises:
        Unproven: jq may read it differently, or not at all.
    """
    if "\\u" in text and _ODD_ESCAPE.search(text):
        raise Unproven  # jq refuses halves of surrogate pairs
    try:
        return _scan(text)
    except (ValueError, RecursionError):
        raise Unproven from None


def text_of(value: Value) -> str:
    """Return what ``tostring`` gives."""
    return value if value.__class__ is str else json_of(value)


def json_of(value: Value) -> str:
    """Return what ``tojson`` gives."""
    try:
        text = _encode(value)
    except (TypeError, RecursionError):
        raise Unproven from None
    if "\x7f" in text:
        return text.replace("\x7f", "\\u007f")
    return text


_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode

_NO_NUMBER: Final = re.compile(r"[sS](?![nN])|[^-+.0-9nNiIsS]")
"""How no number begins, nor ``nan``, ``snan``, ``infinity`` and the like, which are numbers to jq."""


def number_of(value: Value) -> Value:
    """Return what ``tonumber`` gives for whole numbers, and text that plainly is one."""
    kind = value.__class__
    if kind is int:
        return value
    if kind is str:
        if _PLAIN_INT.fullmatch(value):
            return int(value)
        if _NO_NUMBER.match(value):
            raise JqError
        raise Unproven
    raise Unproven if kind is OddNumber else JqError


_NO_JSON: Final = re.compile(r"[ \t\r\n]*(?:[sS](?![nN])|[a-eg-hj-mo-ru-zA-HJ-MO-RT-Z#%<])")
"""How no JSON begins, nor anything else that jq takes for a value."""


def from_json(value: Value) -> Value:
    """Return what ``fromjson`` gives for strict JSON; what cannot be JSON is an error."""
    if value.__class__ is not str:
        raise JqError
    if _NO_JSON.match(value):
        raise JqError
    return read_json(value)
