"""What becomes of entities that are written to the Port stand-in, one by one and in bulk."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import yarl
from tests.contract.port_rig import DATASOURCE, STRICT_WRITE, WRITE, Rig, open_rig

PROPERTIES = {
    "text": {"type": "string"},
    "count": {"type": "number", "minimum": 0},
    "flag": {"type": "boolean"},
    "object": {"type": "object"},
    "list": {"type": "array", "items": {"type": "string"}},
    "url": {"type": "string", "format": "url"},
    "email": {"type": "string", "format": "email"},
    "stage": {"type": "string", "enum": ["test", "live"]},
    "when": {"type": "string", "format": "date-time"},
    "tier": {"type": "string", "default": "gold"},
}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as rig:
        await rig.blueprint(properties=PROPERTIES)
        yield rig


async def test_create_then_update(rig: Rig) -> None:
    created = await rig.write({"identifier": "a", "title": "A", "properties": {"text": "x"}, "blueprint": "component"})
    assert created.status == 201
    assert created.body["entity"]["properties"] == {"tier": "gold", "text": "x"}
    rig.pass_time(60)
    updated = await rig.write({"identifier": "a", "icon": "Box", "properties": {"count": 1}})
    assert updated.status == 200
    entity = updated.body["entity"]
    assert entity["properties"] == {"tier": "gold", "text": "x", "count": 1}
    assert (entity["title"], entity["icon"], entity["blueprint"], entity["team"]) == ("A", "Box", "component", [])
    assert entity["createdAt"] == "2023-11-14T22:13:20.000Z"
    assert entity["updatedAt"] == "2023-11-14T22:14:20.000Z"
    assert "$datasource" not in entity
    assert await rig.get("a") == entity


async def test_without_upsert_an_entity_is_in_the_way(rig: Rig) -> None:
    await rig.write({"identifier": "a"})
    reply = await rig.write({"identifier": "a"}, query={**WRITE, "upsert": "false"})
    assert (reply.status, reply.error) == (409, "identifier_taken")


async def test_without_merge_what_is_not_given_is_dropped(rig: Rig) -> None:
    await rig.write({"identifier": "a", "title": "A", "properties": {"text": "x", "tier": "silver"}})
    reply = await rig.write({"identifier": "a", "properties": {"count": 2}}, query={**WRITE, "merge": "false"})
    assert reply.body["entity"]["properties"] == {"tier": "gold", "count": 2}
    assert reply.body["entity"]["title"] is None


async def test_null_clears_and_absence_keeps(rig: Rig) -> None:
    rig.held_to_specification = False  # The specification has no null for title and icon here; Ocean sends it.
    await rig.write({"identifier": "a", "title": "A", "icon": "Box", "properties": {"text": "x", "count": 1}})
    await rig.write({"identifier": "a", "title": None, "icon": None, "team": None, "properties": {"text": None}})
    entity = await rig.get("a")
    assert (entity["title"], entity["icon"], entity["team"]) == (None, None, [])
    assert entity["properties"] == {"tier": "gold", "text": None, "count": 1}


async def test_objects_are_one_value(rig: Rig) -> None:
    await rig.write({"identifier": "a", "properties": {"object": {"x": 1, "y": 2}}})
    await rig.write({"identifier": "a", "properties": {"object": {"y": 3}}})
    assert (await rig.get("a"))["properties"]["object"] == {"y": 3}


async def test_a_call_that_only_validates_stores_nothing(rig: Rig) -> None:
    reply = await rig.write({"identifier": "a"}, query={**WRITE, "validation_only": "true"})
    assert (reply.status, reply.body["entity"]["identifier"]) == (200, "a")
    assert rig.state.entities("component") == {}
    refused = await rig.write(
        {"identifier": "a", "properties": {"count": "x"}}, query={**WRITE, "validation_only": "true"}
    )
    assert refused.error == "blueprint_schema_mismatch"


async def test_an_identifier_is_made_up_where_none_is_given(rig: Rig) -> None:
    first, second = await rig.write({"title": "A"}), await rig.write({"title": "B"})
    identifiers = {reply.body["entity"]["identifier"] for reply in (first, second)}
    assert len(identifiers) == 2
    assert all(len(one) == 18 and one.startswith("e_") and one[2:].isalnum() for one in identifiers)


@pytest.mark.parametrize("identifier", ["component:default/Ä-b_c.d", "a=b@c+d\\e", "日本語", "x" * 1000])
async def test_identifiers_that_are_taken(rig: Rig, identifier: str) -> None:
    assert (await rig.write({"identifier": identifier})).status == 201
    url = f"{rig.running.url}/v1/blueprints/component/entities/{quote(identifier, safe='')}"
    async with rig.session.get(yarl.URL(url, encoded=True), headers={"Authorization": f"Bearer {rig.token}"}) as answer:
        assert (await answer.json())["entity"]["identifier"] == identifier


@pytest.mark.parametrize(
    "identifier", ["", ".", "..", "a b", "a,b", "a'b", "a%b", "a\t", "٣", "e\u0301", "x" * 1001, 7, None, ["a"]]
)
async def test_identifiers_that_refuse_the_whole_bulk(rig: Rig, identifier: object) -> None:
    reply = await rig.bulk([{"identifier": "good"}, {"identifier": identifier}])
    assert (reply.status, reply.error) == (422, "invalid_request")
    assert rig.state.entities("component") == {}


@pytest.mark.parametrize(
    "slip",
    [
        {"title": 1},
        {"icon": ["x"]},
        {"team": 1},
        {"team": [1]},
        {"properties": None},
        {"properties": []},
        {"relations": None},
        {"relations": {"r": 1}},
        {"relations": {"r": [1]}},
        {"relations": {"r": "a b"}},
        {"relations": {"r": ["a b"]}},
        {"relations": {"r": ""}},
        {"relations": {"r": "x" * 1001}},
        {"relations": {"r": ["ok", ".."]}},
        {"relations": {"r": {"combinator": "and"}}},
        {"relations": {"r": {"combinator": None, "rules": []}}},
        {"relations": {"r": {"combinator": "and", "rules": [{"property": "p", "operator": "!=", "value": 1}]}}},
        {"identifier": {"combinator": "and", "rules": [{"property": "p", "operator": "contains", "value": "x"}]}},
        {"identifier": {"combinator": "and", "rules": [{"property": "p", "operator": "in", "value": "x"}]}},
        {"identifier": {"combinator": "and", "rules": [{"property": None, "operator": None, "value": None}]}},
    ],
)
async def test_shapes_that_refuse_the_whole_bulk(rig: Rig, slip: dict[str, Any]) -> None:
    reply = await rig.bulk([{"identifier": "good"}, {"identifier": "bad", **slip}])
    assert (reply.status, reply.error) == (422, "invalid_request")
    assert rig.state.entities("component") == {}


@pytest.mark.parametrize(
    "properties",
    [
        {"unknown": "x"},
        {"text": 1},
        {"count": "1"},
        {"count": True},
        {"count": -1},
        {"flag": "true"},
        {"object": []},
        {"list": "x"},
        {"list": ["x", 1]},
        {"url": "not a url"},
        {"url": "https://no-dot/"},
        {"email": "nobody"},
        {"stage": "other"},
        {"when": "yesterday"},
        {"when": "2024-01-01"},
    ],
)
async def test_what_does_not_fit_the_blueprint_is_refused_item_by_item(rig: Rig, properties: dict[str, Any]) -> None:
    reply = await rig.bulk([{"identifier": "bad", "properties": properties}, {"identifier": "good"}])
    assert reply.status == 207
    assert reply.body["ok"] is False
    assert reply.body["entities"] == [{"created": True, "identifier": "good", "index": 1}]
    (error,) = reply.body["errors"]
    assert (error["identifier"], error["index"]) == ("bad", 0)
    assert (error["statusCode"], error["error"]) == (422, "blueprint_schema_mismatch")
    assert rig.state.journal.refusals == {"blueprint_schema_mismatch": 1}
    assert set(rig.state.entities("component")) == {"good"}


async def test_a_bulk_in_which_all_is_well(rig: Rig) -> None:
    reply = await rig.bulk([{"identifier": "a"}, {"identifier": "b"}, {"identifier": "a", "title": "A"}])
    assert reply.status == 200
    assert reply.body == {
        "ok": True,
        "entities": [
            {"created": True, "identifier": "a", "index": 0},
            {"created": True, "identifier": "b", "index": 1},
            {"created": False, "identifier": "a", "index": 2},
        ],
        "errors": [],
    }


async def test_a_bulk_in_which_nothing_is_well(rig: Rig) -> None:
    reply = await rig.bulk([{"identifier": "a", "properties": {"count": "x"}}])
    assert (reply.status, reply.body["entities"], len(reply.body["errors"])) == (207, [], 1)


@pytest.mark.parametrize(
    "body", [{}, {"entities": []}, {"entities": {}}, {"entities": [1]}, [], {"entities": [{}] * 21}]
)
async def test_bulks_that_are_none(rig: Rig, body: object) -> None:
    reply = await rig.call("POST", "/v1/blueprints/component/entities/bulk", body, query=WRITE)
    assert (reply.status, reply.error) == (422, "invalid_request")


async def test_a_bulk_has_nothing_beside_its_entities(rig: Rig) -> None:
    body = {"entities": [{"identifier": "a"}], "upsert": True}
    assert (await rig.call("POST", "/v1/blueprints/component/entities/bulk", body, query=WRITE)).status == 422


async def test_relations_may_be_as_long_as_identifiers(rig: Rig) -> None:
    longest = "x" * 1000
    await rig.blueprint("friend", relations={"to": {"target": "component"}})
    assert (await rig.write({"identifier": "a", "relations": {"to": longest}}, blueprint="friend")).status == 201


async def test_twenty_is_the_most(rig: Rig) -> None:
    assert (await rig.bulk([{"identifier": f"e{number}"} for number in range(20)])).status == 200


async def test_no_such_blueprint(rig: Rig) -> None:
    for reply in (await rig.write({"identifier": "a"}, blueprint="no"), await rig.bulk([{}], blueprint="no")):
        assert (reply.status, reply.error) == (404, "not_found")
    assert (await rig.call("GET", "/v1/blueprints/no/entities")).status == 404


@pytest.mark.parametrize("value", ["yes", "1", "", "True"])
async def test_flags_are_true_or_false(rig: Rig, value: str) -> None:
    assert (await rig.write({"identifier": "a"}, query={**WRITE, "merge": value})).status == 422


async def test_upsert_is_required(rig: Rig) -> None:
    reply = await rig.write({"identifier": "a"}, query={"merge": "true"})
    assert (reply.status, reply.error) == (422, "invalid_request")


async def test_what_ocean_adds_to_the_query_is_taken(rig: Rig) -> None:
    query = {**WRITE, "ocean_info_event_type": "resync", "ocean_info_resync_id": "123", "run_id": "r"}
    assert (await rig.write({"identifier": "a"}, query=query)).status == 201


async def test_a_required_property_may_be_left_out_of_a_later_write_but_not_cleared(rig: Rig) -> None:
    await rig.blueprint("strict", properties={"must": {"type": "string"}}, required=["must"])
    for properties in ({}, {"must": None}):
        reply = await rig.write({"identifier": "a", "properties": properties}, blueprint="strict")
        assert (reply.status, reply.error) == (422, "blueprint_schema_mismatch")
    await rig.ok(
        "POST", "/v1/blueprints/strict/entities", {"identifier": "a", "properties": {"must": "x"}}, query=WRITE
    )
    assert (await rig.write({"identifier": "a", "title": "kept"}, blueprint="strict")).status == 200
    cleared = await rig.write({"identifier": "a", "properties": {"must": None}}, blueprint="strict")
    assert cleared.error == "blueprint_schema_mismatch"
    replaced = await rig.write({"identifier": "a"}, blueprint="strict", query={**WRITE, "merge": "false"})
    assert replaced.error == "blueprint_schema_mismatch"


async def test_computed_properties_are_not_written(rig: Rig) -> None:
    await rig.blueprint(
        "mirrored", relations={"to": {"target": "component"}}, mirrorProperties={"m": {"path": "to.text"}}
    )
    reply = await rig.write({"identifier": "a", "properties": {"m": "x"}}, blueprint="mirrored")
    assert reply.error == "blueprint_schema_mismatch"


async def test_a_blueprint_that_changes_judges_anew(rig: Rig) -> None:
    await rig.write({"identifier": "a", "properties": {"text": "x"}})
    await rig.ok("PATCH", "/v1/blueprints/component", {"schema": {"properties": {"new": {"type": "number"}}}})
    assert (await rig.write({"identifier": "a", "properties": {"text": "y"}})).error == "blueprint_schema_mismatch"
    assert (await rig.write({"identifier": "a", "properties": {"new": 1}})).status == 200
    assert (await rig.get("a"))["properties"] == {"new": 1}


async def test_put_replaces_patch_changes(rig: Rig) -> None:
    path = "/v1/blueprints/component/entities/a"
    for method in ("PUT", "PATCH", "DELETE"):
        query = {"delete_dependents": "true"} if method == "DELETE" else None
        assert (await rig.call(method, path, {"title": "x"}, query=query)).status == 404
    await rig.write({"identifier": "a", "title": "A", "properties": {"text": "x"}})
    patched = await rig.ok("PATCH", path, {"properties": {"count": 1}, "icon": None})
    assert patched["entity"]["properties"] == {"tier": "gold", "text": "x", "count": 1}
    replaced = await rig.ok("PUT", path, {"title": "B"})
    assert (replaced["entity"]["title"], replaced["entity"]["properties"]) == ("B", {"tier": "gold"})


@pytest.mark.parametrize(
    "body", [{"blueprint": "component"}, {"properties": {"a b": 1}}, {"title": 1}, {"identifier": None}, []]
)
async def test_patch_takes_known_keys_only(rig: Rig, body: object) -> None:
    await rig.write({"identifier": "a"})
    reply = await rig.call("PATCH", "/v1/blueprints/component/entities/a", body)
    assert (reply.status, reply.error) == (422, "invalid_request")


async def test_an_entity_can_be_renamed_unless_the_name_is_taken(rig: Rig) -> None:
    await rig.blueprint(
        "user", relations={"one": {"target": "component"}, "all": {"target": "component", "many": True}}
    )
    await rig.bulk([{"identifier": "a"}, {"identifier": "b"}])
    await rig.write({"identifier": "u", "relations": {"one": "a", "all": ["b", "a"]}}, blueprint="user")
    path = "/v1/blueprints/component/entities/a"
    reply = await rig.call("PATCH", path, {"identifier": "b"})
    assert (reply.status, reply.error) == (409, "identifier_taken")
    await rig.ok("PATCH", path, {"identifier": "c"})
    assert set(rig.state.entities("component")) == {"b", "c"}
    assert (await rig.get("u", blueprint="user"))["relations"] == {"one": "c", "all": ["b", "c"]}


async def test_a_search_for_the_identifier_must_find_exactly_one(rig: Rig) -> None:
    await rig.bulk([{"identifier": name, "properties": {"text": name[0]}} for name in ("x1", "x2", "y1")])

    def by(text: str) -> dict[str, Any]:
        return {"combinator": "and", "rules": [{"property": "text", "operator": "=", "value": text}]}

    found = await rig.write({"identifier": by("y"), "title": "found"})
    assert (found.status, found.body["entity"]["identifier"]) == (200, "y1")
    assert (await rig.write({"identifier": by("x")})).status == 422
    assert (await rig.write({"identifier": by("z")})).status == 404
    reply = await rig.bulk([{"identifier": by("z")}, {"identifier": by("y"), "title": "again"}])
    assert reply.body["entities"] == [{"created": False, "identifier": "y1", "index": 1}]
    assert reply.body["errors"][0]["identifier"] == "unknown"
    assert set(rig.state.entities("component")) == {"x1", "x2", "y1"}


async def test_the_identifier_of_a_user_is_an_address(rig: Rig) -> None:
    assert (await rig.write({"identifier": "jane"}, blueprint="_user")).status == 422
    assert (await rig.write({"identifier": "jane@example.com"}, blueprint="_user")).status == 201


async def test_the_last_writer_owns_an_entity(rig: Rig) -> None:
    await rig.write({"identifier": "a"}, query=STRICT_WRITE)
    entity = rig.state.entity("component", "a")
    assert entity is not None
    assert entity.datasource == DATASOURCE
    rig.user_agent = "somebody else"
    await rig.write({"identifier": "a"}, query=STRICT_WRITE)
    entity = rig.state.entity("component", "a")
    assert entity is not None
    assert entity.datasource == "somebody else"


async def test_what_was_done_is_counted(rig: Rig) -> None:
    for entity in ({"identifier": "a"}, {"identifier": "a"}, {"identifier": "a", "title": "A"}):
        await rig.write(entity)
    journal = rig.state.journal
    assert journal.entities == {"created": 1, "unchanged": 1, "updated": 1}
    assert journal.entity_writes == 3
    assert journal.routes["POST /v1/blueprints/{blueprint}/entities"] == 3
    assert [one.fate for one in journal.arrivals] == ["created", "unchanged", "updated"]
    assert journal.requests[-1].user_agent == DATASOURCE


async def test_all_entities_of_a_blueprint(rig: Rig) -> None:
    await rig.bulk([{"identifier": "a"}, {"identifier": "b"}])
    listed = await rig.ok(
        "GET", "/v1/blueprints/component/entities", query=[("include", "identifier"), ("include", "properties.tier")]
    )
    assert listed["entities"] == [
        {"identifier": "a", "properties": {"tier": "gold"}},
        {"identifier": "b", "properties": {"tier": "gold"}},
    ]
    assert (await rig.ok("GET", "/v1/blueprints/component/entities-count"))["count"] == 2
