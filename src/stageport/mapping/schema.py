"""The JSON Schema of a mapping: for editors, and for whoever asks which keys there are.

It says what ``document`` reads, in the words of JSON Schema; a test holds both together, on mappings that are accepted
and on mappings that are refused. Draft 7, because that is what the YAML language server understands whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stageport.mapping.document import DELETION_THRESHOLD
from stageport.mapping.reading import Path
from stageport.model.entities import Json

DIALECT: Final = "http://json-schema.org/draft-07/schema#"
EXPRESSION: Final = "#/definitions/expression"
FLAG_WORDS: Final = (
    "^([01]|[Tt]([Rr][Uu][Ee])?|[Ff]([Aa][Ll][Ss][Ee])?|[Yy]([Ee][Ss])?|[Nn][Oo]?|[Oo][Nn]|[Oo][Ff][Ff])$"
)

TOP_FLAGS: Final = {
    "createMissingRelatedEntities": (
        "create_missing_related_entities",
        "Create an empty entity at Port for a relation that leads to one which is not there (default: true).",
    ),
    "deleteDependentEntities": (
        "delete_dependent_entities",
        "Delete entities that require a deleted one, too (default: true).",
    ),
    "enableMergeEntity": (
        "enable_merge_entity",
        "Keep what the mapping does not name: properties that people or other tools wrote (default: true).",
    ),
}


def mapping_schema(*, strict: bool = False) -> Json:
    """Return the schema of a whole mapping.

    Unknown keys are ignored when a mapping is loaded, so they are valid; ``strict`` refuses them, which is what an
    editor wants in order to mark a misspelt key.
    """
    schema = {
        "$schema": DIALECT,
        "title": "Stageport mapping",
        "description": "How the entities of a Backstage catalog become entities at Port.",
        **_object(_top(), required=()),
        "minProperties": 1,
        "definitions": _definitions(),
    }
    return _closed(schema) if strict else schema


def _top() -> dict[str, Json]:
    top: dict[str, Json] = {
        "resources": {
            "description": "Each takes the entities of one kind and says what becomes of them, in this order.",
            "type": "array",
            "items": {"$ref": "#/definitions/resource"},
        }
    }
    for name, (snake, words) in TOP_FLAGS.items():
        top[name] = _flag(words)
        top[snake] = _flag(f"The same as {name}, which counts when both are there.")
    share = f"The share of our entities at Port that one run may delete, 0 to 1 (default: {DELETION_THRESHOLD})."
    top["entityDeletionThreshold"] = _share(share)
    top["entity_deletion_threshold"] = _share("The same as entityDeletionThreshold, which counts when both are there.")
    return top


def _definitions() -> dict[str, Json]:
    return {
        "expression": {
            "description": "A jq expression. Text needs double quotes of its own: '\"component\"'. Only the first "
            "output counts; a YAML number or boolean stands for itself.",
            "type": ["string", "number", "boolean"],
        },
        "optionalExpression": {"anyOf": [_expression(), {"type": "null"}]},
        "text": {"type": ["string", "number", "boolean"]},
        "resource": _resource(),
        "expressionOrQuery": {"anyOf": [_expression(), {"$ref": "#/definitions/query"}]},
        "query": _object(
            {
                "combinator": _expression('Gives "and" or "or": write \'"and"\'.'),
                "rules": {"type": "array", "items": {"$ref": "#/definitions/rule"}},
            },
            required=("combinator", "rules"),
            words="A search that Port answers. Every leaf is a jq expression.",
        ),
        "rule": {
            "anyOf": [
                _object(
                    {
                        "property": _expression("Gives the property to look at: write '\"$identifier\"'."),
                        "operator": _expression("Gives the operator: write '\"=\"'."),
                        "value": _expression("Gives what the property is compared with."),
                    },
                    required=("property", "operator", "value"),
                ),
                {"$ref": "#/definitions/query"},
            ]
        },
    }


def _resource() -> Json:
    selector = _object(
        {
            "query": _expression("Must give true or false: true takes the entity. Write 'true' to take all."),
            "filter": _texts(
                "Backstage filters (spec.type=service,metadata.namespace=default), asked of the catalog itself so that "
                "fewer entities travel. Several are alternatives. Port's own integration ignores this key."
            ),
            "orphans": _choice("skip", "keep", "Skip entities that Backstage marks as orphans. Ignored by Port's own."),
            "broken": _choice("skip", "keep", "Skip entities whose status holds errors. Ignored by Port's own."),
            "exportEnvVariables": _texts("Has no effect here; accepted because Port's own integration knows it."),
        },
        required=("query",),
        words="Which entities of the kind the resource takes.",
    )
    entity = _object({"mappings": _mappings()}, required=("mappings",))
    port = _object(
        {
            "entity": entity,
            "itemsToParse": {
                "allOf": [{"$ref": "#/definitions/optionalExpression"}],
                "description": "Gives an array; each item becomes a target entity of its own and is seen as .item.",
            },
            "itemsToParseName": {
                "allOf": [{"$ref": "#/definitions/text"}],
                "description": "What an item is called in expressions (default: item).",
            },
            "itemsToParseTopLevelTransform": _flag("Take the array out of what expressions see (default: true)."),
        },
        required=("entity",),
    )
    kind = {
        "allOf": [{"$ref": "#/definitions/text"}],
        "description": "A kind of Backstage, in any case: component, API, group, user, system, domain, resource, …",
    }
    return _object({"kind": kind, "selector": selector, "port": port}, required=("kind", "selector", "port"))


def _mappings() -> Json:
    fields = {
        "identifier": _either("What the entity is called at Port; .metadata.identifier is kind:namespace/name."),
        "blueprint": _expression("Gives the blueprint's identifier: write '\"component\"'."),
        "title": _optional("What the entity is shown as."),
        "icon": _optional("Gives the name of one of Port's icons."),
        "team": {
            "anyOf": [{"$ref": "#/definitions/expressionOrQuery"}, {"type": "null"}],
            "description": "Gives the owning team or teams at Port.",
        },
        "properties": _fields("One expression for each property of the blueprint.", _expression()),
        "relations": _fields(
            "One expression for each relation; a relation to many needs an array: '[.relations[] | …]'.",
            {"$ref": "#/definitions/expressionOrQuery"},
        ),
    }
    return _object(fields, required=("identifier", "blueprint"))


def _fields(words: str, each: Json) -> Json:
    """Return the schema of an object with any keys; nothing in its place stands for an empty one."""
    return {"description": words, "anyOf": [{"type": "object", "additionalProperties": each}, {"enum": [[], ""]}]}


def _object(properties: Mapping[str, Json], *, required: Sequence[str], words: str = "") -> dict[str, Json]:
    schema: dict[str, Json] = {"description": words} if words else {}
    schema |= {"type": "object", "properties": dict(properties)}
    return {**schema, "required": list(required)} if required else schema


def _expression(words: str = "") -> Json:
    return {"allOf": [{"$ref": EXPRESSION}], "description": words} if words else {"$ref": EXPRESSION}


def _optional(words: str) -> Json:
    return {"allOf": [{"$ref": "#/definitions/optionalExpression"}], "description": words}


def _either(words: str) -> Json:
    return {"allOf": [{"$ref": "#/definitions/expressionOrQuery"}], "description": words}


def _flag(words: str) -> Json:
    boolean = [{"type": "boolean"}, {"type": "string", "pattern": FLAG_WORDS}, {"enum": [0, 1]}]
    return {"description": words, "anyOf": boolean}


def _share(words: str) -> Json:
    number = [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": r"^\s*[-+.\deE_]+\s*$"}]
    return {"description": words, "anyOf": number}


def _texts(words: str) -> Json:
    return {"description": words, "type": "array", "items": {"$ref": "#/definitions/text"}}


def _choice(*words: str) -> Json:
    *choices, about = words
    return {"description": about, "enum": choices}


def _closed(schema: Json) -> Json:
    """Return a schema in which every object with known keys has no others."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    is_object = schema.get("type") == "object" and "properties" in schema
    return {**closed, "additionalProperties": False} if is_object else closed


@dataclass(frozen=True, slots=True)
class Met:
    """What a walk over a mapping meets: a key nobody knows, or an expression.

    ``known`` are the keys that the object may have; None for an expression, which then stands in ``value``.
    """

    path: Path
    value: Json
    known: tuple[str, ...] | None = None


def walk_mapping(config: Json) -> Iterator[Met]:
    """Yield every unknown key and every expression of a mapping, however much of it is wrong."""
    schema = mapping_schema()
    yield from _walk(config, schema, (), schema["definitions"])


def _walk(value: Json, schema: Json, path: Path, definitions: Mapping[str, Json]) -> Iterator[Met]:
    if _means_expression(schema, definitions) and not isinstance(value, dict | list):
        if value is not None:
            yield Met(path, value)
        return
    node = _object_schema(schema, value, definitions)
    if isinstance(value, list) and "items" in node:
        for index, entry in enumerate(value):
            yield from _walk(entry, node["items"], (*path, index), definitions)
    if isinstance(value, dict) and node.get("type") == "object":
        known = node.get("properties", {})
        for key, entry in value.items():
            inner = known.get(key, node.get("additionalProperties"))
            if inner is None:
                yield Met((*path, key), entry, tuple(known))
            else:
                yield from _walk(entry, inner, (*path, key), definitions)


def _means_expression(schema: Json, definitions: Mapping[str, Json]) -> bool:
    if schema.get("$ref") == EXPRESSION:
        return True
    return any(_means_expression(one, definitions) for one in _branches(schema, definitions))


def _branches(schema: Json, definitions: Mapping[str, Json]) -> list[Any]:
    if "$ref" in schema:
        return [definitions[schema["$ref"].rpartition("/")[2]]]
    return [*schema.get("allOf", ()), *schema.get("anyOf", ())]


def _object_schema(schema: Json, value: Json, definitions: Mapping[str, Json]) -> Json:
    """Return the branch of a schema that a value is meant for: that which knows most of its keys."""
    branches = _branches(schema, definitions)
    if not branches:
        return schema
    found = [_object_schema(one, value, definitions) for one in branches]
    keys = set(value) if isinstance(value, dict) else set()
    return max(found, key=lambda one: (len(keys & set(one.get("properties", ()))), "properties" in one))
