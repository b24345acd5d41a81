"""Deleting entities: who stands in the way, who goes along, who is left without a relation.

A dependent is an entity that *requires* the one deleted: Port's documentation of ``delete_dependents`` speaks of
required relations. Any other relation to it is unset.
"""

from collections.abc import Iterable

from msgspec import structs

from stageport.sandbox.port.paths import PathWalker
from stageport.sandbox.port.problems import has_dependents
from stageport.sandbox.port.records import EntityKey, StoredEntity
from stageport.sandbox.port.store import Store


class EntityRemover:
    """Deletes entities."""

    def __init__(self, store: Store, walker: PathWalker) -> None:
        self._store = store
        self._walker = walker

    def remove(self, keys: Iterable[EntityKey], *, delete_dependents: bool) -> list[StoredEntity]:
        """Delete the entities that exist, and return all that were deleted, dependents included.

        Raises:
            PortProblem: 403 ``has_dependents``; then nothing was deleted.
        """
        doomed = {key: None for key in keys if self._store.entity(*key) is not None}
        for key in list(doomed):
            # Taken at its word, the documentation lets one entity with dependents fail the whole of a bulk, even when
            # the dependents are to be deleted by the same request.
            dependents = self._dependents(key)
            if dependents and not delete_dependents:
                raise has_dependents(
                    f'Entity "{key.identifier}" of blueprint "{key.blueprint}" is required by '
                    f'"{dependents[0].identifier}" of blueprint "{dependents[0].blueprint}"'
                )
        self._add_dependents(doomed)
        removed = [entity for key in doomed if (entity := self._store.entity(*key)) is not None]
        for entity in removed:
            self._unset_relations_to(entity.key, doomed)
            self._store.drop_entity(entity.key)
        return removed

    def _dependents(self, key: EntityKey) -> list[EntityKey]:
        return [source.key for source, _name in self._walker.incoming(key, required=True) if source.key != key]

    def _add_dependents(self, doomed: dict[EntityKey, None]) -> None:
        fringe = list(doomed)
        while fringe:
            for key in self._dependents(fringe.pop()):
                if key not in doomed:
                    doomed[key] = None
                    fringe.append(key)

    def _unset_relations_to(self, key: EntityKey, doomed: dict[EntityKey, None]) -> None:
        for source, name in list(self._walker.incoming(key, required=False)):
            if source.key in doomed:
                continue
            current = self._store.entity(*source.key) or source
            self._store.put_entity(structs.replace(current, relations=_without(current, name, key.identifier)))


def _without(entity: StoredEntity, name: str, identifier: str) -> dict[str, str | list[str] | None]:
    value = entity.relations[name]
    left = [one for one in value if one != identifier] if isinstance(value, list) else None
    return {**entity.relations, name: left}
