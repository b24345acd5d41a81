"""Where a stand-in keeps what it was given: one interface, in memory or in SQLite.

The SQLite store holds everything in memory as well and writes each change through, so that both answer alike and
a restart finds the state again.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from stageport.model.entities import Json
from stageport.sandbox.port.records import EntityKey, StoredEntity


class Store(Protocol):
    """Blueprints, entities, and other records (integrations, cursors, examples) by kind and identifier."""

    def blueprint(self, identifier: str) -> Json | None:
        """Return the document of a blueprint."""
        ...

    def blueprints(self) -> Sequence[Json]:
        """Return all documents, in order of creation."""
        ...

    def put_blueprint(self, document: Json) -> None:
        """Create or replace a blueprint."""
        ...

    def drop_blueprint(self, identifier: str) -> None:
        """Delete a blueprint and its entities."""
        ...

    def entity(self, blueprint: str, identifier: str) -> StoredEntity | None:
        """Return an entity."""
        ...

    def entities(self, blueprint: str) -> Sequence[StoredEntity]:
        """Return all entities of a blueprint by sequence. Read-only; valid until the next write."""
        ...

    def count(self, blueprint: str) -> int:
        """Return how many entities a blueprint has."""
        ...

    def put_entity(self, entity: StoredEntity) -> None:
        """Create or replace an entity."""
        ...

    def drop_entity(self, key: EntityKey) -> None:
        """Delete an entity, if it is there."""
        ...

    def next_sequence(self) -> int:
        """Return a number that is above all given before."""
        ...

    def pointing_at(self, identifier: str) -> Sequence[StoredEntity]:
        """Return the entities with this identifier in any relation, whatever blueprint that leads to."""
        ...

    def record(self, kind: str, identifier: str) -> Json | None:
        """Return a record."""
        ...

    def records(self, kind: str) -> Mapping[str, Json]:
        """Return all records of a kind by identifier."""
        ...

    def put_record(self, kind: str, identifier: str, document: Json) -> None:
        """Create or replace a record."""
        ...

    def drop_record(self, kind: str, identifier: str) -> None:
        """Delete a record, if it is there."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def commit(self) -> None:
        """Make what was written since the last commit durable, all of it or nothing."""
        ...

    def close(self) -> None:
        """Commit and let go."""
        ...


class MemoryStore:
    """A store in dictionaries.

    ``_pointing`` is the reverse of the relations, by identifier alone: which blueprint a relation leads to is the
    blueprint's business and may change, so it is asked when the index is read.
    """

    def __init__(self) -> None:
        self._blueprints: dict[str, Json] = {}
        self._entities: dict[str, dict[str, StoredEntity]] = {}
        self._listings: dict[str, list[StoredEntity]] = {}
        self._pointing: defaultdict[str, dict[EntityKey, None]] = defaultdict(dict)
        self._records: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        self._sequence = 0

    def blueprint(self, identifier: str) -> Json | None:
        """Return the document of a blueprint."""
        return self._blueprints.get(identifier)

    def blueprints(self) -> Sequence[Json]:
        """Return all documents, in order of creation."""
        return list(self._blueprints.values())

    def put_blueprint(self, document: Json) -> None:
        """Create or replace a blueprint."""
        self._blueprints[document["identifier"]] = document

    def drop_blueprint(self, identifier: str) -> None:
        """Delete a blueprint and its entities."""
        for entity in list(self._entities.get(identifier, {}).values()):
            self.drop_entity(entity.key)
        self._blueprints.pop(identifier, None)

    def entity(self, blueprint: str, identifier: str) -> StoredEntity | None:
        """Return an entity."""
        known = self._entities.get(blueprint)
        return None if known is None else known.get(identifier)

    def entities(self, blueprint: str) -> Sequence[StoredEntity]:
        """Return all entities of a blueprint by sequence: a listing that lives until the next write."""
        listing = self._listings.get(blueprint)
        if listing is None:
            listing = sorted(self._entities.get(blueprint, {}).values(), key=lambda entity: entity.sequence)
            self._listings[blueprint] = listing
        return listing

    def count(self, blueprint: str) -> int:
        """Return how many entities a blueprint has."""
        return len(self._entities.get(blueprint, ()))

    def put_entity(self, entity: StoredEntity) -> None:
        """Create or replace an entity."""
        known = self._entities.setdefault(entity.blueprint, {})
        before = known.get(entity.identifier)
        if before is None or before.relations != entity.relations:
            if before is not None:
                self._forget_relations(before)
            for identifier in entity.related():
                self._pointing[identifier][entity.key] = None
        known[entity.identifier] = entity
        self._listings.pop(entity.blueprint, None)
        self._sequence = max(self._sequence, entity.sequence)

    def drop_entity(self, key: EntityKey) -> None:
        """Delete an entity, if it is there."""
        entity = self._entities.get(key.blueprint, {}).pop(key.identifier, None)
        if entity is not None:
            self._forget_relations(entity)
            self._listings.pop(key.blueprint, None)

    def _forget_relations(self, entity: StoredEntity) -> None:
        for identifier in entity.related():
            sources = self._pointing.get(identifier)
            if sources is not None:
                sources.pop(entity.key, None)
                if not sources:
                    del self._pointing[identifier]

    def next_sequence(self) -> int:
        """Return a number that is above all given before."""
        self._sequence += 1
        return self._sequence

    def pointing_at(self, identifier: str) -> Sequence[StoredEntity]:
        """Return the entities with this identifier in any relation, whatever blueprint that leads to."""
        return [self._entities[key.blueprint][key.identifier] for key in self._pointing.get(identifier, ())]

    def record(self, kind: str, identifier: str) -> Json | None:
        """Return a record."""
        return self._records[kind].get(identifier)

    def records(self, kind: str) -> Mapping[str, Json]:
        """Return all records of a kind by identifier."""
        return dict(self._records[kind])

    def put_record(self, kind: str, identifier: str, document: Json) -> None:
        """Create or replace a record."""
        self._records[kind][identifier] = document

    def drop_record(self, kind: str, identifier: str) -> None:
        """Delete a record, if it is there."""
        self._records[kind].pop(identifier, None)

    def clear(self) -> None:
        """Forget everything but the sequence: a listing begun before must not meet old numbers again."""
        self._blueprints.clear()
        self._entities.clear()
        self._listings.clear()
        self._pointing.clear()
        self._records.clear()

    def commit(self) -> None:
        """Do nothing: memory is as durable as it gets."""

    def close(self) -> None:
        """Do nothing."""


def open_store(state_file: Path | None) -> Store:
    """Open the store that a stand-in is set up with."""
    if state_file is None:
        return MemoryStore()
    from stageport.sandbox.port.sqlite_store import SqliteStore

    return SqliteStore(state_file)
