"""The catalog of the Backstage stand-in: what a change of one entity does to it and to its peers."""

import copy
import hashlib
import json
import uuid

import pytest

from stageport.model.entities import Json
from stageport.sandbox.backstage.catalog import Catalog

TEAM = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Group",
    "metadata": {"name": "Team"},
    "spec": {"type": "team", "children": []},
}


def component(name: str, *, metadata: Json = None, **spec: Json) -> Json:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, **(metadata or {})},
        "spec": {"type": "service", "lifecycle": "production", "owner": "team", **spec},
    }


def relations(catalog: Catalog, ref: str) -> list[tuple[str, str]]:
    return [(item["type"], item["targetRef"]) for item in catalog.entity(ref)["relations"]]


def etags(catalog: Catalog) -> dict[str, str]:
    return {entity.ref: entity.etag for entity in catalog}


def changed(before: dict[str, str], catalog: Catalog) -> set[str]:
    after = etags(catalog)
    return {ref for ref in before.keys() | after.keys() if before.get(ref) != after.get(ref)}


def test_a_final_entity_has_what_backstage_adds() -> None:
    catalog = Catalog([component("Shop")])

    entity = catalog.entity("component:default/shop")

    assert list(entity) == ["metadata", "apiVersion", "kind", "spec", "relations"]
    assert entity["metadata"]["namespace"] == "default"
    assert entity["metadata"]["name"] == "Shop"
    assert entity["metadata"]["annotations"]["backstage.io/managed-by-location"].startswith("file:")
    assert uuid.UUID(entity["metadata"]["uid"]).version == 4
    assert entity["relations"] == [{"type": "ownedBy", "targetRef": "group:default/team"}]
    assert "status" not in entity


def test_the_etag_is_the_sha1_of_the_stable_json_of_everything_else() -> None:
    catalog = Catalog([TEAM, component("shop", metadata={"title": "Läden 日本"}, weight=1.5, none=None)])
    catalog.fail("component:default/shop", "no luck")

    entity = catalog.entity("component:default/shop")

    etag = entity["metadata"].pop("etag")
    stable = json.dumps(entity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert etag == hashlib.sha1(stable.encode()).hexdigest()


def test_relations_show_on_both_sides_sorted_by_type_and_target() -> None:
    catalog = Catalog([TEAM, component("b", dependsOn=["component:a"]), component("a", system="s")])

    assert relations(catalog, "component:default/a") == [
        ("dependencyOf", "component:default/b"),
        ("ownedBy", "group:default/team"),
        ("partOf", "system:default/s"),
    ]
    assert relations(catalog, "group:default/team") == [
        ("ownerOf", "component:default/a"),
        ("ownerOf", "component:default/b"),
    ]


def test_a_new_owner_changes_the_component_and_both_groups() -> None:
    other = copy.deepcopy(TEAM) | {"metadata": {"name": "other"}}
    catalog = Catalog([TEAM, other, component("a"), component("b")])
    before = etags(catalog)

    catalog.update("component:default/a", lambda entity: entity["spec"].update(owner="other"))

    assert changed(before, catalog) == {"component:default/a", "group:default/team", "group:default/other"}
    assert relations(catalog, "group:default/team") == [("ownerOf", "component:default/b")]


def test_the_target_of_a_dangling_relation_finds_it_when_it_comes_and_leaves_no_trace_when_it_goes() -> None:
    catalog = Catalog([component("a")])
    before = etags(catalog)

    catalog.put(TEAM)
    assert relations(catalog, "group:default/team") == [("ownerOf", "component:default/a")]
    assert changed(before, catalog) == {"group:default/team"}

    catalog.delete("group:default/team")
    assert changed(before, catalog) == set()


def test_a_pair_that_both_sides_declare_stays_until_neither_does() -> None:
    user = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "User",
        "metadata": {"name": "ada"},
        "spec": {"memberOf": ["team"]},
    }
    team = copy.deepcopy(TEAM)
    team["spec"]["members"] = ["ada"]
    catalog = Catalog([user, team])

    catalog.update("group:default/team", lambda entity: entity["spec"].update(members=[]))
    assert relations(catalog, "group:default/team") == [("hasMember", "user:default/ada")]

    catalog.update("user:default/ada", lambda entity: entity["spec"].update(memberOf=[]))
    assert relations(catalog, "group:default/team") == []


def test_deleting_takes_the_relations_that_the_entity_declared_and_no_others() -> None:
    catalog = Catalog([component("a", dependsOn=["component:b"]), component("b", providesApis=["x"])])

    catalog.delete("component:default/b")

    assert relations(catalog, "component:default/a") == [
        ("dependsOn", "component:default/b"),
        ("ownedBy", "group:default/team"),
    ]
    catalog.put(component("b"))
    catalog.delete("component:default/a")
    assert relations(catalog, "component:default/b") == [("ownedBy", "group:default/team")]


def test_an_entity_may_depend_on_itself() -> None:
    catalog = Catalog([component("a", dependsOn=["component:a"])])

    assert relations(catalog, "component:default/a")[:2] == [
        ("dependencyOf", "component:default/a"),
        ("dependsOn", "component:default/a"),
    ]


def test_what_says_the_same_is_no_change() -> None:
    first = component("a", dependsOn=["resource:x", "resource:y"], providesApis=["p", "q"])
    catalog = Catalog([first])
    body, version = catalog.find("component:default/a"), catalog.version

    reordered = component("a", providesApis=["q", "p"], dependsOn=["resource:y", "resource:x"])
    catalog.put({key: reordered[key] for key in reversed(reordered)})

    assert catalog.find("component:default/a") is body
    assert catalog.version == version


def test_recreating_gives_a_new_uid_and_a_new_etag() -> None:
    catalog = Catalog([component("a")])
    before = catalog.find("component:default/a")
    assert before is not None

    catalog.recreate("component:default/a")

    after = catalog.find("component:default/a")
    assert after is not None
    assert after.uid != before.uid
    assert after.etag != before.etag
    assert catalog.by_uid(before.uid) is None


def test_an_update_keeps_the_uid_whatever_the_source_says() -> None:
    catalog = Catalog([component("a", metadata={"uid": "of-the-source"})])
    uid = catalog.entity("component:default/a")["metadata"]["uid"]

    catalog.put(component("A", metadata={"uid": "of-the-source", "title": "New"}))

    assert catalog.entity("component:default/a")["metadata"]["uid"] == uid
    assert len(catalog) == 1


def test_an_etag_of_the_source_does_not_move() -> None:
    catalog = Catalog([component("a", metadata={"etag": "fixed"})])

    catalog.update("component:default/a", lambda entity: entity["metadata"].update(description="other"))

    entity = catalog.entity("component:default/a")
    assert entity["metadata"]["etag"] == "fixed"
    assert entity["metadata"]["description"] == "other"


def test_a_new_entity_that_is_refused_is_absent() -> None:
    catalog = Catalog([component("a b")])

    assert len(catalog) == 0
    assert "metadata.name" in catalog.rejected["component:default/a b"]


def test_an_update_that_is_refused_leaves_the_last_good_version_with_an_error() -> None:
    catalog = Catalog([component("a")])
    good = catalog.entity("component:default/a")

    catalog.update("component:default/a", lambda entity: entity["spec"].pop("owner"))

    entity = catalog.entity("component:default/a")
    assert entity["spec"] == good["spec"]
    assert entity["metadata"]["etag"] != good["metadata"]["etag"]
    (item,) = entity["status"]["items"]
    assert (item["type"], item["level"]) == ("backstage.io/catalog-processing", "error")
    assert item["message"].startswith("InputError: Processor BuiltinKindsEntityProcessor threw an error")
    assert item["error"]["cause"]["name"] == "TypeError"

    catalog.put(component("a"))
    assert catalog.entity("component:default/a") == good


def test_processing_errors_come_and_go_without_a_trace() -> None:
    catalog = Catalog([component("a")])
    before = etags(catalog)

    catalog.fail("component:default/a", "the file is gone", name="NotFoundError")
    assert catalog.entity("component:default/a")["status"]["items"][0]["message"] == "NotFoundError: the file is gone"
    assert changed(before, catalog) == {"component:default/a"}

    catalog.heal("component:default/a")
    assert changed(before, catalog) == set()


def test_an_orphan_is_annotated() -> None:
    catalog = Catalog([component("a")])

    catalog.set_orphan("component:default/a")
    assert catalog.entity("component:default/a")["metadata"]["annotations"]["backstage.io/orphan"] == "true"

    catalog.set_orphan("component:default/a", orphan=False)
    assert "backstage.io/orphan" not in catalog.entity("component:default/a")["metadata"]["annotations"]


def test_a_relation_of_a_custom_processor_outlives_an_update() -> None:
    catalog = Catalog([component("a")])

    catalog.relate("component:default/a", "ownedBy", "user:default/ada")
    catalog.update("component:default/a", lambda entity: entity["metadata"].update(title="A"))

    assert relations(catalog, "component:default/a") == [
        ("ownedBy", "group:default/team"),
        ("ownedBy", "user:default/ada"),
    ]


def test_a_forgetful_database_renews_every_uid_and_etag() -> None:
    catalog = Catalog([TEAM, component("a")])
    before, uids = etags(catalog), {entity.uid for entity in catalog}

    catalog.renew_uids()

    assert changed(before, catalog) == set(before)
    assert uids.isdisjoint(entity.uid for entity in catalog)
    assert relations(catalog, "group:default/team") == [("ownerOf", "component:default/a")]
    assert sorted(catalog.order.all()) == list(catalog.order.all())


def test_the_same_seed_gives_the_same_uids() -> None:
    first, second, third = (Catalog([TEAM, component("a")], seed=seed) for seed in (1, 1, 2))

    assert etags(first) == etags(second)
    assert changed(etags(first), third) == {"group:default/team", "component:default/a"}


def test_kinds_keep_their_casing_and_count() -> None:
    catalog = Catalog([TEAM, component("a"), component("b", metadata={"namespace": "other"})])

    assert catalog.counts() == {"Group": 1, "Component": 2}
    assert catalog.refs() == ["component:default/a", "component:other/b", "group:default/team"]
    assert "component:other/b" in catalog


def test_the_descriptor_of_an_entity_puts_the_very_same_entity() -> None:
    catalog = Catalog([TEAM, component("a")])
    before = etags(catalog)

    catalog.put(catalog.descriptor("component:default/a"))

    assert changed(before, catalog) == set()


@pytest.mark.parametrize("name", ["delete", "descriptor", "recreate", "heal"])
def test_there_must_be_an_entity_to_change(name: str) -> None:
    with pytest.raises(KeyError):
        getattr(Catalog(), name)("component:default/nope")
