"""The rules of docs/explanation/safety.md, each tested under its number, by whole passes between both stand-ins."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.command import environment_of, start
from tests.contract.harness import (
    FOREIGN,
    IDENTIFIER,
    OURS,
    SERVICE,
    SERVICES,
    Config,
    World,
    blueprint,
    component,
    group,
    mapping,
    ref,
    resource,
    serve_world,
)

from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.mapping.workers import Limits
from stageport.model.changes import Hold
from stageport.model.errors import SourceError
from stageport.model.exits import Exit
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.traps import Phase, Stage
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync.gather import KINDS_AT_ONCE
from stageport.sync.passes import PassKind
from stageport.sync.service import Outcome

TEAM = blueprint("team", relations={"parent": "team"})
OWNED_BY = 'first(.relations[]? | select(.type == "ownedBy") | .targetRef) // null'
BOTH = mapping(
    resource("Component", "service", title=".metadata.title // .metadata.name", relations={"owner": OWNED_BY}),
    resource("Group", "team"),
)
OWNED = blueprint("service", {"type": "string"}, relations={"owner": "team"})


def sources(count: int = 10) -> list[dict[str, Any]]:
    """Describe components c0, c1, … and two groups, one of which owns nothing."""
    return [*(component(f"c{number}") for number in range(count)), group("team-a"), group("idle")]


async def settle(world: World, config: Config = BOTH, *blueprints: Config) -> None:
    """Bring both sides into agreement under a mapping."""
    world.install(config, blueprints=blueprints or (TEAM, OWNED))
    outcome = await world.sync()
    assert outcome.exit is Exit.OK
    world.forget()


def service(name: str) -> tuple[str, str]:
    return ("service", ref("component", name))


def team(name: str) -> tuple[str, str]:
    return ("team", ref("group", name))


def holds(outcome: Outcome) -> dict[tuple[str, str], Hold | None]:
    return {(change.blueprint, change.identifier): change.hold for change in outcome.plan.kept}


@pytest.fixture(params=[None, PassKind.RESYNC, PassKind.DELTA], ids=["forgetful", "resync", "delta"])
def kind(request: pytest.FixtureRequest) -> PassKind | None:
    """Run a test with passes that know nothing of each other, and with such as remember."""
    found: PassKind | None = request.param
    return found


# Rule 1: nothing is deleted after an incomplete read

COMPONENTS = "kind%3D[Cc]omponent"
LATER = "/by-query.cursor"


def always(kind: FaultKind, path: str, **more: Any) -> Callable[[World], None]:
    return lambda world: world.backstage.faults.add(Fault(kind=kind, path=path, **more))


def trapped(**traps: Any) -> Callable[[World], None]:
    def set_traps(world: World) -> None:
        for name, value in traps.items():
            setattr(world.backstage.traps, name, value)

    return set_traps


INCOMPLETE = {
    "a later page fails": always(FaultKind.STATUS, LATER, status=500, body="{}"),
    "a later page breaks off": always(FaultKind.CUT, LATER),
    "a later page is reset": always(FaultKind.RESET_BEFORE, LATER),
    "a later page is a web page": always(FaultKind.HTML, LATER),
    "the token is revoked midway": always(FaultKind.STATUS, LATER, status=401, body="{}"),
    "a whole kind fails": always(FaultKind.STATUS, COMPONENTS, status=500, body="{}"),
    "a whole kind is forbidden": always(FaultKind.STATUS, COMPONENTS, status=403, body="{}"),
    "Backstage goes away midway": always(FaultKind.STATUS, LATER, status=503, body="{}"),
    "fewer come than were announced": trapped(count_off_by=2),
    "each page lacks one": trapped(lose=1),
    "the second look fails": always(FaultKind.STATUS, "/by-refs", status=500, body="{}"),
    "the second look is forbidden": always(FaultKind.STATUS, "/by-refs", status=403, body="{}"),
}


async def expect_no_delete(world: World, *, released: bool = False) -> None:
    """Delete one of each kind in Backstage and expect both at Port, after a pass and until the trouble is over."""
    world.catalog.delete(ref("component", "c4"))
    world.catalog.delete(ref("group", "idle"))
    before = world.present()
    outcome = None
    with contextlib.suppress(SourceError):  # when nothing at all could be read
        outcome = await world.sync(release_deletes=released)
    if outcome is not None:
        assert outcome.kind is (world.kind or PassKind.VERIFY)
        assert outcome.exit is Exit.SOURCE
        assert outcome.plan.failures
        assert outcome.applied.deleted == 0
        assert set(holds(outcome).values()) <= {Hold.INCOMPLETE_READ}
    assert world.present() == before
    assert world.resync_state() == "failed"
    # And once it is whole again, the deletes are made up for.
    world.backstage.faults.clear()
    trapped(count_off_by=0, lose=0)(world)
    assert (await world.sync()).exit is Exit.OK
    assert world.present() == before - {service("c4"), team("idle")}


@pytest.mark.parametrize("name", INCOMPLETE)
async def test_rule_1_nothing_is_deleted_after_an_incomplete_read(name: str) -> None:
    async with serve_world(sources(), page_size=4) as world:
        await settle(world)
        INCOMPLETE[name](world)
        await expect_no_delete(world)


SOME = ["a later page fails", "a whole kind fails", "fewer come than were announced", "the second look fails"]


@pytest.mark.parametrize("name", SOME)
async def test_rule_1_nothing_is_deleted_by_an_incomplete_resync(name: str) -> None:
    async with serve_world(sources(), page_size=4, kind=PassKind.RESYNC) as world:
        await settle(world)
        INCOMPLETE[name](world)
        await expect_no_delete(world)


@pytest.mark.parametrize("name", SOME[1:])
async def test_rule_1_cannot_be_released(name: str) -> None:
    async with serve_world(sources(), page_size=4) as world:
        await settle(world)
        INCOMPLETE[name](world)
        await expect_no_delete(world, released=True)


HALF_AN_INVENTORY = {
    "the inventory of a kind fails": always(FaultKind.STATUS, f"{COMPONENTS}.*fields=", status=500, body="{}"),
    "the inventory breaks off": always(FaultKind.CUT, f"{COMPONENTS}.*fields="),
    "the inventory is forbidden": always(FaultKind.STATUS, f"{COMPONENTS}.*fields=", status=401, body="{}"),
    "fewer come than were announced": trapped(count_off_by=2),
    "the second look fails": always(FaultKind.STATUS, "/by-refs", status=500, body="{}"),
}


@pytest.mark.parametrize("name", HALF_AN_INVENTORY)
async def test_rule_1_nothing_is_deleted_after_an_incomplete_inventory(name: str) -> None:
    async with serve_world(sources(), kind=PassKind.DELTA) as world:
        await settle(world)
        HALF_AN_INVENTORY[name](world)
        await expect_no_delete(world)


async def test_rule_1_what_was_read_is_written_all_the_same() -> None:
    async with serve_world(sources(), page_size=4) as world:
        await settle(world)
        world.catalog.put(group("new"))
        world.catalog.delete(ref("group", "idle"))
        INCOMPLETE["a whole kind fails"](world)
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.created) == (Exit.SOURCE, 1)
        assert {team("new"), team("idle")} <= world.present()
        assert [failure.kind for failure in outcome.plan.failures] == ["Component"]


@pytest.mark.parametrize("kind", [PassKind.VERIFY, PassKind.RESYNC, PassKind.DELTA])
async def test_rule_1_what_would_have_gone_is_told_as_kept(kind: PassKind) -> None:
    """Of what was read to its end, it is known what is missing; of the rest nobody can tell."""
    async with serve_world(sources(), kind=kind) as world:
        await settle(world)
        world.catalog.delete(ref("component", "c4"))
        world.catalog.delete(ref("group", "idle"))
        world.backstage.faults.add(Fault(kind=FaultKind.STATUS, path=COMPONENTS, status=500, body="{}"))
        outcome = await world.sync(release_deletes=True)
        assert outcome.kind is kind
        assert holds(outcome) == {team("idle"): Hold.INCOMPLETE_READ}
        assert any("not read completely" in note for note in outcome.plan.notes)
        assert {service("c4"), team("idle")} <= world.present()


@pytest.mark.parametrize("fault", [(FaultKind.RESET_BEFORE, "/"), (FaultKind.HTML, "/"), (FaultKind.CUT, "/")])
async def test_rule_1_a_backstage_that_cannot_be_read_at_all_is_one_error(fault: tuple[FaultKind, str]) -> None:
    async with serve_world(sources()) as world:
        await settle(world)
        before = world.snapshot()
        always(*fault)(world)
        with pytest.raises(SourceError) as caught:
            await world.sync(release_deletes=True)
        assert caught.value.hint
        assert world.snapshot() == before
        assert world.resync_state() == "failed"


async def test_rule_1_a_door_that_is_closed_to_one_kind_is_not_tried_for_every_other() -> None:
    kinds = ["Component", "Group", "User", "API", "System", "Domain", "Resource", "Template", "Location"]
    async with serve_world(sources()) as world:
        world.install(mapping(*(resource(kind, "service") for kind in kinds)), blueprints=[SERVICE])
        always(FaultKind.STATUS, "/", status=401, body="{}")(world)
        with pytest.raises(SourceError):
            await world.sync()
        assert world.backstage.faults.injected[FaultKind.STATUS] <= KINDS_AT_ONCE < len(kinds)


# Rule 2: an empty source, or a kind that lost everything


async def test_rule_2_a_token_without_permission_sees_nothing_and_deletes_nothing(kind: PassKind | None) -> None:
    async with serve_world(sources(), backstage={"tokens": {"blind": Access.BLIND}}, kind=kind) as world:
        await settle(world)
        before = world.snapshot()
        seen = world.settings.integration.config.model_copy(update={"backstage_token": None})
        seen = type(seen).model_validate({"backstage_url": world.backstage.url, "backstage_token": "blind"})
        integration = world.settings.integration.model_copy(update={"config": seen})
        outcome = await world.sync(integration=integration)
        assert outcome.exit is Exit.HELD
        assert set(holds(outcome).values()) == {Hold.EMPTY_SOURCE}
        assert outcome.plan.unchanged == 0, "what is held back is counted once"
        assert world.snapshot() == before
        notes = " ".join(outcome.plan.notes)
        assert "permission" in notes
        assert "--release-deletes" in notes
        assert (await world.sync()).plan.is_empty


async def test_rule_2_a_backend_that_starts_with_an_empty_database_deletes_nothing(kind: PassKind | None) -> None:
    async with serve_world(sources(), kind=kind) as world:
        await settle(world)
        before = world.snapshot()
        world.backstage.restart([Phase(Stage.SILENT, requests=1), Phase(Stage.EMPTY, requests=50)], renew_uids=True)
        outcome = await world.sync()
        assert outcome.exit is Exit.HELD
        assert world.snapshot() == before
        world.backstage.restart([])
        assert (await world.sync()).plan.is_empty


@pytest.mark.parametrize("identifier", [".metadata.identifier", ".metadata.name"])
async def test_rule_2_a_kind_that_lost_everything_holds_all_deletes(identifier: str, kind: PassKind | None) -> None:
    config = mapping(
        resource("Component", "service", identifier=identifier), resource("Group", "team", identifier=identifier)
    )
    async with serve_world(sources(), kind=kind) as world:
        await settle(world, config)
        before = world.present()
        for gone in [ref("group", "team-a"), ref("group", "idle"), ref("component", "c1")]:
            world.catalog.delete(gone)
        outcome = await world.sync()
        assert outcome.exit is Exit.HELD
        assert set(holds(outcome).values()) == {Hold.EMPTY_KIND}
        assert len(holds(outcome)) == 3
        assert world.present() == before
        assert "no entity of kind group" in outcome.plan.notes[0]
        released = await world.sync(release_deletes=True)
        assert (released.exit, released.applied.deleted) == (Exit.OK, 3)
        assert len(world.present()) == len(before) - 3


@pytest.mark.parametrize("identifier", [".metadata.identifier", ".metadata.name"])
async def test_rule_2_a_kind_that_lost_everything_holds_in_a_blueprint_that_it_shares(
    identifier: str, kind: PassKind | None
) -> None:
    config = mapping(
        resource("Component", "service", identifier=identifier), resource("Group", "service", identifier=identifier)
    )
    async with serve_world(sources(), kind=kind) as world:
        await settle(world, config)
        before = world.present()
        for gone in [ref("group", "team-a"), ref("group", "idle")]:
            world.catalog.delete(gone)
        outcome = await world.sync()
        assert (outcome.exit, set(holds(outcome).values())) == (Exit.HELD, {Hold.EMPTY_KIND})
        assert world.present() == before


async def test_rule_2_who_remembers_where_a_target_entity_came_from_holds_no_other_kinds_deletes() -> None:
    config = mapping(
        resource("Component", "service", identifier=".metadata.name"),
        resource("Domain", "service", identifier=".metadata.name"),
    )
    async with serve_world(sources(), kind=PassKind.RESYNC) as world:
        await settle(world, config)
        world.catalog.delete(ref("component", "c4"))
        assert (await world.sync()).applied.deleted == 1


async def test_rule_2_a_pass_over_one_kind_deletes_nothing_of_another_that_lost_everything(
    kind: PassKind | None,
) -> None:
    """Without a ledger, nobody but a pass that looks at both kinds can tell that the other one lost everything."""
    async with serve_world(sources(), kind=kind) as world:
        await settle(world)
        before = world.present()
        for gone in [ref("group", "team-a"), ref("group", "idle"), ref("component", "c4")]:
            world.catalog.delete(gone)
        outcome = await world.sync(kinds=frozenset({"component"}))
        assert outcome.applied.deleted == 1
        assert world.present() == before - {service("c4")}
        assert (await world.sync()).exit is Exit.HELD
        assert world.present() == before - {service("c4")}


async def test_rule_2_a_misspelt_kind_deletes_nothing() -> None:
    async with serve_world(sources()) as world:
        await settle(world)
        before = world.present()
        world.install(mapping({**BOTH["resources"][0], "kind": "Componnet"}, BOTH["resources"][1]))
        assert (await world.sync()).exit is Exit.HELD
        assert world.present() == before


async def test_rule_2_a_released_delete_is_released_for_one_run_only(kind: PassKind | None) -> None:
    async with serve_world(sources(), kind=kind) as world:
        await settle(world)
        for gone in ("team-a", "idle"):
            world.catalog.delete(ref("group", gone))
        for one in range(10):
            world.catalog.update(ref("component", f"c{one}"), lambda it: it["spec"].update(owner="user:default/jo"))
        assert (await world.sync()).exit is Exit.HELD
        plan = await world.plan(release_deletes=True)
        assert len(plan.deletes) == 2
        assert team("idle") in world.present()
        assert (await world.sync()).exit is Exit.HELD
        assert (await world.sync(release_deletes=True)).exit is Exit.OK
        assert team("idle") not in world.present()


REMEMBERING = [PassKind.VERIFY, PassKind.RESYNC, PassKind.DELTA]


APART = mapping(resource("Component", "service"), resource("Group", "team"))
"""Nothing relates to anything."""


def crew(count: int = 4) -> list[dict[str, Any]]:
    """Describe groups that own nothing: crew0, crew1, …"""
    return [group(f"crew{number}") for number in range(count)]


def vanish(world: World, *groups: dict[str, Any]) -> None:
    for one in groups:
        world.catalog.delete(ref("group", one["metadata"]["name"]))


@pytest.mark.parametrize("end", ["released", "all of it is back"])
@pytest.mark.parametrize("kind", REMEMBERING)
async def test_rule_2_a_kind_that_begins_to_fill_again_is_held_until_a_person_releases_or_all_is_back(
    kind: PassKind, end: str
) -> None:
    crews = crew()
    async with serve_world([*(component(f"c{number}") for number in range(10)), *crews], kind=kind) as world:
        await settle(world, APART)
        before = world.present()
        vanish(world, *crews)
        assert (await world.sync()).exit is Exit.HELD
        for one in crews[:2]:
            world.catalog.put(one)
            outcome = await world.sync()
            assert (outcome.exit, set(holds(outcome).values())) == (Exit.HELD, {Hold.EMPTY_KIND})
            assert "no entity of kind group" in outcome.plan.notes[0]
        assert world.present() == before
        if end == "released":
            assert (await world.sync(release_deletes=True)).applied.deleted == 2
        else:
            for one in crews[2:]:
                world.catalog.put(one)
        assert (await world.sync()).exit is Exit.OK
        vanish(world, crews[0])
        assert (await world.sync()).applied.deleted == 1, "the kind is no longer suspicious"


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_rule_2_a_source_that_was_empty_and_begins_to_fill_again_deletes_nothing(kind: PassKind) -> None:
    components = [component(f"c{number}") for number in range(10)]
    async with serve_world([*components, *crew()], kind=kind) as world:
        await settle(world, APART)
        before = world.present()
        for one in world.catalog.refs():
            world.catalog.delete(one)
        assert (await world.sync()).exit is Exit.HELD
        for one in [*components[:9], *crew()]:
            world.catalog.put(one)
        outcome = await world.sync()
        assert (outcome.exit, holds(outcome)) == (Exit.HELD, {service("c9"): Hold.EMPTY_KIND})
        assert world.present() == before
        world.catalog.put(components[9])
        assert (await world.sync()).exit is Exit.OK


async def test_rule_2_an_empty_catalog_at_the_very_start_is_no_failure_but_is_said() -> None:
    async with serve_world([]) as world:
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        assert "no entity of any mapped kind" in " ".join(outcome.plan.notes)


# Rule 3: only what is ours, and no larger share of it than the threshold allows


async def test_rule_3_what_is_not_ours_is_never_deleted_not_even_when_released(kind: PassKind | None) -> None:
    agents = [
        FOREIGN,
        OURS.replace(IDENTIFIER, "another"),
        OURS.replace("/backstage/", "/github/"),
        OURS.replace("/exporter", "/gitops"),
        OURS.removeprefix("port-ocean/"),
        "Mozilla/5.0",
        "",
    ]
    async with serve_world(sources(), kind=kind) as world:
        await settle(world)
        for number, agent in enumerate(agents):
            world.write_as(agent, "service", {"identifier": f"component:default/theirs-{number}"})
        world.catalog.delete(ref("component", "c1"))
        for released in (False, True):
            outcome = await world.sync(release_deletes=released)
            assert outcome.exit is Exit.OK
        theirs = {service(f"theirs-{number}") for number in range(len(agents))}
        assert theirs <= world.present()
        assert service("c1") not in world.present()


async def test_rule_3_what_others_have_taken_over_is_theirs_though_we_made_it(kind: PassKind | None) -> None:
    async with serve_world(sources(), kind=kind) as world:
        await settle(world)
        world.write_as(FOREIGN, "service", {"identifier": ref("component", "c1"), "title": "Ours now"})
        world.catalog.delete(ref("component", "c1"))
        world.catalog.delete(ref("component", "c2"))
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.deleted) == (Exit.OK, 1)
        assert service("c1") in world.present()
        assert service("c2") not in world.present()


@pytest.mark.parametrize(
    ("threshold", "gone", "deletes", "kind"),
    [
        (0.4, 4, True, None),
        (0.4, 5, False, None),
        (0.4, 4, True, PassKind.RESYNC),
        (0.4, 5, False, PassKind.RESYNC),
        (0.4, 4, True, PassKind.DELTA),
        (0.4, 5, False, PassKind.DELTA),
        (0, 1, False, None),
        (1, 9, True, None),
        (0.9, 9, True, None),
    ],
)
async def test_rule_3_the_threshold_is_a_share_of_all_that_is_ours(
    threshold: float, gone: int, deletes: bool, kind: PassKind | None
) -> None:
    async with serve_world([component(f"c{number}") for number in range(10)], kind=kind) as world:
        await settle(world, {**SERVICES, "entityDeletionThreshold": threshold}, SERVICE)
        for number in range(gone):
            world.catalog.delete(ref("component", f"c{number}"))
        outcome = await world.sync()
        assert outcome.exit is (Exit.OK if deletes else Exit.HELD)
        assert outcome.applied.deleted == (gone if deletes else 0)
        assert len(world.present()) == (10 - gone if deletes else 10)
        if not deletes:
            assert set(holds(outcome).values()) == {Hold.THRESHOLD}
            assert f"{gone} of 10" in outcome.plan.notes[0]
            assert (await world.sync(release_deletes=True)).applied.deleted == gone


async def test_rule_3_a_catalog_that_changed_wholly_still_loses_what_is_stale(kind: PassKind | None) -> None:
    """Counted against what this run left untouched, one stale entity would be 100 % and stay for ever."""
    async with serve_world([component(f"c{number}") for number in range(10)], kind=kind) as world:
        await settle(world, SERVICES, SERVICE)
        world.catalog.delete(ref("component", "c0"))
        for number in range(1, 10):
            world.catalog.update(ref("component", f"c{number}"), lambda one: one["metadata"].update(title="All new"))
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.updated, outcome.applied.deleted) == (Exit.OK, 9, 1)
        assert service("c0") not in world.present()


async def test_rule_3_the_share_is_counted_before_the_pass_writes(kind: PassKind | None) -> None:
    """New entities of this very pass must not water the share down."""
    async with serve_world([component(f"c{number}") for number in range(4)], kind=kind) as world:
        await settle(world, {**SERVICES, "entityDeletionThreshold": 0.4}, SERVICE)
        world.catalog.delete(ref("component", "c0"))
        world.catalog.delete(ref("component", "c1"))
        for number in range(20):
            world.catalog.put(component(f"new{number}"))
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.created, outcome.applied.deleted) == (Exit.HELD, 20, 0)


RENAMED = mapping(resource("Component", "service", identifier='"x-" + .metadata.name'))


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_rule_3_what_is_written_meanwhile_does_not_end_a_hold_and_a_release_does(kind: PassKind) -> None:
    """Somebody's slip in the mapping renames everything: half of what is ours is stale then, and was all of it."""
    async with serve_world([component(f"c{number}") for number in range(10)], kind=kind) as world:
        await settle(world, SERVICES, SERVICE)
        world.install(RENAMED)
        assert (await world.sync()).applied.created == 10
        for _ in range(2):
            outcome = await world.sync()
            assert (outcome.kind, outcome.exit, outcome.applied.deleted) == (kind, Exit.HELD, 0)
            assert "10 of 10" in outcome.plan.notes[0]
        released = await world.sync(release_deletes=True)
        assert (released.exit, released.applied.deleted) == (Exit.OK, 10)
        world.catalog.delete(ref("component", "c1"))
        assert (await world.sync()).applied.deleted == 1


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_rule_3_a_hold_is_forgotten_once_nothing_is_stale_any_more(kind: PassKind) -> None:
    old = [component(f"c{number}") for number in range(4)]
    async with serve_world(old, kind=kind) as world:
        await settle(world, {**SERVICES, "entityDeletionThreshold": 0.4}, SERVICE)
        for name in ("c0", "c1"):
            world.catalog.delete(ref("component", name))
        for number in range(20):
            world.catalog.put(component(f"new{number}"))
        assert [(await world.sync()).exit for _ in range(2)] == [Exit.HELD, Exit.HELD]
        for one in old[:2]:
            world.catalog.put(one)
        assert (await world.sync()).exit is Exit.OK
        for name in ("c0", "c1"):
            world.catalog.delete(ref("component", name))
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.deleted) == (Exit.OK, 2), "2 of 24, not of 4"


@pytest.mark.parametrize("kind", [None, PassKind.VERIFY, PassKind.RESYNC])
async def test_rule_3_what_others_take_over_after_port_listed_what_is_ours_is_theirs(kind: PassKind | None) -> None:
    filtered = mapping(resource("Component", "service", selector={"filter": ["spec.type=service"]}))
    async with serve_world([component(f"c{number}") for number in range(5)], kind=kind) as world:
        await settle(world, filtered, SERVICE)
        world.catalog.delete(ref("component", "c1"))

        def take_over(_: int) -> None:
            # The second look, which comes when everything was read and listed.
            if any("fields=" in seen for seen in world.backstage.requests):
                world.write_as(FOREIGN, "service", {"identifier": ref("component", "c1"), "title": "Ours now"})

        world.backstage.traps.before_page = take_over
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.deleted) == (Exit.OK, 0)
        assert world.entity(*service("c1"))["title"] == "Ours now"


# Rule 4: a source entity whose mapping failed protects its own target entities, and nobody else's


FLAW = 'if .spec.flawed then error("broken") else '
FLAWED = {
    "selector": resource("Component", "service", query=f"{FLAW} true end"),
    "no boolean": resource("Component", "service", query="if .spec.flawed then null else true end"),
    "identifier": resource("Component", "service", identifier=f"{FLAW} .metadata.identifier end"),
}


def flaw(world: World, name: str) -> None:
    """Let the mapping of a component fail from now on."""
    world.catalog.update(ref("component", name), lambda one: one["spec"].update(flawed=True))


@pytest.mark.parametrize("field", ["selector", "no boolean"])
async def test_rule_4_a_failed_selector_protects_its_own_target_entities_and_nobody_elses(
    field: str, kind: PassKind | None
) -> None:
    async with serve_world(sources(), kind=kind) as world:
        await settle(world, mapping(FLAWED[field], BOTH["resources"][1]))
        world.catalog.delete(ref("component", "c2"))
        flaw(world, "c1")
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert set(holds(outcome)) <= {service("c1")}
        for _ in range(2):
            assert service("c1") in world.present()
            assert service("c2") not in world.present()
            await world.sync()


async def test_rule_4_a_failed_identifier_protects_its_own_and_no_other_blueprint(kind: PassKind | None) -> None:
    async with serve_world(sources(), kind=kind) as world:
        await settle(world, mapping(FLAWED["identifier"], BOTH["resources"][1]))
        world.catalog.delete(ref("group", "idle"))
        flaw(world, "c1")
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert service("c1") in world.present()
        assert team("idle") not in world.present()


async def test_rule_4_a_failed_identifier_protects_nothing_that_a_filter_leaves_out(kind: PassKind | None) -> None:
    """Of a kind that is read twice, what one read no longer shows is gone there, however the other one fails."""
    flawed = FLAWED["identifier"]["port"]["entity"]["mappings"]["identifier"]
    services = {"filter": ["spec.type=service"]}
    twice = mapping(
        resource("Component", "service", identifier=flawed),
        resource("Component", "other", identifier=flawed, selector=services),
    )
    async with serve_world(sources(), kind=kind) as world:
        await settle(world, twice, blueprint("service"), blueprint("other"))
        world.catalog.update(ref("component", "c1"), lambda one: one["spec"].update(flawed=True, type="website"))
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert service("c1") in world.present()
        assert ("other", ref("component", "c1")) not in world.present()


async def test_rule_4_where_nobody_remembers_a_failed_identifier_protects_all_that_it_may_have_named() -> None:
    async with serve_world(sources()) as world:
        await settle(world, mapping(FLAWED["identifier"], BOTH["resources"][1]))
        world.catalog.delete(ref("component", "c2"))
        flaw(world, "c1")
        outcome = await world.sync()
        assert holds(outcome) == {service("c1"): Hold.MAPPING_FAILED, service("c2"): Hold.MAPPING_FAILED}


async def test_rule_4_an_edit_that_breaks_the_mapping_protects_too() -> None:
    async with serve_world(sources(), kind=PassKind.RESYNC) as world:
        await settle(world)
        broken = 'if .metadata.name == "c1" then error("broken") else true end'
        world.install(mapping(resource("Component", "service", query=broken), BOTH["resources"][1]))
        assert (await world.sync()).exit is Exit.UNWRITTEN
        assert service("c1") in world.present()


async def test_rule_4_a_failed_source_protects_every_item_it_was_parsed_into() -> None:
    def links(query: str) -> Config:
        return mapping(
            resource(
                "Component",
                "link",
                query=query,
                itemsToParse=".spec.links",
                identifier='.metadata.name + "-" + .item',
            ),
            entityDeletionThreshold=1,
        )

    parsed = [component("a", links=["x", "y"]), component("b", links=["x", "y"]), component("c", links=["x"])]
    async with serve_world(parsed) as world:
        await settle(world, links("true"), blueprint("link"))
        world.install(links('if .metadata.name == "a" then error("no") else true end'))
        world.catalog.update(ref("component", "b"), lambda one: one["spec"].update(links=["x"]))
        outcome = await world.sync()
        assert set(holds(outcome)) == {("link", "a-x"), ("link", "a-y")}
        assert world.present() == {("link", name) for name in ("a-x", "a-y", "b-x", "c-x")}


async def test_rule_4_holds_against_a_release(kind: PassKind | None) -> None:
    async with serve_world(sources(), kind=kind) as world:
        await settle(world, mapping(FLAWED["selector"], BOTH["resources"][1]))
        flaw(world, "c1")
        await world.sync(release_deletes=True)
        assert service("c1") in world.present()


# Rule 5: before a target entity is called stale, its source is asked for once more


def slip_past_the_scan(world: World) -> list[str]:
    """Once two pages are read: recreate a component so that it sorts before the cursor, and add one after it.

    So the count adds up, and yet the scan has missed one that exists.
    """
    slipped: list[str] = []

    def before_page(_: int) -> None:
        pages = [seen for seen in world.backstage.requests if "cursor=" in seen]
        if slipped or len(pages) < 2:
            return
        order = sorted((one.uid, one.ref) for one in world.catalog if one.kind == "Component")
        slipped.append(order[-1][1])
        while world.catalog.find(slipped[0]).uid > order[0][0]:
            world.catalog.recreate(slipped[0])
        number = 0
        while True:
            new = world.catalog.put(component(f"new{number}", type="service"))
            if world.catalog.find(new).uid > order[-1][0]:
                return
            world.catalog.delete(new)
            number += 1

    world.backstage.traps.before_page = before_page
    return slipped


@pytest.mark.parametrize("kind", [None, PassKind.RESYNC], ids=["forgetful", "resync"])
@pytest.mark.parametrize(
    "more",
    [{}, {"identifier": ".metadata.name"}, {"selector": {"filter": ["spec.type=service"]}}],
    ids=["by ref", "by inventory", "by inventory of a filter"],
)
async def test_rule_5_an_entity_recreated_while_the_scan_ran_is_not_deleted(
    more: dict[str, Any], kind: PassKind | None
) -> None:
    async with serve_world([component(f"c{number}") for number in range(8)], page_size=2, kind=kind) as world:
        await settle(world, mapping(resource("Component", "service", title=".metadata.name", **more)), SERVICE)
        before = world.present()
        slipped = slip_past_the_scan(world)
        outcome = await world.sync()
        assert slipped
        assert (outcome.exit, outcome.applied.deleted) == (Exit.OK, 0)
        assert before < world.present()
        assert len(world.present()) == 9


async def test_rule_5_what_changed_on_the_slipped_one_is_written_too() -> None:
    async with serve_world([component(f"c{number}") for number in range(8)], page_size=2) as world:
        await settle(world, SERVICES, SERVICE)
        slipped = slip_past_the_scan(world)
        for number in range(8):
            world.catalog.update(ref("component", f"c{number}"), lambda one: one["metadata"].update(title="News"))
        await world.sync()
        assert world.entity("service", slipped[0])["title"] == "News"


async def test_rule_5_what_a_selector_leaves_out_is_stale_though_its_source_exists() -> None:
    async with serve_world(sources()) as world:
        await settle(world)
        world.install(mapping(resource("Component", "service", query='.metadata.name != "c1"'), BOTH["resources"][1]))
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.deleted) == (Exit.OK, 1)
        assert service("c1") not in world.present()


async def test_rule_5_a_pass_over_one_kind_looks_for_no_sources_of_another() -> None:
    """What is stale and tells no source has every kind looked through that may be its source, and no other."""
    async with serve_world(sources()) as world:
        world.install(APART, blueprints=[TEAM, SERVICE])
        world.write_as(OURS, "service", {"identifier": "of-unknown-origin"})
        await world.sync(kinds=frozenset({"component"}))
        assert not [key for key in world.present() if key[0] == "team"]


# Rule 6: a stale entity that others still relate to


async def test_rule_6_what_others_relate_to_is_kept_until_nobody_does(kind: PassKind | None) -> None:
    async with serve_world([*sources(), group("kept")], kind=kind) as world:
        await settle(world)
        world.catalog.delete(ref("group", "team-a"))
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        assert holds(outcome) == {team("team-a"): Hold.STILL_RELATED}
        world.writes()
        await world.sync()
        assert not world.writes(), "deleting it would have Port create it anew, empty, in every pass"
        for number in range(10):
            world.catalog.update(ref("component", f"c{number}"), lambda one: one["spec"].update(owner="kept"))
        assert (await world.sync()).applied.deleted == 1
        assert team("team-a") not in world.present()


async def test_rule_6_a_pass_over_one_kind_keeps_what_others_may_relate_to_where_nobody_remembers() -> None:
    """Without a ledger, a pass that looks at groups alone does not know which components relate to them."""
    owned = component("c0")
    owned["spec"]["owner"] = "idle"
    async with serve_world([owned, group("team-a"), group("idle")]) as world:
        await settle(world)
        before = world.present()
        world.catalog.delete(ref("group", "idle"))
        outcome = await world.sync(kinds=frozenset({"group"}))
        assert outcome.applied.deleted == 0
        assert holds(outcome) == {team("idle"): Hold.STILL_RELATED}
        assert world.present() == before


@pytest.mark.parametrize(("dependents", "kept"), [(True, True), (False, False)])
async def test_rule_6_without_creation_it_is_kept_only_where_its_dependents_would_go_with_it(
    dependents: bool, kept: bool, kind: PassKind | None
) -> None:
    config = {**BOTH, "createMissingRelatedEntities": False, "deleteDependentEntities": dependents}
    async with serve_world([*sources(), group("kept")], kind=kind) as world:
        await settle(world, config)
        world.catalog.delete(ref("group", "team-a"))
        outcome = await world.sync()
        assert (team("team-a") in world.present()) is kept
        assert (holds(outcome).get(team("team-a")) is Hold.STILL_RELATED) is kept
        assert {service(f"c{number}") for number in range(10)} <= world.present()


async def test_rule_6_deleting_takes_no_desired_entity_along_that_requires_it(kind: PassKind | None) -> None:
    required = {"owner": {"target": "team", "many": False, "required": True}}
    async with serve_world([*sources(), group("kept")], kind=kind) as world:
        await settle(world, BOTH, TEAM, blueprint("service", relations=required))
        world.catalog.delete(ref("group", "team-a"))
        await world.sync()
        assert {service(f"c{number}") for number in range(10)} <= world.present()
        assert team("team-a") in world.present()


# Rule 7: crash anywhere, run again, same end state


async def start_sync(world: World, folder: Path, *words: str, **more: str) -> asyncio.subprocess.Process:
    environment = environment_of(world, str(folder)) | more
    return await start("sync", "--quiet", *words, environment=environment, folder=str(folder))


async def kill_when(process: asyncio.subprocess.Process, condition: Callable[[], bool]) -> None:
    """Kill -9 the process once the condition holds."""
    while not condition() and process.returncode is None:
        await asyncio.sleep(0.002)
    if process.returncode is None:
        process.kill()
    await process.wait()


async def test_rule_7_killed_again_and_again_the_next_run_comes_to_the_same_end(tmp_path: Path) -> None:
    async with serve_world(entities=150) as calm:
        await calm.sync()
        expected = calm.snapshot()
    async with serve_world(entities=150) as world:
        world.port.faults.add(Fault(kind=FaultKind.LATENCY, delay_ms=8, jitter_ms=6))
        # The first while first start creates blueprints, the others while entities are compared and written.
        for requests in (9, 11, 15):
            routes = world.state.journal.routes
            routes.clear()
            process = await start_sync(world, tmp_path)
            await kill_when(process, lambda routes=routes, requests=requests: routes.total() >= requests)
            world.state.journal.crashes.clear()  # a request whose sender is gone in the middle of it
        assert world.snapshot() != expected, "it was never killed in the middle"
        process = await start_sync(world, tmp_path)
        assert await process.wait() == Exit.OK
        assert world.snapshot() == expected
        world.writes()
        assert (await world.sync()).plan.is_empty
        assert not world.writes()


@pytest.mark.parametrize("words", [[], ["--delta"]], ids=["resync", "delta"])
async def test_rule_7_killed_while_it_updates_and_deletes(words: list[str], tmp_path: Path) -> None:
    names = [f"c{number:03}" for number in range(150)]
    async with serve_world([component(name) for name in names]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        assert await (await start_sync(world, tmp_path)).wait() == Exit.OK  # it remembers this one
        world.forget()
        for name in names[:100]:
            world.catalog.update(ref("component", name), lambda one: one["spec"].update(type="website"))
        for name in names[100:120]:
            world.catalog.delete(ref("component", name))
        world.port.faults.add(Fault(kind=FaultKind.LATENCY, path="/entities/bulk", delay_ms=50))
        process = await start_sync(world, tmp_path, *words, STAGEPORT_CONCURRENCY="1")
        await kill_when(process, lambda: world.state.journal.entities["updated"] > 0)
        await asyncio.sleep(0.1)  # the request that was under way arrives all the same
        written = world.writes()["updated"]
        assert 0 < written < 100, "it was killed in the middle"
        world.port.faults.clear()
        assert await (await start_sync(world, tmp_path, *words)).wait() == Exit.OK
        counts = world.writes()
        # What Port took and could not acknowledge any more is written once more, and changes nothing.
        assert counts["updated"] == 100 - written
        assert counts["unchanged"] <= written
        held = {key[1]: one["properties"]["type"] for key, one in world.snapshot().items()}
        assert held == {
            ref("component", name): "website" if place < 100 else "service"
            for place, name in enumerate(names)
            if not 100 <= place < 120
        }


# Rule 8: expressions cannot harm the service

SECRET = "the-value-of-a-secret-variable"
LEAKS = ["env | tojson", "$ENV | tojson", 'env.PORT_CLIENT_SECRET // "none"', '$ENV.PORT_CLIENT_SECRET // "none"']
ODD = {
    "halt": "halt",
    "halt with a message": '"bye" | halt_error',
    "input": "input",
    "error": 'error("no")',
    "endless recursion": "def f: 1 + f; f",
}


@pytest.mark.parametrize("expression", LEAKS)
async def test_rule_8_expressions_see_no_environment(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_CLIENT_SECRET", SECRET)
    async with serve_world([component("pay")]) as world:
        world.install(
            mapping(resource("Component", "service", title=f"({expression}) | tostring")), blueprints=[SERVICE]
        )
        await world.sync()
        held = world.entity("service", ref("component", "pay"))
        assert SECRET not in str(held)
        assert "PATH" not in str(held["title"])
        assert world.state.options.client_secret not in str(held)


QUICK = Limits(cpu_seconds=0.4)
ENDLESS_SECONDS = 30


def odd_title(expression: str) -> Config:
    """Map one component's title by an odd expression and all others' by a good one."""
    chosen = f'if .metadata.name == "c3" then ({expression}) else .metadata.name end'
    return mapping(resource("Component", "service", title=chosen, properties={"type": ".spec.type"}))


@pytest.mark.parametrize("name", ODD)
async def test_rule_8_an_odd_expression_costs_its_field_and_no_other_entity(name: str) -> None:
    async with serve_world([component(f"c{number}") for number in range(8)]) as world:
        world.install(odd_title(ODD[name]), blueprints=[SERVICE])
        outcome = await world.sync()
        held = world.snapshot()
        assert len(held) == 8
        assert all(one["properties"]["type"] == "service" for one in held.values())
        titles = {key[1]: one["title"] for key, one in held.items()}
        assert all(titles[ref("component", f"c{number}")] == f"c{number}" for number in range(8) if number != 3)
        assert [(problem.ref, problem.field) for problem in outcome.plan.problems] == [
            (ref("component", "c3"), "title")
        ]


@pytest.mark.parametrize("expression", ["1) , (2", 'import "a" as a; 1', "def f: 1;", ".a\0b", ". as $x"])
async def test_rule_8_an_expression_that_would_break_out_of_its_place_costs_its_field(expression: str) -> None:
    async with serve_world([component("pay")]) as world:
        mapped = resource("Component", "service", title=expression, properties={"type": ".spec.type"})
        world.install(mapping(mapped), blueprints=[SERVICE])
        outcome = await world.sync()
        held = world.entity("service", ref("component", "pay"))
        assert (held["title"], held["properties"]) == (None, {"type": "service"})
        assert {problem.field for problem in outcome.plan.problems} == {"title"}


async def test_rule_8_an_endless_loop_is_stopped_and_named_and_all_others_are_written() -> None:
    async with serve_world([component(f"c{number}") for number in range(40)]) as world:
        world.limits = QUICK
        world.install(odd_title("last(range(1e12))"), blueprints=[SERVICE])
        outcome = await asyncio.wait_for(world.sync(), ENDLESS_SECONDS)
        held = world.snapshot()
        assert len(held) == 40
        assert sum(one["title"] is not None for one in held.values()) == 39
        (problem,) = outcome.plan.problems
        assert (problem.ref, problem.field) == (ref("component", "c3"), "title")


async def test_rule_8_an_endless_loop_in_a_selector_protects_what_the_entity_stands_for() -> None:
    async with serve_world(sources(6)) as world:
        await settle(world)
        world.limits = QUICK
        endless = 'if .metadata.name == "c3" then (def f: f; f) else true end'
        world.install(mapping(resource("Component", "service", query=endless), BOTH["resources"][1]))
        outcome = await asyncio.wait_for(world.sync(), ENDLESS_SECONDS)
        assert outcome.exit is Exit.UNWRITTEN
        assert service("c3") in world.present()
        assert [(problem.ref, problem.field) for problem in outcome.plan.problems] == [
            (ref("component", "c3"), "selector.query")
        ]


async def test_the_defaults_themselves_keep_the_rules() -> None:
    """The sample, with its stubs, circles and orphans: delete a kind, an owner, and one that nobody knows."""
    async with serve_world() as world:
        world.install(default_mapping(), blueprints=default_blueprints())
        await world.sync()
        assert world.wrong() == []
        before = world.present()
        for one in [one for one in world.catalog.refs() if one.startswith("template:")]:
            world.catalog.delete(one)
        outcome = await world.sync()
        assert outcome.exit is Exit.HELD
        assert world.present() == before
