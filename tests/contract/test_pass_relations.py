"""Relations: found by search, created or not, in circles, required; and the order of deletes."""

from typing import Any

import pytest
from tests.contract.harness import (
    FOREIGN,
    OURS,
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

from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.model.changes import Hold
from stageport.model.events import PageMapped
from stageport.model.exits import Exit
from stageport.sandbox.port.options import Leniency, PortOptions
from stageport.sandbox.port.records import EntityKey
from stageport.sync.passes import PassKind

LOOSE_TEAMS = PortOptions(leniency=Leniency(unknown_teams=True))


def query(prop: str, operator: str, value: str) -> dict[str, Any]:
    """Write a search query: each of its leaves is an expression."""
    rule = {"property": f'"{prop}"', "operator": f'"{operator}"', "value": value}
    return {"combinator": '"and"', "rules": [rule]}


REPOSITORY = blueprint("repository", {"slug": "string", "owner": "string", "note": "string"})
FOUND = mapping(
    resource(
        "Component",
        "repository",
        identifier=query("slug", "=", ".spec.slug"),
        properties={"owner": ".spec.owner"},
    )
)


def repository(name: str, slug: str, **properties: str) -> dict[str, Any]:
    return {"identifier": name, "properties": {"slug": slug, **properties}}


# What somebody deletes at Port, or takes over

OWNING = mapping(
    resource("Group", "team", title=".metadata.name"),
    resource("Component", "service", relations={"owner": '"group:default/" + .spec.owner'}),
)
TEAM = ("team", ref("group", "team-a"))


async def test_what_somebody_deleted_at_port_comes_back_in_one_resync_with_the_relations_to_it() -> None:
    async with serve_world([component("pay"), group("team-a")], kind=PassKind.RESYNC) as world:
        world.install(OWNING, blueprints=[blueprint("team"), blueprint("service", relations={"owner": "team"})])
        await world.sync()
        before = world.snapshot()
        world.state.remove([EntityKey(*TEAM)], delete_dependents=False)
        assert world.snapshot() != before
        outcome = await world.sync()
        assert (outcome.kind, outcome.exit) == (PassKind.RESYNC, Exit.OK)
        assert world.snapshot() == before
        world.writes()
        await world.sync()
        assert not world.writes()


async def test_what_others_took_over_just_as_it_was_is_not_written_by_every_resync() -> None:
    async with serve_world([component("pay"), group("team-a")], kind=PassKind.RESYNC) as world:
        world.install(OWNING, blueprints=[blueprint("team"), blueprint("service", relations={"owner": "team"})])
        await world.sync()
        world.write_as(FOREIGN, "team", {"identifier": TEAM[1], "title": "team-a"})
        await world.sync()
        world.forget()
        outcome = await world.sync()
        assert (outcome.kind, outcome.exit, outcome.applied.written) == (PassKind.RESYNC, Exit.OK, 0)
        assert not world.writes()
        mapped = sum(event.sources for event in world.heard if isinstance(event, PageMapped))
        assert mapped == 1, "what relates to it is as it was"
        assert world.entity(*TEAM)["$datasource"] == FOREIGN


async def test_what_is_kept_though_nobody_wants_it_and_loses_a_relation_is_whole_once_it_is_wanted_again() -> None:
    """Port drops the relations to what goes; of what nobody wants, no pass follows that."""
    parts = mapping(
        resource("Component", "service", relations={"uses": ".spec.uses", "owner": '"group:default/" + .spec.owner'}),
        resource("Group", "team", title=".metadata.name"),
    )
    linked = blueprint("service", relations={"uses": "service", "owner": "team"})
    kept, user = component("kept", owner="crew"), component("user", uses=ref("component", "kept"), owner="other")
    groups = [group("crew"), group("other")]
    async with serve_world([kept, user, *groups, group("idle")], kind=PassKind.RESYNC) as world:
        world.install(parts, blueprints=[blueprint("team"), linked])
        await world.sync()
        before = world.snapshot()
        world.catalog.delete(ref("component", "kept"))
        assert [(await world.sync()).plan.kept[0].hold for _ in range(2)] == [Hold.STILL_RELATED] * 2
        world.state.remove([EntityKey("team", ref("group", "crew"))], delete_dependents=False)
        await world.sync()
        world.catalog.put(kept)
        outcome = await world.sync()
        assert (outcome.kind, outcome.exit) == (PassKind.RESYNC, Exit.OK)
        assert world.snapshot() == before


# Search identifiers


async def test_a_search_identifier_writes_to_the_entity_it_finds_and_to_no_other() -> None:
    async with serve_world([component("pay", slug="acme/pay"), component("bill", slug="acme/bill")]) as world:
        world.install(FOUND, blueprints=[REPOSITORY])
        world.write_as(FOREIGN, "repository", repository("r1", "acme/pay", note="theirs"), repository("r2", "acme/x"))
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        assert world.entity("repository", "r1")["properties"] == {
            "slug": "acme/pay",
            "note": "theirs",
            "owner": "team-a",
        }
        assert world.entity("repository", "r2")["properties"] == {"slug": "acme/x"}
        assert world.present() == {("repository", "r1"), ("repository", "r2")}
        assert any("1 search identifiers match no entity" in note for note in outcome.plan.notes)
        world.writes()
        assert (await world.sync()).plan.is_empty
        assert not world.writes()


async def test_a_search_that_finds_several_writes_none_and_deletes_none() -> None:
    async with serve_world([component("pay", slug="acme/pay")]) as world:
        world.install({**FOUND, "entityDeletionThreshold": 1}, blueprints=[REPOSITORY])
        world.write_as(FOREIGN, "repository", repository("r1", "acme/pay"))
        await world.sync()
        world.write_as(FOREIGN, "repository", repository("r2", "acme/pay"))
        world.writes()
        outcome = await world.sync()
        assert any("more than one" in note for note in outcome.plan.notes)
        assert not world.writes()
        assert world.present() == {("repository", "r1"), ("repository", "r2")}


async def test_an_entity_that_is_only_ever_found_is_not_deleted_when_its_source_goes() -> None:
    """Others made it; that we wrote to it last does not make it ours to delete."""
    async with serve_world([component("pay", slug="acme/pay"), component("bill", slug="b")]) as world:
        world.install({**FOUND, "entityDeletionThreshold": 1}, blueprints=[REPOSITORY])
        world.write_as(FOREIGN, "repository", repository("r1", "acme/pay"))
        await world.sync()
        assert world.entity("repository", "r1")["$datasource"].startswith("port-ocean/backstage/")
        world.catalog.delete(ref("component", "pay"))
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        assert world.present() == {("repository", "r1")}


async def test_a_named_and_a_found_want_of_one_entity_are_one_write() -> None:
    config = mapping(
        resource("Component", "repository", identifier=".spec.slug", properties={"slug": ".spec.slug"}),
        resource(
            "Component",
            "repository",
            identifier=query("slug", "=", ".spec.slug"),
            properties={"note": ".metadata.name"},
        ),
    )
    async with serve_world([component("pay", slug="acme/pay")]) as world:
        world.install(config, blueprints=[REPOSITORY])
        await world.sync()
        await world.sync()
        held = world.entity("repository", "acme/pay")
        assert held["properties"] == {"slug": "acme/pay", "note": "pay"}
        world.writes()
        assert (await world.sync()).plan.is_empty


# Search relations and teams


async def test_relations_by_search_lead_to_what_the_search_finds() -> None:
    service = blueprint("service", relations={"repositories": ["repository"], "repository": "repository"})
    config = mapping(
        resource(
            "Component",
            "service",
            relations={
                "repositories": query("owner", "=", ".spec.owner"),
                "repository": query("slug", "in", "[.spec.slug]"),
            },
        )
    )
    async with serve_world([component("pay", slug="acme/pay")]) as world:
        world.install(config, blueprints=[REPOSITORY, service])
        theirs = [repository(f"r{n}", f"acme/{n}", owner="team-a") for n in range(3)]
        world.write_as(FOREIGN, "repository", *theirs, repository("own", "acme/pay", owner="team-b"))
        assert (await world.sync()).exit is Exit.OK
        held = world.entity("service", ref("component", "pay"))["relations"]
        assert sorted(held["repositories"]) == ["r0", "r1", "r2"]
        assert held["repository"] == "own"
        # Port evaluates the query when it writes: who does not remember what came of it writes it in every pass.
        world.write_as(FOREIGN, "repository", repository("r3", "acme/3", owner="team-a"))
        world.writes()
        await world.sync()
        assert world.writes().total() == 1
        assert len(world.entity("service", ref("component", "pay"))["relations"]["repositories"]) == 4


async def test_teams_by_name_by_list_and_by_search() -> None:
    config = mapping(
        resource("Component", "one", team=".spec.owner"),
        resource("Component", "several", team="[.spec.owner, .spec.second]"),
        resource("Component", "found", team=query("$identifier", "=", ".spec.owner")),
        resource("Component", "none", team=".spec.nothing"),
    )
    blueprints = [blueprint(name) for name in ("one", "several", "found", "none")]
    async with serve_world([component("pay", owner="team-a", second="team-b")], port=LOOSE_TEAMS) as world:
        world.install(config, blueprints=blueprints)
        world.write_as(FOREIGN, "_team", {"identifier": "team-a", "title": "A"}, {"identifier": "team-b", "title": "B"})
        assert (await world.sync()).exit is Exit.OK
        teams = {key[0]: held["team"] for key, held in world.held().items()}
        assert teams == {"one": ["team-a"], "several": ["team-a", "team-b"], "found": ["team-a"], "none": []}
        world.writes()
        await world.sync()
        # A search for a team is evaluated by Port, as above.
        assert world.writes().total() == 1


async def test_searches_are_evaluated_anew_by_every_verify_and_by_no_other_pass() -> None:
    """As in Port's own integration, which writes such entities in every resync; a plan does not call that a change."""
    service = blueprint("service", {"type": "string"}, relations={"repositories": ["repository"]})
    owned = query("owner", "=", ".spec.owner")
    team = query("$title", "=", ".spec.owner")
    config = mapping(
        resource(
            "Component", "service", team=team, properties={"type": ".spec.type"}, relations={"repositories": owned}
        )
    )
    pay = ref("component", "pay")
    async with serve_world([component("pay", owner="A")], port=LOOSE_TEAMS, kind=PassKind.VERIFY) as world:
        world.install(config, blueprints=[REPOSITORY, service])
        world.write_as(FOREIGN, "_team", {"identifier": "team-a", "title": "A"})
        world.write_as(FOREIGN, "repository", repository("r1", "acme/1", owner="A"))

        async def written(kind: PassKind = PassKind.VERIFY) -> int:
            world.kind = kind
            world.writes()
            assert (await world.sync()).exit is Exit.OK
            assert (await world.plan()).is_empty == (kind is not PassKind.DELTA)
            return world.writes().total()

        def repositories() -> list[str]:
            return sorted(world.entity("service", pay)["relations"]["repositories"])

        assert await written() == 1
        assert world.entity("service", pay)["team"] == ["team-a"]
        assert await written(PassKind.RESYNC) == 0
        # Another one begins to match: nothing of ours has changed, here or there.
        world.write_as(FOREIGN, "repository", repository("r2", "acme/2", owner="A"))
        assert await written(PassKind.RESYNC) == 0
        assert repositories() == ["r1"]
        assert await written() == 1
        assert repositories() == ["r1", "r2"]
        # Its source changed. A delta does not read back what came of it, so that a plan cannot tell.
        world.write_as(FOREIGN, "repository", repository("r3", "acme/3", owner="A"))
        world.catalog.update(pay, lambda one: one["spec"].update(type="library"))
        assert await written(PassKind.DELTA) == 1
        assert repositories() == ["r1", "r2", "r3"]
        assert await written() == 1
        # Somebody changed at Port what a search had found.
        world.write_as(OURS, "service", {"identifier": pay, "relations": {"repositories": []}})
        assert await written() == 1
        assert repositories() == ["r1", "r2", "r3"]


# Missing related entities


async def test_what_is_related_to_and_missing_is_created_kept_and_goes_with_the_relation() -> None:
    async with serve_world(
        [component("pay", owner="nobody"), component("bill", owner="team-a"), group("team-a")]
    ) as world:
        assert (await world.sync()).exit is Exit.OK
        stub = ("group", ref("group", "nobody"))
        assert stub in world.present()
        outcome = await world.sync()
        assert {(change.key, change.hold) for change in outcome.plan.kept} == {(stub, Hold.STILL_RELATED)}
        assert outcome.exit is Exit.OK
        world.catalog.update(ref("component", "pay"), lambda one: one["spec"].update(owner="team-a"))
        await world.sync()
        assert stub not in world.present()


async def test_stubs_of_a_kind_that_backstage_never_had_hold_no_delete() -> None:
    """Many catalogs name owners that they do not model: that kind is empty from the first day on."""
    async with serve_world([component(f"c{number}", owner="nobody") for number in range(5)]) as world:
        await world.sync()
        world.catalog.delete(ref("component", "c3"))
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        assert ("component", ref("component", "c3")) not in world.present()
        assert ("group", ref("group", "nobody")) in world.present()


async def without_creation(world: World, *resources: dict[str, Any], blueprints: list[dict[str, Any]]) -> None:
    world.install(mapping(*resources, createMissingRelatedEntities=False), blueprints=blueprints)


async def test_without_creation_related_entities_go_first() -> None:
    sources = [group(f"g{n}", **({"parent": f"g{n + 1}"} if n < 5 else {})) for n in range(6)]
    async with serve_world(sources) as world:
        parent = 'first(.relations[]? | select(.type == "childOf") | .targetRef) // null'
        team = blueprint("team", relations={"parent": "team"})
        await without_creation(world, resource("Group", "team", relations={"parent": parent}), blueprints=[team])
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.created) == (Exit.OK, 6)
        assert world.writes() == {"created": 6}
        assert world.entity("team", ref("group", "g0"))["relations"]["parent"] == ref("group", "g1")


async def test_without_creation_circles_arrive_whole() -> None:
    """An API names its provider and the provider its API: under the default mapping most of a catalog is one knot."""
    sources = [
        group("team-a", parent="team-b"),
        group("team-b"),
        component("pay", providesApis=["x"], dependsOn=["component:default/bill"]),
        component("bill", dependsOn=["component:default/pay"]),
        described("API", "x", type="openapi", lifecycle="p", owner="team-a", definition="openapi: 3"),
    ]
    async with serve_world(sources) as world:
        world.install({**default_mapping(), "createMissingRelatedEntities": False}, blueprints=default_blueprints())
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.created, outcome.applied.refused) == (Exit.OK, 5, [])
        assert world.wrong() == []
        world.writes()
        assert (await world.sync()).plan.is_empty
        assert not world.writes()


async def test_without_creation_a_synthetic_catalog_arrives_whole_in_few_requests() -> None:
    async with serve_world(entities=300) as world:
        world.install({**default_mapping(), "createMissingRelatedEntities": False}, blueprints=default_blueprints())
        outcome = await world.sync()
        assert outcome.applied.refused == []
        assert world.wrong() == []
        assert len(world.requests("POST /v1/blueprints/{blueprint}/entities/bulk")) < 60


async def test_without_creation_what_relates_to_nothing_is_named_and_arrives_whole_once_it_can() -> None:
    sources = [component("pay", owner="nobody"), component("bill"), group("team-a")]
    async with serve_world(sources) as world:
        world.install({**default_mapping(), "createMissingRelatedEntities": False}, blueprints=default_blueprints())
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        ((change, refusal),) = outcome.applied.refused
        assert (change.source, refusal.status, refusal.code) == (ref("component", "pay"), 404, "not_found")
        assert "group:default/nobody" in refusal.message
        assert world.present() == {("component", ref("component", "bill")), ("group", ref("group", "team-a"))}
        world.catalog.put(group("nobody"))
        assert (await world.sync()).exit is Exit.OK
        assert world.wrong() == []


async def test_without_creation_no_bulk_counts_on_an_entity_of_its_own() -> None:
    """Whether items of one request see each other is not known, nor in which order they are applied."""
    sources = [component("a", dependsOn=["component:default/b"]), component("b")]
    async with serve_world(sources) as world:
        depends = '[.relations[]? | select(.type == "dependsOn") | .targetRef]'
        service = blueprint("service", relations={"dependsOn": ["service"]})
        mapped = resource("Component", "service", relations={"dependsOn": depends})
        await without_creation(world, mapped, blueprints=[service])
        await world.sync()
        assert world.writes() == {"created": 2}


REQUIRED = {"owner": {"target": "team", "many": False, "required": True}}
OWNED_BY = 'first(.relations[]? | select(.type == "ownedBy") | .targetRef) // null'


@pytest.mark.parametrize("create", [True, False])
async def test_required_relations(create: bool) -> None:
    config = mapping(
        resource("Component", "service", relations={"owner": OWNED_BY}),
        resource("Group", "team"),
        createMissingRelatedEntities=create,
    )
    sources = [component("pay"), component("bill", owner="nobody"), group("team-a")]
    async with serve_world(sources) as world:
        world.install(config, blueprints=[blueprint("team"), blueprint("service", relations=REQUIRED)])
        outcome = await world.sync()
        assert world.entity("service", ref("component", "pay"))["relations"]["owner"] == ref("group", "team-a")
        refused = [change.source for change, _ in outcome.applied.refused]
        assert refused == ([] if create else [ref("component", "bill")])
        assert outcome.exit is (Exit.OK if create else Exit.UNWRITTEN)


async def test_a_required_relation_to_nothing_is_refused_and_named() -> None:
    config = mapping(resource("Component", "service", relations={"owner": "null"}), resource("Group", "team"))
    async with serve_world([component("pay"), group("team-a")]) as world:
        world.install(config, blueprints=[blueprint("team"), blueprint("service", relations=REQUIRED)])
        outcome = await world.sync()
        assert [(change.source, refusal.code) for change, refusal in outcome.applied.refused] == [
            (ref("component", "pay"), "required_relation")
        ]
        assert world.present() == {("team", ref("group", "team-a"))}


async def test_a_required_relation_inside_a_circle() -> None:
    sources = [component("pay"), group("team-a")]
    config = mapping(
        resource("Component", "service", relations={"owner": OWNED_BY}),
        resource("Group", "team", relations={"owns": '[.relations[]? | select(.type == "ownerOf") | .targetRef]'}),
        createMissingRelatedEntities=False,
    )
    async with serve_world(sources) as world:
        team = blueprint("team", relations={"owns": ["service"]})
        world.install(config, blueprints=[team, blueprint("service", relations=REQUIRED)])
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.refused) == (Exit.OK, [])
        assert world.entity("team", ref("group", "team-a"))["relations"]["owns"] == [ref("component", "pay")]


# Deletes


async def test_without_dependents_deletes_go_one_after_the_other_where_relations_are_required() -> None:
    chain = {"below": {"target": "link", "many": False, "required": False}}
    owned = {"link": {"target": "link", "many": False, "required": True}}
    config = mapping(
        resource("Group", "link", relations={"below": ".spec.below"}),
        resource("Component", "owned", relations={"link": ".spec.link"}),
        deleteDependentEntities=False,
        entityDeletionThreshold=1,
    )
    groups = [group("a", below="group:default/b"), group("b", below="group:default/c"), group("c"), group("stays")]
    owners = [component(f"x{name}", link=f"group:default/{name}") for name in "abc"]
    async with serve_world([*groups, *owners, component("kept", link="group:default/stays")]) as world:
        world.install(config, blueprints=[blueprint("link", relations=chain), blueprint("owned", relations=owned)])
        assert (await world.sync()).exit is Exit.OK
        world.forget()
        for gone in [*(ref("component", f"x{name}") for name in "abc"), *(ref("group", name) for name in "abc")]:
            world.catalog.delete(gone)
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.deleted) == (Exit.OK, 6)
        assert world.present() == {("link", ref("group", "stays")), ("owned", ref("component", "kept"))}
        deletes = world.requests("POST /v1/blueprints/{blueprint}/bulk/entities/delete")
        assert all(seen.status == 200 and "delete_dependents=false" in seen.path for seen in deletes)
        assert "/owned/" in deletes[0].path


async def test_without_dependents_one_that_others_require_stays_and_is_named() -> None:
    owned = {"link": {"target": "link", "many": False, "required": True}}
    config = mapping(resource("Group", "link"), deleteDependentEntities=False, entityDeletionThreshold=1)
    async with serve_world([group("a"), group("b"), group("c")]) as world:
        world.install(config, blueprints=[blueprint("link"), blueprint("owned", relations=owned)])
        await world.sync()
        world.write_as(FOREIGN, "owned", {"identifier": "theirs", "relations": {"link": ref("group", "a")}})
        world.catalog.delete(ref("group", "a"))
        world.catalog.delete(ref("group", "b"))
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert [(change.identifier, refusal.code) for change, refusal in outcome.applied.refused] == [
            (ref("group", "a"), "has_dependents")
        ]
        assert world.present() == {("link", ref("group", "a")), ("link", ref("group", "c")), ("owned", "theirs")}
