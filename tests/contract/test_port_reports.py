"""What Port is told beside the passes: logs, sync metrics, signs of life; and that none of it ever hinders one."""

import asyncio
import json
from typing import Any

import pytest
from tests.contract.harness import (
    SERVICE,
    SERVICES,
    TOKEN,
    World,
    blueprint,
    component,
    group,
    mapping,
    resource,
    serve_world,
)

from stageport.model.events import Noticed, PassEnded, PassStarted
from stageport.model.exits import Exit
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync.passes import PassKind
from stageport.telemetry.port_reports import KEPT_RECORDS, PortReporter, ReportOptions

ON = {"enable_http_logging": True, "send_sync_metrics": True}
STRICT = blueprint("service", {"email": {"type": "string", "format": "email"}})
INGEST = "/ingest/"


def finals(world: World) -> dict[str, Any]:
    """Return the last that was told of each kind."""
    return {one["kindIdentifier"]: one for one in world.state.journal.metrics if one["syncState"] != "syncing"}


def said(world: World) -> str:
    return " | ".join(record["message"] for record in world.state.journal.logs)


def count(metric: Any, phase: str, name: str) -> int:
    found: int = metric["metrics"]["phase"][phase]["object_count_type"][name]["object_count"]
    return found


async def test_a_pass_is_told_in_numbers_kind_by_kind() -> None:
    two = mapping(
        resource("Component", "service", title=".metadata.name"),
        resource("Group", "team", query='.metadata.name != "none"'),
    )
    sources = [component("pay"), component("cart"), group("team-a"), group("none")]
    async with serve_world(sources, kind=PassKind.RESYNC, **ON) as world:
        world.install(two, blueprints=[SERVICE, blueprint("team")])
        outcome = await world.sync()
        begun = [one for one in world.state.journal.metrics if one["syncState"] == "syncing"]
        assert [one["kindIdentifier"] for one in begun] == [
            "Component-0",
            "Group-1",
            "__reconciliation__",
            "__runtime__",
        ]
        told = finals(world)
        assert {one["eventId"] for one in told.values()} == {outcome.pass_id}
        assert {one["syncState"] for one in told.values()} == {"completed"}
        parts, teams = told["Component-0"], told["Group-1"]
        assert (count(parts, "extract", "raw_extracted"), count(parts, "load", "loaded")) == (2, 2)
        assert (count(teams, "load", "loaded"), count(teams, "transform", "filtered_out")) == (1, 1)
        assert (parts["blueprint"], parts["kindIndex"], parts["integrationType"]) == ("service", 0, "backstage")
        assert told["__runtime__"]["metrics"]["phase"]["resync"]["success"] == 1

        world.forget()
        world.catalog.delete("component:default/cart")
        await world.sync()
        told = finals(world)
        assert count(told["Component-0"], "load", "skipped") == 1
        assert count(told["__reconciliation__"], "delete", "deleted") == 1


async def test_what_port_refused_is_failed_and_named_in_the_logs_without_its_content() -> None:
    odd = component("odd", email="nobody at home")
    async with serve_world([component("pay", email="a@b.example"), odd], **ON) as world:
        world.install(
            mapping(resource("Component", "service", properties={"email": ".spec.email"})), blueprints=[STRICT]
        )
        outcome = await world.sync()
        assert outcome.exit is Exit.UNWRITTEN
        assert world.resync_state() == "failed"
        told = finals(world)
        assert (told["Component-0"]["syncState"], told["__runtime__"]["syncState"]) == ("failed", "failed")
        assert (count(told["Component-0"], "load", "failed"), count(told["Component-0"], "load", "loaded")) == (1, 1)
        assert "component:default/odd" in said(world)
        everything = json.dumps(list(world.state.journal.logs))
        assert "nobody at home" not in everything
        assert TOKEN not in everything


async def test_held_deletes_are_told_with_how_to_release_them() -> None:
    async with serve_world([component("pay")], kind=PassKind.RESYNC, **ON) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        world.catalog.delete("component:default/pay")
        assert (await world.sync()).exit is Exit.HELD
        assert "1 deletes are held back" in said(world)
        assert "--release-deletes" in said(world)


async def test_there_is_no_log_line_for_each_entity() -> None:
    async with serve_world([component(f"c{number}") for number in range(100)], **ON) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        assert 2 <= len(world.state.journal.logs) < 10
        assert sum(1 for one in world.requests("POST") if INGEST in one.path and one.path.endswith("/logs")) <= 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STATUS, status=500, path=INGEST),
        Fault(kind=FaultKind.STATUS, status=401, path=INGEST),
        Fault(kind=FaultKind.LATENCY, delay_ms=3_600_000, path=INGEST),
        Fault(kind=FaultKind.RESET_BEFORE, path=INGEST),
    ],
    ids=["500", "401", "no answer", "reset"],
)
async def test_reports_that_fail_hinder_no_pass(fault: Fault) -> None:
    async with serve_world([component("pay")], **ON) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        world.port.faults.add(fault)
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        assert ("service", "component:default/pay") in world.held()
        world.port.faults.clear()
        words = [event.message for event in world.heard if isinstance(event, Noticed) and "dropped" in event.message]
        assert len(words) <= 2, "once for the logs and once for the metrics"


async def test_switched_off_nothing_is_sent() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        assert not [one for one in world.requests() if INGEST in one.path]
        assert world.resync_state() == "completed"


async def test_signs_of_life_while_a_pass_runs() -> None:
    async with serve_world([component("pay")], **ON, status_heartbeat_interval_seconds=0.02) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        world.backstage.faults.add(Fault(kind=FaultKind.LATENCY, delay_ms=300))
        outcome = await world.sync()
        beats = {one["eventId"] for one in world.state.journal.heartbeats}
        assert beats == {outcome.pass_id}


class Deaf:
    """A Port that names no address, until it does."""

    def __init__(self) -> None:
        self.known = False
        self.sent: list[Any] = []

    def knows(self, place: str) -> bool:
        return self.known

    async def send(self, method: str, place: str, path: str, body: Any) -> None:
        self.sent.append((method, place, path, body))


async def test_what_waits_is_bounded_and_what_is_dropped_is_said_once() -> None:
    deaf, heard = Deaf(), []
    reporter = PortReporter(deaf, ReportOptions(), listener=heard.append, redact=str, flush_seconds=0.01)
    async with reporter.at_work():
        for number in range(KEPT_RECORDS * 3):
            reporter(Noticed("info", f"message {number}"))
        deaf.known = True
        reporter(Noticed("info", "the last one"))
        async with asyncio.timeout(10):
            while not deaf.sent or "the last one" not in str(deaf.sent[-1]):
                await asyncio.sleep(0.01)
    sent = [record for *_, body in deaf.sent for record in body["logs"]]
    assert len(sent) <= KEPT_RECORDS
    assert max(len(body["logs"]) for *_, body in deaf.sent) <= 100
    assert len(heard) == 1


async def test_a_pass_that_is_stopped_is_told_as_aborted() -> None:
    deaf = Deaf()
    deaf.known = True
    reporter = PortReporter(deaf, ReportOptions(logs=False), listener=lambda _: None, redact=str)
    async with reporter.at_work():
        reporter(PassStarted("p1", ("component",), (("component", "service"),)))
        reporter(PassEnded("resync", "aborted", 1.0, written=0, refused=0, held=0, pass_id="p1"))
    states = {body["syncKindMetrics"]["syncState"] for method, *_, body in deaf.sent if method == "PUT"}
    assert states == {"aborted"}


class Slow(Deaf):
    """A Port that answers late."""

    async def send(self, method: str, place: str, path: str, body: Any) -> None:
        await asyncio.sleep(0.05)
        await super().send(method, place, path, body)


async def test_what_is_under_way_when_the_process_ends_is_told_all_the_same() -> None:
    slow = Slow()
    slow.known = True
    resources = tuple((f"kind{number}", "service") for number in range(30))
    reporter = PortReporter(slow, ReportOptions(logs=False), listener=lambda _: None, redact=str)
    async with reporter.at_work():
        reporter(PassStarted("p1", tuple(kind for kind, _ in resources), resources))
        await asyncio.sleep(0.1)
        reporter(PassEnded("resync", "completed", 1.0, written=0, refused=0, held=0, pass_id="p1"))
        await asyncio.sleep(0.01)
    told = [body["syncKindMetrics"]["kindIdentifier"] for method, *_, body in slow.sent if method == "PUT"]
    assert set(told) >= {f"{kind}-{number}" for number, (kind, _) in enumerate(resources)}
    assert slow.sent[0][0] == "POST"
