"""What Port demands of a blueprint document, and the defaults it fills in.

The rules are those of the published specification (``BlueprintInput``) plus what it says in words: a relation of
many cannot be required, and the target of a relation must exist when the relation is written.
"""

import re
from collections.abc import Callable, Mapping

from stageport.model.entities import Json
from stageport.sandbox.port.names import MAX_NAME, is_blueprint_identifier, is_key
from stageport.sandbox.port.problems import PortProblem, invalid, not_found
from stageport.sandbox.port.properties import compile_property
from stageport.sandbox.port.shapes import (
    need_bool,
    need_keys,
    need_list,
    need_object,
    need_one_of,
    need_text,
    only_keys,
)

TYPES = ("string", "number", "boolean", "object", "array")
FORMATS = (
    *("date-time", "url", "email", "idn-email", "ipv4", "ipv6", "markdown", "yaml", "user", "blueprints", "team"),
    *("timer", "proto", "labeled-url"),
)
SPECS = ("open-api", "embedded-url", "async-api")
COLORS = (
    *("blue", "turquoise", "orange", "purple", "pink", "yellow", "green", "red", "gold", "silver", "paleBlue"),
    *("darkGray", "lightGray", "bronze", "lime", "olive", "brown"),
)
COMPUTED = ("mirrorProperties", "calculationProperties", "aggregationProperties")
_DATE_FORMATS = ("relative", "12-hour", "24-hour", "iso")
_RELATION_KEYS = ("target", "required", "many", "title", "description", "type")
_MIRROR_PATH = re.compile(r"(?:[A-Za-z0-9@_=\-$]+\.)+?(?:\w|\$|@|-)*?[^.]+")
_STRINGS_ONLY = ("format", "spec", "pattern", "minLength", "maxLength", "enumColors")


def check_blueprint(document: Json, *, exists: Callable[[str], bool]) -> dict[str, Json]:
    """Return the document as Port stores it, with its defaults.

    Raises:
        PortProblem: 422 ``invalid_request``, or 404 ``not_found`` for the target of a relation.
    """
    blueprint = dict(need_object(document, "body"))
    need_keys(blueprint, "body", required=("identifier", "title", "schema"))
    _check_head(blueprint)
    blueprint["schema"] = _check_schema(blueprint["schema"])
    blueprint["relations"] = _check_relations(
        blueprint.get("relations", {}), own=blueprint["identifier"], exists=exists
    )
    for kind, check in _COMPUTED_CHECKS.items():
        entries = need_object(blueprint.setdefault(kind, {}), kind)
        for name, entry in entries.items():
            _check_key(name, kind)
            check(need_object(entry, name), name)
    _check_ownership(blueprint)
    _check_clashes(blueprint)
    return blueprint


def _check_head(blueprint: Mapping[str, Json]) -> None:
    identifier = need_text(blueprint["identifier"], "identifier")
    if not is_blueprint_identifier(identifier):
        raise invalid('"identifier" must match pattern, and must NOT have more than 100 characters')
    need_text(blueprint["title"], "title", shortest=1, longest=MAX_NAME)
    if blueprint.get("description") is not None:
        need_text(blueprint["description"], "description", longest=200)
    if blueprint.get("icon") is not None:
        need_text(blueprint["icon"], "icon")
    destination = blueprint.get("changelogDestination")
    if destination is not None:
        check_destination(destination)


def check_destination(destination: Json) -> None:
    """Check where changes are to be reported: nowhere, Kafka, or a webhook with its URL."""
    given = need_object(destination, "changelogDestination")
    if not given:
        return
    kind = need_one_of(given.get("type"), "type", ("KAFKA", "WEBHOOK"))
    only_keys(given, ("type",) if kind == "KAFKA" else ("type", "url", "agent"))
    if kind == "WEBHOOK":
        need_text(given.get("url"), "url")


def _check_schema(schema: Json) -> dict[str, Json]:
    given = need_object(schema, "schema")
    only_keys(given, ("properties", "required"))
    need_keys(given, "schema", required=("properties",))
    properties = need_object(given["properties"], "properties")
    for name, entry in properties.items():
        _check_key(name, "properties")
        _check_property(need_object(entry, name), name)
    required = [need_text(name, "required") for name in need_list(given.get("required", []), "required")]
    unknown = next((name for name in required if name not in properties), None)
    if unknown is not None:
        raise invalid(f'"required" names the property "{unknown}", which is not defined')
    return {"properties": properties, "required": required}


def _check_key(name: str, where: str) -> None:
    if not is_key(name):
        raise invalid(
            f'"{where}" property name "{name}" must match pattern, and must NOT have more than 100 characters'
        )


def _check_property(entry: Mapping[str, Json], name: str) -> None:
    need_keys(entry, name, required=("type",))
    kind = need_one_of(entry["type"], f"{name}.type", TYPES)
    _check_presentation(entry, name)
    stray = next((key for key in _STRINGS_ONLY[2:5] if key in entry and kind != "string"), None)
    if stray is not None:
        raise invalid(f'"{name}" is of type {kind} and cannot have "{stray}"')
    if (entry.get("format") == "labeled-url") and kind != "object":
        raise invalid(f'"{name}" has format labeled-url, which belongs to type object')
    try:
        compile_property(entry, formats=_NO_FORMATS)
    except (re.error, KeyError, TypeError) as error:
        raise invalid(f'"{name}" is no JSON Schema that can be compiled: {error}') from error


_NO_FORMATS: Mapping[str, Callable[[str], bool]] = {"url": bool}


def _check_presentation(entry: Mapping[str, Json], name: str) -> None:
    if "title" in entry:
        need_text(entry["title"], f"{name}.title", longest=MAX_NAME)
    for key, allowed in (("format", FORMATS), ("spec", SPECS), ("dateFormat", _DATE_FORMATS)):
        if key in entry:
            need_one_of(entry[key], f"{name}.{key}", allowed)
    if "enum" in entry:
        need_list(entry["enum"], f"{name}.enum")
    for colors in ("enumColors", "colors"):
        for color in need_object(entry.get(colors, {}), colors).values():
            need_one_of(color, f"{name}.{colors}", COLORS)


def _check_relations(relations: Json, *, own: str, exists: Callable[[str], bool]) -> dict[str, Json]:
    checked: dict[str, Json] = {}
    for name, entry in need_object(relations, "relations").items():
        _check_key(name, "relations")
        checked[name] = _check_relation(need_object(entry, name), name, own=own, exists=exists)
    return checked


def _check_relation(
    entry: Mapping[str, Json], name: str, *, own: str, exists: Callable[[str], bool]
) -> dict[str, Json]:
    only_keys(entry, _RELATION_KEYS)
    need_keys(entry, name, required=("target",))
    target = need_text(entry["target"], f"{name}.target")
    many, required = entry.get("many", False), entry.get("required", False)
    if need_bool(many, f"{name}.many") and need_bool(required, f"{name}.required"):
        raise invalid(f'the relation "{name}" cannot be both many and required')
    need_bool(required, f"{name}.required")
    if "title" in entry:
        need_text(entry["title"], f"{name}.title", longest=MAX_NAME)
    if target != own and not exists(target):
        raise not_found("Blueprint", field="identifier", value=target)
    # Port's own default blueprints leave `many` out although the specification requires it, so Port must fill it in.
    return {**entry, "many": many, "required": required}


def _check_mirror(entry: Mapping[str, Json], name: str) -> None:
    only_keys(entry, ("path", "title"))
    if _MIRROR_PATH.fullmatch(need_text(entry.get("path"), f"{name}.path")) is None:
        raise invalid(f'"{name}.path" must match pattern: a relation, a dot, a property')


def _check_calculation(entry: Mapping[str, Json], name: str) -> None:
    need_keys(entry, name, required=("calculation", "type"))
    need_text(entry["calculation"], f"{name}.calculation")
    need_one_of(entry["type"], f"{name}.type", TYPES)
    _check_presentation(entry, name)


def _check_aggregation(entry: Mapping[str, Json], name: str) -> None:
    need_keys(entry, name, required=("title", "target", "calculationSpec"))
    need_text(entry["title"], f"{name}.title", longest=MAX_NAME)
    need_text(entry["target"], f"{name}.target")
    spec = need_object(entry["calculationSpec"], f"{name}.calculationSpec")
    by = need_one_of(spec.get("calculationBy"), "calculationBy", ("entities", "property"))
    functions = ("count", "average") if by == "entities" else ("sum", "min", "max", "median", "average")
    need_one_of(spec.get("func"), "func", functions)
    if by == "property":
        need_text(spec.get("property"), f"{name}.property")
    if len(need_list(entry.get("pathFilter", []), "pathFilter")) > 1:
        raise invalid('"pathFilter" must NOT have more than 1 items')


_COMPUTED_CHECKS: Mapping[str, Callable[[Mapping[str, Json], str], None]] = {
    "mirrorProperties": _check_mirror,
    "calculationProperties": _check_calculation,
    "aggregationProperties": _check_aggregation,
}


def _check_ownership(blueprint: Mapping[str, Json]) -> None:
    if blueprint.get("teamInheritance") is not None:
        need_text(need_object(blueprint["teamInheritance"], "teamInheritance").get("path"), "path")
    if blueprint.get("ownership") is None:
        return
    ownership = need_object(blueprint["ownership"], "ownership")
    kind = need_one_of(ownership.get("type"), "ownership.type", ("Direct", "Inherited"))
    only_keys(ownership, ("type", "title") if kind == "Direct" else ("type", "path", "title"))
    if kind == "Inherited":
        need_text(ownership.get("path"), "ownership.path")


def _check_clashes(blueprint: Mapping[str, Json]) -> None:
    seen: set[str] = set(blueprint["schema"]["properties"])
    for kind in COMPUTED:
        twice = next((name for name in blueprint[kind] if name in seen), None)
        if twice is not None:
            raise invalid(f'"{twice}" is defined twice')
        seen |= set(blueprint[kind])


def check_change(before: Json, after: Json) -> None:
    """Check that a change keeps the type of each property that stays.

    Raises:
        PortProblem: the type of a property changes (Port demands a migration), or its format does.
    """
    for name, entry in after["schema"]["properties"].items():
        known = before["schema"]["properties"].get(name)
        if known is None:
            continue
        if known["type"] != entry["type"]:
            raise invalid(f'the type of the property "{name}" cannot be changed')
        if known.get("format") != entry.get("format") and known.get("format") and entry.get("format"):
            raise PortProblem(422, "forbidden_format_change", f'the format of "{name}" cannot be changed')
