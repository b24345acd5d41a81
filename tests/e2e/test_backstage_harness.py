"""The harness itself: the backend does what a test tells it, and shows it when the call returns."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.e2e.harness import FURTHER_OWNERS, RealBackstage, ref_of

TEAM = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Group",
    "metadata": {"name": "Team-A"},
    "spec": {"type": "team", "children": []},
}


def component(name: str, **metadata: object) -> dict[str, object]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, **metadata},
        "spec": {"type": "service", "lifecycle": "production", "owner": "team-a"},
    }


def test_applied_entities_are_shown_with_both_ends_of_their_relations(backstage: RealBackstage) -> None:
    progress = backstage.apply([TEAM, component("checkout")])

    assert progress.shown == {"group:default/team-a", "component:default/checkout"}
    group, checkout = (backstage.entity(ref) for ref in ("group:default/team-a", "component:default/checkout"))
    assert group is not None
    assert checkout is not None
    assert group["relations"] == [{"type": "ownerOf", "targetRef": "component:default/checkout"}]
    assert checkout["relations"] == [{"type": "ownedBy", "targetRef": "group:default/team-a"}]


def test_an_update_is_shown_when_the_call_returns(backstage: RealBackstage) -> None:
    backstage.apply([TEAM, component("checkout", description="old")])

    backstage.apply_delta(added=[component("checkout", description="new")])

    checkout = backstage.entity("component:default/checkout")
    assert checkout is not None
    assert checkout["metadata"]["description"] == "new"


def test_a_deleted_entity_is_gone_and_its_relations_with_it(backstage: RealBackstage) -> None:
    backstage.apply([TEAM, component("checkout"), component("search")])

    progress = backstage.delete("component:default/checkout")

    group = backstage.entity("group:default/team-a")
    assert progress.shown == {"group:default/team-a", "component:default/search"}
    assert group is not None
    assert group["relations"] == [{"type": "ownerOf", "targetRef": "component:default/search"}]


def test_a_refused_entity_is_named_with_the_reason(backstage: RealBackstage) -> None:
    progress = backstage.apply([{**component("x"), "kind": "Spaceship"}])

    assert progress.shown == frozenset()
    assert "No processor recognized the entity" in progress.refused["spaceship:default/x"][0]


def test_custom_kinds_have_an_owner(backstage: RealBackstage) -> None:
    backstage.apply([{**component("production"), "kind": "Environment"}])

    environment = backstage.entity("environment:default/production")
    assert environment is not None
    assert environment["relations"] == [{"type": "ownedBy", "targetRef": "group:default/team-a"}]


def test_an_entity_can_have_several_owners(backstage: RealBackstage) -> None:
    annotations = {FURTHER_OWNERS: "user:default/ada group:other/team-b"}
    backstage.apply([TEAM, component("checkout", annotations=annotations)])

    checkout = backstage.entity("component:default/checkout")
    assert checkout is not None
    owners = ["group:default/team-a", "group:other/team-b", "user:default/ada"]
    assert checkout["relations"] == [{"type": "ownedBy", "targetRef": owner} for owner in owners]


def test_a_restart_keeps_the_catalog_and_its_identities(backstage: RealBackstage) -> None:
    backstage.apply([TEAM, component("checkout")])
    before = backstage.entities()

    backstage.restart()

    assert backstage.entities() == before


def test_a_backend_that_lost_its_database_comes_up_empty(backstage: RealBackstage) -> None:
    backstage.apply([TEAM])

    backstage.restart(forget=True)

    assert backstage.entities() == []


def test_a_folder_is_read_and_read_again_on_request(backstage: RealBackstage, tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    team.write_text(
        "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: crew}\nspec: {type: team, children: []}\n"
    )
    backstage.load_folder(tmp_path)
    (location,) = [entity for entity in backstage.entities() if entity["kind"] == "Location"]
    assert backstage.progress().shown == {ref_of(location), "group:default/crew"}

    team.write_text(team.read_text().replace("metadata: {name: crew}", "metadata: {name: crew, title: The crew}"))
    backstage.refresh(ref_of(location))

    crew = backstage.entity("group:default/crew")
    assert crew is not None
    assert crew["metadata"]["title"] == "The crew"


def test_a_stopped_backend_serves_nobody_until_it_is_started(backstage: RealBackstage) -> None:
    backstage.stop()

    with pytest.raises(ConnectionRefusedError):
        backstage.entities()

    backstage.start()
    assert backstage.entities() == []


def test_other_tokens_get_what_backstage_gives_them(backstage: RealBackstage) -> None:
    backstage.apply([TEAM])
    path = "/api/catalog/entities/by-query"

    assert backstage.request("GET", path, token=backstage.denied_token).json["items"] == []
    assert backstage.request("GET", path, token=backstage.restricted_token).status == 403
    assert backstage.request("GET", path, token="somebody-else").status == 401


def test_real_catalogs_are_shown_but_for_what_cannot_be_read(backstage_with_real_catalogs: RealBackstage) -> None:
    progress = backstage_with_real_catalogs.progress()

    assert len(progress.shown) > 150
    reasons = [" ".join(reasons) for reasons in progress.refused.values()]
    expected = ("/spec/definition must be string", "must have required property 'action'", "must be of an allowed type")
    assert [reason for reason in reasons if not any(text in reason for text in expected)] == []


def test_a_test_run_that_is_killed_leaves_no_backend_behind(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.e2e.harness import RealBackstage\n"
        "backstage = RealBackstage(Path(sys.argv[1])); backstage.start()\n"
        "print(backstage.port, flush=True); time.sleep(300)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=root, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        port = int(run.stdout.readline())
        run.kill()

    wait_until_refused(port)


def wait_until_refused(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.1)
    pytest.fail("the backend still listens")
