import pytest

from stageport.model.blueprints import Blueprint
from stageport.plan.diff import diff_target, same_json

CURRENT = {
    "identifier": "component:default/pay",
    "title": "Pay",
    "icon": "Cloud",
    "team": ["a", "b"],
    "properties": {"type": "service", "replicas": 3, "labels": {"x": 1}, "old": "value"},
    "relations": {"system": "system:default/shop", "apis": ["api:default/a", "api:default/b"], "owner": None},
}


def paths(desired: object, **options: bool) -> list[str]:
    return [change.path for change in diff_target(desired, CURRENT, **options)]


def test_what_the_mapping_does_not_name_is_never_compared() -> None:
    assert paths({"identifier": "component:default/pay"}) == []


def test_equal_fields_are_no_difference() -> None:
    assert paths({"title": "Pay", "icon": "Cloud", "properties": {"type": "service"}}) == []


@pytest.mark.parametrize(
    ("desired", "path"),
    [
        ({"title": "Payments"}, "title"),
        ({"icon": "Server"}, "icon"),
        ({"team": ["a"]}, "team"),
        ({"properties": {"type": "website"}}, "properties.type"),
        ({"properties": {"type": None}}, "properties.type"),
        ({"properties": {"labels": {"x": 2}}}, "properties.labels"),
        ({"relations": {"system": "system:default/other"}}, "relations.system"),
        ({"relations": {"system": None}}, "relations.system"),
        ({"relations": {"apis": ["api:default/a"]}}, "relations.apis"),
        ({"relations": {"owner": "user:default/jo"}}, "relations.owner"),
    ],
)
def test_each_differing_field_is_named(desired: object, path: str) -> None:
    assert paths(desired) == [path]


@pytest.mark.parametrize(
    "desired",
    [
        {"team": ["b", "a"]},
        {"properties": {"absent": None}},
        {"properties": {"replicas": 3.0}},
        {"relations": {"owner": None, "never": None, "none": []}},
        {"relations": {"apis": ["api:default/b", "api:default/a"]}},
    ],
)
def test_what_port_normalises_is_no_difference(desired: object) -> None:
    assert paths(desired) == []


def test_one_team_as_text_equals_a_list_of_one() -> None:
    assert diff_target({"team": "a"}, {"team": ["a"]}) == ()


def test_an_entity_without_a_title_may_show_its_identifier() -> None:
    assert diff_target({"title": None}, {"identifier": "x", "title": "x"}) == ()
    assert diff_target({"title": None}, {"identifier": "x", "title": "Y"}) != ()


def test_a_search_relation_always_counts_as_different_because_port_evaluates_it() -> None:
    search = {"combinator": "and", "rules": [{"property": "$title", "operator": "=", "value": "x"}]}
    assert paths({"relations": {"system": search}}) == ["relations.system"]


def test_without_merge_what_only_port_has_is_a_difference() -> None:
    desired = {**CURRENT, "properties": {"type": "service", "replicas": 3, "labels": {"x": 1}}}
    assert paths(desired, merge=False) == ["properties.old"]


def test_without_merge_calculated_properties_are_left_alone() -> None:
    blueprint = Blueprint("component", read_only=frozenset({"old"}))
    desired = {**CURRENT, "properties": {"type": "service", "replicas": 3, "labels": {"x": 1}}}
    assert diff_target(desired, CURRENT, blueprint=blueprint, merge=False) == ()


def test_a_difference_holds_both_values() -> None:
    (change,) = diff_target({"title": "New"}, CURRENT)
    assert (change.before, change.after) == ("Pay", "New")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (True, 1, False),
        (0, False, False),
        (None, False, False),
        ("1", 1, False),
        (3, 3.0, True),
        ([1, [True]], [1, [1]], False),
        ({"a": {"b": True}}, {"a": {"b": 1}}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
    ],
)
def test_values_compare_as_json(left: object, right: object, same: bool) -> None:
    assert same_json(left, right) is same
