"""Each switch of the Port stand-in does what it says, and nothing where it is off."""

from dataclasses import fields
from typing import Any

import pytest
from tests.contract.port_rig import STRICT_WRITE, WRITE, Rig, open_rig

from stageport.sandbox.port import Behaviour, Leniency

LISTING = "/v1/blueprints/entities/datasource-entities"


async def prepare(rig: Rig) -> None:
    rig.held_to_specification = False
    formats = ("yaml", "proto", "user", "team", "timer", "url")
    await rig.blueprint(
        properties={
            "text": {"type": "string"},
            **{name: {"type": "string", "format": name} for name in formats},
        },
        relations={"all": {"target": "component", "many": True}},
    )


def properties(**given: Any) -> dict[str, Any]:
    return {"identifier": "a", "properties": given}


LENIENT: list[tuple[str, dict[str, Any], dict[str, str], int]] = [
    ("unknown_properties", properties(other=1), WRITE, 422),
    ("unknown_relations", {"identifier": "a", "relations": {"other": "b"}}, WRITE, 422),
    ("string_for_many", {"identifier": "a", "relations": {"all": "b"}}, WRITE, 422),
    ("free_text_formats", properties(yaml="a: b: c"), WRITE, 422),
    ("free_text_formats", properties(proto="anything"), WRITE, 422),
    ("free_text_formats", properties(user="jane"), WRITE, 422),
    ("free_text_formats", properties(team="nobody"), WRITE, 422),
    ("free_text_formats", properties(timer="soon"), WRITE, 422),
    ("any_url", properties(url="http://localhost:7007/x"), WRITE, 422),
    ("any_url", properties(url="slack://channel/1"), WRITE, 422),
    ("unknown_teams", {"identifier": "a", "team": ["nobody"]}, WRITE, 404),
    ("apostrophe_in_identifier", {"identifier": "o'hara"}, WRITE, 422),
    ("missing_query_parameters", {"identifier": "a"}, {"merge": "true"}, 422),
]


@pytest.mark.parametrize(("switch", "entity", "query", "status"), LENIENT)
async def test_each_switch_of_leniency_lets_pass_what_is_refused_without_it(
    switch: str, entity: dict[str, Any], query: dict[str, str], status: int
) -> None:
    async with open_rig() as rig:
        await prepare(rig)
        assert (await rig.write(entity, query=query)).status == status
    async with open_rig(leniency=Leniency(**{switch: True})) as rig:
        await prepare(rig)
        assert (await rig.write(entity, query=query)).status == 201


def test_leniency_is_off_by_default_and_tested_switch_by_switch() -> None:
    assert not any(getattr(Leniency(), one.name) for one in fields(Leniency))
    elsewhere = {"items_see_each_other"}
    assert {one.name for one in fields(Leniency)} == {switch for switch, *_rest in LENIENT} | elsewhere


async def test_what_is_let_through_is_stored_in_the_right_shape() -> None:
    leniency = Leniency(unknown_properties=True, unknown_relations=True, string_for_many=True)
    async with open_rig(leniency=leniency) as rig:
        await prepare(rig)
        await rig.write(
            {"identifier": "a", "properties": {"other": 1, "text": "x"}, "relations": {"all": "b", "other": "c"}}
        )
        entity = await rig.get("a")
        assert (entity["properties"], entity["relations"]) == ({"text": "x"}, {"all": ["b"]})


async def test_delete_dependents_may_be_left_out() -> None:
    async with open_rig(leniency=Leniency(missing_query_parameters=True)) as rig:
        await prepare(rig)
        await rig.write({"identifier": "a"})
        await rig.ok("DELETE", "/v1/blueprints/component/entities/a")


async def test_items_may_see_each_other() -> None:
    async with open_rig(leniency=Leniency(items_see_each_other=True)) as rig:
        await prepare(rig)
        bulk = [{"identifier": "a"}, {"identifier": "b", "relations": {"all": ["a"]}}]
        assert (await rig.bulk(bulk, query=STRICT_WRITE)).status == 200


async def test_items_may_be_applied_last_first() -> None:
    switches = {"leniency": Leniency(items_see_each_other=True), "behaviour": Behaviour(reversed_bulk=True)}
    async with open_rig(**switches) as rig:
        await prepare(rig)
        bulk = [{"identifier": "a"}, {"identifier": "b", "relations": {"all": ["a"]}}]
        reply = await rig.bulk(bulk, query=STRICT_WRITE)
        assert [one["index"] for one in reply.body["errors"]] == [1]
        reply = await rig.bulk([{"identifier": "c"}, {"identifier": "d"}])
        assert [one["index"] for one in reply.body["entities"]] == [0, 1]
        assert list(rig.state.entities("component")) == ["a", "d", "c"]


async def test_null_texts_may_be_refused() -> None:
    async with open_rig(behaviour=Behaviour(accepts_null_text=False)) as rig:
        await prepare(rig)
        for name in ("title", "icon", "team"):
            assert (await rig.write({"identifier": "a", name: None})).status == 422
        await rig.write({"identifier": "a"})
        await rig.ok("PATCH", "/v1/blueprints/component/entities/a", {"title": None})


@pytest.mark.parametrize("last_writer_owns", [True, False])
async def test_a_later_writer_owns_an_entity_only_with_the_switch(last_writer_owns: bool) -> None:
    async with open_rig(behaviour=Behaviour(last_writer_owns=last_writer_owns)) as rig:
        await prepare(rig)
        rig.user_agent = "first"
        await rig.write({"identifier": "a"})
        rig.user_agent = "second"
        await rig.write({"identifier": "a"})
        assert rig.state.entities("component")["a"].datasource == ("second" if last_writer_owns else "first")


@pytest.mark.parametrize("moves", [True, False])
async def test_a_write_that_changes_nothing(moves: bool) -> None:
    async with open_rig(behaviour=Behaviour(unchanged_moves_updated_at=moves)) as rig:
        await prepare(rig)
        await rig.write({"identifier": "a", "title": "A"})
        before = (await rig.get("a"))["updatedAt"]
        rig.pass_time(5)
        await rig.write({"identifier": "a", "title": "A"})
        assert ((await rig.get("a"))["updatedAt"] > before) is moves
        await rig.write({"identifier": "a", "title": "B"})
        assert (await rig.get("a"))["updatedAt"] > before


async def test_unset_properties_may_be_null() -> None:
    async with open_rig(behaviour=Behaviour(unset_properties_as_null=True)) as rig:
        await rig.blueprint(properties={"text": {"type": "string"}, "more": {"type": "string"}})
        await rig.write({"identifier": "a", "properties": {"text": "x"}})
        assert (await rig.get("a"))["properties"] == {"text": "x", "more": None}


async def test_the_identifier_may_be_the_title() -> None:
    async with open_rig(behaviour=Behaviour(title_defaults_to_identifier=True)) as rig:
        await prepare(rig)
        await rig.write({"identifier": "a"})
        assert (await rig.get("a"))["title"] == "a"


async def test_the_listing_by_datasource_may_be_gone() -> None:
    async with open_rig(behaviour=Behaviour(datasource_listing=False)) as rig:
        reply = await rig.call("POST", LISTING, {"datasource_prefix": "", "datasource_suffix": ""})
        assert (reply.status, reply.error) == (404, "not_found")


async def test_statuses_that_may_differ() -> None:
    behaviour = Behaviour(
        updated_status=201, validation_only_status=201, all_failed_status=422, required_relation_status=403
    )
    async with open_rig(behaviour=behaviour) as rig:
        await prepare(rig)
        await rig.write({"identifier": "a"})
        assert (await rig.write({"identifier": "a"})).status == 201
        assert (await rig.write({"identifier": "b"}, query={**WRITE, "validation_only": "true"})).status == 201
        assert (await rig.bulk([properties(text=1)])).status == 422
        await rig.blueprint("strict", relations={"must": {"target": "component", "required": True}})
        reply = await rig.write({"identifier": "s"}, blueprint="strict")
        assert (reply.status, reply.error) == (403, "required_relation")


async def test_how_long_a_migration_runs() -> None:
    async with open_rig(behaviour=Behaviour(migration_polls=0)) as rig:
        await rig.blueprint()
        started = await rig.ok("DELETE", "/v1/blueprints/component/all-entities")
        migration = await rig.ok("GET", f"/v1/migrations/{started['migrationId']}")
        assert migration["migration"]["status"] == "COMPLETED"
