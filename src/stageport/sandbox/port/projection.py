"""How a stored entity is shown: all of it, or the fields that were asked for.

Relations are all listed, unset ones as null or as an empty list. Properties are listed as they were given, nulls
included; :class:`~stageport.sandbox.port.options.Behaviour` can list the unset ones too. Mirror properties are
computed here. Calculation and aggregation properties have no value in a stand-in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stageport.model.entities import Json
from stageport.sandbox.port.catalog import Catalog, CompiledBlueprint
from stageport.sandbox.port.options import Behaviour
from stageport.sandbox.port.paths import PathWalker
from stageport.sandbox.port.records import StoredEntity

_HEAD = ("identifier", "title", "icon", "blueprint", "team", "createdAt", "createdBy", "updatedAt", "updatedBy")
_META_OF_MIRROR = ("$identifier", "$title", "$icon", "$team", "$createdAt", "$updatedAt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Which fields an answer is to have: dotted names to include (empty: all) and to leave out."""

    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    exclude_calculated: bool = False
    attach_titles: bool = False

    def allows(self, group: str, name: str) -> bool:
        """Tell whether a member of a group is shown (``properties``, ``type``)."""
        dotted = f"{group}.{name}"
        if group in self.exclude or dotted in self.exclude:
            return False
        return not self.include or group in self.include or dotted in self.include

    def has_group(self, group: str) -> bool:
        """Tell whether any member of a group may be shown."""
        if group in self.exclude:
            return False
        prefix = f"{group}."
        return not self.include or group in self.include or any(name.startswith(prefix) for name in self.include)


@dataclass(frozen=True, slots=True)
class _Shown:
    """The names that are shown of one blueprint's entities; None: not even the group they would be in."""

    head: frozenset[str]
    properties: frozenset[str] | None
    relations: frozenset[str] | None

    @classmethod
    def of(cls, fields: Fields, blueprint: CompiledBlueprint) -> "_Shown":
        def group(name: str, members: Iterable[str]) -> frozenset[str] | None:
            return frozenset(one for one in members if fields.allows(name, one)) if fields.has_group(name) else None

        return cls(
            head=frozenset(name for name in _HEAD if _shows(fields, name)),
            properties=group("properties", [*blueprint.checks, *blueprint.computed]),
            relations=group("relations", blueprint.relations),
        )


class Projector:
    """Shows entities, all with the same fields."""

    def __init__(self, catalog: Catalog, walker: PathWalker, behaviour: Behaviour, fields: Fields) -> None:
        self._catalog = catalog
        self._walker = walker
        self._unset_as_null = behaviour.unset_properties_as_null
        self._fields = fields
        self._shown: dict[str, _Shown] = {}

    def show_all(self, entities: Iterable[StoredEntity]) -> list[dict[str, Json]]:
        """Show several entities."""
        return [self.show(entity) for entity in entities]

    def show(self, entity: StoredEntity) -> dict[str, Json]:
        """Show one entity as Port answers it."""
        blueprint = self._catalog.get(entity.blueprint)
        asked = self._asked(blueprint)
        shown = {name: value for name, value in _head(entity).items() if name in asked.head}
        if asked.properties is not None:
            properties = self._properties(entity, blueprint)
            shown["properties"] = {name: value for name, value in properties.items() if name in asked.properties}
        if asked.relations is not None:
            relations = self._relations(entity, blueprint)
            shown["relations"] = {name: value for name, value in relations.items() if name in asked.relations}
        return shown

    def _asked(self, blueprint: CompiledBlueprint) -> "_Shown":
        asked = self._shown.get(blueprint.identifier)
        if asked is None:
            asked = self._shown[blueprint.identifier] = _Shown.of(self._fields, blueprint)
        return asked

    def _properties(self, entity: StoredEntity, blueprint: CompiledBlueprint) -> Mapping[str, Json]:
        properties: Mapping[str, Json] = {
            name: value for name, value in entity.properties.items() if name in blueprint.checks
        }
        if self._unset_as_null:
            properties = {name: entity.properties.get(name) for name in blueprint.checks}
        if blueprint.computed and not self._fields.exclude_calculated:
            mirrors = {name: self._mirror(entity, path) for name, path in blueprint.mirrors.items()}
            return {**properties, **dict.fromkeys(blueprint.computed), **mirrors}
        return properties

    def _relations(self, entity: StoredEntity, blueprint: CompiledBlueprint) -> dict[str, Json]:
        relations: dict[str, Json] = {}
        for name, relation in blueprint.relations.items():
            if self._fields.attach_titles:
                titled = [
                    {"identifier": one.identifier, "title": one.title} for one in self._walker.follow(entity, name)
                ]
                relations[name] = titled if relation.many else next(iter(titled), None)
            else:
                relations[name] = entity.relations.get(name, [] if relation.many else None)
        return relations

    # A path over a relation of many mirrors a list. What Port shows where a path leads nowhere is not published: null.
    def _mirror(self, entity: StoredEntity, path: str) -> Json:
        *relations, last = path.split(".")
        current, many = [entity], False
        for relation in relations:
            blueprint = self._catalog.find(current[0].blueprint) if current else None
            if blueprint is None or relation not in blueprint.relations:
                return None
            many = many or blueprint.relations[relation].many
            current = [found for one in current for found in self._walker.follow(one, relation)]
        values = [_mirrored(one, last) for one in current]
        return values if many else next(iter(values), None)


def _mirrored(entity: StoredEntity, name: str) -> Json:
    if name in _META_OF_MIRROR:
        return _head(entity)[name[1:]]
    return entity.properties.get(name)


def _shows(fields: Fields, name: str) -> bool:
    named = {name, f"${name}"}
    if named & fields.exclude:
        return False
    return not fields.include or bool(named & fields.include)


def _head(entity: StoredEntity) -> dict[str, Json]:
    return {
        "identifier": entity.identifier,
        "title": entity.title,
        "icon": entity.icon,
        "blueprint": entity.blueprint,
        "team": entity.team,
        "createdAt": entity.created_at,
        "createdBy": entity.created_by,
        "updatedAt": entity.updated_at,
        "updatedBy": entity.updated_by,
    }
