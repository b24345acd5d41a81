"""What Port refuses is named with the reason, everything else is written; what cannot be used is said at once."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.contract.harness import (
    IDENTIFIER,
    OURS,
    SERVICE,
    SERVICES,
    blueprint,
    component,
    group,
    mapping,
    ref,
    resource,
    serve_world,
)

from stageport.cli.passes import outcome_document
from stageport.model.errors import MappingError
from stageport.model.events import ChangeRefused, PageMapped
from stageport.model.exits import Exit
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync.passes import PassKind

STRICT = blueprint("service", {"email": {"type": "string", "format": "email"}, "size": "number", "text": "string"})
ODD = {
    "identifier": ".spec.id // .metadata.identifier",
    "properties": {"email": ".spec.email", "size": ".spec.size", "text": ".spec.text"},
}


def odd(**more: Any) -> list[dict[str, Any]]:
    """Describe 45 components, more than fit into two requests, of which the 23rd is odd."""
    return [component(f"c{number:02}", **(more if number == 22 else {})) for number in range(45)]


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"email": "nobody at home"}, 422, "blueprint_schema_mismatch"),
        ({"size": "large"}, 422, "blueprint_schema_mismatch"),
        ({"text": "x" * (1024 * 1024)}, 413, "too_large"),
        ({"id": "not an identifier"}, 422, "invalid_request"),
        ({"id": "x" * 1001}, 422, "invalid_request"),
        ({"id": ".."}, 422, "invalid_request"),
    ],
    ids=["e-mail", "type", "over a mebibyte", "space", "too long", "dots"],
)
async def test_one_that_port_refuses_is_named_and_all_others_are_written(
    more: dict[str, Any], status: int, code: str
) -> None:
    async with serve_world(odd(**more)) as world:
        world.install(mapping(resource("Component", "service", **ODD)), blueprints=[STRICT])
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert outcome.state == world.resync_state() == "failed"
        ((change, refusal),) = outcome.applied.refused
        assert change.source == ref("component", "c22")
        assert (refusal.status, refusal.code) == (status, code)
        assert refusal.message
        assert len(world.present()) == outcome.applied.created == 44
        (heard,) = [event for event in world.heard if isinstance(event, ChangeRefused)]
        assert heard.change == replace(change, body=heard.change.body)
        assert heard.change.body
        (shown,) = outcome_document(outcome)["refused"]  # type: ignore[misc]
        assert shown["source"] == ref("component", "c22")
        # Nothing else is written again only because one is refused again.
        world.writes()
        again = await world.sync()
        assert (again.exit, len(again.applied.refused)) == (Exit.UNWRITTEN, 1)
        assert not world.writes().keys() - {"refused"}


async def test_several_large_ones_share_no_request_that_port_would_refuse() -> None:
    sources = [component(f"c{number}", text="x" * 300_000) for number in range(7)]
    async with serve_world(sources) as world:
        world.install(mapping(resource("Component", "service", **ODD)), blueprints=[STRICT])
        assert (await world.sync()).exit is Exit.OK
        assert len(world.present()) == 7
        assert {seen.status for seen in world.requests("POST /v1/blueprints/{blueprint}/entities/bulk")} == {200}


async def test_a_refused_one_that_exists_is_not_deleted() -> None:
    async with serve_world([component("pay", size=1), component("bill")]) as world:
        world.install(mapping(resource("Component", "service", **ODD)), blueprints=[STRICT])
        await world.sync()
        world.catalog.update(ref("component", "pay"), lambda one: one["spec"].update(size="large"))
        assert (await world.sync()).exit is Exit.UNWRITTEN
        assert world.entity("service", ref("component", "pay"))["properties"]["size"] == 1


async def test_a_delta_tries_again_what_was_refused_before_and_says_so_while_it_is_in_vain() -> None:
    async with serve_world(odd(size="large"), kind=PassKind.DELTA) as world:
        config = mapping(resource("Component", "service", **ODD))
        world.install(config, blueprints=[STRICT])
        assert (await world.sync()).exit is Exit.UNWRITTEN
        for _ in range(2):
            outcome = await world.sync()
            assert (outcome.kind, outcome.exit, len(outcome.applied.refused)) == (PassKind.DELTA, Exit.UNWRITTEN, 1)
        text = {**STRICT, "schema": {**STRICT["schema"], "properties": {**STRICT["schema"]["properties"]}}}
        text["schema"]["properties"]["size"] = {"type": "string"}
        world.add_blueprints(text)
        world.writes()
        assert (await world.sync()).exit is Exit.OK
        assert world.writes() == {"created": 1}
        world.forget()
        assert (await world.sync()).exit is Exit.OK
        assert not [event for event in world.heard if isinstance(event, PageMapped)], "and then it is let be"


async def test_a_delta_may_be_told_to_leave_alone_what_came_to_nothing() -> None:
    async with serve_world(odd(size="large"), kind=PassKind.DELTA) as world:
        world.install(mapping(resource("Component", "service", **ODD)), blueprints=[STRICT])
        await world.sync()
        world.again = False
        world.forget()
        assert (await world.sync()).exit is Exit.OK
        assert not [event for event in world.heard if isinstance(event, PageMapped)]


async def test_a_missing_blueprint_is_named_and_the_others_are_written() -> None:
    config = mapping(resource("Component", "service"), resource("Component", "fleet"))
    async with serve_world([component("pay")]) as world:
        world.install(config, blueprints=[SERVICE])
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert [str(change.key) for change in outcome.plan.blocked] == [f"fleet/{ref('component', 'pay')}"]
        assert world.present() == {("service", ref("component", "pay"))}
        assert not world.requests("POST /v1/blueprints/{blueprint}/entities/bulk?fleet")


@pytest.mark.parametrize("kind", [PassKind.RESYNC, PassKind.DELTA])
async def test_what_a_missing_blueprint_keeps_out_is_told_by_every_pass_until_it_comes(kind: PassKind) -> None:
    config = mapping(resource("Component", "service"), resource("Component", "fleet"))
    async with serve_world([component("pay")], kind=kind) as world:
        world.install(config, blueprints=[SERVICE])
        assert [(await world.sync()).exit for _ in range(3)] == [Exit.UNWRITTEN] * 3
        world.add_blueprints(blueprint("fleet"))
        assert (await world.sync()).exit is Exit.OK
        assert ("fleet", ref("component", "pay")) in world.present()
        world.writes()
        assert (await world.sync()).exit is Exit.OK
        assert not world.writes()


async def test_a_blueprint_that_expressions_name_and_that_is_missing_costs_its_entities_only() -> None:
    config = mapping(resource("Component", "x", blueprint=".spec.type", title=".metadata.name"))
    async with serve_world([component("pay"), component("shop", type="website")]) as world:
        world.install(config, blueprints=[SERVICE])
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert world.present() == {("service", ref("component", "pay"))}


async def test_entities_of_a_blueprint_that_was_deleted_are_not_asked_for() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        world.state.store.drop_blueprint("service")
        outcome = await world.sync()
        assert (outcome.exit, len(outcome.plan.blocked)) == (Exit.UNWRITTEN, 1)


@pytest.mark.parametrize("size", ["large", 7])
async def test_a_kind_that_could_not_be_read_does_not_hide_what_was_refused(size: Any) -> None:
    config = mapping(resource("Component", "service", **ODD), resource("Group", "team"))
    async with serve_world([component("pay", size=size), group("team-a")], kind=PassKind.RESYNC) as world:
        world.install(config, blueprints=[STRICT, blueprint("team")])
        world.backstage.faults.add(Fault(kind=FaultKind.STATUS, status=400, path="kind%3D[Gg]roup"))
        outcome = await world.sync()
        assert outcome.exit is Exit.SOURCE
        assert outcome.left_unwritten is (size == "large")


async def test_a_verify_that_port_refuses_does_not_give_back_what_it_saw_to_be_untrue() -> None:
    """Changed at Port, seen by a verify whose write is refused, and then wanted as it was before that."""
    odd = resource("Component", "service", properties={"type": "if .spec.odd then 5 else .spec.type end"})
    async with serve_world([component("pay"), component("cart")], kind=PassKind.VERIFY) as world:
        world.install(mapping(odd), blueprints=[SERVICE])
        await world.sync()
        before = world.snapshot()
        world.write_as(OURS, "service", {"identifier": ref("component", "pay"), "properties": {"type": "drifted"}})
        world.catalog.update(ref("component", "pay"), lambda one: one["spec"].update(odd=True))
        assert (await world.sync()).exit is Exit.UNWRITTEN
        world.catalog.update(ref("component", "pay"), lambda one: one["spec"].pop("odd"))
        world.kind = PassKind.DELTA
        assert (await world.sync()).exit is Exit.OK
        assert world.snapshot() == before


# Expressions


async def test_a_broken_expression_costs_its_field_in_every_entity_and_nothing_more() -> None:
    config = mapping(resource("Component", "service", title=".metadata.name", properties={"type": ".spec.type |"}))
    async with serve_world([component(f"c{n}") for n in range(30)]) as world:
        world.install(config, blueprints=[SERVICE])
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        assert len(world.present()) == 30
        assert world.entity("service", ref("component", "c3"))["title"] == "c3"
        assert world.entity("service", ref("component", "c3"))["properties"].get("type") is None
        assert {problem.field for problem in outcome.plan.problems} == {"properties.type"}
        assert "does not compile" in outcome.plan.problems[0].message


async def test_an_expression_that_fails_on_one_entity_costs_that_one_field() -> None:
    sizes = blueprint("service", {"size": "number"})
    config = mapping(resource("Component", "service", title=".metadata.name", properties={"size": ".spec.list | add"}))
    async with serve_world([component("pay", list=[1, 2]), component("odd", list="none")]) as world:
        world.install(config, blueprints=[sizes])
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        assert world.entity("service", ref("component", "pay"))["properties"]["size"] == 3
        assert world.entity("service", ref("component", "odd"))["title"] == "odd"
        assert [problem.ref for problem in outcome.plan.problems] == [ref("component", "odd")]


@pytest.mark.parametrize("expression", [".metadata.identifier |", ".spec.type | keys | first"])
async def test_a_broken_identifier_leaves_everything_unwritten_says_so_and_deletes_nothing(expression: str) -> None:
    async with serve_world([component("pay"), component("bill")]) as world:
        world.install({**SERVICES, "entityDeletionThreshold": 1}, blueprints=[SERVICE])
        await world.sync()
        broken = mapping(resource("Component", "service", identifier=expression), entityDeletionThreshold=1)
        world.install(broken)
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert outcome.plan.counts.errors == 2
        assert {problem.field for problem in outcome.plan.problems} == {"identifier"}
        assert len(world.present()) == 2


@pytest.mark.parametrize("expression", [".spec.nothing", '"yes"', "empty", ".spec |", ".metadata.name | error"])
async def test_a_selector_that_is_no_boolean_leaves_the_entity_unwritten_and_says_so(expression: str) -> None:
    async with serve_world([component("pay")]) as world:
        world.install(mapping(resource("Component", "service", query=expression)), blueprints=[SERVICE])
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert outcome.plan.counts.errors == 1
        assert world.present() == set()
        assert outcome.plan.problems[0].field == "selector.query"


# Mappings that cannot be used at all


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"resources": [{"selector": {"query": "true"}, "port": {}}]}, ["kind", "entity"]),
        ({"resources": [{"kind": "component", "port": SERVICES["resources"][0]["port"]}]}, ["selector"]),
        ({"resources": [{"kind": "component", "selector": {"query": "true"}, "port": {"entity": {}}}]}, ["mappings"]),
        (mapping(resource("Component", "service", properties=[1])), ["properties", "list"]),
        (mapping(resource("Component", "service"), entityDeletionThreshold=7), ["entityDeletionThreshold"]),
        ({"resources": "all of them"}, ["resources"]),
    ],
    ids=["no kind", "no selector", "no mappings", "list for properties", "threshold", "no list"],
)
async def test_a_mapping_that_cannot_be_used_is_refused_before_anything_is_read(
    config: dict[str, Any], words: list[str]
) -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        record = world.state.integrations.get(IDENTIFIER)
        world.state.store.put_record("integration", IDENTIFIER, {**record, "config": config})
        world.forget()
        with pytest.raises(MappingError) as caught:
            await world.sync()
        assert all(word in str(caught.value) for word in words)
        assert world.backstage.requests == []
        assert world.present() == {("service", ref("component", "pay"))}
        assert world.resync_state() == "failed"
        with pytest.raises(MappingError):
            await world.plan()


async def test_a_mapping_without_resources_wants_nothing_and_takes_everything_for_stale() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        world.install({"resources": []})
        outcome = await world.sync()
        assert outcome.exit is Exit.HELD
        assert world.present() == {("service", ref("component", "pay"))}
