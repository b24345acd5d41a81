"""`stageport sync --delta` against a real Backstage: what changed there, and nothing else, changes at Port.

Backstage gives every entity the etag and the uid that deltas go by; whether both move when they should, only the real
one can tell.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.command import Result
from tests.e2e.agreement import assert_in_step
from tests.e2e.harness import RealBackstage, first_of_each_ref, ref_of
from tests.e2e.port import Stageport, port_in_thread

from stageport.sandbox.backstage.descriptors import sample_descriptors
from stageport.sandbox.port.options import PortOptions

OK, SOURCE, HELD = 0, 5, 8
WITHOUT_CONTENT = {"POST /v1/auth/access_token", "GET /v1/integration/{integration}", "GET /v1/blueprints"}
REPORT = "PATCH /v1/integration/{integration}/resync-state"


@pytest.fixture
def synced(backstage: RealBackstage, tmp_path: Path) -> Iterator[Stageport]:
    """A Backstage with the sample catalog, and a Port in step with it."""
    backstage.apply(sample())
    with port_in_thread(PortOptions()) as port:
        stageport = Stageport(backstage_url=backstage.url, token=backstage.token, port=port, folder=tmp_path)
        assert stageport.sync().code == OK
        stageport.writes()
        yield stageport


def sample() -> list[dict[str, Any]]:
    return first_of_each_ref(copy.deepcopy(sample_descriptors()))


def some(kind: str) -> dict[str, Any]:
    return next(one for one in sample() if one["kind"] == kind)


def delta(stageport: Stageport) -> Result:
    """Run a delta, and make sure that it was one."""
    stageport.port.state.journal.routes.clear()
    result = stageport.sync("--delta")
    assert result.code == OK, result.out + result.err
    assert result.json["pass"] == "delta"
    return result


def test_without_a_change_nothing_is_asked_of_port_but_what_frames_a_pass(synced: Stageport) -> None:
    delta(synced)
    assert synced.port.state.journal.routes.keys() == WITHOUT_CONTENT | {REPORT}
    assert synced.writes() == {}


def test_a_created_entity_comes_and_those_that_it_relates_to_follow(
    backstage: RealBackstage, synced: Stageport
) -> None:
    owner, api = some("Group"), some("API")
    new = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "e2e-newcomer", "title": "Neu ✓"},
        "spec": {"type": "service", "lifecycle": "production", "owner": ref_of(owner), "providesApis": [ref_of(api)]},
    }
    backstage.apply_delta(added=[new])
    result = delta(synced)
    assert result.json["counts"]["create"] == 1
    assert ref_of(new) in synced.held()["api", ref_of(api)]["relations"]["providedBy"]
    assert_in_step(backstage, synced)


def test_a_changed_entity_alone_is_written(backstage: RealBackstage, synced: Stageport) -> None:
    changed = some("System")
    changed["metadata"]["title"] = "Another title"
    backstage.apply_delta(added=[changed])
    delta(synced)
    assert synced.writes() == {"updated": 1}
    assert_in_step(backstage, synced)


def test_a_relation_that_moves_is_seen_at_its_other_ends_too(backstage: RealBackstage, synced: Stageport) -> None:
    """The descriptors of the APIs do not change; their relations do, and with them their etags."""
    apis = [one for one in sample() if one["kind"] == "API"]
    component = next(one for one in sample() if one["kind"] == "Component" and one["spec"].get("providesApis"))
    before = [api for api in apis if api["metadata"]["name"] == component["spec"]["providesApis"][0].split("/")[-1]]
    after = next(api for api in apis if api not in before)
    component["spec"]["providesApis"] = [ref_of(after)]
    backstage.apply_delta(added=[component])
    delta(synced)
    assert ref_of(component) in synced.held()["api", ref_of(after)]["relations"]["providedBy"]
    for api in before:
        assert ref_of(component) not in synced.held()["api", ref_of(api)]["relations"]["providedBy"]
    assert_in_step(backstage, synced)


def test_a_deleted_entity_goes_and_nothing_else(backstage: RealBackstage, synced: Stageport) -> None:
    template = ref_of(some("Template"))
    before = set(synced.held())
    backstage.delete(template)
    delta(synced)
    assert before - set(synced.held()) == {("template", template)}
    assert synced.writes() == {"deleted": 1}
    assert_in_step(backstage, synced)


def test_an_entity_deleted_and_recreated_between_two_deltas_stays(backstage: RealBackstage, synced: Stageport) -> None:
    """It has another uid, and was never gone as far as Port is concerned."""
    template = some("Template")
    uid = backstage.entity(ref_of(template))["metadata"]["uid"]
    backstage.delete(ref_of(template))
    backstage.apply_delta(added=[template])
    assert backstage.entity(ref_of(template))["metadata"]["uid"] != uid
    delta(synced)
    assert "deleted" not in synced.writes()
    assert_in_step(backstage, synced)


def test_an_entity_that_went_and_came_back_goes_and_comes_back(backstage: RealBackstage, synced: Stageport) -> None:
    template = some("Template")
    backstage.delete(ref_of(template))
    delta(synced)
    assert ("template", ref_of(template)) not in synced.held()
    backstage.apply_delta(added=[template])
    delta(synced)
    assert_in_step(backstage, synced)


def test_changes_of_every_sort_at_once(backstage: RealBackstage, synced: Stageport) -> None:
    entities = sample()
    component = next(one for one in entities if one["kind"] == "Component")
    component["spec"]["lifecycle"] = "deprecated"
    renamed = next(one for one in entities if one["kind"] == "Resource")
    renamed["metadata"]["name"] = "e2e-renamed"
    gone = next(one for one in entities if one["kind"] == "Template")
    backstage.apply([one for one in entities if one is not gone])
    delta(synced)
    assert_in_step(backstage, synced)
    delta(synced)
    synced.writes()
    assert synced.sync("--verify").code == OK
    assert synced.writes() == {}


def test_a_backend_that_comes_back_with_a_fresh_database_costs_what_changed(
    backstage: RealBackstage, synced: Stageport
) -> None:
    """Every uid is new. Nothing is deleted while the catalog is empty; once it is back, what changed is written."""
    before = synced.held()
    uids = {one["metadata"]["uid"] for one in backstage.entities()}
    backstage.restart(forget=True)
    held_back = synced.sync("--delta")
    assert held_back.code in (SOURCE, HELD), held_back.out + held_back.err
    assert synced.held().keys() == before.keys()
    entities = sample()
    changed = next(one for one in entities if one["kind"] == "System")
    changed["metadata"]["title"] = "Another title"
    backstage.apply(entities)
    assert uids.isdisjoint(one["metadata"]["uid"] for one in backstage.entities())
    synced.writes()
    delta(synced)
    assert synced.writes() == {"updated": 1}
    assert_in_step(backstage, synced)
    delta(synced)
    assert synced.writes() == {}


def test_a_delta_while_the_catalog_is_coming_back_deletes_nothing(backstage: RealBackstage, synced: Stageport) -> None:
    """A third of the catalog is back: too much is missing to believe it, until a person does."""
    before = synced.held()
    backstage.restart(forget=True)
    backstage.apply([one for one in sample() if one["kind"] in ("Group", "User")])
    result = synced.sync("--delta")
    assert result.code == HELD, result.out + result.err
    assert synced.held().keys() == before.keys()
    backstage.apply(sample())
    synced.writes()
    delta(synced)
    assert synced.writes() == {}
    assert_in_step(backstage, synced)
