"""The main job, by real processes: a real Backstage, `stageport sync`, and the Port stand-in.

What Port should hold is worked out from Backstage's own answers by `tests/expectation.py`, which shares no code with
the product.
"""

import copy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.agreement import assert_in_step
from tests.e2e.harness import RealBackstage, first_of_each_ref
from tests.e2e.port import Stageport, port_in_thread
from tests.expectation import expected_catalog

from stageport.sandbox.backstage.descriptors import sample_descriptors
from stageport.sandbox.port.options import PortOptions

OK, SOURCE, HELD = 0, 5, 8


@pytest.fixture
def stageport(backstage: RealBackstage, tmp_path: Path) -> Iterator[Stageport]:
    """A Backstage with the sample catalog, an empty Port, and processes between them."""
    backstage.apply(first_of_each_ref(sample_descriptors()))
    with port_in_thread(PortOptions()) as port:
        yield Stageport(backstage_url=backstage.url, token=backstage.token, port=port, folder=tmp_path)


@pytest.fixture
def synced(stageport: Stageport) -> Stageport:
    """The same, after a first sync."""
    assert stageport.sync().code == OK
    stageport.writes()
    return stageport


def sample(name: str) -> dict[str, Any]:
    """Return a copy of one sample descriptor by its name."""
    return copy.deepcopy(next(one for one in sample_descriptors() if one["metadata"]["name"] == name))


def some(kind: str) -> dict[str, Any]:
    """Return a copy of the first sample descriptor of a kind."""
    return copy.deepcopy(next(one for one in sample_descriptors() if one["kind"] == kind))


def test_first_sync_brings_every_entity_with_every_field(backstage: RealBackstage, stageport: Stageport) -> None:
    result = stageport.sync()
    assert (result.code, result.json["state"]) == (OK, "completed"), result.err
    assert_in_step(backstage, stageport)


def test_second_sync_sends_no_entity(backstage: RealBackstage, synced: Stageport) -> None:
    result = synced.sync()
    assert result.code == OK
    assert synced.writes() == {}
    assert result.json["counts"]["unchanged"] == len(expected_catalog(backstage.entities()))


def test_plan_writes_nothing_and_says_what_sync_then_does(backstage: RealBackstage, stageport: Stageport) -> None:
    plan = stageport.run("plan", "--quiet", "--output", "json", "--detailed-exitcode")
    assert plan.code == 2
    assert stageport.held() == {}
    result = stageport.sync().json["counts"]
    assert plan.json["counts"]["create"] + plan.json["counts"]["update"] == result["create"] + result["update"]


def test_a_created_entity_is_created_and_its_peers_follow(backstage: RealBackstage, synced: Stageport) -> None:
    group = some("Group")
    owner = f"group:{group['metadata'].get('namespace', 'default')}/{group['metadata']['name']}"
    new = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "E2E-Newcomer", "title": "Neu ✓"},
        "spec": {"type": "service", "lifecycle": "production", "owner": owner},
    }
    backstage.apply_delta(added=[new])
    result = synced.sync()
    assert (result.code, result.json["counts"]["create"]) == (OK, 1)
    assert ("component", "component:default/e2e-newcomer") in synced.held()
    assert_in_step(backstage, synced)


def test_a_changed_entity_alone_is_written(backstage: RealBackstage, synced: Stageport) -> None:
    changed = some("System")
    changed["metadata"]["title"] = "Another title"
    backstage.apply_delta(added=[changed])
    result = synced.sync()
    assert result.code == OK
    assert synced.writes() == {"updated": 1}
    assert_in_step(backstage, synced)


def test_a_new_owner_moves_the_relation(backstage: RealBackstage, synced: Stageport) -> None:
    component = some("Component")
    component["spec"]["owner"] = "user:default/e2e-owner"
    owner = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "User",
        "metadata": {"name": "E2E-Owner"},
        "spec": {"memberOf": []},
    }
    backstage.apply_delta(added=[owner, component])
    assert synced.sync().code == OK
    namespace = component["metadata"].get("namespace", "default")
    entity = synced.held()["component", f"component:{namespace}/{component['metadata']['name']}".lower()]
    assert entity["relations"]["owningUser"] == "user:default/e2e-owner"
    assert_in_step(backstage, synced)


def test_a_renamed_owner_is_deleted_and_its_entities_follow(backstage: RealBackstage, synced: Stageport) -> None:
    """The old group goes, the new one comes, and everything that it owned points to it."""
    entities = first_of_each_ref(sample_descriptors())
    component = next(one for one in entities if one["kind"] == "Component")
    renamed = copy.deepcopy(entities)
    for one in renamed:
        if one["kind"] == "Component" and one["metadata"]["name"] == component["metadata"]["name"]:
            one["spec"]["owner"] = "group:default/e2e-after"
    before = {**some("Group"), "metadata": {"name": "e2e-before"}, "spec": {"type": "team", "children": []}}
    after = {**before, "metadata": {"name": "e2e-after"}}
    backstage.apply([*entities, before])
    assert synced.sync().code == OK
    assert ("group", "group:default/e2e-before") in synced.held()
    backstage.apply([*renamed, after])
    assert synced.sync().code == OK
    assert ("group", "group:default/e2e-before") not in synced.held()
    assert_in_step(backstage, synced)


def test_a_deleted_entity_is_deleted_and_nothing_else(backstage: RealBackstage, synced: Stageport) -> None:
    template = some("Template")
    before = set(synced.held())
    ref = f"template:{template['metadata'].get('namespace', 'default')}/{template['metadata']['name']}".lower()
    backstage.delete(ref)
    assert synced.sync().code == OK
    assert before - set(synced.held()) == {("template", ref)}
    assert_in_step(backstage, synced)


def test_a_custom_kind_takes_one_resource_in_the_mapping(backstage: RealBackstage, synced: Stageport) -> None:
    state = synced.port.state
    (record,) = state.integrations.all()
    mappings = {
        "identifier": ".metadata.identifier",
        "title": ".metadata.name",
        "blueprint": '"environment"',
        "properties": {"type": ".spec.type"},
    }
    resource = {"kind": "Environment", "selector": {"query": "true"}, "port": {"entity": {"mappings": mappings}}}
    blueprint = {
        "identifier": "environment",
        "title": "Environment",
        "schema": {"properties": {"type": {"type": "string"}}, "required": []},
    }
    synced.port.state.store.put_blueprint({**blueprint, "relations": {}})
    config = {**record["config"], "resources": [*record["config"]["resources"], resource]}
    state.integrations.patch(record["identifier"], {"config": config}, skip_resync=True)
    added = {
        "apiVersion": "example.com/v1",
        "kind": "Environment",
        "metadata": {"name": "E2E-Stage"},
        "spec": {"type": "staging"},
    }
    backstage.apply_delta(added=[added])
    result = synced.sync()
    assert result.code == OK, result.out + result.err
    assert synced.held()["environment", "environment:default/e2e-stage"]["properties"]["type"] == "staging"


def test_a_wrong_token_ends_with_a_clear_error_and_deletes_nothing(synced: Stageport) -> None:
    before = synced.held()
    result = synced.sync(BACKSTAGE_TOKEN="a-wrong-token-entirely")
    assert result.code == SOURCE
    assert "token" in (result.out + result.err).lower()
    assert synced.held().keys() == before.keys()
    assert synced.writes() == {}


def test_a_token_without_permission_holds_every_delete(backstage: RealBackstage, synced: Stageport) -> None:
    before = synced.held()
    result = synced.sync(BACKSTAGE_TOKEN=backstage.denied_token)
    assert result.code == HELD, result.out + result.err
    assert "permission" in result.out
    assert synced.held().keys() == before.keys()


def test_a_token_for_another_plugin_is_refused(backstage: RealBackstage, synced: Stageport) -> None:
    before = synced.held()
    assert synced.sync(BACKSTAGE_TOKEN=backstage.restricted_token).code == SOURCE
    assert synced.held().keys() == before.keys()


def test_a_backend_that_restarts_is_waited_for(backstage: RealBackstage, synced: Stageport) -> None:
    backstage.stop()
    start = threading.Thread(target=backstage.start)
    start.start()
    try:
        result = synced.sync()
    finally:
        start.join()
    assert result.code == OK, result.out + result.err
    assert synced.writes() == {}
    assert_in_step(backstage, synced)


def test_a_backend_that_forgot_everything_deletes_nothing(backstage: RealBackstage, synced: Stageport) -> None:
    before = synced.held()
    backstage.restart(forget=True)
    result = synced.sync()
    assert result.code in (SOURCE, HELD), result.out + result.err
    assert synced.held().keys() == before.keys()
