"""Relations and teams of entities at the Port stand-in: arity, existence, stubs, searches."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.port_rig import DATASOURCE, STRICT_WRITE, WRITE, Rig, open_rig

RELATIONS = {"one": {"target": "target"}, "all": {"target": "target", "many": True}, "self": {"target": "component"}}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as rig:
        await rig.blueprint("target", properties={"text": {"type": "string"}})
        await rig.blueprint(relations=RELATIONS)
        yield rig


async def relate(rig: Rig, **relations: Any) -> Any:
    return await rig.write({"identifier": "a", "relations": relations})


async def relate_strictly(rig: Rig, **relations: Any) -> Any:
    return await rig.write({"identifier": "a", "relations": relations}, query=STRICT_WRITE)


@pytest.mark.parametrize("relations", [{"one": ["t"]}, {"all": "t"}, {"one": []}])
async def test_arity_both_ways(rig: Rig, relations: dict[str, Any]) -> None:
    reply = await relate(rig, **relations)
    assert (reply.status, reply.error) == (422, "relation_many_violation")
    assert rig.state.entities("target") == {}


async def test_an_unknown_relation(rig: Rig) -> None:
    assert (await relate(rig, other="t")).error == "blueprint_schema_mismatch"


async def test_relations_are_all_listed(rig: Rig) -> None:
    await relate(rig)
    assert (await rig.get("a"))["relations"] == {"one": None, "all": [], "self": None}


async def test_null_clears_a_relation_and_absence_keeps_it(rig: Rig) -> None:
    await relate(rig, one="t", all=["t", "u"])
    await relate(rig, one=None)
    assert (await rig.get("a"))["relations"] == {"one": None, "all": ["t", "u"], "self": None}
    await relate(rig, all=None)
    assert (await rig.get("a"))["relations"]["all"] == []


async def test_a_missing_entity_refuses_the_item(rig: Rig) -> None:
    reply = await relate_strictly(rig, one="t")
    assert (reply.status, reply.error) == (404, "not_found")
    assert reply.body["message"] == 'Entity with identifier "t" does not exist in the blueprint "target"'
    assert rig.state.entities("component") == {}


async def test_a_missing_entity_is_created_when_that_is_asked_for(rig: Rig) -> None:
    await relate(rig, one="t", all=["t", "u"])
    stub = await rig.get("t", blueprint="target")
    assert (stub["title"], stub["properties"]) == ("t", {})
    assert set(rig.state.entities("target")) == {"t", "u"}
    assert rig.state.entities("target")["u"].datasource == DATASOURCE
    assert rig.state.journal.entities == {"created": 1, "stub": 2}


async def test_a_refused_item_leaves_no_stub(rig: Rig) -> None:
    reply = await rig.bulk([{"identifier": "a", "relations": {"one": "t", "all": "u"}}])
    assert reply.status == 207
    assert rig.state.entities("target") == {}


async def test_no_stub_when_only_validating(rig: Rig) -> None:
    reply = await rig.write({"identifier": "a", "relations": {"one": "t"}}, query={**WRITE, "validation_only": "true"})
    assert reply.status == 200
    assert rig.state.entities("target") == {}


async def test_an_entity_may_relate_to_itself(rig: Rig) -> None:
    assert (await relate_strictly(rig, self="a")).status == 404
    assert (await relate(rig, self="a")).status == 201
    assert rig.state.journal.entities["stub"] == 0
    assert (await rig.get("a"))["relations"]["self"] == "a"


async def test_a_cycle_in_one_bulk(rig: Rig) -> None:
    bulk = [{"identifier": one, "relations": {"self": other}} for one, other in (("a", "b"), ("b", "a"))]
    assert [error["error"] for error in (await rig.bulk(bulk, query=STRICT_WRITE)).body["errors"]] == ["not_found"] * 2
    assert (await rig.bulk(bulk)).status == 200
    assert {key: entity.relations["self"] for key, entity in rig.state.entities("component").items()} == {
        "a": "b",
        "b": "a",
    }


async def test_items_of_a_bulk_do_not_count_on_each_other(rig: Rig) -> None:
    bulk = [{"identifier": "a"}, {"identifier": "b", "relations": {"self": "a"}}]
    reply = await rig.bulk(bulk, query=STRICT_WRITE)
    assert [one["identifier"] for one in reply.body["errors"]] == ["b"]
    assert (await rig.bulk(bulk, query=STRICT_WRITE)).status == 200


@pytest.mark.parametrize("target", ["_user", "_team"])
async def test_nothing_is_created_in_a_protected_blueprint(rig: Rig, target: str) -> None:
    await rig.blueprint("owned", relations={"owner": {"target": target}})
    reply = await rig.write({"identifier": "a", "relations": {"owner": "jane@example.com"}}, blueprint="owned")
    assert (reply.status, reply.error) == (404, "not_found")
    await rig.ok("POST", f"/v1/blueprints/{target}/entities", {"identifier": "jane@example.com"}, query=WRITE)
    again = await rig.write({"identifier": "a", "relations": {"owner": "jane@example.com"}}, blueprint="owned")
    assert again.status == 201


async def test_a_required_relation(rig: Rig) -> None:
    await rig.blueprint("strict", relations={"must": {"target": "target", "required": True}})
    for relations in ({}, {"must": None}):
        reply = await rig.write({"identifier": "a", "relations": relations}, blueprint="strict")
        assert (reply.status, reply.error) == (422, "required_relation")
    assert (await rig.write({"identifier": "a", "relations": {"must": "t"}}, blueprint="strict")).status == 201
    assert (await rig.write({"identifier": "a", "title": "kept"}, blueprint="strict")).status == 200
    assert (await rig.write({"identifier": "a", "relations": {"must": None}}, blueprint="strict")).status == 422


def by(*rules: tuple[str, str, Any], combinator: str = "and") -> dict[str, Any]:
    return {
        "combinator": combinator,
        "rules": [{"property": name, "operator": operator, "value": value} for name, operator, value in rules],
    }


async def test_a_search_finds_the_related(rig: Rig) -> None:
    texts = {"t1": "x", "t2": "x", "t3": "y"}
    await rig.bulk(
        [{"identifier": key, "properties": {"text": text}} for key, text in texts.items()], blueprint="target"
    )
    await relate(rig, one=by(("text", "=", "y")), all=by(("text", "contains", "x")))
    assert (await rig.get("a"))["relations"] == {"one": "t3", "all": ["t1", "t2"], "self": None}
    await relate(rig, all=by(("$identifier", "in", ["t3", "t9"])), one=by(("text", "=", "nothing")))
    assert (await rig.get("a"))["relations"] == {"one": None, "all": ["t3"], "self": None}
    assert (await relate(rig, one=by(("text", "=", "x")))).error == "relation_many_violation"


async def test_a_search_finds_a_hundred_at_most(rig: Rig) -> None:
    for start in range(0, 120, 20):
        await rig.bulk([{"identifier": f"t{number}"} for number in range(start, start + 20)], blueprint="target")
    await relate(rig, all=by(("$identifier", "contains", "t")))
    assert len((await rig.get("a"))["relations"]["all"]) == 100


async def test_a_search_cannot_ask_for_what_is_computed(rig: Rig) -> None:
    await rig.blueprint("counted", calculationProperties={"calc": {"calculation": ".identifier", "type": "string"}})
    reply = await rig.write({"identifier": by(("calc", "=", "x"))}, blueprint="counted")
    assert (reply.status, reply.error) == (422, "invalid_request")


async def test_teams_must_exist(rig: Rig) -> None:
    reply = await rig.write({"identifier": "a", "team": ["platform"]})
    assert (reply.status, reply.error) == (404, "not_found")
    assert reply.body["message"] == 'Entity with identifier "platform" does not exist in the blueprint "_team"'
    await rig.bulk([{"identifier": "platform"}, {"identifier": "web"}], blueprint="_team")
    assert (await rig.write({"identifier": "a", "team": "platform"})).body["entity"]["team"] == ["platform"]
    assert (await rig.write({"identifier": "a", "title": "kept"})).body["entity"]["team"] == ["platform"]
    found = await rig.write({"identifier": "a", "team": by(("$identifier", "in", ["web"]))})
    assert found.body["entity"]["team"] == ["web"]
    assert (await rig.write({"identifier": "a", "team": []})).body["entity"]["team"] == []


async def test_inherited_teams_are_not_written(rig: Rig) -> None:
    await rig.ok("POST", "/v1/blueprints/_team/entities", {"identifier": "platform"}, query=WRITE)
    await rig.blueprint(
        "heir", relations={"of": {"target": "target"}}, ownership={"type": "Inherited", "path": "of.$team"}
    )
    reply = await rig.write({"identifier": "a", "team": "platform"}, blueprint="heir")
    assert (reply.status, reply.error) == (422, "team_inheritance_enabled")
    assert (await rig.write({"identifier": "a"}, blueprint="heir")).status == 201


async def test_titles_can_be_attached(rig: Rig) -> None:
    await rig.ok("POST", "/v1/blueprints/target/entities", {"identifier": "t", "title": "Tee"}, query=WRITE)
    await relate(rig, one="t", all=["t"])
    rig.held_to_specification = False  # It knows the titled form of a relation of one only.
    path = "/v1/blueprints/component/entities/a"
    entity = (await rig.ok("GET", path, query={"attach_title_to_relation": "true"}))["entity"]
    tee = {"identifier": "t", "title": "Tee"}
    assert entity["relations"] == {"one": tee, "all": [tee], "self": None}


async def test_mirror_properties_follow_relations(rig: Rig) -> None:
    await rig.blueprint(
        "mirrored",
        relations={"via": {"target": "component"}},
        mirrorProperties={
            "text": {"path": "via.one.text"},
            "titles": {"path": "via.all.$title"},
            "dangling": {"path": "via.none.text"},
        },
    )
    await rig.bulk(
        [{"identifier": "t", "title": "T", "properties": {"text": "deep"}}, {"identifier": "u"}], blueprint="target"
    )
    await relate(rig, one="t", all=["t", "u"])
    await rig.write({"identifier": "m", "relations": {"via": "a"}}, blueprint="mirrored")
    assert (await rig.get("m", blueprint="mirrored"))["properties"] == {
        "text": "deep",
        "titles": ["T", None],
        "dangling": None,
    }
    path = "/v1/blueprints/mirrored/entities/m"
    plain = await rig.ok("GET", path, query={"exclude_calculated_properties": "true"})
    assert plain["entity"]["properties"] == {}
