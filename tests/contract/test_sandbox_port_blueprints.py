"""What the Port stand-in takes as a blueprint, and what it refuses."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.port_rig import Rig, open_rig

from stageport.sandbox.port import Behaviour


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as rig:
        yield rig


def document(**changes: Any) -> dict[str, Any]:
    whole = {"identifier": "thing", "title": "Thing", "schema": {"properties": {}, "required": []}}
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def with_property(**schema: Any) -> dict[str, Any]:
    return document(schema={"properties": {"p": schema}, "required": []})


def with_relation(**relation: Any) -> dict[str, Any]:
    return document(relations={"r": relation})


async def test_a_blueprint_is_created_read_and_listed(rig: Rig) -> None:
    created = await rig.blueprint("thing", properties={"a": {"type": "string"}})
    assert created["relations"] == {}
    assert created["createdAt"] == created["updatedAt"]
    assert (await rig.ok("GET", "/v1/blueprints/thing"))["blueprint"] == created
    listed = (await rig.ok("GET", "/v1/blueprints"))["blueprints"]
    assert [one["identifier"] for one in listed] == ["_team", "_user", "thing"]


async def test_an_identifier_is_taken_once(rig: Rig) -> None:
    await rig.blueprint("thing")
    reply = await rig.call("POST", "/v1/blueprints", document())
    assert (reply.status, reply.error) == (409, "identifier_taken")


async def test_what_is_not_there_is_not_found(rig: Rig) -> None:
    for method, body in (("GET", None), ("PUT", document()), ("PATCH", {"title": "x"}), ("DELETE", None)):
        reply = await rig.call(method, "/v1/blueprints/thing", body)
        assert (reply.status, reply.error) == (404, "not_found")
        assert reply.body["details"] == {"resource": "Blueprint", "byField": "identifier", "withValue": "thing"}


@pytest.mark.parametrize("identifier", ["a", "Größe", "服务", "a@b_c.d+e:f\\g/h-i", "x" * 100])
async def test_identifiers_that_are_taken(rig: Rig, identifier: str) -> None:
    assert (await rig.call("POST", "/v1/blueprints", document(identifier=identifier))).status == 201
    path = identifier.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C").replace("+", "%2B")
    assert (await rig.ok("GET", f"/v1/blueprints/{path}"))["blueprint"]["identifier"] == identifier


@pytest.mark.parametrize("identifier", ["", ".", "..", "a b", "a=b", "a'b", "a\n", "²", "e\u0301", "x" * 101, 7, None])
async def test_identifiers_that_are_refused(rig: Rig, identifier: object) -> None:
    reply = await rig.call("POST", "/v1/blueprints", document(identifier=identifier))
    assert (reply.status, reply.error) == (422, "invalid_request")


@pytest.mark.parametrize(
    "slip",
    [
        document(title=None),
        document(title=""),
        document(title="x" * 101),
        document(description="x" * 201),
        document(icon=1),
        document(schema=None),
        document(schema=[]),
        document(schema={"required": []}),
        document(schema={"properties": {}, "required": [], "type": "object"}),
        document(schema={"properties": {}, "required": ["ghost"]}),
        document(schema={"properties": {}, "required": "p"}),
        document(schema={"properties": {"a b": {"type": "string"}}, "required": []}),
        document(schema={"properties": {"a.b": {"type": "string"}}, "required": []}),
        document(schema={"properties": {"x" * 101: {"type": "string"}}, "required": []}),
        with_property(),
        with_property(type="enum"),
        with_property(type="integer"),
        with_property(type="string", format="uri"),
        with_property(type="string", title="x" * 101),
        with_property(type="string", spec="openapi"),
        with_property(type="string", dateFormat="long"),
        with_property(type="string", enum="a"),
        with_property(type="string", enum=["a"], enumColors={"a": "crimson"}),
        with_property(type="string", pattern="("),
        with_property(type="number", minLength=1),
        with_property(type="string", format="labeled-url"),
        with_property(type="array", items={"type": "text"}),
        with_relation(many=False, required=False),
        with_relation(target="thing", many=True, required=True),
        with_relation(target="thing", many="no", required=False),
        with_relation(target="thing", many=False, required=0),
        with_relation(target="thing", many=False, required=False, multiple=True),
        document(relations={"a b": {"target": "thing", "many": False, "required": False}}),
        document(mirrorProperties={"m": {"path": "name"}}),
        document(mirrorProperties={"m": {"path": "r.name", "type": "string"}}),
        document(calculationProperties={"c": {"type": "string"}}),
        document(aggregationProperties={"a": {"title": "A", "target": "thing"}}),
        document(
            aggregationProperties={
                "a": {"title": "A", "target": "thing", "calculationSpec": {"calculationBy": "entities", "func": "sum"}}
            }
        ),
        document(
            aggregationProperties={
                "a": {
                    "title": "A",
                    "target": "thing",
                    "calculationSpec": {"calculationBy": "entities", "func": "count"},
                    "pathFilter": [{"path": ["r"]}, {"path": ["s"]}],
                }
            }
        ),
        document(ownership={"type": "Inherited"}),
        document(ownership={"type": "Shared"}),
        document(changelogDestination={"type": "WEBHOOK"}),
        document(changelogDestination={"type": "EMAIL"}),
        document(
            schema={"properties": {"m": {"type": "string"}}, "required": []},
            mirrorProperties={"m": {"path": "r.name"}},
        ),
    ],
)
async def test_documents_that_are_refused(rig: Rig, slip: dict[str, Any]) -> None:
    reply = await rig.call("POST", "/v1/blueprints", slip)
    assert (reply.status, reply.error) == (422, "invalid_request")
    assert "thing" not in rig.state.blueprints()


async def test_a_rich_document_is_taken(rig: Rig) -> None:
    await rig.blueprint("team")
    rich = document(
        description="All of it",
        icon="Box",
        schema={
            "properties": {
                "url": {"type": "string", "format": "url", "spec": "embedded-url"},
                "stage": {"type": "string", "enum": ["a", "b"], "enumColors": {"a": "red", "b": "paleBlue"}},
                "more": {"type": "object", "format": "labeled-url"},
                "list": {"type": "array", "items": {"type": "string", "pattern": r"^\p{L}+$"}, "uniqueItems": True},
            },
            "required": ["url"],
        },
        relations={
            "team": {"target": "team", "many": False, "required": True, "title": "Team", "description": "Who"},
            "self": {"target": "thing", "many": True, "required": False},
        },
        mirrorProperties={"teamName": {"path": "team.$title", "title": "Team"}},
        calculationProperties={"calc": {"calculation": ".properties.url", "type": "string", "format": "url"}},
        aggregationProperties={
            "count": {
                "title": "Count",
                "target": "team",
                "calculationSpec": {"calculationBy": "entities", "func": "count"},
            }
        },
        ownership={"type": "Direct"},
        changelogDestination={"type": "WEBHOOK", "url": "https://example.com/hook"},
        includeInGlobalSearch=True,
        somethingNew={"is": "kept"},
    )
    created = (await rig.ok("POST", "/v1/blueprints", rich, query={"create_catalog_page": "false"}))["blueprint"]
    assert created["somethingNew"] == {"is": "kept"}


async def test_the_target_of_a_relation_must_exist(rig: Rig) -> None:
    reply = await rig.call("POST", "/v1/blueprints", with_relation(target="nowhere", many=False, required=False))
    assert (reply.status, reply.error) == (404, "not_found")


async def test_many_and_required_default_to_false(rig: Rig) -> None:
    rig.held_to_specification = False  # Port's own default blueprints leave them out, against the specification.
    created = await rig.ok("POST", "/v1/blueprints", with_relation(target="thing"))
    assert created["blueprint"]["relations"]["r"] == {"target": "thing", "many": False, "required": False}


async def test_put_replaces_and_patch_keeps(rig: Rig) -> None:
    await rig.blueprint("thing", properties={"a": {"type": "string"}}, description="old")
    patched = (await rig.ok("PATCH", "/v1/blueprints/thing", {"title": "New"}))["blueprint"]
    assert (patched["title"], patched["description"], list(patched["schema"]["properties"])) == ("New", "old", ["a"])
    replaced = (await rig.ok("PUT", "/v1/blueprints/thing", document(title="Newer")))["blueprint"]
    assert (replaced["title"], replaced.get("description"), replaced["schema"]["properties"]) == ("Newer", None, {})


async def test_patch_replaces_the_objects_it_is_given(rig: Rig) -> None:
    await rig.blueprint("thing", relations={"a": {"target": "thing"}})
    change = {"relations": {"b": {"target": "thing", "many": False, "required": False}}}
    assert set((await rig.ok("PATCH", "/v1/blueprints/thing", change))["blueprint"]["relations"]) == {"b"}


async def test_patch_may_merge_instead() -> None:
    async with open_rig(behaviour=Behaviour(patch_merges_blueprint=True)) as rig:
        await rig.blueprint("thing", properties={"p": {"type": "string"}}, relations={"a": {"target": "thing"}})
        change = {
            "relations": {"b": {"target": "thing", "many": False, "required": False}},
            "schema": {"properties": {"q": {"type": "number"}}},
        }
        patched = (await rig.ok("PATCH", "/v1/blueprints/thing", change))["blueprint"]
        assert set(patched["relations"]) == {"a", "b"}
        assert set(patched["schema"]["properties"]) == {"p", "q"}


async def test_a_type_stays_and_a_format_is_not_exchanged(rig: Rig) -> None:
    await rig.blueprint("thing", properties={"p": {"type": "string", "format": "url"}})
    reply = await rig.call("PUT", "/v1/blueprints/thing", with_property(type="number"))
    assert (reply.status, reply.error) == (422, "invalid_request")
    reply = await rig.call("PUT", "/v1/blueprints/thing", with_property(type="string", format="email"))
    assert (reply.status, reply.error) == (422, "forbidden_format_change")


async def test_an_identifier_is_not_changed_here(rig: Rig) -> None:
    await rig.blueprint("thing")
    assert (await rig.call("PATCH", "/v1/blueprints/thing", {"identifier": "other"})).status == 422


async def test_a_blueprint_with_entities_or_related_to_stays(rig: Rig) -> None:
    await rig.blueprint("thing")
    await rig.blueprint("other", relations={"r": {"target": "thing"}})
    reply = await rig.call("DELETE", "/v1/blueprints/thing")
    assert (reply.status, reply.error) == (403, "has_dependents")
    await rig.write({"identifier": "a"}, blueprint="other")
    assert (await rig.call("DELETE", "/v1/blueprints/other")).error == "has_dependents"
    await rig.ok("DELETE", "/v1/blueprints/other/entities/a", query={"delete_dependents": "false"})
    await rig.ok("DELETE", "/v1/blueprints/other")
    await rig.ok("DELETE", "/v1/blueprints/thing")
    assert set(rig.state.blueprints()) == {"_team", "_user"}


async def test_system_blueprints_are_extended_but_neither_stripped_nor_deleted(rig: Rig) -> None:
    team = (await rig.ok("GET", "/v1/blueprints/_user"))["blueprint"]
    assert (await rig.call("DELETE", "/v1/blueprints/_user")).error == "protected_blueprint_violation"
    properties = {**team["schema"]["properties"], "slack": {"type": "string"}}
    await rig.ok("PATCH", "/v1/blueprints/_user", {"schema": {"properties": properties, "required": []}})
    del properties["status"]
    stripped = {"schema": {"properties": properties, "required": []}}
    reply = await rig.call("PATCH", "/v1/blueprints/_user", stripped)
    assert (reply.status, reply.error) == (403, "protected_blueprint_violation")


async def test_all_entities_are_deleted_by_a_migration(rig: Rig) -> None:
    await rig.blueprint("thing")
    await rig.bulk([{"identifier": "a"}, {"identifier": "b"}], blueprint="thing")
    started = await rig.ok("DELETE", "/v1/blueprints/thing/all-entities", query={"ocean_info_event_type": "resync"})
    path = f"/v1/migrations/{started['migrationId']}"
    statuses = [(await rig.ok("GET", path))["migration"]["status"] for _ in range(3)]
    assert statuses == ["RUNNING", "COMPLETED", "COMPLETED"]
    assert (await rig.ok("GET", "/v1/blueprints/thing/entities-count"))["count"] == 0
    assert (await rig.ok("GET", "/v1/migrations"))["migrations"][0]["sourceBlueprint"] == "thing"
    assert (await rig.call("GET", "/v1/migrations/none")).status == 404


async def test_a_migration_can_take_the_blueprint_along(rig: Rig) -> None:
    await rig.blueprint("thing")
    await rig.write({"identifier": "a"}, blueprint="thing")
    await rig.ok("DELETE", "/v1/blueprints/thing/all-entities", query={"delete_blueprint": "true"})
    assert (await rig.call("GET", "/v1/blueprints/thing")).status == 404


async def test_a_blueprint_may_be_called_entities(rig: Rig) -> None:
    """The route of the datasource listing starts like one of a blueprint of that name."""
    await rig.blueprint("entities")
    await rig.write({"identifier": "datasource-entities"}, blueprint="entities")
    assert (await rig.get("datasource-entities", blueprint="entities"))["blueprint"] == "entities"
    listing = {"datasource_prefix": "port-ocean/", "datasource_suffix": "/exporter"}
    listed = await rig.ok("POST", "/v1/blueprints/entities/datasource-entities", listing)
    assert [one["identifier"] for one in listed["entities"]] == ["datasource-entities"]
