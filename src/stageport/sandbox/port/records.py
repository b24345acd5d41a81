"""What the stand-in stores of an entity, and how it writes times."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from stageport.model.entities import Json


class EntityKey(NamedTuple):
    """What an entity is called: its blueprint and its identifier in it."""

    blueprint: str
    identifier: str


class StoredEntity(msgspec.Struct, frozen=True, array_like=True):
    """One entity. ``sequence`` is its place in listings: it never changes while the entity lives.

    ``properties`` holds what was given, nulls included. ``relations`` holds a string or None for a relation of one,
    a list for a relation of many. ``datasource`` is the User-Agent of the last write. Values are never changed in
    place: a write replaces the whole.
    """

    sequence: int
    blueprint: str
    identifier: str
    title: str | None
    icon: str | None
    team: list[str]
    properties: dict[str, Json]
    relations: dict[str, str | list[str] | None]
    datasource: str
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str

    @property
    def key(self) -> EntityKey:
        """What the entity is called."""
        return EntityKey(self.blueprint, self.identifier)

    def related(self) -> Iterator[str]:
        """Yield the identifiers of all relations, whatever blueprints they lead to."""
        for value in self.relations.values():
            if isinstance(value, str):
                yield value
            elif value is not None:
                yield from value

    def same_content(self, other: "StoredEntity") -> bool:
        """Tell whether the two differ in nothing but who wrote them and when."""
        return (
            self.title == other.title
            and self.icon == other.icon
            and self.team == other.team
            and self.properties == other.properties
            and self.relations == other.relations
        )


def iso_time(seconds: float) -> str:
    """Write a time as Port does: UTC, milliseconds, ``Z``. Such texts sort like the times they stand for."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def read_time(text: str) -> str:
    """Bring any ISO 8601 time into the form of :func:`iso_time`.

    Raises:
        ValueError: it is no time.
    """
    moment = datetime.fromisoformat(text)
    return iso_time((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
