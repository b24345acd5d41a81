"""Projection: ``fields=kind,metadata.name`` keeps the named parts of an entity."""

from collections.abc import Sequence

import msgspec

from stageport.model.entities import Json
from stageport.sandbox.backstage.answers import InputError
from stageport.sandbox.backstage.catalog import FinalEntity


def parse_fields(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Read the ``fields`` of a request; nothing means whole entities.

    Raises:
        InputError: a field reaches into an array.
    """
    fields = tuple(dict.fromkeys(part.strip() for text in texts or () for part in text.split(",") if part.strip()))
    for field in fields:
        if "[" in field:
            raise InputError(f'Invalid field "{field}", array type fields are not supported')
    return fields


def project(entity: Json, fields: Sequence[str]) -> Json:
    """Return a new entity of the named parts; a part that is missing is left out."""
    kept: Json = {}
    for field in fields:
        path = _path_in(entity, field)
        if path is not None:
            _place(kept, path, _value_at(entity, path))
    return kept


def _path_in(entity: Json, field: str) -> list[str | int] | None:
    """Find the path that a field means: the shortest key that exists wins, a dot may belong to the next."""
    path: list[str | int] = []
    current, pending = entity, None
    for part in field.split("."):
        key = part if pending is None else f"{pending}.{part}"
        step = _step(current, key)
        if step is None:
            pending = key
            continue
        path.append(step)
        current, pending = current[step], None
    return path if pending is None else None


def _step(current: Json, key: str) -> str | int | None:
    if isinstance(current, dict):
        return key if key in current else None
    if isinstance(current, list) and key.isdigit() and int(key) < len(current):
        return int(key)
    return None


def _value_at(entity: Json, path: Sequence[str | int]) -> Json:
    for step in path:
        entity = entity[step]
    return entity


def _place(kept: Json, path: Sequence[str | int], value: Json) -> None:
    for step, following in zip(path, [*path[1:], None], strict=True):
        held = value if following is None else _member(kept, step)
        if held is None or not isinstance(held, dict | list):
            held = value if following is None else ([] if isinstance(following, int) else {})
        if isinstance(kept, list):
            kept.extend([None] * (int(step) + 1 - len(kept)))
        kept[step] = held
        kept = held


def _member(kept: Json, step: str | int) -> Json:
    if isinstance(kept, dict):
        return kept.get(step)
    return kept[step] if isinstance(step, int) and step < len(kept) else None


class Projections:
    """The entities as the last projection left them, encoded: inventories are polled, and seldom change."""

    def __init__(self) -> None:
        self._fields: tuple[str, ...] = ()
        self._encoded: dict[str, tuple[FinalEntity, bytes]] = {}

    def encoded(self, entity: FinalEntity, fields: tuple[str, ...]) -> bytes:
        """Return the projected entity as JSON; all of it when there are no fields."""
        if not fields:
            return entity.body
        if fields != self._fields:
            self._fields, self._encoded = fields, {}
        known = self._encoded.get(entity.uid)
        if known is not None and known[0] is entity:
            return known[1]
        body = msgspec.json.encode(project(entity.decoded(), fields))
        self._encoded[entity.uid] = (entity, body)
        return body
