"""A mapping against the blueprints it writes to: what Port would refuse of every entity, told before the first one."""

from collections.abc import Iterator, Mapping

from stageport.mapping.document import MappingDocument
from stageport.mapping.jq_shape import is_stream, plain_path
from stageport.mapping.lint import Level, Remark, nearest
from stageport.mapping.reading import Path
from stageport.mapping.resource import Resource
from stageport.mapping.static import static_blueprint
from stageport.model.blueprints import Blueprint
from stageport.plan.fit import Mismatch, Trouble, check_fields, fields_of_mapping, gives_many

MAPPINGS: Path = ("port", "entity", "mappings")


def review_resource(
    resource: Resource, *, index: int, blueprints: Mapping[str, Blueprint], certain: bool
) -> Iterator[Remark]:
    """Remark on what a resource writes and its blueprint cannot hold.

    ``certain``: these are the blueprints that Port has, so that a misfit is an error. The default blueprints are only
    a guess; then a blueprint that is not among them is somebody's own, unless it looks like a typing mistake.
    """
    name = static_blueprint(resource)
    if name is None:
        return
    root: Path = ("resources", index, *MAPPINGS)
    if name not in blueprints:
        yield from _no_blueprint(name, (*root, "blueprint"), blueprints, certain=certain)
        return
    document = MappingDocument(resources=(resource,))
    for mismatch in check_fields(blueprints, fields=fields_of_mapping(document)):
        if mismatch.trouble is not Trouble.REQUIRED_UNMAPPED:
            yield _remark(mismatch, root, resource, blueprint=blueprints[name], certain=certain)
    yield from _links(resource, root, blueprint=blueprints[name], certain=certain)


def review_required(
    resources: Mapping[int, Resource], *, blueprints: Mapping[str, Blueprint], certain: bool
) -> Iterator[Remark]:
    """Remark on required properties that none of these resources writes."""
    level = Level.ERROR if certain else Level.WARNING
    fields = fields_of_mapping(MappingDocument(resources=tuple(resources.values())))
    known = {name: mapped for name, mapped in fields.items() if name in blueprints}
    for mismatch in check_fields(blueprints, fields=known):
        if mismatch.trouble is Trouble.REQUIRED_UNMAPPED:
            writer = next(index for index, one in resources.items() if static_blueprint(one) == mismatch.blueprint)
            path: Path = ("resources", writer, *MAPPINGS, "properties")
            yield Remark(level, mismatch.trouble.value, path, mismatch.message, "Port refuses an entity without it.")


def _links(resource: Resource, root: Path, *, blueprint: Blueprint, certain: bool) -> Iterator[Remark]:
    """Remark on links sent whole to a list of text: Port then refuses every entity that has a link."""
    properties = resource.mappings.properties
    for name, expression in (properties if isinstance(properties, Mapping) else {}).items():
        path, schema = plain_path(expression), blueprint.properties.get(name)
        items = schema.get("items") if isinstance(schema, Mapping) else None
        if path is None or path.text.rstrip("?") != ".metadata.links" or not isinstance(items, Mapping):
            continue
        if items.get("type") == "string":
            words = f"gives objects with url and title, but property {name} of blueprint {blueprint.identifier} "
            words += "is a list of text: Port refuses every entity that has a link"
            level = Level.ERROR if certain else Level.WARNING
            yield Remark(level, "links", (*root, "properties", name), words, "Take the URLs: [.metadata.links[]?.url]")


def _no_blueprint(name: str, path: Path, blueprints: Mapping[str, Blueprint], *, certain: bool) -> Iterator[Remark]:
    near = nearest(name, blueprints, cutoff=0.75)
    if certain:
        known = f"Did you mean {near}?" if near else f"There are: {', '.join(sorted(blueprints))}."
        yield Remark(Level.ERROR, Trouble.NO_BLUEPRINT.value, path, f"there is no blueprint {name}", known)
    elif near:
        words = f"{name} is none of the default blueprints"
        yield Remark(Level.WARNING, Trouble.NO_BLUEPRINT.value, path, words, f"Did you mean {near}?")


def _remark(mismatch: Mismatch, root: Path, resource: Resource, *, blueprint: Blueprint, certain: bool) -> Remark:
    group, _, name = mismatch.field.partition(".")
    level = Level.ERROR if certain else Level.WARNING
    missing = mismatch.trouble in {Trouble.NO_PROPERTY, Trouble.NO_RELATION}
    words = mismatch.message if certain else f"default {mismatch.message}"
    return Remark(
        level,
        mismatch.trouble.value,
        (*root, group, name),
        words,
        _hint(mismatch, group, name, resource=resource, blueprint=blueprint),
        of_key=missing,
    )


def _hint(mismatch: Mismatch, group: str, name: str, *, resource: Resource, blueprint: Blueprint) -> str:
    if mismatch.trouble in {Trouble.NO_PROPERTY, Trouble.NO_RELATION}:
        known = blueprint.properties if group == "properties" else blueprint.relations
        elsewhere = blueprint.relations if group == "properties" else blueprint.properties
        near = nearest(name, known)
        if name in elsewhere:
            return f"It has a {'relation' if group == 'properties' else 'property'} of that name: move the line there."
        return f"Did you mean {near}?" if near else f"It has: {', '.join(sorted(known)) or 'none'}."
    relations = resource.mappings.relations
    expression = relations.get(name) if isinstance(relations, Mapping) else None
    if mismatch.trouble is Trouble.RELATION_ARITY and isinstance(expression, str):
        return "Take one of them: [ … ][0]" if gives_many(expression) else _to_many(expression)
    return ""


def _to_many(expression: str) -> str:
    brackets = f"put brackets around it to give a list: [{' '.join(expression.split())}]"
    return f"Only the first output counts; {brackets}" if is_stream(expression) else brackets.capitalize()
