"""Walks along relations: what is related to an entity, in which direction, over which path."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from stageport.model.entities import Json
from stageport.sandbox.port.catalog import Catalog
from stageport.sandbox.port.problems import invalid
from stageport.sandbox.port.records import EntityKey, StoredEntity
from stageport.sandbox.port.shapes import need_object, need_text
from stageport.sandbox.port.store import Store

MAX_HOPS = 15


class PathWalker:
    """Follows relations from entity to entity."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog

    def follow(self, entity: StoredEntity, relation: str) -> Iterator[StoredEntity]:
        """Yield the entities that one relation of an entity leads to."""
        blueprint = self._catalog.find(entity.blueprint)
        if blueprint is None or relation not in blueprint.relations:
            return
        value = entity.relations.get(relation)
        for identifier in value if isinstance(value, list) else [value]:
            found = self._store.entity(blueprint.relations[relation].target, identifier) if identifier else None
            if found is not None:
                yield found

    def outgoing(self, entity: StoredEntity, *, required: bool | None = None) -> Iterator[StoredEntity]:
        """Yield what an entity relates to; only over required relations, only over others, or over all."""
        blueprint = self._catalog.find(entity.blueprint)
        for name, relation in blueprint.relations.items() if blueprint else ():
            if required is None or relation.required is required:
                yield from self.follow(entity, name)

    def incoming(self, key: EntityKey, *, required: bool | None = None) -> Iterator[tuple[StoredEntity, str]]:
        """Yield the entities that relate to one, each with the name of the relation."""
        # The index knows identifiers only; which blueprint a relation leads to is asked here, as it is now.
        for source in self._store.pointing_at(key.identifier):
            blueprint = self._catalog.find(source.blueprint)
            for name, relation in blueprint.relations.items() if blueprint else ():
                if relation.target != key.blueprint or (required is not None and relation.required is not required):
                    continue
                value = source.relations.get(name)
                if value == key.identifier or (isinstance(value, list) and key.identifier in value):
                    yield source, name

    def related(
        self, blueprint: str, identifiers: Sequence[str], *, direction: str | None, required: bool | None
    ) -> set[EntityKey]:
        """Return everything reached from some entities: what they depend on (upstream), what depends on them."""
        start = {EntityKey(blueprint, identifier) for identifier in identifiers}
        reached: set[EntityKey] = set()
        for one in ("upstream", "downstream") if direction is None else (direction,):
            reached |= self._spread(start, direction=one, required=required)
        return reached - start

    def _step(self, key: EntityKey, *, direction: str, required: bool | None) -> Iterator[EntityKey]:
        if direction == "downstream":
            yield from (source.key for source, _name in self.incoming(key, required=required))
            return
        entity = self._store.entity(*key)
        if entity is not None:
            yield from (target.key for target in self.outgoing(entity, required=required))

    def _spread(self, start: set[EntityKey], *, direction: str, required: bool | None) -> set[EntityKey]:
        reached, fringe = set(start), list(start)
        while fringe:
            for key in self._step(fringe.pop(), direction=direction, required=required):
                if key not in reached:
                    reached.add(key)
                    fringe.append(key)
        return reached

    def along(
        self, path: Sequence[Json], from_blueprint: Json, wanted: Sequence[str]
    ) -> Callable[[StoredEntity], bool]:
        """Return a test whether an entity reaches one of some identifiers over a path of relations.

        With ``from_blueprint`` the path starts there, at the entities of these identifiers, and the test is whether
        the entity lies at its end.
        """
        hops = [_hop(one) for one in path]
        if not hops:
            raise invalid('"path" must NOT have fewer than 1 items')
        if from_blueprint is None:
            return lambda entity: any(found.identifier in wanted for found in self._ends([entity], hops))
        starts = [self._store.entity(need_text(from_blueprint, "fromBlueprint"), one) for one in wanted]
        ends = {found.key for found in self._ends([one for one in starts if one is not None], hops)}
        return lambda entity: entity.key in ends

    def _ends(self, starts: Sequence[StoredEntity], hops: Sequence[tuple[str, int]]) -> list[StoredEntity]:
        current = list(starts)
        for relation, most in hops:
            passed: dict[EntityKey, StoredEntity] = {}
            for _hop_number in range(most):
                step = {found.key: found for entity in current for found in self.follow(entity, relation)}
                current = list(step.values())
                passed |= step
            current = list(passed.values())
        return current

    def properties_like(self, blueprint: str, schema: Mapping[str, Json]) -> list[str]:
        """Return the properties of a blueprint that are of a type, and of a format if one is named."""
        found = self._catalog.find(blueprint)
        if found is None:
            return []
        properties = found.document["schema"]["properties"]
        return [name for name, entry in properties.items() if all(entry.get(key) == schema[key] for key in schema)]


def _hop(one: Json) -> tuple[str, int]:
    if isinstance(one, str):
        return one, 1
    hop = need_object(one, "path")
    most = hop.get("maxHops", 1)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MAX_HOPS:
        raise invalid(f'"maxHops" must be a number from 1 to {MAX_HOPS}')
    return need_text(hop.get("relation"), "relation"), most
