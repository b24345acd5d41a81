"""Integrations at the Port stand-in: registration, mapping, resyncs, examples, cursors, telemetry."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.port_rig import Rig, open_rig

from stageport.sandbox.port import Behaviour

ONE = "/v1/integration/my-backstage"
MAPPING = {
    "createMissingRelatedEntities": True,
    "resources": [
        {
            "kind": "component",
            "selector": {"query": "true"},
            "port": {"entity": {"mappings": {"identifier": ".metadata.name", "blueprint": '"component"'}}},
        }
    ],
}
REGISTRATION = {
    "installationId": "my-backstage",
    "installationAppType": "backstage",
    "version": "0.1.0",
    "changelogDestination": {},
    "config": MAPPING,
    "actionsProcessingEnabled": False,
    "incrementalSyncEnabled": False,
    "createPortResourcesOrigin": "Default",
}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as rig:
        await rig.ok("POST", "/v1/integration", REGISTRATION)
        rig.pass_time(10)
        yield rig


async def read(rig: Rig, **query: str) -> Any:
    return (await rig.ok("GET", ONE, query=query or {"isPolling": "false", "oceanCoreVersion": "0.48.12"}))[
        "integration"
    ]


async def request_of(rig: Rig) -> Any:
    return (await rig.ok("GET", f"{ONE}/resync-request"))["request"]


async def test_what_was_registered_is_there(rig: Rig) -> None:
    integration = await read(rig)
    assert {key: integration[key] for key in REGISTRATION} == REGISTRATION
    assert integration["identifier"] == "my-backstage"
    assert integration["integrationType"] == "backstage"
    assert integration["installationType"] == "OnPrem"
    assert integration["arePortResourcesInitialized"] is False
    for attributes in ("logAttributes", "metricAttributes", "ingestAttributes"):
        assert integration[attributes]["ingestUrl"].startswith(f"{rig.running.url}/ingest/")
    listed = (await rig.ok("GET", "/v1/integration"))["integrations"]
    assert listed == [integration]
    assert await read(rig) == integration
    assert (await rig.ok("GET", "/v1/integration/provision-enabled"))["integrations"] == []


async def test_it_is_found_by_where_its_logs_go(rig: Rig) -> None:
    ingest = (await read(rig))["logAttributes"]["ingestId"]
    found = await rig.ok("GET", f"/v1/integration/{ingest}", query={"byField": "logIngestId"})
    assert found["integration"]["identifier"] == "my-backstage"
    assert (await rig.call("GET", ONE, query={"byField": "title"})).status == 422


async def test_an_identifier_is_registered_once_unless_an_upsert_is_asked_for(rig: Rig) -> None:
    reply = await rig.call("POST", "/v1/integration", REGISTRATION)
    assert (reply.status, reply.error) == (409, "identifier_taken")
    again = await rig.ok("POST", "/v1/integration", {**REGISTRATION, "version": "0.2.0"}, query={"upsert": "true"})
    assert again["integration"]["version"] == "0.2.0"


@pytest.mark.parametrize(
    "slip",
    [
        {"installationId": None},
        {"installationId": ""},
        {"version": 1},
        {"changelogDestination": {"type": "WEBHOOK"}},
        {"changelogDestination": {"type": "KAFKA", "topic": "x"}},
        {"createPortResourcesOrigin": "Mine"},
        {"actionsProcessingEnabled": "no"},
        {"config": []},
        {"config": {"resources": {}}},
        {"config": {"resources": [{"kind": "component"}]}},
        {"config": {"resources": [{**MAPPING["resources"][0], "port": {"entity": {"mappings": {"identifier": "x"}}}}]}},  # type: ignore[index]
        {"config": {"resources": [{**MAPPING["resources"][0], "port": {"entity": {"mappings": {"blueprint": "x"}}}}]}},  # type: ignore[index]
        {"processingMode": "other"},
    ],
)
async def test_registrations_that_are_none(rig: Rig, slip: dict[str, Any]) -> None:
    reply = await rig.call("POST", "/v1/integration", {**REGISTRATION, "installationId": "other", **slip})
    assert (reply.status, reply.error) == (422, "invalid_request")


async def test_what_is_not_there_is_not_found(rig: Rig) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"version": "1"}),
        ("DELETE", "", None),
        ("PATCH", "/config", {"config": {}}),
        ("PATCH", "/resync-state", {"status": "running"}),
        ("GET", "/resync-request", None),
        ("GET", "/kinds", None),
        ("GET", "/logs", None),
        ("POST", "/kinds/component/examples", {"examples": []}),
    ):
        reply = await rig.call(method, f"/v1/integration/nobody{path}", body)
        assert (reply.status, reply.error) == (404, "not_found"), path


async def test_a_patch_changes_what_it_names(rig: Rig) -> None:
    change = {
        "version": "0.2.0",
        "changelogDestination": {"type": "WEBHOOK", "url": "https://example.com/resync"},
        "processingMode": "ocean-core",
        "arePortResourcesInitialized": True,
    }
    changed = (await rig.ok("PATCH", ONE, change))["integration"]
    assert {key: changed[key] for key in change} == change
    assert changed["config"] == MAPPING
    assert await request_of(rig) is None


async def test_an_empty_patch_asks_for_a_resync(rig: Rig) -> None:
    assert await request_of(rig) is None
    await rig.ok("PATCH", ONE)
    first = await request_of(rig)
    rig.pass_time(1)
    await rig.ok("PATCH", ONE, {})
    second = await request_of(rig)
    assert second["id"] != first["id"]
    assert second["updatedAt"] > first["updatedAt"]


async def test_a_new_mapping_asks_for_a_resync(rig: Rig) -> None:
    await rig.ok("PATCH", f"{ONE}/config", {"config": MAPPING})
    assert await request_of(rig) is None
    await rig.ok("PATCH", f"{ONE}/config", {"config": {}}, headers={"x-skip-resync": "true"})
    assert await request_of(rig) is None
    await rig.ok("PATCH", f"{ONE}/config", {"config": MAPPING})
    assert await request_of(rig) is not None
    assert (await read(rig))["config"] == MAPPING
    assert (await rig.call("PATCH", f"{ONE}/config", {"config": {}, "version": "1"})).status == 422


async def test_a_new_mapping_need_not_ask_for_a_resync() -> None:
    async with open_rig(behaviour=Behaviour(mapping_change_requests_resync=False)) as rig:
        await rig.ok("POST", "/v1/integration", REGISTRATION)
        await rig.ok("PATCH", ONE, {"config": {}})
        assert await request_of(rig) is None


async def test_a_resync_is_asked_for_from_outside(rig: Rig) -> None:
    asked = await rig.ok("POST", "/_sandbox/integration/my-backstage/resync")
    assert await request_of(rig) == asked["request"]
    rig.state.integrations.request_resync("my-backstage")
    assert await request_of(rig) != asked["request"]


async def test_the_report_of_a_resync_differs_from_a_change_by_its_times(rig: Rig) -> None:
    """Kafka listeners tell the two apart by that alone."""
    state = {
        "status": "running",
        "lastResyncStart": "2026-01-01T00:00:00Z",
        "lastResyncEnd": None,
        "nextResync": None,
        "intervalInMinuets": 60,
    }
    integration = (await rig.ok("PATCH", f"{ONE}/resync-state", state))["integration"]
    assert integration["resyncState"] == {**state, "updatedAt": integration["updatedAt"]}
    # At the very same millisecond, and still a change.
    changed = (await rig.ok("PATCH", ONE, {"version": "0.3.0"}))["integration"]
    assert changed["updatedAt"] != changed["resyncState"]["updatedAt"]
    rig.pass_time(5)
    done = (await rig.ok("PATCH", f"{ONE}/resync-state", {"status": "completed"}))["integration"]
    assert done["updatedAt"] == done["resyncState"]["updatedAt"]
    assert (done["resyncState"]["status"], done["resyncState"]["intervalInMinuets"]) == ("completed", 60)


@pytest.mark.parametrize("slip", [{"status": "done"}, {"intervalInMinutes": 60}])
async def test_reports_that_are_none(rig: Rig, slip: dict[str, Any]) -> None:
    assert (await rig.call("PATCH", f"{ONE}/resync-state", slip)).status == 422


async def test_examples_of_raw_data(rig: Rig) -> None:
    path = f"{ONE}/kinds/component/examples"
    await rig.ok("POST", path, {"examples": [{"a": 1}, {"b": 2}]})
    await rig.ok("POST", path, {"examples": [{"c": 3}]})
    data = (await rig.ok("GET", f"{ONE}/kinds"))["data"]
    assert [one["data"] for one in data["component"]["examples"]] == [{"c": 3}]
    assert (await rig.call("POST", path, {"examples": [{}] * 6})).status == 422
    assert (await rig.call("POST", path, {"examples": ["x"]})).status == 422


async def test_a_cursor_is_created_before_it_is_changed(rig: Rig) -> None:
    query = {"kind": "component", "index": "0"}
    path = f"{ONE}/cursor"
    assert (await rig.ok("GET", path, query=query))["cursor"] is None
    mark = {"primary": "2026-01-01T00:00:00Z"}
    assert (await rig.call("PUT", path, mark, query=query)).status == 404
    await rig.ok("POST", path, mark, query=query)
    await rig.ok("PUT", path, {"primary": "2026-01-02T00:00:00Z"}, query=query)
    assert (await rig.ok("GET", path, query=query))["cursor"] == {"primary": "2026-01-02T00:00:00Z"}
    assert (await rig.call("GET", path, query={"kind": "component"})).status == 422


async def test_telemetry_is_kept(rig: Rig) -> None:
    integration = await read(rig)
    to_logs = integration["logAttributes"]["ingestUrl"].removeprefix(rig.running.url)
    to_metrics = integration["metricAttributes"]["ingestUrl"].removeprefix(rig.running.url)
    records = [
        {"message": f"m{number}", "level": "INFO", "timestamp": "2026-01-02T03:04:05.000006Z", "extra": {}}
        for number in range(3)
    ]
    await rig.ok("POST", to_logs, {"logs": records})
    assert (await rig.ok("GET", f"{ONE}/logs", query={"limit": "2"}))["data"] == records[1:]
    assert (await rig.call("GET", f"{ONE}/logs", query={"limit": "301"})).status == 422
    metric = {"eventId": "e", "kindIdentifier": "component-0"}
    await rig.ok("POST", f"{to_metrics}/syncMetrics", {"syncKindsMetrics": [metric]})
    await rig.ok("PUT", f"{to_metrics}/syncMetrics/resync/e/kind/component-0", {"syncKindMetrics": metric})
    await rig.ok("POST", f"{to_metrics}/heartbeat", {"eventId": "e"})
    journal = rig.state.journal
    assert (list(journal.metrics), [beat["eventId"] for beat in journal.heartbeats]) == ([metric, metric], ["e"])


async def test_telemetry_needs_a_token_an_address_and_a_shape(rig: Rig) -> None:
    to_logs = (await read(rig))["logAttributes"]["ingestUrl"].removeprefix(rig.running.url)
    assert (await rig.call("POST", to_logs, {"logs": []}, headers={"Authorization": "none"})).status == 401
    assert (await rig.call("POST", "/ingest/nowhere/logs", {"logs": []})).status == 404
    assert (await rig.call("POST", to_logs, {"logs": [{}]})).status == 422
    stamped = {"message": "m", "level": "INFO", "timestamp": "yesterday", "extra": {}}
    assert (await rig.call("POST", to_logs, {"logs": [stamped]})).status == 422
    to_metrics = to_logs.replace("/logs", "/metrics")
    for wrong in (
        {"eventId": "e"},
        {"eventId": "e", "kindIdentifier": "c-0", "syncState": "fine"},
        {"eventId": "e", "kindIdentifier": "c-0", "metrics": {"phase": {"guess": {}}}},
        {"eventId": "e", "kindIdentifier": "c-0", "metrics": {"phase": {"load": {"object_count_type": {"loaded": 3}}}}},
    ):
        body = {"syncKindsMetrics": [wrong]}
        assert (await rig.call("POST", f"{to_metrics}/syncMetrics", body)).status == 422
    metric = {"eventId": "another", "kindIdentifier": "c-0"}
    path = f"{to_metrics}/syncMetrics/resync/e/kind/c-0"
    assert (await rig.call("PUT", path, {"syncKindMetrics": metric})).status == 422
    assert (await rig.call("POST", f"{to_metrics}/heartbeat", {})).status == 422
    assert (await rig.call("POST", to_logs, {"records": []})).status == 422


async def test_an_integration_is_forgotten_and_its_entities_stay(rig: Rig) -> None:
    await rig.blueprint()
    await rig.write({"identifier": "a"})
    await rig.ok("DELETE", ONE)
    assert (await rig.call("GET", ONE)).status == 404
    assert set(rig.state.entities("component")) == {"a"}
