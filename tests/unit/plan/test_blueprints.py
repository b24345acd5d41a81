"""First start: which blueprints are created, in which order, and what is left alone."""

import pytest

from stageport.mapping.defaults import default_blueprints
from stageport.model.blueprints import Blueprint, parse_blueprint
from stageport.plan.blueprints import LeftOut, plan_blueprints
from stageport.plan.fit import Trouble


def document(name: str, *, relations: dict[str, str] | None = None, **more):
    targets = {name: {"target": target, "many": False, "required": False} for name, target in (relations or {}).items()}
    properties = {"type": {"type": "string"}}
    return {
        "identifier": name,
        "title": name,
        "schema": {"properties": properties, "required": []},
        "relations": targets,
        **more,
    }


def port_after(plan, existing: dict[str, Blueprint]) -> dict[str, Blueprint]:
    """Do what Port would do, refusing a relation to a blueprint that does not exist."""
    held = {}
    for created in plan.creates:
        assert created["identifier"] not in {*held, *existing}
        assert not created.get("relations")
        held[created["identifier"]] = dict(created)
    for name, patch in plan.patches:
        for relation in patch.get("relations", {}).values():
            assert relation["target"] in {*held, *existing}
        held.setdefault(name, {"identifier": name}).update(patch)
    return {**existing, **{name: parse_blueprint(held[name]) for name in held}}


def test_all_blueprints_are_created_bare_and_then_related():
    plan = plan_blueprints(default_blueprints(), {})
    after = port_after(plan, {})
    assert after == {each["identifier"]: parse_blueprint(each) for each in default_blueprints()}
    assert list(plan.documents) == default_blueprints()
    assert plan.existing == plan.left_out == plan.mismatches == ()


def test_a_second_start_has_nothing_to_do():
    after = port_after(plan_blueprints(default_blueprints(), {}), {})
    plan = plan_blueprints(default_blueprints(), after)
    assert plan.is_empty
    assert plan.mismatches == ()
    assert len(plan.existing) == len(default_blueprints())


def test_one_that_exists_does_not_keep_the_others_from_being_created():
    mine = parse_blueprint(document("user", relations={"manager": "user"}))
    plan = plan_blueprints(default_blueprints(), {"user": mine})
    assert "user" not in [created["identifier"] for created in plan.creates]
    assert "user" not in [name for name, _ in plan.patches]
    assert len(plan.creates) == len(default_blueprints()) - 1
    assert port_after(plan, {"user": mine})["user"] == mine
    assert plan.existing == ("user",)


def test_what_an_existing_one_lacks_is_reported():
    mine = Blueprint("b", properties={"type": {"type": "array"}}, relations={})
    wanted = document("b", relations={"a": "b"})
    mismatches = plan_blueprints([wanted], {"b": mine}).mismatches
    assert [(each.field, each.trouble) for each in mismatches] == [
        ("properties.type", Trouble.PROPERTY_TYPE),
        ("relations.a", Trouble.NO_RELATION),
    ]
    assert mismatches[0].message == "blueprint b has property type of type array, but the mapping gives string"


def test_relations_may_lead_to_blueprints_that_existed_before():
    plan = plan_blueprints([document("a", relations={"to": "theirs"})], {"theirs": Blueprint("theirs")})
    assert plan.patches == (("a", {"relations": {"to": {"target": "theirs", "many": False, "required": False}}}),)


def test_relations_that_lead_nowhere_are_left_out_and_reported():
    plan = plan_blueprints([document("a", relations={"to": "nowhere", "self": "a"})], {})
    assert [name for name, _ in plan.patches] == ["a"]
    assert list(plan.patches[0][1]["relations"]) == ["self"]
    assert list(plan.documents[0]["relations"]) == ["self"]
    assert plan.left_out == (LeftOut("a", "to", "nowhere"),)
    assert str(plan.left_out[0]) == "relation to of blueprint a: there is no blueprint nowhere"


def test_computed_properties_come_after_all_relations():
    mirror = {"mirrorProperties": {"m": {"path": "to.type"}}}
    documents = [document("a", relations={"to": "b"}, **mirror), document("b", relations={"to": "a"})]
    plan = plan_blueprints(documents, {})
    assert [(name, sorted(patch)) for name, patch in plan.patches] == [
        ("a", ["relations"]),
        ("b", ["relations"]),
        ("a", ["mirrorProperties"]),
    ]
    assert not any("mirrorProperties" in created for created in plan.creates)


@pytest.mark.parametrize("crashed_after", range(17))
def test_a_start_that_crashed_is_completed_by_the_next_one(crashed_after):
    first = plan_blueprints(default_blueprints(), {})
    there = {}
    for step in [*[(each["identifier"], each) for each in first.creates], *first.patches][:crashed_after]:
        there[step[0]] = {**there.get(step[0], {}), **step[1]}
    existing = {name: parse_blueprint(held) for name, held in there.items()}
    second = plan_blueprints(default_blueprints(), existing)
    for created in second.creates:
        there[created["identifier"]] = created
    for name, patch in second.patches:
        there[name] = {**there[name], **patch}
    wanted = {each["identifier"]: parse_blueprint(each) for each in default_blueprints()}
    assert {name: parse_blueprint(held) for name, held in there.items()} == wanted


@pytest.mark.parametrize(
    "there",
    [
        Blueprint("a", title="a", properties={"type": {"type": "string"}, "mine": {"type": "string"}}),
        Blueprint("a", title="Mine", properties={"type": {"type": "string"}}),
        Blueprint("a", title="a", properties={"type": {"type": "number"}}),
    ],
    ids=["another property", "another title", "another type"],
)
def test_a_blueprint_without_relations_that_is_not_ours_is_never_touched(there):
    plan = plan_blueprints([document("a", relations={"to": "a"})], {"a": there})
    assert plan.is_empty
    assert plan.existing == ("a",)
