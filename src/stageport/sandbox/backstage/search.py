"""The search index: which values an entity has under a key, as Backstage's ``buildEntitySearch`` lists them.

A key is a path of dots, in any casing. Values are texts; null, and what is longer than 200 characters, counts as
there but equals nothing. Nothing is indexed ahead: a catalog of 100,000 entities is asked for few keys.
"""

from collections.abc import Iterator
from decimal import Decimal

from stageport.model.entities import Json
from stageport.sandbox.backstage.catalog import FinalEntity

_LONGEST = 200
_SKIPPED_ROOTS = frozenset({"attachments", "relations", "status"})
_SKIPPED_METADATA = frozenset({"name", "namespace", "uid", "etag"})
_RELATIONS = "relations."


class Searchable:
    """An entity as the search index sees it, decoded only when a key asks for its content."""

    def __init__(self, entity: FinalEntity) -> None:
        self.entity = entity
        self._content: Json = None
        self._decoded: Json = None

    def originals(self, key: str) -> list[str | None]:
        """Return the values under a key in their own casing, each only once however it is cased."""
        if len(key) > _LONGEST:
            return []
        seen: dict[str | None, str | None] = {}
        for value in self._found(key.lower()):
            text = _text(value)
            seen.setdefault(None if text is None else text.lower(), text)
        return list(seen.values())

    def values(self, key: str) -> list[str | None]:
        """Return the values under a key, lower-cased."""
        return [None if text is None else text.lower() for text in self.originals(key)]

    def _found(self, key: str) -> Iterator[Json]:
        if key == "kind":
            yield self.entity.kind
            return
        if key == "metadata.uid":
            yield self.entity.uid
            return
        if self._decoded is None:
            self._decoded = self.entity.decoded()
            self._content = _indexed_part(self._decoded)
        yield from _values_at(self._content, key)
        if key in ("metadata.name", "metadata.namespace"):
            yield self._decoded["metadata"][key.removeprefix("metadata.")]
        if key.startswith(_RELATIONS):
            wanted = key.removeprefix(_RELATIONS)
            yield from (item["targetRef"] for item in self._decoded["relations"] if item["type"].lower() == wanted)


def _indexed_part(entity: Json) -> Json:
    content = {key: value for key, value in entity.items() if key not in _SKIPPED_ROOTS}
    content["metadata"] = {key: value for key, value in entity["metadata"].items() if key not in _SKIPPED_METADATA}
    return content


def _values_at(current: Json, rest: str) -> Iterator[Json]:
    """Walk every way in which the dots of a key can be read; lists are walked through without a step of their own."""
    if isinstance(current, list):
        for item in current:
            yield from _values_at(item, rest)
            if isinstance(item, str) and item.lower() == rest:
                yield True
    elif isinstance(current, dict):
        for key, value in current.items():
            name = key.lower()
            if name == rest:
                yield from _values_at(value, "")
            elif rest.startswith(name + "."):
                yield from _values_at(value, rest[len(name) + 1 :])
    elif not rest:
        yield current


def _text(value: Json) -> str | None:
    """Write a value as JavaScript's ``String`` does."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    text = _number_text(value) if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else None


def _number_text(number: float) -> str:
    """Write a fraction: in digits from a millionth on, with a bare exponent below."""
    if 1e-6 <= abs(number) < 1e21:
        return f"{Decimal(repr(number)):f}"
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa}e{int(exponent):+d}" if exponent else mantissa
