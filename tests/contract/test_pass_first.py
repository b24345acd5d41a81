"""The first pass, and the second: first start, everything written, then nothing at all."""

import asyncio
import copy
import re

import pytest
from tests.contract.harness import (
    FOREIGN,
    IDENTIFIER,
    OURS,
    SERVICE,
    SERVICES,
    World,
    blueprint,
    component,
    described,
    group,
    ref,
    serve_world,
)

from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.model.changes import Operation
from stageport.model.errors import MappingError, TargetError, TargetRefusedError
from stageport.model.events import PassEnded
from stageport.model.exits import Exit
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sandbox.port.options import PortOptions

DEFAULTS = [document["identifier"] for document in default_blueprints()]
WRITES = ("POST", "PUT", "PATCH", "DELETE")
READING = ("POST /v1/auth/", "POST /v1/entities/search", "POST /v1/blueprints/entities/datasource-entities")


def writing(world: World) -> list[str]:
    """Name the requests that change anything at Port."""
    return [
        seen.route
        for seen in world.requests()
        if seen.route.startswith(WRITES)
        and not seen.route.startswith(READING)
        and not seen.route.endswith("/entities/search")
    ]


async def test_every_entity_of_the_sample_arrives_whole() -> None:
    async with serve_world() as world:
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.refused) == (Exit.OK, [])
        assert world.wrong() == []
        assert outcome.applied.created == len(outcome.plan.upserts) == outcome.plan.counts.targets


@pytest.mark.parametrize("again", ["the same version", "another version"])
async def test_a_second_pass_writes_nothing_but_its_state(again: str) -> None:
    async with serve_world() as world:
        await world.sync()
        if again == "another version":
            world.state.integrations.patch(IDENTIFIER, {"version": "0.0.1"}, skip_resync=True)
        world.forget()
        outcome = await world.sync(send_raw_data_examples=False)
        assert outcome.plan.is_empty
        assert not world.writes()
        states = ["PATCH /v1/integration/{integration}/resync-state"] * 2
        patched = ["PATCH /v1/integration/{integration}"] if again == "another version" else []
        assert writing(world) == [*patched, *states]


# First start


async def test_first_start_registers_and_creates_blueprints_one_by_one_bare_before_their_relations() -> None:
    async with serve_world([component("pay")]) as world:
        await world.sync()
        record = world.state.integrations.get(IDENTIFIER)
        assert (record["installationAppType"], record["arePortResourcesInitialized"]) == ("backstage", True)
        assert record["createPortResourcesOrigin"] == "Default"
        assert record["config"]["resources"] == default_mapping()["resources"]
        assert set(DEFAULTS) <= set(world.state.blueprints())
        routes = [seen.route for seen in world.requests() if "/v1/blueprints" in seen.route and seen.status < 300]
        creates = [place for place, route in enumerate(routes) if route == "POST /v1/blueprints"]
        patches = [place for place, route in enumerate(routes) if route == "PATCH /v1/blueprints/{blueprint}"]
        assert len(creates) == len(DEFAULTS)
        assert max(creates) < min(patches)
        assert world.state.blueprints()["component"]["relations"]["dependsOnComponent"]["many"] is True


async def test_an_existing_blueprint_is_left_alone_and_what_it_lacks_is_said() -> None:
    mine = blueprint("component", {"type": "string", "tier": "string"}, title="My very own")
    async with serve_world([component("pay"), group("team-a")]) as world:
        world.add_blueprints(mine)
        before = copy.deepcopy(world.state.blueprints()["component"])
        outcome = await world.sync()
        assert world.state.blueprints()["component"] == before
        assert set(DEFAULTS) <= set(world.state.blueprints())
        notes = " ".join(outcome.plan.notes)
        assert "blueprint component has no property lifecycle" in notes
        assert "blueprint component has no relation owningGroup" in notes
        # What it has no place for is left out of the first mapping, so that the rest of the entity arrives.
        assert outcome.exit is Exit.OK
        assert world.entity("component", ref("component", "pay"))["properties"]["type"] == "service"


@pytest.mark.parametrize("skip", [0, 1, 4, 7])
@pytest.mark.parametrize("route", ["POST /v1/blueprints", "PATCH /v1/blueprints/"])
async def test_a_crash_in_the_middle_of_first_start_is_made_good_by_the_next(route: str, skip: int) -> None:
    method, path = route.split()
    fault = Fault(kind=FaultKind.STATUS, method=method, path=f"^{path}", skip=skip, status=400, body="{}", times=1)
    async with serve_world([component("pay"), group("team-a")]) as world:
        world.port.faults.add(fault)
        # Searches are POSTs too, but first start is over before any of them.
        with pytest.raises(TargetError):
            await world.sync()
        assert world.state.integrations.get(IDENTIFIER)["arePortResourcesInitialized"] is False
        assert (await world.sync()).exit is Exit.OK
        assert world.wrong() == []
        assert world.state.integrations.get(IDENTIFIER)["arePortResourcesInitialized"] is True
        for document in default_blueprints():
            there = world.state.blueprints()[document["identifier"]]
            assert there["relations"].keys() == document.get("relations", {}).keys()
            assert there["schema"]["properties"].keys() == document["schema"]["properties"].keys()


async def test_registered_and_then_killed_before_any_blueprint() -> None:
    async with serve_world([component("pay")]) as world:
        world.port.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="POST", path="/v1/integration$", times=1))
        with pytest.raises(TargetError):
            await world.sync()
        assert world.state.integrations.find(IDENTIFIER) is not None
        assert (await world.sync()).exit is Exit.OK
        assert world.wrong() == []


async def test_later_starts_bring_no_blueprint_back() -> None:
    async with serve_world([component("pay")]) as world:
        await world.sync()
        world.state.store.drop_blueprint("template")
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        assert "template" not in world.state.blueprints()


async def test_without_initialize_the_mapping_is_registered_and_no_blueprint_created() -> None:
    """As Port's own integration: the switch leaves out the blueprints, not the first mapping."""
    async with serve_world([component("pay"), group("team-a")], initialize_port_resources=False) as world:
        world.add_blueprints(blueprint("component", {"type": "string"}))
        outcome = await world.sync()
        record = world.state.integrations.get(IDENTIFIER)
        kinds = [one["kind"] for one in default_mapping()["resources"]]
        assert [one["kind"] for one in record["config"]["resources"]] == kinds
        assert record["arePortResourcesInitialized"] is False
        assert not world.state.blueprints().keys() & set(DEFAULTS) - {"component"}
        # What has a blueprint arrives; the rest is told of.
        assert world.present() == {("component", ref("component", "pay"))}
        assert outcome.exit is Exit.UNWRITTEN
        assert {blocked.blueprint for blocked in outcome.plan.blocked} >= {"group"}


async def test_without_initialize_a_record_without_a_mapping_stays_so() -> None:
    async with serve_world([component("pay")], initialize_port_resources=False) as world:
        world.install({})
        world.state.integrations.patch(IDENTIFIER, {"arePortResourcesInitialized": False}, skip_resync=True)
        with pytest.raises(MappingError, match="mapping at Port is empty") as caught:
            await world.sync()
        assert "OCEAN__INITIALIZE_PORT_RESOURCES" in caught.value.hint
        assert "stageport mapping store" in caught.value.hint
        assert world.state.integrations.get(IDENTIFIER)["config"] == {}
        (ended,) = [event for event in world.heard if isinstance(event, PassEnded)]
        assert (ended.state, ended.written) == ("failed", 0)


async def test_the_origin_empty_registers_nothing_but_the_integration() -> None:
    async with serve_world([component("pay")], create_port_resources_origin="Empty") as world:
        for message in ("There is no mapping yet", "mapping at Port is empty"):
            with pytest.raises(MappingError, match=message) as caught:
                await world.sync()
            assert caught.value.exit is Exit.MAPPING
            assert "stageport mapping store" in caught.value.hint
            record = world.state.integrations.get(IDENTIFIER)
            assert (record["config"], record["createPortResourcesOrigin"]) == ({}, "Empty")
            assert record["arePortResourcesInitialized"] is True
            assert world.resync_state() == "failed"
        assert not world.state.blueprints().keys() & set(DEFAULTS)
        world.add_blueprints(SERVICE)
        world.state.integrations.patch(IDENTIFIER, {"config": SERVICES}, skip_resync=True)
        assert (await world.sync()).exit is Exit.OK
        assert world.present() == {("service", ref("component", "pay"))}


async def test_a_plan_under_the_origin_empty_writes_nothing() -> None:
    async with serve_world([component("pay")], create_port_resources_origin="Empty") as world:
        with pytest.raises(MappingError, match="There is no mapping yet"):
            await world.plan()
        assert writing(world) == []


@pytest.mark.parametrize(("stored", "ours", "filled"), [("Empty", "Default", False), ("Default", "Empty", True)])
async def test_the_origin_at_port_counts_and_not_the_setting(stored: str, ours: str, filled: bool) -> None:
    async with serve_world([component("pay"), group("team-a")], create_port_resources_origin=ours) as world:
        registered = {"installationId": IDENTIFIER, "installationAppType": "backstage", "version": "1", "config": {}}
        world.state.integrations.create({**registered, "createPortResourcesOrigin": stored}, upsert=False)
        if filled:
            assert (await world.sync()).exit is Exit.OK
        else:
            with pytest.raises(MappingError, match="There is no mapping yet"):
                await world.sync()
        assert bool(world.state.integrations.get(IDENTIFIER)["config"]) is filled
        assert (set(DEFAULTS) <= set(world.state.blueprints())) is filled


@pytest.mark.parametrize("kind", ["Saas", "SaasOauth2"])
async def test_an_integration_that_port_runs_itself_is_refused(kind: str) -> None:
    async with serve_world([component("pay")], port=PortOptions(installation_type=kind)) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        with pytest.raises(TargetRefusedError, match="Port itself runs the integration") as caught:
            await world.sync()
        assert caught.value.exit is Exit.TARGET
        assert "OCEAN__INTEGRATION__IDENTIFIER" in caught.value.hint
        assert writing(world) == []


async def test_a_record_that_says_nothing_of_where_it_runs_is_ours() -> None:
    async with serve_world([component("pay")], port=PortOptions(installation_type="")) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        assert (await world.sync()).exit is Exit.OK


async def test_port_is_told_once_that_entities_are_mapped_here() -> None:
    async with serve_world([component("pay")]) as world:
        await world.sync()
        assert world.state.integrations.get(IDENTIFIER)["processingMode"] == "ocean-core"
        world.state.integrations.patch(IDENTIFIER, {"processingMode": "dsp"}, skip_resync=True)
        patches = []
        for _ in range(2):
            world.forget()
            await world.sync()
            patches.append(len(world.requests("PATCH /v1/integration/{integration}")))
            assert world.state.integrations.get(IDENTIFIER)["processingMode"] == "ocean-core"
        assert patches[0] == patches[1] + 1


async def test_a_port_that_does_not_tell_how_entities_are_mapped_is_told_at_registration_only() -> None:
    async with serve_world([component("pay")]) as world:
        await world.sync()
        world.forget()
        del world.state.integrations.get(IDENTIFIER)["processingMode"]
        await world.sync()
        patched = [one.route for one in world.requests("PATCH /v1/integration/{integration}")]
        assert set(patched) == {"PATCH /v1/integration/{integration}/resync-state"}


async def test_without_initialize_an_integration_set_up_by_hand_works() -> None:
    async with serve_world([component("pay")], initialize_port_resources=False) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        world.state.integrations.patch(IDENTIFIER, {"arePortResourcesInitialized": False}, skip_resync=True)
        assert (await world.sync()).exit is Exit.OK
        assert world.present() == {("service", ref("component", "pay"))}
        assert not world.state.blueprints().keys() & set(DEFAULTS)


async def test_an_empty_record_gets_the_default_mapping() -> None:
    async with serve_world([component("pay")]) as world:
        world.install({})
        world.state.integrations.patch(IDENTIFIER, {"arePortResourcesInitialized": False}, skip_resync=True)
        assert (await world.sync()).exit is Exit.OK
        assert world.state.integrations.get(IDENTIFIER)["config"]["resources"] == default_mapping()["resources"]


async def test_a_mapping_that_somebody_emptied_is_not_replaced_and_nothing_is_deleted() -> None:
    async with serve_world([component("pay")]) as world:
        await world.sync()
        before = world.snapshot()
        world.state.integrations.patch(IDENTIFIER, {"config": {}}, skip_resync=True)
        with pytest.raises(MappingError, match="mapping at Port is empty"):
            await world.sync()
        assert world.state.integrations.get(IDENTIFIER)["config"] == {}
        assert world.snapshot() == before
        assert world.resync_state() == "failed"


async def test_a_plan_of_first_start_counts_on_blueprints_yet_to_come_and_writes_nothing() -> None:
    async with serve_world() as world:
        plan = await world.plan()
        assert plan.count(Operation.CREATE) == plan.counts.targets == len(plan.upserts)
        assert plan.blocked == ()
        assert writing(world) == []
        assert world.state.integrations.find(IDENTIFIER) is None
        assert not world.state.blueprints().keys() & set(DEFAULTS)


# What Port sees of us


async def test_each_route_gets_the_user_agent_that_port_expects() -> None:
    async with serve_world([component("pay"), component("gone"), group("team-a")]) as world:
        await world.sync()
        world.catalog.delete(ref("component", "gone"))
        await world.sync()
        version = world.requests()[0].user_agent.split("/")[2]
        plain = f"port-ocean/backstage/{version}/{IDENTIFIER}"
        exporter = f"{plain}/exporter"
        about_entities = re.compile(r"entities|^(POST|PATCH) /v1/blueprints|/bulk")
        for seen in world.requests():
            if seen.route.startswith("GET /v1/blueprints"):
                assert seen.user_agent in (plain, exporter)
                continue
            wanted = exporter if about_entities.search(seen.route) else plain
            assert seen.user_agent == wanted, seen.route
        assert {seen.route for seen in world.requests()} >= {
            "POST /v1/auth/access_token",
            "POST /v1/integration",
            "POST /v1/blueprints",
            "POST /v1/blueprints/{blueprint}/entities/bulk",
            "POST /v1/blueprints/{blueprint}/bulk/entities/delete",
            "POST /v1/blueprints/entities/datasource-entities",
        }
        assert {one["$datasource"] for one in world.held().values()} == {exporter}


async def test_what_ports_own_integration_wrote_is_ours_whatever_its_version() -> None:
    async with serve_world([component("pay")]) as world:
        world.install({**SERVICES, "entityDeletionThreshold": 1}, blueprints=[SERVICE])
        world.write_as(OURS, "service", {"identifier": ref("component", "gone")}, {"identifier": "no-ref"})
        world.write_as(OURS.replace(IDENTIFIER, "another"), "service", {"identifier": "others"})
        world.write_as(OURS.replace("/exporter", "/gitops"), "service", {"identifier": "gitops"})
        world.write_as(FOREIGN, "service", {"identifier": "foreign"})
        outcome = await world.sync()
        assert outcome.applied.deleted == 2
        assert world.present() == {
            ("service", name) for name in (ref("component", "pay"), "others", "gitops", "foreign")
        }


async def test_writes_say_which_resync_they_belong_to_and_how_port_is_to_take_them() -> None:
    async with serve_world([component("pay"), component("gone"), group("team-a")]) as world:
        first = await world.sync()
        world.catalog.delete(ref("component", "gone"))
        upserts = world.requests("POST /v1/blueprints/{blueprint}/entities/bulk")
        assert upserts
        for seen in upserts:
            query = seen.path.partition("?")[2]
            assert query == (
                "upsert=true&merge=true&create_missing_related_entities=true&validation_only=false"
                f"&ocean_info_event_type=resync&ocean_info_resync_id={first.pass_id}"
            )
        second = await world.sync()
        assert second.pass_id != first.pass_id
        (delete,) = world.requests("POST /v1/blueprints/{blueprint}/bulk/entities/delete")
        assert delete.path.partition("?")[2] == (
            f"delete_dependents=true&ocean_info_event_type=resync&ocean_info_resync_id={second.pass_id}"
        )


async def test_the_resync_is_reported_as_running_and_then_completed() -> None:
    async with serve_world([component("pay")]) as world:
        seen: list[str | None] = []
        world.backstage.traps.before_page = lambda _: seen.append(world.resync_state())
        await world.sync()
        assert set(seen) == {"running"}
        state = world.state.integrations.get(IDENTIFIER)["resyncState"]
        assert state["status"] == "completed"
        assert state["lastResyncStart"] <= state["lastResyncEnd"]
        assert "nextResync" in state
        assert "intervalInMinuets" in state


async def test_a_pass_that_breaks_off_is_reported_as_failed() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        world.port.faults.add(Fault(kind=FaultKind.STATUS, path="/entities/bulk", status=403, body="{}"))
        with pytest.raises(TargetError):
            await world.sync()
        assert world.resync_state() == "failed"


async def test_a_report_that_port_does_not_take_stops_nothing() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        world.port.faults.add(Fault(kind=FaultKind.STATUS, path="/resync-state", status=500))
        assert (await world.sync()).exit is Exit.OK
        assert any("Port was not told" in str(event) for event in world.heard)


@pytest.mark.parametrize("broken", [False, True], ids=["completed", "failed"])
async def test_a_stop_during_the_last_report_is_not_lost(broken: bool) -> None:
    async with serve_world([component("pay")]) as world:
        world.install({**SERVICES, "entityDeletionThreshold": 5} if broken else SERVICES, blueprints=[SERVICE])
        reports = 0 if broken else 1
        world.port.faults.add(Fault(kind=FaultKind.LATENCY, path="/resync-state", skip=reports, delay_ms=100))
        task = asyncio.ensure_future(world.sync())
        while world.port.faults.injected.total() == 0:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert world.resync_state() == ("failed" if broken else "completed")
        ends = [event.state for event in world.heard if isinstance(event, PassEnded)]
        assert ends == (["failed"] if broken else ["completed"])


# Examples


async def test_up_to_five_raw_entities_of_each_kind_are_shown_with_secrets_masked() -> None:
    secret = "ghp_0123456789abcdefghijABCDEFGHIJ"
    sources = [
        *(component(f"c{number}", apiToken="hush", note=f"uses {secret}") for number in range(7)),
        described("API", "x", type="openapi", lifecycle="production", owner="team-a", definition="openapi: 3"),
    ]
    async with serve_world(sources) as world:
        await world.sync()
        shown = world.state.integrations.examples(IDENTIFIER)
        assert {kind.lower(): len(one["examples"]) for kind, one in shown.items()} == {"component": 5, "api": 1}
        raw = next(one for kind, one in shown.items() if kind.lower() == "component")["examples"][0]["data"]
        served = world.catalog.entity(ref("component", raw["metadata"]["name"]))
        assert raw["spec"].pop("apiToken") == "[REDACTED]"
        assert raw["spec"].pop("note") == "uses [REDACTED]"
        del served["spec"]["apiToken"], served["spec"]["note"]
        assert raw == served
        assert secret not in str(shown)


async def test_no_examples_when_they_are_not_wanted() -> None:
    async with serve_world([component("pay")], send_raw_data_examples=False) as world:
        await world.sync()
        assert world.state.integrations.examples(IDENTIFIER) == {}
        assert not [seen for seen in world.requests() if "examples" in seen.route]


async def test_examples_that_port_does_not_take_stop_nothing() -> None:
    async with serve_world([component("pay")]) as world:
        world.port.faults.add(Fault(kind=FaultKind.STATUS, path="/examples", status=422, body="{}"))
        assert (await world.sync()).exit is Exit.OK
        assert world.wrong() == []
