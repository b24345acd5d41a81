"""What Port would say to a target entity, worked out without asking: the entity against its blueprint.

The rules are those of Port's published specification and error tables (port-api: entity document, writing entities).
Where Port is known to be lenient in places, this is strict: an entity without objections is taken either way. What
only Port can know is left out: whether related entities, teams and users exist.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from stageport.model.blueprints import Blueprint, Relation
from stageport.model.entities import Json, TargetEntity
from stageport.plan.values import shown, type_name, wrongs_of

LARGEST_REQUEST: Final = 1024 * 1024
"""Bytes of a request to Port (port-api: generalities)."""
ENVELOPE: Final = len(b'{"entities":[]}')
LONGEST_IDENTIFIER: Final = 1000
MARKS: Final = frozenset("0123456789@_.+:\\/=-")

IDENTIFIER_OPERATORS: Final = ("=", "in")
RELATION_OPERATORS: Final = ("=", "in", "contains")


class Code(StrEnum):
    """Port's error codes, as far as they can be foreseen."""

    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "bad_request"
    NOT_FOUND = "not_found"
    SCHEMA = "blueprint_schema_mismatch"
    MANY = "relation_many_violation"
    REQUIRED = "required_relation"


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason for Port to refuse a target entity; ``path`` is such as ``properties.links[0]``."""

    path: str
    code: Code
    message: str

    def __str__(self) -> str:
        return f"{self.path} {self.message}" if self.path else self.message


def judge_target(target: TargetEntity, blueprints: Mapping[str, Blueprint]) -> tuple[Objection, ...]:
    """Return everything that Port would have against a target entity."""
    blueprint = blueprints.get(target.blueprint)
    if blueprint is None:
        return (Objection("blueprint", Code.NOT_FOUND, f"is {shown(target.blueprint)}, which Port does not have"),)
    document = msgspec.json.decode(target.body)
    return (
        *_size(target.body),
        *_request(document),
        *_properties(document, blueprint),
        *_relations(document, blueprint),
    )


def _size(body: bytes) -> Iterator[Objection]:
    size = len(body) + ENVELOPE
    if size > LARGEST_REQUEST:
        words = f"the entity has {size} bytes; Port takes requests of {LARGEST_REQUEST} bytes (1 MiB) at most"
        yield Objection("", Code.TOO_LARGE, words)


def _request(document: Json) -> Iterator[Objection]:
    """Check what the schema of the route demands, whatever the blueprint."""
    invalid = (*_identifier(document), *_texts(document), *_team(document), *_objects(document))
    yield from (Objection(path, Code.INVALID_REQUEST, words) for path, words in invalid)


def _objects(document: Json) -> Iterator[tuple[str, str]]:
    for name in ("properties", "relations"):
        if not isinstance(document.get(name, {}), dict):
            yield name, f"is {type_name(document[name])}; it must be an object"


def _identifier(document: Json) -> Iterator[tuple[str, str]]:
    identifier = document.get("identifier")
    if isinstance(identifier, dict):
        yield from _query("identifier", identifier, operators=IDENTIFIER_OPERATORS)
    elif isinstance(identifier, str):
        yield from (("identifier", words) for words in identifier_wrongs(identifier))
    else:
        yield "identifier", f"is {type_name(identifier)}; it must be text or a search query"


def identifier_wrongs(identifier: str, *, bounded: bool = True) -> Iterator[str]:
    """Yield what is wrong with an identifier; those in lists of a relation have no bounded length."""
    if identifier in {"", ".", ".."}:
        yield f"is {shown(identifier)}, which cannot be an identifier"
        return
    strange = sorted({mark for mark in identifier if mark not in MARKS and not mark.isalpha()})
    if strange:
        marks = " ".join(repr(mark) for mark in strange)
        yield f"is {shown(identifier)}; an identifier has letters, digits and @ _ . + : \\ / = - only, not {marks}"
    if bounded and len(identifier) > LONGEST_IDENTIFIER:
        yield f"has {len(identifier)} characters; an identifier has {LONGEST_IDENTIFIER} at most"


def _texts(document: Json) -> Iterator[tuple[str, str]]:
    # The specification says "string", but Port's own integration sends null every day.
    for name in ("title", "icon"):
        if not isinstance(document.get(name), str | None):
            yield name, f"is {type_name(document[name])}; it must be text"


def _team(document: Json) -> Iterator[tuple[str, str]]:
    team = document.get("team")
    if isinstance(team, dict):
        yield from _query("team", team, operators=RELATION_OPERATORS)
    elif isinstance(team, list):
        for index, one in enumerate(team):
            if not isinstance(one, str):
                yield f"team[{index}]", f"is {type_name(one)}; each team must be text"
    elif not isinstance(team, str | None):
        yield "team", f"is {type_name(team)}; it must be text, a list of text, or a search query"


def _query(path: str, query: Json, *, operators: Collection[str]) -> Iterator[tuple[str, str]]:
    """Check a search query in the place of an identifier, a relation or a team."""
    for key in query.keys() - {"combinator", "rules"}:
        yield f"{path}.{key}", "is no key of a search query; it has combinator and rules"
    if query.get("combinator") not in {"and", "or"}:
        yield f"{path}.combinator", f'is {shown(query.get("combinator"))}; it must be "and" or "or"'
    rules = query.get("rules")
    if not isinstance(rules, list):
        yield f"{path}.rules", f"is {type_name(rules)}; it must be a list of rules"
        return
    for index, rule in enumerate(rules):
        place = f"{path}.rules[{index}]"
        if isinstance(rule, dict) and "combinator" in rule:
            yield from _query(place, rule, operators=operators)
        else:
            yield from _rule(place, rule, operators=operators)


def _rule(path: str, rule: Json, *, operators: Collection[str]) -> Iterator[tuple[str, str]]:
    if not isinstance(rule, dict) or rule.keys() != {"property", "operator", "value"}:
        yield path, "must be an object with the keys property, operator and value"
        return
    if not isinstance(rule["property"], str):
        yield f"{path}.property", f'is {type_name(rule["property"])}; it must be text, such as "$identifier"'
    operator, value = rule["operator"], rule["value"]
    if operator not in operators:
        allowed = " or ".join(f'"{one}"' for one in operators)
        yield f"{path}.operator", f"is {shown(operator)}; here it must be {allowed}"
    elif operator == "in" and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        yield f"{path}.value", f'is {type_name(value)}; the operator "in" wants a list of text'


def _properties(document: Json, blueprint: Blueprint) -> Iterator[Objection]:
    given = document.get("properties", {})
    if not isinstance(given, dict):
        return
    for name, value in given.items():
        yield from (Objection(path, Code.SCHEMA, words) for path, words in _property(name, value, blueprint))
    for name in sorted(blueprint.required):
        # A default stands in for a key that is absent, not for one that is null.
        if given.get(name) is None and (name in given or not _has_default(blueprint, name)):
            words = "is required by the blueprint, but has no value"
            yield Objection(f"properties.{name}", Code.SCHEMA, words)


def _has_default(blueprint: Blueprint, name: str) -> bool:
    schema = blueprint.properties.get(name)
    return isinstance(schema, Mapping) and schema.get("default") is not None


def _property(name: str, value: Json, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
    path = f"properties.{name}"
    if name in blueprint.read_only:
        yield path, f"is computed by Port in blueprint {blueprint.identifier}; nobody may write it"
    elif name not in blueprint.properties:
        yield path, f"is no property of blueprint {blueprint.identifier}"
    elif value is not None:
        for where, words in wrongs_of(value, blueprint.properties[name]):
            yield f"{path}{where}", words


def _relations(document: Json, blueprint: Blueprint) -> Iterator[Objection]:
    given = document.get("relations", {})
    if not isinstance(given, dict):
        return
    for name, value in given.items():
        path = f"relations.{name}"
        yield from (Objection(where, Code.INVALID_REQUEST, words) for where, words in _relation_shape(path, value))
        relation = blueprint.relations.get(name)
        if relation is None:
            yield Objection(path, Code.SCHEMA, f"is no relation of blueprint {blueprint.identifier}")
        else:
            yield from _arity(path, value, relation)
    for name, relation in blueprint.relations.items():
        if relation.required and not given.get(name):
            yield Objection(f"relations.{name}", Code.REQUIRED, "is required by the blueprint, but leads nowhere")


def _relation_shape(path: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield from _query(path, value, operators=RELATION_OPERATORS)
    elif isinstance(value, str):
        yield from ((path, words) for words in identifier_wrongs(value))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            if not isinstance(one, str):
                yield f"{path}[{index}]", f"is {type_name(one)}; it must be an identifier"
                continue
            yield from ((f"{path}[{index}]", words) for words in identifier_wrongs(one, bounded=False))
    elif value is not None:
        yield path, f"is {type_name(value)}; it must be an identifier, a list of them, or a search query"


def _arity(path: str, value: Json, relation: Relation) -> Iterator[Objection]:
    if relation.many and isinstance(value, str):
        words = f"is one identifier, {shown(value)}, but the relation is to many {relation.target}: give a list"
        yield Objection(path, Code.MANY, words)
    if not relation.many and isinstance(value, list):
        words = f"is a list of {len(value)}, but the relation is to one {relation.target}"
        yield Objection(path, Code.MANY, words)


__all__ = ["Code", "Objection", "identifier_wrongs", "judge_target"]
