"""A hinted pass keeps the rules of safety that a whole delta keeps: each is tested here under its number once more."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from pydantic import SecretStr
from tests.contract.harness import (
    FOREIGN,
    HURRIED,
    SERVICE,
    World,
    component,
    group,
    mapping,
    ref,
    resource,
    serve_world,
)
from tests.contract.test_safety_rules import BOTH, FLAWED, flaw, holds, service, settle, sources, team

from stageport.model.changes import Hold
from stageport.model.errors import SourceError
from stageport.model.events import PageMapped
from stageport.model.exits import Exit
from stageport.model.hints import Hint
from stageport.model.refs import SourceRef
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync.passes import PassKind
from stageport.sync.seams import SourceCatalog
from stageport.sync.service import Outcome, prepare, run_hinted
from stageport.wiring import open_surroundings, pass_options

BY_REFS = "POST /api/catalog/entities/by-refs"


class Watched:
    """A source catalog that tells what it is asked by ref."""

    def __init__(self, source: SourceCatalog, before_look: Callable[[Sequence[SourceRef]], None]) -> None:
        self._source = source
        self._before_look = before_look

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    async def read_refs(self, refs: Sequence[SourceRef]) -> Any:
        self._before_look(refs)
        return await self._source.read_refs(refs)


async def hint(
    world: World, *refs: str, looks: int = 0, before_look: Callable[[Sequence[SourceRef]], None] = lambda _: None
) -> Outcome:
    """Run one hinted pass, on the ledger that the world's passes share."""
    async with open_surroundings(world.settings, world.heard.append, policy=HURRIED) as around:
        options = pass_options(world.settings)
        ground = await prepare(around, options)
        world.forget()
        hints = [Hint(SourceRef(one), number, 0.0, looks) for number, one in enumerate(refs, start=1)]
        watched = replace(
            world._with_workers(around), source=cast("SourceCatalog", Watched(around.source, before_look))
        )
        outcome = await run_hinted(watched, ground, options, hints)
    assert outcome.kind is PassKind.HINTED
    assert world.state.journal.crashes == []
    return outcome


def every(kind: str, world: World) -> list[str]:
    return [one.ref for one in world.catalog if one.kind == kind]


def vanish(world: World, *refs: str) -> None:
    for one in refs:
        world.catalog.delete(one)


def mapped(world: World) -> int:
    return sum(event.sources for event in world.heard if isinstance(event, PageMapped))


KEPT = PassKind.RESYNC


# What it does


async def test_it_looks_at_what_is_hinted_and_at_nothing_else() -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        world.catalog.put(component("new"))
        world.catalog.put(component("unhinted"))
        world.catalog.update(ref("component", "c1"), lambda one: one["metadata"].update(title="News"))
        outcome = await hint(world, ref("component", "c1"), ref("component", "c2"), ref("component", "new"))
        assert (outcome.exit, outcome.applied.created, outcome.applied.updated) == (Exit.OK, 1, 1)
        assert world.entity(*service("c1"))["title"] == "News"
        assert service("unhinted") not in world.present()
        assert world.backstage.requests == [BY_REFS]
        assert {seen.route.split("/")[-1] for seen in world.requests()} == {"bulk"}
        assert mapped(world) == 2, "the unchanged one is not mapped"


async def test_what_nobody_maps_or_knows_costs_nothing() -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        outcome = await hint(world, "location:default/x", "user:default/someone")
        assert (outcome.exit, world.backstage.requests, world.requests()) == (Exit.OK, [], [])
        outcome = await hint(world, ref("component", "never"))
        assert (outcome.exit, outcome.plan.notes, world.requests()) == (Exit.OK, (), [])


async def test_what_is_gone_is_deleted_and_what_no_longer_maps_too() -> None:
    async with serve_world([*sources(), group("b")], kind=KEPT) as world:
        named = resource("Component", "service", identifier=".metadata.title // .metadata.identifier")
        await settle(world, mapping(named, BOTH["resources"][1]))
        vanish(world, ref("component", "c1"))
        world.catalog.update(ref("component", "c2"), lambda one: one["metadata"].update(title="renamed"))
        outcome = await hint(world, ref("component", "c1"), ref("component", "c2"))
        assert (outcome.exit, outcome.applied.created, outcome.applied.deleted) == (Exit.OK, 1, 2)
        assert {service("c1"), service("c2")}.isdisjoint(world.present())
        assert ("service", "renamed") in world.present()
        assert (await world.sync()).applied.written == 0


async def test_a_filter_of_the_mapping_decides_as_it_does_in_a_scan() -> None:
    filtered = mapping(resource("Component", "service", selector={"filter": ["spec.type=service"]}))
    async with serve_world([component("a"), component("b", type="website")], kind=KEPT) as world:
        await settle(world, filtered, SERVICE)
        world.catalog.update(ref("component", "a"), lambda one: one["spec"].update(type="website"))
        world.catalog.update(ref("component", "b"), lambda one: one["spec"].update(type="service"))
        world.catalog.put(component("c", type="website"))
        refs = [ref("component", name) for name in "abc"]
        outcome = await hint(world, *refs)
        assert set(outcome.unsure) == {refs[0], refs[2]}, "Backstage's filters may lag behind what it tells"
        assert world.present() == {service("a"), service("b")}
        assert (await hint(world, *refs, looks=1)).unsure == frozenset()
        assert world.present() == {service("b")}
        assert (await world.sync()).applied.written == 0


@pytest.mark.parametrize("given", ["metadata.name=a,metadata.name=b", "spec.type=service,metadata.namespace=default"])
async def test_a_filter_is_never_widened_by_what_is_hinted(given: str) -> None:
    filtered = mapping(resource("Component", "service", selector={"filter": [given]}))
    async with serve_world([component("a"), component("b"), component("c", type="website")], kind=KEPT) as world:
        await settle(world, filtered, SERVICE)
        world.catalog.update(ref("component", "c"), lambda one: one["metadata"].update(title="Changed"))
        await hint(world, ref("component", "c"), looks=1)
        assert service("c") not in world.present()


async def test_many_hints_are_asked_for_in_few_requests_whatever_filters_there_are() -> None:
    filtered = mapping(resource("Component", "service", selector={"filter": ["spec.type=service"]}))
    async with serve_world([component(f"c{number}") for number in range(1200)], kind=KEPT) as world:
        await settle(world, filtered, SERVICE)
        outcome = await hint(world, *every("Component", world))
        assert outcome.applied.written == 0
        assert world.backstage.requests.count(BY_REFS) == 3
        assert len(world.backstage.requests) <= 3 + 12


async def test_a_whole_read_takes_its_place_where_the_ledger_cannot_carry_it() -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        world.install({**BOTH, "entityDeletionThreshold": 0.5})
        async with open_surroundings(world.settings, world.heard.append, policy=HURRIED) as around:
            options = pass_options(world.settings)
            ground = await prepare(around, options)
            outcome = await run_hinted(world._with_workers(around), ground, options, [Hint(SourceRef("a:b/c"), 1, 0.0)])
        assert outcome.kind is PassKind.VERIFY


# Rule 1

BROKEN = {
    "an error": {"kind": FaultKind.STATUS, "status": 500, "body": "{}"},
    "a closed door": {"kind": FaultKind.STATUS, "status": 403, "body": "{}"},
    "another token": {"kind": FaultKind.STATUS, "status": 401, "body": "{}"},
    "an end in the middle": {"kind": FaultKind.CUT},
    "a web page": {"kind": FaultKind.HTML},
    "a reset": {"kind": FaultKind.RESET_BEFORE},
}


@pytest.mark.parametrize("skip", [0, 1], ids=["the first look", "the second look"])
@pytest.mark.parametrize("name", BROKEN)
async def test_rule_1_a_hinted_pass_deletes_nothing_after_an_incomplete_read(name: str, skip: int) -> None:
    fault: dict[str, Any] = BROKEN[name]
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        vanish(world, ref("component", "c4"))
        before = world.present()
        world.backstage.faults.add(Fault(path="/by-refs", skip=skip, **fault))
        with contextlib.suppress(SourceError):
            outcome = await hint(world, ref("component", "c4"))
            assert outcome.plan.failures
            assert outcome.exit is Exit.SOURCE
        assert world.present() == before
        world.backstage.faults.clear()
        assert (await hint(world, ref("component", "c4"))).exit is Exit.OK
        assert world.present() == before - {service("c4")}


@pytest.mark.parametrize("name", BROKEN)
async def test_rule_1_a_count_that_fails_deletes_nothing(name: str) -> None:
    fault: dict[str, Any] = BROKEN[name]
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        vanish(world, ref("component", "c4"))
        before = world.present()
        world.backstage.faults.add(Fault(path="/by-query", **fault))
        with pytest.raises(SourceError):
            await hint(world, ref("component", "c4"))
        assert world.present() == before


# Rule 2


async def test_rule_2_a_token_without_permission_makes_no_hinted_pass_delete() -> None:
    """By-refs answers such a token with nulls, as if everything were gone."""
    async with serve_world(sources(), backstage={"tokens": {"blind": Access.BLIND}}, kind=KEPT) as world:
        await settle(world)
        before, everything = world.present(), [one.ref for one in world.catalog]
        blind = world.settings.integration.config.model_copy(update={"backstage_token": SecretStr("blind")})
        world.settings = world.settings.model_copy(
            update={"integration": world.settings.integration.model_copy(update={"config": blind})}
        )
        for refs in (everything, everything[:1]):
            outcome = await hint(world, *refs)
            assert outcome.exit is Exit.HELD
            assert set(holds(outcome).values()) <= {Hold.EMPTY_SOURCE, Hold.STILL_RELATED}
            assert outcome.applied.deleted == 0
        assert world.present() == before


async def test_rule_2_a_kind_that_lost_everything_holds_the_deletes_of_a_hinted_pass() -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        components = every("Component", world)
        vanish(world, *components)
        outcome = await hint(world, *components)
        assert outcome.exit is Exit.HELD
        assert set(holds(outcome).values()) == {Hold.EMPTY_SOURCE}
        assert "no entity of the kinds that were looked at" in outcome.plan.notes[0]
        assert outcome.applied.deleted == 0
        assert (await hint(world, components[0])).applied.deleted == 0, "nor one after the other"
        outcome = await hint(world, *components, ref("group", "team-a"))
        assert set(holds(outcome).values()) == {Hold.EMPTY_KIND}


async def test_rule_2_a_kind_that_begins_to_fill_again_holds_the_deletes_of_hinted_passes() -> None:
    crews = [group(f"crew{number}") for number in range(4)]
    names = [ref("group", f"crew{number}") for number in range(4)]
    async with serve_world([component("c1"), *crews], kind=KEPT) as world:
        await settle(world, mapping(resource("Component", "service"), resource("Group", "team")))
        before = world.present()
        vanish(world, *names)
        assert (await hint(world, *names)).exit is Exit.HELD
        world.catalog.put(crews[0])
        for refs in (names, names[1:2]):
            outcome = await hint(world, *refs)
            assert (outcome.exit, set(holds(outcome).values())) == (Exit.HELD, {Hold.EMPTY_KIND})
        assert world.present() == before
        # Whoever looks at everything judges the same.
        outcome = await world.sync()
        assert (outcome.exit, set(holds(outcome).values())) == (Exit.HELD, {Hold.EMPTY_KIND})


async def test_rule_2_holds_for_a_filter_that_lets_nothing_through_any_more() -> None:
    filtered = mapping(resource("Component", "service", selector={"filter": ["spec.type=service"]}))
    async with serve_world([component("a"), component("b"), component("c", type="website")], kind=KEPT) as world:
        await settle(world, filtered, SERVICE)
        for name in "ab":
            world.catalog.update(ref("component", name), lambda one: one["spec"].update(type="website"))
        outcome = await hint(world, ref("component", "a"), ref("component", "b"), looks=1)
        assert (outcome.exit, outcome.applied.deleted) == (Exit.HELD, 0)


# Rule 3


async def test_rule_3_a_hinted_pass_deletes_only_what_is_ours() -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        world.write_as(FOREIGN, "service", {"identifier": service("c1")[1], "title": "Mine now"})
        world.write_as(FOREIGN, "service", {"identifier": ref("component", "theirs")})
        vanish(world, ref("component", "c1"), ref("component", "c2"))
        outcome = await hint(world, ref("component", "c1"), ref("component", "c2"), ref("component", "theirs"))
        assert outcome.applied.deleted == 1
        assert {service("c1"), service("theirs")} <= world.present()
        assert service("c2") not in world.present()


@pytest.mark.parametrize("threshold", [0.0, 0.2])
async def test_rule_3_the_threshold_holds_for_a_hinted_pass(threshold: float) -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world, {**BOTH, "entityDeletionThreshold": threshold})
        gone = [ref("component", f"c{number}") for number in range(3)]
        vanish(world, *gone)
        outcome = await hint(world, *gone)
        assert outcome.exit is Exit.HELD
        assert set(holds(outcome).values()) == {Hold.THRESHOLD}
        assert outcome.applied.deleted == 0


async def test_rule_3_many_small_hinted_passes_delete_no_more_than_one_whole_pass_may() -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world, {**BOTH, "entityDeletionThreshold": 0.3})
        gone = [ref("component", f"c{number}") for number in range(6)]
        vanish(world, *gone)
        deleted = [(await hint(world, one)).applied.deleted for one in gone]
        # 12 are ours: 3 are a quarter of them, 4 would be a third.
        assert deleted == [1, 1, 1, 0, 0, 0]
        # A pass that looks at everything judges by itself, and the count starts anew.
        world.kind = PassKind.DELTA
        assert (await world.sync()).exit is Exit.HELD
        for one in gone[3:]:
            world.catalog.put(component(one.partition("/")[2]))
        assert (await world.sync()).exit is Exit.OK
        vanish(world, gone[3])
        assert (await hint(world, gone[3])).applied.deleted == 1


# Rule 4


@pytest.mark.parametrize("field", FLAWED)
async def test_rule_4_a_failed_mapping_protects_its_own_target_entities_in_a_hinted_pass(field: str) -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world, mapping(FLAWED[field], BOTH["resources"][1]))
        vanish(world, ref("group", "idle"))
        flaw(world, "c1")
        outcome = await hint(world, ref("component", "c1"), ref("group", "idle"))
        assert outcome.exit is Exit.UNWRITTEN
        assert service("c1") in world.present()
        assert team("idle") not in world.present()


async def test_rule_4_a_mapping_that_failed_in_an_earlier_pass_protects_in_a_hinted_one() -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world, mapping(FLAWED["selector"], BOTH["resources"][1]))
        flaw(world, "c1")
        await hint(world, ref("component", "c1"))
        vanish(world, ref("component", "c2"))
        await hint(world, ref("component", "c2"))
        assert service("c1") in world.present()
        assert service("c2") not in world.present()


# Rule 5


async def test_rule_5_a_hinted_pass_asks_twice_before_it_deletes() -> None:
    """An entity that is deleted and created anew, as a provider that moves it does, is there at the second look."""
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        vanish(world, ref("component", "c1"))
        looks: list[int] = []

        def recreate(refs: Sequence[SourceRef]) -> None:
            looks.append(len(refs))
            if len(looks) == 2:
                world.catalog.put(component("c1", lifecycle="reborn"))

        outcome = await hint(world, ref("component", "c1"), before_look=recreate)
        assert (looks, outcome.applied.deleted) == ([1, 1], 0)
        assert service("c1") in world.present()


async def test_rule_5_a_hint_that_says_deleted_deletes_nothing_that_is_there() -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        outcome = await hint(world, *(one.ref for one in world.catalog))
        assert outcome.applied.written == 0


# Rule 6


async def test_rule_6_a_hinted_pass_keeps_what_others_relate_to() -> None:
    async with serve_world([*sources(), group("kept")], kind=KEPT) as world:
        await settle(world)
        vanish(world, ref("group", "team-a"))
        outcome = await hint(world, ref("group", "team-a"))
        assert holds(outcome) == {team("team-a"): Hold.STILL_RELATED}
        assert team("team-a") in world.present()


# Rule 7


async def test_rule_7_a_hinted_pass_that_breaks_off_is_made_up_for_by_the_next() -> None:
    async with serve_world(sources(), kind=KEPT) as world:
        await settle(world)
        world.catalog.update(ref("component", "c1"), lambda one: one["metadata"].update(title="News"))
        world.port.faults.add(Fault(kind=FaultKind.STATUS, status=503, path="/bulk"))
        with contextlib.suppress(Exception):
            await hint(world, ref("component", "c1"))
        world.port.faults.clear()
        assert (await hint(world, ref("component", "c1"))).applied.written == 1
        assert world.entity(*service("c1"))["title"] == "News"
        assert (await hint(world, ref("component", "c1"))).applied.written == 0
