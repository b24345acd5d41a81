"""Whether a mapping fits the blueprints that exist: what it writes against what they can hold.

A mapping that writes a property or a relation that its blueprint lacks, or a list where the blueprint has room for
one, makes Port refuse every entity of that blueprint. That can be told before the first request.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from stageport.mapping.document import MappingDocument
from stageport.mapping.jq_shape import is_stream, type_of
from stageport.mapping.resource import EntityMapping
from stageport.mapping.static import static_blueprint
from stageport.model.blueprints import Blueprint, Relation
from stageport.model.entities import Json


@dataclass(frozen=True, slots=True)
class MappedRelation:
    """A relation that a mapping writes: whether it gives many, and to which blueprint; None where nobody can tell."""

    many: bool | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class MappedFields:
    """What a mapping writes to one blueprint: each property with its JSON type (None: unknown), each relation."""

    properties: Mapping[str, str | None] = field(default_factory=dict)
    relations: Mapping[str, MappedRelation] = field(default_factory=dict)


class Trouble(StrEnum):
    """How a mapping and a blueprint disagree."""

    NO_BLUEPRINT = "no-blueprint"
    NO_PROPERTY = "no-property"
    COMPUTED_PROPERTY = "computed-property"
    PROPERTY_TYPE = "property-type"
    REQUIRED_UNMAPPED = "required-unmapped"
    NO_RELATION = "no-relation"
    RELATION_ARITY = "relation-arity"
    RELATION_TARGET = "relation-target"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One disagreement. ``field`` is ``properties.links`` or ``relations.system``, empty for the whole blueprint."""

    blueprint: str
    field: str
    trouble: Trouble
    message: str


def check_fields(blueprints: Mapping[str, Blueprint], *, fields: Mapping[str, MappedFields]) -> tuple[Mismatch, ...]:
    """Return every disagreement between what a mapping writes and the blueprints that exist."""
    return tuple(
        mismatch
        for name, mapped in fields.items()
        for mismatch in _check_blueprint(name, mapped, blueprint=blueprints.get(name))
    )


def fit_mapping(config: Json, *, mismatches: Sequence[Mismatch]) -> Json:
    """Return a mapping document without the properties and relations that would make Port refuse entities."""
    dropped = {(each.blueprint, each.field) for each in mismatches if each.field}
    resources = [_fit_resource(resource, dropped=dropped) for resource in config.get("resources", ())]
    return {**config, "resources": resources}


def fields_of_mapping(document: MappingDocument) -> dict[str, MappedFields]:
    """Return what a mapping writes, by blueprint. Resources that compute their blueprint cannot be judged."""
    found: dict[str, MappedFields] = {}
    for resource in document.resources:
        name = static_blueprint(resource)
        if name is not None:
            found[name] = _joined(found.get(name, MappedFields()), _fields_of(resource.mappings))
    return found


def fields_of_blueprint(blueprint: Blueprint) -> MappedFields:
    """Return what a mapping made for this blueprint writes to it."""
    return MappedFields(
        properties={name: _type(schema) for name, schema in blueprint.properties.items()},
        relations={name: MappedRelation(each.many, each.target) for name, each in blueprint.relations.items()},
    )


def gives_many(expression: str) -> bool | None:
    """Tell from its text whether an expression gives an array (True), one string (False), or either (None)."""
    given = type_of(expression)
    if given in {"array", "string"}:
        return given == "array"
    # The classic fault: a stream of refs, of which only the first output counts.
    return False if is_stream(expression) or re.search(r"\|\s*\.targetRef\s*$", expression) else None


def _fields_of(mappings: EntityMapping) -> MappedFields:
    properties = mappings.properties if isinstance(mappings.properties, Mapping) else {}
    relations = mappings.relations if isinstance(mappings.relations, Mapping) else {}
    return MappedFields(
        properties={name: type_of(value) for name, value in properties.items()},
        relations={
            name: MappedRelation(many=gives_many(value) if isinstance(value, str) else None)
            for name, value in relations.items()
        },
    )


def _joined(one: MappedFields, other: MappedFields) -> MappedFields:
    return MappedFields({**one.properties, **other.properties}, {**one.relations, **other.relations})


def _check_blueprint(name: str, mapped: MappedFields, *, blueprint: Blueprint | None) -> Iterator[Mismatch]:
    if blueprint is None:
        yield Mismatch(name, "", Trouble.NO_BLUEPRINT, f"there is no blueprint {name}, to which the mapping writes")
        return
    for prop, wanted in mapped.properties.items():
        trouble, words = _property_trouble(prop, wanted, blueprint=blueprint)
        if trouble is not None:
            yield Mismatch(name, f"properties.{prop}", trouble, f"blueprint {name} {words}")
    for relation, meant in mapped.relations.items():
        trouble, words = _relation_trouble(relation, meant, there=blueprint.relations.get(relation))
        if trouble is not None:
            yield Mismatch(name, f"relations.{relation}", trouble, f"blueprint {name} {words}")
    for prop in sorted(blueprint.required - mapped.properties.keys()):
        words = f"blueprint {name} requires property {prop}, which the mapping does not write"
        yield Mismatch(name, f"properties.{prop}", Trouble.REQUIRED_UNMAPPED, words)


def _property_trouble(name: str, wanted: str | None, *, blueprint: Blueprint) -> tuple[Trouble | None, str]:
    if name in blueprint.read_only:
        return Trouble.COMPUTED_PROPERTY, f"computes property {name} itself; nobody may write it"
    if name not in blueprint.properties:
        return Trouble.NO_PROPERTY, f"has no property {name}, which the mapping writes"
    there = _type(blueprint.properties[name])
    if wanted is not None and there is not None and wanted != there:
        return Trouble.PROPERTY_TYPE, f"has property {name} of type {there}, but the mapping gives {wanted}"
    return None, ""


def _relation_trouble(name: str, meant: MappedRelation, *, there: Relation | None) -> tuple[Trouble | None, str]:
    if there is None:
        return Trouble.NO_RELATION, f"has no relation {name}, which the mapping writes"
    if meant.target is not None and meant.target != there.target:
        return Trouble.RELATION_TARGET, f"has relation {name} to {there.target}, but the mapping means {meant.target}"
    if meant.many is not None and meant.many != there.many:
        room, given = ("many", "one") if there.many else ("one", "many")
        return Trouble.RELATION_ARITY, f"has relation {name} to {room}, but the mapping gives {given}"
    return None, ""


def _type(schema: Json) -> str | None:
    return schema.get("type") if isinstance(schema, Mapping) else None


def _fit_resource(resource: Json, *, dropped: set[tuple[str, str]]) -> Json:
    mappings = resource["port"]["entity"]["mappings"]
    blueprint = str(mappings.get("blueprint", "")).strip().strip("\"'")
    fitted = dict(mappings)
    for group in ("properties", "relations"):
        if mappings.get(group):
            fitted[group] = {
                name: value for name, value in mappings[group].items() if (blueprint, f"{group}.{name}") not in dropped
            }
    return {**resource, "port": {**resource["port"], "entity": {**resource["port"]["entity"], "mappings": fitted}}}
