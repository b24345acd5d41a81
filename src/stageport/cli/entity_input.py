"""Source entities given by hand: JSON or YAML in a file or on standard input."""

import codecs
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from stageport.mapping.batches import split_array
from stageport.mapping.yaml_text import read_yaml
from stageport.model.entities import Json
from stageport.model.errors import StageportError, excerpt
from stageport.model.exits import Exit

STDIN: Final = "-"
WANTED: Final = "Give an entity as Backstage serves it, or an array of them, in JSON or YAML."
_DOCUMENT: Final = re.compile(r"^(?:---(?=\s|$)|\.\.\.\s*$)", re.MULTILINE)
"""Between two YAML documents. No other line may begin so, not even in a block of text."""


class InputError(StageportError):
    """What was given cannot be read, or holds no source entities."""

    exit = Exit.USAGE


def read_input(name: str) -> bytes:
    """Return what a file holds, or standard input for ``-``.

    Raises:
        InputError: it cannot be read.
    """
    if name == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from None


def read_text(name: str) -> str:
    """Return what a file holds as text, without a byte order mark.

    Raises:
        InputError: it cannot be read, or is no UTF-8.
    """
    try:
        return read_input(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{shown_name(name)} is no UTF-8: byte {error.start} is {error.reason}") from None


def shown_name(name: str) -> str:
    """Say what an input is called in messages."""
    return "standard input" if name == STDIN else name


def read_entities(content: bytes, *, name: str) -> list[bytes]:
    """Return the source entities of a text, each as JSON, exactly as written where the text is JSON.

    One entity, an array of them, the answer of Backstage's ``by-query``, or YAML with one or several documents.

    Raises:
        InputError: it is neither JSON nor YAML, or nothing in it is an entity.
    """
    found = _read(content.removeprefix(codecs.BOM_UTF8), name=name)
    values = [msgspec.json.decode(raw) for raw in found]
    if values and not any(map(_may_be_entity, values)):
        hint = (
            f"It looks like a mapping; give that with --mapping. {WANTED}" if any(map(_is_mapping, values)) else WANTED
        )
        raise InputError(f"{name} holds no source entity", hint=hint)
    return found


def _may_be_entity(value: Json) -> bool:
    """Tell what a sync may meet: there, an entity without a name is a fault, and is told as one."""
    return isinstance(value, dict) and not _is_mapping(value) and ("kind" in value or "metadata" in value)


def _is_mapping(value: Json) -> bool:
    return isinstance(value, dict) and "metadata" not in value and ("resources" in value or "port" in value)


def _read(content: bytes, *, name: str) -> list[bytes]:
    try:
        decoded = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _from_yaml(content, name=name, complaint=str(error))
    if isinstance(decoded, list):
        return split_array(content)
    if _is_answer(decoded):
        return split_array(bytes(msgspec.json.decode(content, type=dict[str, msgspec.Raw])["items"]))
    _check_entity(decoded, name=name)
    return [content]


def _is_answer(decoded: Json) -> bool:
    return isinstance(decoded, dict) and "kind" not in decoded and isinstance(decoded.get("items"), list)


def _from_yaml(content: bytes, *, name: str, complaint: str) -> list[bytes]:
    text = content.decode("utf-8-sig", "replace")
    if text.lstrip().startswith(("{", "[")):
        raise InputError(f"{name} is no JSON: {complaint}", hint=f"It begins with {excerpt(text, limit=60)}")
    found: list[bytes] = []
    for part, line in _documents(text):
        read = read_yaml(part)
        if read.faults:
            fault = read.faults[0]
            raise InputError(f"{name}:{line + fault.line - 1}:{fault.column}: {fault.message}")
        if read.value is None:
            continue
        for one in read.value if isinstance(read.value, list) else [read.value]:
            _check_entity(one, name=name)
            found.append(msgspec.json.encode(one))
    if not found:
        raise InputError(
            f"{name} holds no source entity", hint="Give an entity as Backstage serves it, in JSON or YAML."
        )
    return found


def _documents(text: str) -> Iterator[tuple[str, int]]:
    """Cut YAML into its documents, each with the line it begins on."""
    starts = [0, *(found.end() for found in _DOCUMENT.finditer(text))]
    ends = [*(found.start() for found in _DOCUMENT.finditer(text)), len(text)]
    for start, end in zip(starts, ends, strict=True):
        yield text[start:end], text.count("\n", 0, start) + 1


def _check_entity(value: Json, *, name: str) -> None:
    if not isinstance(value, dict):
        raise InputError(
            f"{name} holds no source entity but {excerpt(str(value), limit=60)!r}",
            hint=WANTED,
        )
