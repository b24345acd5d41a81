"""Reading values out of a parsed document, with every fault noted by its path and nothing thrown on the way.

The coercions are those of Port's own integration, whose configuration models let a number stand for a string and
``"yes"`` for true: mappings that people have must keep loading. A YAML boolean or number in the place of an
expression becomes the jq literal it plainly means.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from stageport.mapping.resource import UNSET, Unset
from stageport.model.entities import Json
from stageport.model.errors import MappingFault

Path = tuple[str | int, ...]

TRUE_WORDS: Final = frozenset({"1", "on", "t", "true", "y", "yes"})
FALSE_WORDS: Final = frozenset({"0", "off", "f", "false", "n", "no"})


def path_text(path: Sequence[str | int]) -> str:
    """Write a path the way people do: ``resources[0].port.entity``."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")


def shape(value: Json) -> str:
    """Name the shape of a value in YAML's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def literal(value: Json) -> str:
    """Return the jq text of a YAML scalar: text is an expression already, the others are literals."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, float) and math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return repr(value)


def plain(value: Json) -> str:
    """Return a YAML scalar as text, where no expression is meant."""
    return value if isinstance(value, str) else str(value)


class Reader:
    """A mapping (the YAML word) at a path, read key by key; faults go to one list shared by the whole document."""

    def __init__(self, value: Json, *, path: Path, faults: list[MappingFault], unknown: list[Path]) -> None:
        self._values: Mapping[str, Json] = {plain(key): entry for key, entry in _entries(value)}
        self._known: set[str] = set()
        self._faults = faults
        self._unknown = unknown
        self.path = path
        if not isinstance(value, dict):
            self.fault("", f"is {shape(value)}, but must be an object")

    def fault(self, key: str | int, message: str) -> None:
        """Note that something is wrong with a key; the empty key stands for this object itself."""
        path = self.path if key == "" else (*self.path, key)
        self._faults.append(MappingFault(path, f"{path_text(path) or 'the document'} {message}"))

    def note_unknown(self) -> None:
        """Remember the keys that nobody asked for; they are ignored, as Port's own integration does."""
        self._unknown.extend((*self.path, key) for key in self._values if key not in self._known)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def keys(self) -> list[str]:
        """Return the keys of the object, all of them known from now on."""
        self._known.update(self._values)
        return list(self._values)

    def get(self, key: str) -> Json | Unset:
        """Return a value as it stands, UNSET when the key is absent."""
        self._known.add(key)
        return self._values.get(key, UNSET)

    def child(self, key: str) -> "Reader | None":
        """Return a reader of a required object below; None when it is missing or of another shape."""
        value = self._required(key)
        if isinstance(value, Unset):
            return None
        if not isinstance(value, dict):
            self.fault(key, f"is {shape(value)}, but must be an object")
            return None
        return self.below(value, key)

    def below(self, value: Json, *steps: str | int) -> "Reader":
        """Return a reader of a value below this one."""
        return Reader(value, path=(*self.path, *steps), faults=self._faults, unknown=self._unknown)

    def text(self, key: str, *, default: str | Unset = UNSET) -> str:
        """Return plain text; a default makes the key optional, but never nullable."""
        value = self.get(key) if key in self or default is not UNSET else self._required(key)
        if isinstance(value, Unset):
            return "" if isinstance(default, Unset) else default
        if not isinstance(value, str | int | float):
            self.fault(key, f"is {shape(value)}, but must be text")
            return ""
        return plain(value)

    def expression(self, key: str) -> str:
        """Return a required jq expression."""
        value = self._required(key)
        return "" if isinstance(value, Unset) else self._expression(key, value)

    def optional_expression(self, key: str, *, literals: bool = True) -> str | Unset | None:
        """Return a jq expression, null, or UNSET.

        Without ``literals`` a YAML boolean stays the word that Port's own integration makes of it (``True``), which
        jq does not know: nobody means ``true`` where a name or an icon belongs, and the field becomes null.
        """
        value = self.get(key)
        if isinstance(value, bool) and not literals:
            return plain(value)
        return value if value is None or isinstance(value, Unset) else self._expression(key, value)

    def _expression(self, key: str, value: Json) -> str:
        if not isinstance(value, str | int | float):
            self.fault(key, f"is {shape(value)}, but must be a jq expression (text){_quoting(value)}")
            return ""
        return literal(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a boolean; the words and numbers that Port's own integration takes are taken too."""
        value = self.get(key)
        if isinstance(value, Unset):
            return default
        word = value.lower() if isinstance(value, str) else str(value).lower() if isinstance(value, int) else ""
        if isinstance(value, float) and value in (0, 1):
            word = str(int(value))
        if word in TRUE_WORDS or word in FALSE_WORDS:
            return word in TRUE_WORDS
        self.fault(key, f"is {_quote(value)}, but must be true or false")
        return default

    def share(self, key: str, *, default: float) -> float:
        """Return a number between 0 and 1, given as a number or as text."""
        value = self.get(key)
        if isinstance(value, Unset):
            return default
        try:
            number = float(value)
        except (TypeError, ValueError):
            self.fault(key, f"is {_quote(value)}, but must be a number between 0 and 1")
            return default
        if not 0 <= number <= 1:
            self.fault(key, f"is {_quote(value)}, but must lie between 0 and 1")
        return number

    def texts(self, key: str) -> tuple[str, ...] | Unset:
        """Return an optional list of plain text."""
        value = self.get(key)
        if isinstance(value, Unset):
            return UNSET
        if not isinstance(value, list):
            self.fault(key, f"is {shape(value)}, but must be a list of text")
            return ()
        for index, entry in enumerate(value):
            if not isinstance(entry, str | int | float):
                self.below({}, key).fault(index, f"is {shape(entry)}, but must be text")
        return tuple(plain(entry) for entry in value if isinstance(entry, str | int | float))

    def _required(self, key: str) -> Json | Unset:
        value = self.get(key)
        if isinstance(value, Unset):
            self.fault("", f"lacks the key {key!r}")
        return value


def _entries(value: Json) -> list[tuple[Json, Json]]:
    return list(value.items()) if isinstance(value, dict) else []


def _quote(value: Json) -> str:
    return repr(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else shape(value)


def _quoting(value: Json) -> str:
    if isinstance(value, list):
        return "; to give several values write one expression with brackets, such as '[.a, .b]'"
    return "; to send null write the expression 'null'" if value is None else ""
