"""What is said of an entity that Port would refuse: everything at once, in words that name the place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stageport.model.blueprints import parse_blueprint
from stageport.model.entities import TargetEntity
from stageport.plan.values import wrongs_of
from stageport.plan.verdict import Code, judge_target

BLUEPRINT = parse_blueprint(
    {
        "identifier": "service",
        "schema": {
            "properties": {
                "type": {"type": "string", "enum": ["service", "website"]},
                "links": {"type": "array", "items": {"type": "string", "format": "url"}},
                "email": {"type": "string", "format": "email"},
                "owner": {"type": "string"},
                "docs": {"type": "object", "format": "labeled-url"},
            },
            "required": ["owner"],
        },
        "relations": {
            "system": {"target": "system", "many": False, "required": True},
            "parts": {"target": "component", "many": True},
        },
        "mirrorProperties": {"tier": {"path": "system.tier"}},
    }
)


def judge(**fields: Any) -> list[tuple[str, str]]:
    body = json.dumps({"identifier": "a", **fields}, ensure_ascii=False).encode()
    return [
        (one.code.value, str(one)) for one in judge_target(TargetEntity("service", "a", body), {"service": BLUEPRINT})
    ]


def test_everything_is_said_at_once() -> None:
    assert judge(
        identifier="a b",
        title=1,
        team=["x", 1],
        properties={"type": "lib", "links": ["https://a.de", {"url": "x"}], "email": "me", "tier": 1, "typo": None},
        relations={"system": ["a"], "parts": "b", "nowhere": None},
    ) == [
        (
            "invalid_request",
            "identifier is \"a b\"; an identifier has letters, digits and @ _ . + : \\ / = - only, not ' '",
        ),
        ("invalid_request", "title is a number; it must be text"),
        ("invalid_request", "team[1] is a number; each team must be text"),
        ("blueprint_schema_mismatch", 'properties.type is "lib"; it must be one of "service", "website"'),
        ("blueprint_schema_mismatch", "properties.links[1] is an object; it must be of type string"),
        (
            "blueprint_schema_mismatch",
            'properties.email is "me"; format email wants an e-mail address, like jane@example.com',
        ),
        ("blueprint_schema_mismatch", "properties.tier is computed by Port in blueprint service; nobody may write it"),
        ("blueprint_schema_mismatch", "properties.typo is no property of blueprint service"),
        ("blueprint_schema_mismatch", "properties.owner is required by the blueprint, but has no value"),
        ("relation_many_violation", "relations.system is a list of 1, but the relation is to one system"),
        (
            "relation_many_violation",
            'relations.parts is one identifier, "b", but the relation is to many component: give a list',
        ),
        ("blueprint_schema_mismatch", "relations.nowhere is no relation of blueprint service"),
    ]


def test_an_entity_without_objections() -> None:
    fields = {"type": "service", "owner": "a", "links": [], "email": None, "docs": {"url": "https://a.de"}}
    assert judge(properties=fields, relations={"system": "s", "parts": ["a"]}, title=None, team=None) == []


def test_a_search_query_is_looked_at_leaf_by_leaf() -> None:
    rules = [{"property": None, "operator": "!=", "value": 1}, {"property": "a", "operator": "in", "value": "b"}, 7]
    said = judge(
        properties={"owner": "x"},
        relations={"system": {"combinator": None, "rules": rules}, "parts": {"combinator": "or"}},
    )
    assert said == [
        ("invalid_request", 'relations.system.combinator is null; it must be "and" or "or"'),
        ("invalid_request", 'relations.system.rules[0].property is null; it must be text, such as "$identifier"'),
        ("invalid_request", 'relations.system.rules[0].operator is "!="; here it must be "=" or "in" or "contains"'),
        ("invalid_request", 'relations.system.rules[1].value is a string; the operator "in" wants a list of text'),
        (
            "invalid_request",
            "relations.system.rules[2] must be an object with the keys property, operator and value",
        ),
        ("invalid_request", "relations.parts.rules is null; it must be a list of rules"),
    ]


def test_an_entity_that_is_too_large() -> None:
    body = json.dumps({"identifier": "a", "title": "x" * 1024 * 1024}).encode()
    (size, *_) = judge_target(TargetEntity("service", "a", body), {"service": BLUEPRINT})
    assert (size.code, size.path) == (Code.TOO_LARGE, "")
    assert "1 MiB" in size.message


SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, "", "a", "ab", "abc"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "object", "array", "null"])
SIMPLE = st.fixed_dictionaries(
    {},
    optional={
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "enum": st.lists(SCALARS, min_size=1, max_size=3),
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "pattern": st.sampled_from(["^a", "b$", "[ab]{2}"]),
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
    },
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "c"]), inner, max_size=1),
            "additionalProperties": st.booleans() | inner,
        },
    ),
    max_leaves=4,
)


@given(VALUES, SCHEMAS)
def test_a_value_is_wrong_exactly_when_a_json_schema_validator_says_so(value: Any, schema: Any) -> None:
    assert (not list(wrongs_of(value, schema))) is Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema", [None, True, {"pattern": "(?<a>x"}, {"type": "unheard-of"}, {"format": "unheard-of"}]
)
def test_nothing_is_said_by_a_schema_that_cannot_be_read(schema: Any) -> None:
    assert list(wrongs_of("value", schema)) == []
