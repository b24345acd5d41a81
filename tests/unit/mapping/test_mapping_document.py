"""Reading mapping documents: what is accepted, with which defaults, and how faults are told."""

from typing import Any

import pytest

from stageport.mapping.document import UNSET, SearchQuery, SearchRule, parse_mapping
from stageport.model.errors import MappingError

MAPPINGS: dict[str, Any] = {"identifier": ".metadata.identifier", "blueprint": '"service"'}


def resource(*, kind: Any = "component", query: Any = "true", port: Any = None, **mappings: Any) -> dict[str, Any]:
    entity = {"entity": {"mappings": {**MAPPINGS, **mappings}}}
    return {"kind": kind, "selector": {"query": query}, "port": {**entity, **(port or {})}}


def parse_one(**changes: Any) -> Any:
    return parse_mapping({"resources": [resource(**changes)]}).resources[0]


def faults_of(config: Any) -> list[str]:
    with pytest.raises(MappingError) as refusal:
        parse_mapping(config)
    return [fault.message for fault in refusal.value.faults]


def test_defaults_are_those_of_the_code_not_of_the_documentation() -> None:
    document = parse_mapping({"resources": []})
    assert document.create_missing_related
    assert document.delete_dependents
    assert document.merge
    assert document.deletion_threshold == 0.9


@pytest.mark.parametrize("config", [None, {}, [], ""])
def test_an_empty_document_is_refused(config: Any) -> None:
    with pytest.raises(MappingError, match="empty"):
        parse_mapping(config)


def test_snake_case_is_read_at_the_top_only_and_gives_way_to_camel_case() -> None:
    config = {
        "delete_dependent_entities": False,
        "enable_merge_entity": False,
        "enableMergeEntity": True,
        "resources": [resource(port={"items_to_parse": ".relations"})],
    }
    document = parse_mapping(config)
    assert not document.delete_dependents
    assert document.merge
    assert document.resources[0].items.expression is None
    assert ("resources", 0, "port", "items_to_parse") in document.unknown


@pytest.mark.parametrize(
    ("value", "expected"),
    [("yes", True), ("OFF", False), (1, True), (0, False), ("t", True), (1.0, True), (False, False)],
)
def test_switches_take_the_words_that_people_have_written(value: Any, expected: Any) -> None:
    assert parse_mapping({"createMissingRelatedEntities": value}).create_missing_related is expected


@pytest.mark.parametrize("value", [None, "maybe", 2, [], " true "])
def test_switches_refuse_the_rest(value: Any) -> None:
    assert faults_of({"enableMergeEntity": value})[0].startswith("enableMergeEntity is")


@pytest.mark.parametrize(("value", "expected"), [("0.5", 0.5), (0, 0.0), (1, 1.0)])
def test_the_threshold_may_be_text(value: Any, expected: float) -> None:
    assert parse_mapping({"entityDeletionThreshold": value}).deletion_threshold == expected


@pytest.mark.parametrize("value", [1.1, -0.1, "many", None, float("nan")])
def test_the_threshold_is_a_share(value: Any) -> None:
    assert len(faults_of({"entityDeletionThreshold": value})) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (1.5, "1.5"),
        (1e20, "1e+20"),
        (float("inf"), "infinite"),
        (float("-inf"), "-infinite"),
        (float("nan"), "nan"),
    ],
)
def test_yaml_scalars_become_jq_literals(value: Any, expected: str) -> None:
    mapped = parse_one(query=value, properties={"a": value})
    assert mapped.selector.query == expected
    assert mapped.mappings.properties == {"a": expected}


def test_a_boolean_for_a_text_field_stays_the_word_that_jq_does_not_know() -> None:
    mappings = parse_one(title=True, icon=False, team=True).mappings
    assert (mappings.title, mappings.icon, mappings.team) == ("True", "False", "True")


def test_absent_null_and_empty_are_told_apart() -> None:
    absent, null = parse_one().mappings, parse_one(title=None, icon=None, team=None).mappings
    assert (absent.title, absent.icon, absent.team) == (UNSET, UNSET, UNSET)
    assert (null.title, null.icon, null.team) == (None, None, None)
    assert absent.properties is UNSET
    assert parse_one(properties={}).mappings.properties == {}
    assert parse_one(relations=[]).mappings.relations == {}


def test_search_queries_nest_and_drop_what_they_do_not_know() -> None:
    rule = {"property": '"a"', "operator": '"="', "value": 1, "blueprint": '"x"'}
    query = {"combinator": '"and"', "rules": [rule, {"combinator": '"or"', "rules": []}], "more": 1}
    expected = SearchQuery('"and"', (SearchRule('"a"', '"="', "1"), SearchQuery('"or"', ())))
    mappings = parse_one(identifier=query, team=query, relations={"r": query}).mappings
    assert mappings.identifier == mappings.team == expected
    assert mappings.relations == {"r": expected}


def test_what_has_all_keys_of_a_rule_is_a_rule() -> None:
    both = {"property": ".a", "operator": ".b", "value": ".c", "combinator": ".d", "rules": []}
    query = {"combinator": '"and"', "rules": [both]}
    assert parse_one(identifier=query).mappings.identifier.rules == (SearchRule(".a", ".b", ".c"),)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ({"resources": None}, "resources is null, but must be a list"),
        ({"resources": ["x"]}, "resources[0] is text, but must be an object"),
        ({"resources": [resource(kind=None)]}, "resources[0].kind is null, but must be text"),
        ({"resources": [resource(query=["true"])]}, "resources[0].selector.query is a list"),
        ({"resources": [resource(properties=None)]}, "properties is null, but must be an object"),
        ({"resources": [resource(properties={"a": {"b": "c"}})]}, "properties.a is an object"),
        ({"resources": [resource(relations={"a": [".b"]})]}, "relations.a is a list"),
        ({"resources": [resource(relations={"a": {}})]}, "relations.a is an object"),
        ({"resources": [resource(identifier=None)]}, "identifier is null"),
        ({"resources": [resource(port={"itemsToParseName": None})]}, "itemsToParseName is null"),
        ({"resources": [resource(port={"itemsToParseTopLevelTransform": None})]}, "itemsToParseTopLevelTransform is"),
        ({"resources": [resource(port={"entity": {"mappings": [MAPPINGS]}})]}, "mappings is a list, but must be one"),
        ({"resources": [{"kind": "a", "selector": {}}]}, "resources[0] lacks the key 'port'"),
        (
            {"resources": [resource(team={"combinator": ".a", "rules": [{"property": "x", "operator": "y"}]})]},
            "team.rules[0] lacks the key 'value'",
        ),
        ({"resources": [resource(team={"rules": None})]}, "team.rules is null, but must be a list of rules"),
    ],
)
def test_faults_name_their_path(broken: Any, expected: str) -> None:
    assert any(expected in message for message in faults_of(broken))


def test_all_faults_are_told_at_once() -> None:
    config = {"entityDeletionThreshold": 3, "resources": [resource(kind=[]), resource(query=None, title=[])]}
    with pytest.raises(MappingError) as refusal:
        parse_mapping(config)
    assert "4 problems" in refusal.value.message
    assert [fault.path for fault in refusal.value.faults] == [
        ("resources", 0, "kind"),
        ("resources", 1, "selector", "query"),
        ("resources", 1, "port", "entity", "mappings", "title"),
        ("entityDeletionThreshold",),
    ]


def test_kinds_are_distinct_in_order_whatever_their_case() -> None:
    kinds = ["API", "component", "Component", "api", "Template"]
    assert parse_mapping({"resources": [resource(kind=kind) for kind in kinds]}).kinds() == [
        "API",
        "component",
        "Template",
    ]


def test_our_own_keys_are_read() -> None:
    entry = resource()
    entry["selector"] |= {"filter": ["spec.type=service"], "orphans": "skip", "broken": "keep"}
    selector = parse_mapping({"resources": [entry]}).resources[0].selector
    assert (selector.filter, selector.skip_orphans, selector.skip_broken) == (("spec.type=service",), True, False)


@pytest.mark.parametrize(("key", "value"), [("filter", "a=b"), ("filter", [None]), ("orphans", True), ("broken", None)])
def test_our_own_keys_are_checked(key: str, value: Any) -> None:
    entry = resource()
    entry["selector"][key] = value
    assert faults_of({"resources": [entry]})[0].startswith(f"resources[0].selector.{key}")


def test_what_is_written_back_holds_what_was_set_and_nothing_else() -> None:
    entry = resource(title=None, icon=".i", port={"itemsToParse": ".x", "itemsToParseName": "y"}, properties={"a": 1})
    entry["selector"] |= {"filter": ["a=b"], "orphans": "skip", "comment": "dropped"}
    config = parse_mapping({"enable_merge_entity": "no", "resources": [entry], "other": 1}).to_config()
    assert config == {
        "deleteDependentEntities": True,
        "createMissingRelatedEntities": True,
        "enableMergeEntity": False,
        "entityDeletionThreshold": 0.9,
        "resources": [
            {
                "kind": "component",
                "selector": {"query": "true", "filter": ["a=b"], "orphans": "skip"},
                "port": {
                    "entity": {"mappings": {**MAPPINGS, "icon": ".i", "properties": {"a": "1"}}},
                    "itemsToParse": ".x",
                    "itemsToParseName": "y",
                },
            }
        ],
    }
    assert parse_mapping(config).to_config() == config


def test_unknown_keys_are_listed_with_their_paths() -> None:
    config = {"resources": [{**resource(), "comment": 1}], "more": 2}
    assert set(parse_mapping(config).unknown) == {("more",), ("resources", 0, "comment")}
