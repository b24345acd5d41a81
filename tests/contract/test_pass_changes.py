"""What changes in Backstage changes at Port, and nothing else does."""

import copy
import shutil
from pathlib import Path

import pytest
from tests.contract.harness import (
    FOREIGN,
    OURS,
    SERVICE,
    SERVICES,
    TYPE_ONLY,
    World,
    blueprint,
    component,
    described,
    group,
    mapping,
    ref,
    resource,
    serve_world,
)
from tests.expectation import expected_catalog, expected_stubs

from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.model.exits import Exit
from stageport.sync.passes import PassKind


@pytest.fixture(params=[None, PassKind.RESYNC, PassKind.DELTA], ids=["forgetful", "resync", "delta"])
def kind(request: pytest.FixtureRequest) -> PassKind | None:
    """Run a test with passes that know nothing of each other, and with such as remember."""
    found: PassKind | None = request.param
    return found


@pytest.mark.parametrize(("kind", "count"), [(None, 1_000), (PassKind.RESYNC, 400), (PassKind.DELTA, 400)])
async def test_one_percent_changed_and_one_percent_deleted_are_exactly_what_is_written(
    kind: PassKind | None, count: int
) -> None:
    async with serve_world(entities=count, kind=kind) as world:
        await world.sync()
        assert world.wrong() == []
        before = expected_catalog(world.sources())
        world.forget()
        components = sorted(one for one in world.catalog.refs() if one.startswith("component:"))
        for place, one in enumerate(components[::45][: count // 100]):
            change = {"description": "Changed."} if place % 2 else {"title": f"Renamed {place}"}
            world.catalog.update(one, lambda it, change=change: it["metadata"].update(change))
        for one in components[7::45][: count // 100]:
            world.catalog.delete(one)
        after = expected_catalog(world.sources())
        # Whoever was related from the other side lost a relation, and so changed too.
        changed = {key for key in after if after[key] != before[key]}
        gone = before.keys() - after.keys()
        assert len(changed) > len(gone) == count // 100

        outcome = await world.sync()

        arrived = world.arrived()
        assert arrived.pop("updated") == changed
        assert arrived.pop("deleted", set()) == gone - expected_stubs(after)
        assert arrived == {}
        assert outcome.exit is Exit.OK
        assert world.wrong() == []
        assert {change.key for change in outcome.plan.kept} == gone & expected_stubs(after)
        assert (await world.sync()).plan.is_empty
        assert not world.arrived()


async def test_a_changed_etag_alone_writes_nothing(kind: PassKind | None) -> None:
    async with serve_world([component("pay"), group("team-a")], kind=kind) as world:
        await world.sync()
        world.writes()
        world.catalog.update(ref("component", "pay"), lambda one: one["spec"].update(unmapped="news"))
        world.catalog.recreate(ref("group", "team-a"))
        assert (await world.sync()).plan.is_empty
        assert not world.writes()


async def test_a_renamed_owner_moves_every_relation_and_the_old_one_goes(kind: PassKind | None) -> None:
    sources = [group("old"), *(component(f"c{number}", owner="old") for number in range(25)), component("other")]
    async with serve_world([*sources, group("team-a")], kind=kind) as world:
        await world.sync()
        world.forget()
        world.catalog.delete(ref("group", "old"))
        world.catalog.put(group("new"))
        for number in range(25):
            world.catalog.update(ref("component", f"c{number}"), lambda one: one["spec"].update(owner="new"))
        outcome = await world.sync()
        assert {change.key for change in outcome.plan.upserts} == {
            ("group", ref("group", "new")),
            *(("component", ref("component", f"c{number}")) for number in range(25)),
        }
        assert world.arrived()["deleted"] == {("group", ref("group", "old"))}
        assert world.wrong() == []
        assert world.entity("component", ref("component", "c3"))["relations"]["owningGroup"] == ref("group", "new")


async def test_a_new_entity_and_the_one_it_relates_to_arrive_together(kind: PassKind | None) -> None:
    async with serve_world([component("pay"), group("team-a")], kind=kind) as world:
        await world.sync()
        world.catalog.put(described("API", "x", type="openapi", lifecycle="p", owner="team-a", definition="openapi: 3"))
        world.catalog.update(ref("component", "pay"), lambda one: one["spec"].update(providesApis=["x"]))
        assert (await world.sync()).exit is Exit.OK
        assert world.wrong() == []
        assert world.entity("api", ref("api", "x"))["relations"]["providedBy"] == [ref("component", "pay")]


async def test_a_kind_of_ones_own() -> None:
    fleet = blueprint("fleet", {"size": "number"}, relations={"owner": "group"})
    mapped = resource(
        "Fleet",
        "fleet",
        properties={"size": ".spec.size"},
        relations={"owner": 'first(.relations[]? | select(.type == "ownedBy") | .targetRef) // null'},
    )
    descriptor = {**described("Fleet", "north", size=7, owner="team-a"), "apiVersion": "example.com/v1"}
    async with serve_world([descriptor, group("team-a"), component("pay")]) as world:
        world.catalog.relate(ref("fleet", "north"), "ownedBy", ref("group", "team-a"))
        defaults = default_mapping()
        world.install(mapping(*defaults["resources"], mapped), blueprints=[*default_blueprints(), fleet])
        assert (await world.sync()).exit is Exit.OK
        held = world.entity("fleet", ref("fleet", "north"))
        assert held["properties"] == {"size": 7}
        assert held["relations"] == {"owner": ref("group", "team-a")}
        world.catalog.update(ref("fleet", "north"), lambda one: one["spec"].update(size=8))
        assert (await world.sync()).applied.updated == 1
        assert world.entity("fleet", ref("fleet", "north"))["properties"] == {"size": 8}


@pytest.mark.parametrize("written", ["component", "Component", "COMPONENT"])
async def test_a_kind_may_be_written_in_any_case(written: str) -> None:
    async with serve_world([component("pay")]) as world:
        world.install(mapping(resource(written, "service")), blueprints=[SERVICE])
        await world.sync()
        assert world.present() == {("service", ref("component", "pay"))}


async def test_capitals_other_scripts_and_namespaces() -> None:
    profile = {"displayName": "Größe ß"}
    sources = [
        component("Pay.Service_V2", namespace="retail", title="Zahlungen · 支払い 💶", owner="Group:people/TEAM-A"),
        described("Group", "Team-A", namespace="people", type="team", children=[], profile=profile),
    ]
    sources[0]["metadata"]["description"] = 'Tabs\tand\nlines, "quotes", \\ and \u2028'
    async with serve_world(sources) as world:
        assert (await world.sync()).exit is Exit.OK
        assert world.wrong() == []
        held = world.entity("component", "component:retail/pay.service_v2")
        assert held["title"] == "Zahlungen · 支払い 💶"
        assert held["properties"]["description"] == sources[0]["metadata"]["description"]
        assert held["relations"]["owningGroup"] == "group:people/team-a"
        world.writes()
        assert (await world.sync()).plan.is_empty
        assert not world.writes()


# Several wants of one target entity


def twice(*, first: dict[str, object], second: dict[str, object], **switches: object) -> dict[str, object]:
    return mapping(resource("Component", "service", **first), resource("Component", "service", **second), **switches)


WIDE = blueprint("service", {"type": "string", "life": "string"})


async def test_a_kind_mapped_twice_onto_one_target_is_read_once_and_written_once_with_the_fields_of_both(
    kind: PassKind | None,
) -> None:
    config = twice(
        first={"title": ".metadata.name", "properties": TYPE_ONLY},
        second={"title": '"Second"', "properties": {"life": ".spec.lifecycle"}},
    )
    async with serve_world([component("pay"), component("bill")], kind=kind) as world:
        world.install(config, blueprints=[WIDE])
        await world.sync()
        assert world.writes()["created"] == 2
        held = world.entity("service", ref("component", "pay"))
        assert (held["title"], held["properties"]) == ("Second", {"type": "service", "life": "production"})
        assert len([seen for seen in world.backstage.requests if "by-query" in seen]) == 1
        assert (await world.sync()).plan.is_empty
        assert not world.writes()


async def test_a_kind_mapped_to_two_blueprints_gives_two_targets() -> None:
    config = mapping(resource("Component", "service"), resource("component", "other"))
    async with serve_world([component("pay")]) as world:
        world.install(config, blueprints=[SERVICE, blueprint("other")])
        await world.sync()
        assert world.present() == {("service", ref("component", "pay")), ("other", ref("component", "pay"))}
        assert len([seen for seen in world.backstage.requests if "by-query" in seen]) == 1


@pytest.mark.parametrize("page_size", [1, 3, 500])
async def test_many_sources_of_one_target_that_disagree_come_to_rest(page_size: int, kind: PassKind | None) -> None:
    """Each component names its language; all of one language are one target entity, whose size they dispute."""
    languages = blueprint("language", {"size": "number", "only": "string"})
    config = mapping(
        resource("Component", "language", identifier=".spec.language", properties={"size": ".spec.size"}),
        resource(
            "Component",
            "language",
            query=".spec.size == 3",
            identifier=".spec.language",
            properties={"only": ".metadata.name"},
        ),
    )
    sources = [component(f"c{size}", language="go" if size % 2 else "rust", size=size) for size in range(12)]
    async with serve_world(sources, page_size=page_size, kind=kind) as world:
        world.install(config, blueprints=[languages])
        outcome = await world.sync()
        assert any("2 target entities are mapped more than once" in note for note in outcome.plan.notes)
        assert world.writes()["created"] == 2
        first = world.snapshot()
        assert first["language", "go"]["properties"]["only"] == "c3"
        for _ in range(2):
            assert (await world.sync()).plan.is_empty
        assert not world.writes()
        assert world.snapshot() == first


# merge, and what others wrote


async def test_merge_keeps_what_the_mapping_does_not_speak_of() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[WIDE])
        await world.sync()
        name = ref("component", "pay")
        world.write_as(FOREIGN, "service", {"identifier": name, "properties": {"life": "by hand"}})
        world.catalog.update(name, lambda one: one["spec"].update(type="website"))
        await world.sync()
        assert world.entity("service", name)["properties"] == {"type": "website", "life": "by hand"}


async def test_without_merge_what_the_mapping_does_not_speak_of_goes() -> None:
    async with serve_world([component("pay")]) as world:
        world.install({**SERVICES, "enableMergeEntity": False}, blueprints=[WIDE])
        await world.sync()
        name = ref("component", "pay")
        assert all("merge=false" in seen.path for seen in world.requests("POST") if "/bulk?" in seen.path)
        world.write_as(FOREIGN, "service", {"identifier": name, "properties": {"life": "by hand"}})
        world.writes()
        assert (await world.sync()).applied.updated == 1
        assert world.entity("service", name)["properties"] == {"type": "service"}
        world.writes()
        assert (await world.sync()).plan.is_empty
        assert not world.writes()


async def test_what_drifted_at_port_is_put_right() -> None:
    async with serve_world([component("pay"), component("bill")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        world.write_as(OURS, "service", {"identifier": ref("component", "pay"), "title": "Edited at Port"})
        world.forget()
        await world.sync()
        assert world.arrived() == {"updated": {("service", ref("component", "pay"))}}
        assert world.entity("service", ref("component", "pay"))["title"] == "pay"


async def test_entities_that_others_made_are_taken_over_not_doubled_and_not_emptied() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[WIDE])
        name = ref("component", "pay")
        mine = {"identifier": name, "title": "Theirs", "properties": {"life": "theirs"}}
        world.write_as(FOREIGN, "service", mine, {"identifier": "stale-but-theirs"})
        await world.sync()
        assert world.present() == {("service", name), ("service", "stale-but-theirs")}
        held = world.entity("service", name)
        assert (held["title"], held["properties"]) == ("pay", {"type": "service", "life": "theirs"})
        assert held["$datasource"].endswith("/exporter")
        assert (await world.sync()).plan.is_empty


async def test_one_that_others_made_just_as_wanted_stays_theirs_and_is_kept(kind: PassKind | None) -> None:
    async with serve_world([component("pay"), component("bill")], kind=kind) as world:
        world.install(SERVICES, blueprints=[WIDE])
        name = ref("component", "pay")
        world.write_as(FOREIGN, "service", {"identifier": name, "title": "pay", "properties": {"type": "service"}})
        await world.sync()
        assert world.entity("service", name)["$datasource"] == FOREIGN
        world.catalog.delete(name)
        assert (await world.sync(release_deletes=True)).applied.deleted == 0
        assert world.entity("service", name)["$datasource"] == FOREIGN


def change_type(world: World, to: str) -> None:
    world.catalog.update(ref("component", "pay"), lambda one: one["spec"].update(type=to))


@pytest.mark.parametrize("elsewhere", ["memory", "another ledger", "a copy of this one"])
async def test_a_ledger_is_believed_only_by_whoever_wrote_last(elsewhere: str) -> None:
    """Such as on a disk that was read-only for a while: Backstage has it as before, and the ledger says it is so."""
    async with serve_world([component("pay")], kind=PassKind.RESYNC) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        place = Path(str(world.settings.ledger))
        other = place.with_name("other.db")
        if elsewhere == "a copy of this one":
            shutil.copy(place, other)
        change_type(world, "website")
        await world.sync(ledger="memory" if elsewhere == "memory" else str(other))
        change_type(world, "service")
        outcome = await world.sync()
        assert (outcome.kind, outcome.exit) == (PassKind.VERIFY, Exit.OK)
        assert world.entity("service", ref("component", "pay"))["properties"]["type"] == "service"
        assert (await world.sync()).kind is PassKind.RESYNC


async def test_null_clears_what_went_away_in_backstage(kind: PassKind | None) -> None:
    async with serve_world([component("pay", title="Pay")], kind=kind) as world:
        config = mapping(resource("Component", "service", title=".metadata.title", properties={"life": ".spec.stage"}))
        world.install(config, blueprints=[WIDE])
        world.catalog.update(ref("component", "pay"), lambda one: one["spec"].update(stage="beta"))
        await world.sync()
        assert world.entity("service", ref("component", "pay"))["properties"]["life"] == "beta"
        world.catalog.update(
            ref("component", "pay"), lambda one: (one["spec"].pop("stage"), one["metadata"].pop("title"))
        )
        await world.sync()
        held = world.entity("service", ref("component", "pay"))
        assert held["properties"].get("life") is None
        assert held["title"] is None
        world.writes()
        await world.sync()
        assert not world.writes()


# What the mapping says


async def grow(world: World, config: dict[str, object]) -> None:
    world.install(config)
    assert (await world.sync()).exit is Exit.OK


async def test_an_edited_mapping_is_used_by_the_next_pass(kind: PassKind | None) -> None:
    async with serve_world([component("pay"), component("bill")], kind=kind) as world:
        world.install(SERVICES, blueprints=[WIDE])
        await world.sync()
        edited = copy.deepcopy(SERVICES)
        edited["resources"][0]["port"]["entity"]["mappings"]["properties"] = {"life": ".spec.lifecycle"}
        await grow(world, edited)
        assert world.entity("service", ref("component", "pay"))["properties"] == {
            "type": "service",
            "life": "production",
        }
        edited["resources"][0]["selector"]["query"] = '.metadata.name == "pay"'
        await grow(world, edited)
        assert world.present() == {("service", ref("component", "pay"))}


async def test_items_become_target_entities_of_their_own(kind: PassKind | None) -> None:
    config = mapping(
        resource(
            "Component",
            "link",
            itemsToParse=".metadata.links",
            identifier='.metadata.name + "-" + .item.title',
            title=".item.title",
        )
    )
    source = component("pay")
    source["metadata"]["links"] = [{"url": "https://a.example.com", "title": one} for one in ("runbook", "chat")]
    async with serve_world([source, component("bare")], kind=kind) as world:
        world.install(config, blueprints=[blueprint("link")])
        assert (await world.sync()).exit is Exit.OK
        assert world.present() == {("link", "pay-runbook"), ("link", "pay-chat")}
        world.catalog.update(ref("component", "pay"), lambda one: one["metadata"]["links"].pop())
        await world.sync()
        assert world.present() == {("link", "pay-runbook")}


async def test_filters_are_pushed_down_to_backstage(kind: PassKind | None) -> None:
    config = mapping(
        resource("Component", "service", selector={"filter": ["spec.type=website"]}),
        resource("Component", "other", selector={"filter": ["spec.type=service"]}),
    )
    async with serve_world([component("pay"), component("shop", type="website")], kind=kind) as world:
        world.install(config, blueprints=[SERVICE, blueprint("other")])
        await world.sync()
        assert world.present() == {("service", ref("component", "shop")), ("other", ref("component", "pay"))}
        world.catalog.update(ref("component", "pay"), lambda one: one["spec"].update(type="website"))
        await world.sync()
        assert world.present() == {("service", ref("component", "shop")), ("service", ref("component", "pay"))}
