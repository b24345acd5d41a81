"""The integration's record: mapping document, state of resyncs, examples."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.scripted import Answer, as_json
from tests.scripted_port import complain, scripted_port

from stageport.model.errors import TargetAnswerError
from stageport.model.schedule import Cron, Every
from stageport.port.examples import MASK

RECORD = "/v1/integration/my-backstage"
PLAIN = "port-ocean/backstage/1.2.3/my-backstage"
CONFIG = {"resources": [{"kind": "component"}]}


async def test_the_record_and_the_mapping_document_in_it() -> None:
    record = {"identifier": "my-backstage", "config": CONFIG}
    async with scripted_port({f"GET {RECORD}": as_json({"ok": True, "integration": record})}) as port:
        assert await port.integration().read_integration() == record
        assert await port.integration().read_config() == CONFIG
    assert port.script.seen[0].headers["user-agent"] == PLAIN


@pytest.mark.parametrize("answer", [complain(404, "not_found"), as_json({"ok": True}), as_json({"integration": {}})])
async def test_no_record_yet(answer: Answer) -> None:
    async with scripted_port({f"GET {RECORD}": answer}) as port:
        assert await port.integration().read_integration() is None
        assert await port.integration().read_config() is None


async def test_a_record_without_a_mapping_document() -> None:
    async with scripted_port({f"GET {RECORD}": as_json({"integration": {"config": None, "version": "1"}})}) as port:
        assert await port.integration().read_config() == {}


async def test_an_integration_is_registered_with_its_mapping_under_its_own_name() -> None:
    answer = as_json({"ok": True, "integration": {"identifier": "my-backstage"}})
    async with scripted_port({"POST /v1/integration": answer}) as port:
        integration = port.integration(changelog_destination={"type": "KAFKA"}, resources_origin="Empty")
        assert await integration.create_integration(config=CONFIG) == {"identifier": "my-backstage"}
    assert port.script.seen[0].headers["user-agent"] == PLAIN
    assert port.script.seen[0].json == {
        "installationId": "my-backstage",
        "installationAppType": "backstage",
        "version": "1.2.3",
        "changelogDestination": {"type": "KAFKA"},
        "config": CONFIG,
        "actionsProcessingEnabled": False,
        "incrementalSyncEnabled": False,
        "createPortResourcesOrigin": "Empty",
    }


async def test_registering_is_not_done_twice() -> None:
    async with scripted_port({"POST /v1/integration": Answer(reset=True)}) as port:
        with pytest.raises(Exception, match="broke"):
            await port.integration().create_integration(config={})
    assert len(port.script.seen) == 1


async def test_a_change_always_carries_the_version() -> None:
    async with scripted_port({f"PATCH {RECORD}": as_json({"integration": {"config": CONFIG}})}) as port:
        assert await port.integration().patch_integration({"config": CONFIG}) == {"config": CONFIG}
    assert port.script.seen[0].json == {"config": CONFIG, "version": "1.2.3"}


async def test_the_state_of_a_resync_in_the_words_of_the_wire() -> None:
    every = Every(timedelta(minutes=90), since=datetime(2026, 11, 23, 3, 55, tzinfo=UTC))
    async with scripted_port({f"PATCH {RECORD}/resync-state": as_json({"ok": True, "integration": {}})}) as port:
        integration = port.integration(schedule=every)
        await integration.report_state("running", started="2026-11-23T04:00:00+00:00", ended=None)
        await integration.report_state("completed", started=None, ended="2026-11-23T05:40:00+00:00")
    assert [seen.json for seen in port.script.seen] == [
        {
            "status": "running",
            "lastResyncStart": "2026-11-23T04:00:00+00:00",
            "lastResyncEnd": None,
            "nextResync": "2026-11-23T05:25:00.000Z",
            "intervalInMinuets": 90,
        },
        {
            "status": "completed",
            "lastResyncEnd": "2026-11-23T05:40:00+00:00",
            "nextResync": "2026-11-23T06:55:00.000Z",
            "intervalInMinuets": 90,
        },
    ]


async def test_a_cron_schedule_announces_its_next_moment_in_utc() -> None:
    async with scripted_port({f"PATCH {RECORD}/resync-state": as_json({"integration": {}})}) as port:
        integration = port.integration(schedule=Cron("0 3 * * *", "Europe/Berlin"))
        await integration.report_state("completed", started=None, ended="2026-07-01T04:10:00+00:00")
    assert port.script.seen[0].json["nextResync"] == "2026-07-02T01:00:00.000Z"
    assert port.script.seen[0].json["intervalInMinuets"] == 24 * 60


async def test_without_a_schedule_no_next_resync_is_announced() -> None:
    async with scripted_port({f"PATCH {RECORD}/resync-state": as_json({"integration": {}})}) as port:
        await port.integration().report_state("failed", started=None, ended="2026-11-23T04:10:00+00:00")
    assert port.script.seen[0].json["nextResync"] is None
    assert port.script.seen[0].json["intervalInMinuets"] is None


async def test_examples_are_five_at_most_and_masked() -> None:
    examples = [{"metadata": {"name": f"n{number}"}, "spec": {"token": "hunter2"}} for number in range(7)]
    async with scripted_port({f"POST {RECORD}/kinds/my%20kind/examples": as_json({"ok": True})}) as port:
        await port.integration().send_examples("my kind", examples)
    sent = port.script.seen[0].json["examples"]
    assert [one["metadata"]["name"] for one in sent] == ["n0", "n1", "n2", "n3", "n4"]
    assert {one["spec"]["token"] for one in sent} == {MASK}
    assert examples[0]["spec"]["token"] == "hunter2"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (as_json({"ok": True, "request": {"id": "r1", "updatedAt": "2026-11-23T04:00:00Z"}}), "r1"),
        (as_json({"ok": True, "request": None}), None),
        (complain(404, "not_found"), None),
    ],
)
async def test_requests_for_a_resync(answer: Answer, expected: str | None) -> None:
    async with scripted_port({f"GET {RECORD}/resync-request": answer}) as port:
        request = await port.integration().read_resync_request()
    assert (request and request["id"]) == expected


async def test_the_organization_is_read_with_its_id() -> None:
    answer = as_json({"ok": True, "organization": {"id": "org_1", "featureFlags": []}})
    async with scripted_port({"GET /v1/organization": answer}) as port:
        assert (await port.integration().read_organization())["id"] == "org_1"


@pytest.mark.parametrize("call", ["read", "create", "patch", "state", "examples", "request", "organization"])
async def test_refusals_are_errors(call: str) -> None:
    answer = complain(422, "invalid_request", "no")
    paths = (f"GET {RECORD}", "POST /v1/integration", f"PATCH {RECORD}", f"PATCH {RECORD}/resync-state",
             f"POST {RECORD}/kinds/k/examples", f"GET {RECORD}/resync-request", "GET /v1/organization")  # fmt: skip
    async with scripted_port(dict.fromkeys(paths, answer)) as port:
        integration = port.integration()
        attempts = {
            "read": integration.read_integration,
            "create": lambda: integration.create_integration(config={}),
            "patch": lambda: integration.patch_integration({}),
            "state": lambda: integration.report_state("running", started=None, ended=None),
            "examples": lambda: integration.send_examples("k", [{}]),
            "request": integration.read_resync_request,
            "organization": integration.read_organization,
        }
        with pytest.raises(TargetAnswerError) as caught:
            await attempts[call]()
    assert caught.value.code == "invalid_request"
    assert caught.value.hint
