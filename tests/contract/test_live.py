"""From a hint to Port: what the running service does with live events, between both stand-ins over real sockets."""

import asyncio
import re
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from tests.contract.harness import (
    IDENTIFIER,
    SERVICE,
    blueprint,
    component,
    group,
    mapping,
    ref,
    resource,
    serve_world,
)
from tests.contract.live_rig import OVERFLOW, changed, live, until
from tests.shell_blocks import ROOT

from stageport.model.events import Noticed, PassEnded
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync import always as always_room
from stageport.sync import hints as hints_room
from stageport.sync.always import Rhythm
from stageport.sync.passes import PassKind

PAY = ("component", "component:default/pay")
CART = ("component", "component:default/cart")
STATUS_PAGE = (ROOT / "docs" / "reference" / "status.md").read_text(encoding="utf-8")
BY_REFS = "POST /api/catalog/entities/by-refs"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once; what is tested is that it is tried again."""
    monkeypatch.setattr(always_room, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(always_room, "LONGEST_WAIT", 0.02)
    monkeypatch.setattr(hints_room, "SECOND_LOOK", 0.05)
    monkeypatch.setattr(always_room, "TICK_SECONDS", 0.02)


async def test_a_created_a_changed_and_a_deleted_entity_arrive() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world, live(world) as service:
        world.catalog.put(component("cart"))
        assert (await service.sender.tell("component:default/cart")).json == {"accepted": 1}
        await until(lambda: CART in world.held())
        world.catalog.put(component("cart", lifecycle="experimental"))
        await service.sender.tell("component:default/cart", "group:default/team-a")
        await until(lambda: world.entity(*CART)["properties"]["lifecycle"] == "experimental")
        world.catalog.delete("component:default/cart")
        await service.sender.post(changed("component:default/cart", operation="delete"))
        await until(lambda: CART not in world.held())
        await service.settled()
        assert world.wrong() == []
        assert service.ended("delta") == 0


async def test_a_relations_other_end_has_a_change_of_its_own() -> None:
    both = [component("pay"), group("team-a"), group("team-b")]
    async with serve_world(both) as world, live(world) as service:
        world.catalog.update(ref("component", "pay"), lambda one: one["spec"].update(owner="team-b"))
        # Backstage stitches all three anew, and the module tells of each.
        await service.sender.tell("component:default/pay", "group:default/team-a", "group:default/team-b")
        await service.settled()
        assert world.wrong() == []


async def test_a_hint_costs_one_question_and_one_write() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world, live(world) as service:
        world.catalog.update(ref("component", "pay"), lambda one: one["metadata"].update(title="News"))
        await service.sender.tell("component:default/pay", "component:default/pay")
        await service.settled()
        assert world.entity(*PAY)["title"] == "News"
        assert world.backstage.requests == [BY_REFS]
        assert [seen.route for seen in world.requests()] == ["POST /v1/blueprints/{blueprint}/entities/bulk"]


async def test_the_mapping_process_stays_from_hint_to_hint() -> None:
    async with serve_world([component("pay")]) as world, live(world) as service:
        warm = service.always._warm
        mappers = []
        for number in range(3):
            world.catalog.update(ref("component", "pay"), lambda one, n=number: one["metadata"].update(title=str(n)))
            await service.sender.tell("component:default/pay")
            await service.settled()
            assert warm._kept is not None
            mappers.append(warm._kept[1])
        assert mappers[0] is mappers[1] is mappers[2]


async def test_changes_that_come_together_are_looked_at_together() -> None:
    names = [f"c{number}" for number in range(60)]
    async with serve_world([component("pay")]) as world, live(world) as service:
        for name in names:
            world.catalog.put(component(name))
        answers = await asyncio.gather(*(service.sender.tell(ref("component", name)) for name in names))
        assert {answer.status for answer in answers} == {202}
        await service.settled()
        assert world.wrong() == []
        assert world.backstage.requests.count(BY_REFS) < 20


@pytest.mark.usefixtures("impatient")
async def test_what_a_filter_hides_at_first_is_looked_at_once_more() -> None:
    """Backstage fills the table that it filters by a moment after it shows, and tells of, an entity."""
    filtered = mapping(resource("Component", "service", selector={"filter": ["spec.type=service"]}))
    async with serve_world([component("a"), component("b", type="website")]) as world:
        world.install(filtered, blueprints=[SERVICE])
        async with live(world) as service:
            await service.sender.tell(ref("component", "b"))
            await until(lambda: world.backstage.requests.count(BY_REFS) == 1)
            world.catalog.update(ref("component", "b"), lambda one: one["spec"].update(type="service"))
            await until(lambda: ("service", ref("component", "b")) in world.held())
            await service.settled()


async def test_a_sender_that_lost_track_has_everything_looked_at() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world, live(world) as service:
        world.catalog.put(component("cart"))
        world.catalog.delete("component:default/pay")
        await service.sender.post(OVERFLOW)
        await service.settled()
        assert service.ended("delta") == 1
        assert world.wrong() == []


async def test_hints_that_come_before_the_first_pass_are_kept_and_looked_at_after_it() -> None:
    async with serve_world([component("pay")]) as world, live(world, first=False) as service:
        assert (await service.sender.tell("component:default/pay")).status == 202
        await service.settled()
        assert [one.kind for one in world.heard if isinstance(one, PassEnded)] == ["verify", "hinted"]


@pytest.mark.parametrize("rhythm", [Rhythm(delta=0, on_start=False), Rhythm(delta=0, resyncs=False)])
async def test_hints_are_looked_at_where_no_pass_runs_at_the_start(rhythm: Rhythm) -> None:
    """WEBHOOKS_ONLY, and POLLING with ``resyncOnStart: false``."""
    async with serve_world([component("pay")]) as world, live(world, rhythm=rhythm, first=False) as service:
        await service.sender.tell("component:default/pay")
        await service.settled()
        assert PAY in world.held()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("side", ["backstage", "port"])
async def test_hints_stay_until_both_sides_are_back(side: str) -> None:
    async with serve_world([component("pay")]) as world, live(world) as service:
        world.catalog.update(ref("component", "pay"), lambda one: one["metadata"].update(title="News"))
        faults = getattr(world, side).faults
        faults.add(Fault(kind=FaultKind.STATUS, status=503))
        await service.sender.tell("component:default/pay")
        await until(lambda: service.always.standing.failures >= 2)
        assert service.waiting() == 1
        assert service.watch.status()["hints"]["waiting"] == 1
        faults.clear()
        await service.settled()
        assert world.entity(*PAY)["title"] == "News"


@pytest.mark.usefixtures("impatient")
async def test_a_delete_that_a_broken_off_pass_did_not_get_to_happens_all_the_same() -> None:
    others = [component(f"c{number}") for number in range(4)]
    async with serve_world([component("pay"), *others, group("team-a")]) as world, live(world) as service:
        world.port.faults.add(Fault(kind=FaultKind.STATUS, status=503, path="/bulk/entities/delete"))
        world.catalog.delete("component:default/pay")
        await service.sender.post(changed("component:default/pay", operation="delete"))
        await until(lambda: service.always.standing.failures > 0)
        world.port.faults.clear()
        await until(lambda: PAY not in world.held())


@pytest.mark.usefixtures("impatient")
async def test_hints_are_worked_with_a_new_mapping_though_its_first_pass_broke_off() -> None:
    before = mapping(resource("Component", "service"), resource("Group", "team"))
    after = mapping(resource("Component", "fleet"), resource("Group", "team", title='"New"'))
    blueprints = [SERVICE, blueprint("fleet"), blueprint("team")]
    async with serve_world([*(component(f"c{number}") for number in range(30)), group("team-a")]) as world:
        world.install(before, blueprints=blueprints)
        async with live(world) as service:
            world.state.integrations.patch(IDENTIFIER, {"config": after}, skip_resync=True)
            world.port.faults.add(Fault(kind=FaultKind.STATUS, status=403, path="/blueprints/team/entities/bulk"))
            service.always.asks.ask(PassKind.RESYNC, "the mapping was changed")
            await until(lambda: service.ended("verify", "failed") > 0)
            world.arrived()
            await service.sender.tell(ref("component", "c1"))
            failed = service.ended("verify", "failed")
            await until(lambda: service.ended("verify", "failed") >= failed + 3)
            written = set().union(*world.arrived().values())
            assert not [key for key in written if key[0] == "service"], "the old mapping is over"
            world.port.faults.clear()
            await service.settled()
            assert ("fleet", ref("component", "c1")) in world.present()


async def test_a_live_delta_that_passes_over_what_was_refused_goes_on_telling_of_it() -> None:
    odd = resource("Component", "service", properties={"type": 'if .metadata.name == "pay" then 5 else "s" end'})
    async with serve_world([component("pay"), component("cart")]) as world:
        world.install(mapping(odd), blueprints=[SERVICE])
        async with live(world, rhythm=Rhythm(delta=0.05)) as service:
            await until(lambda: service.ended("delta") >= 2)
            ends = [one for one in world.heard if isinstance(one, PassEnded) and one.kind == "delta"]
            assert {one.refused for one in ends} == {1}
            assert b"stageport_unwritten_entities 1.0" in service.metrics.render()
            assert service.always.standing.last == {"verify": "failed", "delta": "completed"}


async def test_a_newer_hint_is_not_dropped_with_the_one_that_is_looked_at() -> None:
    async with serve_world([component("pay")]) as world, live(world) as service:
        queue, settle = service.always.around.ledger.hints, service.always.around.ledger.hints.settle
        now = 1_700_000_000.0

        def settle_late(hints: Any) -> None:
            if hints and hints[0].looks == 0 and not hasattr(settle_late, "done"):
                settle_late.done = True  # type: ignore[attr-defined]
                world.catalog.update(ref("component", "pay"), lambda one: one["metadata"].update(title="Newer"))
                queue.put([ref("component", "pay")], now=now)  # type: ignore[list-item]
            settle(hints)

        queue.settle = settle_late  # type: ignore[method-assign]
        await service.sender.tell("component:default/pay")
        await until(lambda: world.entity(*PAY).get("title") == "Newer")


async def test_one_pass_runs_at_a_time_and_hints_go_before_scans_that_wait() -> None:
    async with serve_world([component("pay")]) as world, live(world) as service:
        world.backstage.faults.add(Fault(kind=FaultKind.LATENCY, delay_ms=200, path="/by-query", times=2))
        service.always.asks.ask(PassKind.DELTA, "test")
        await until(lambda: service.always.standing.doing.startswith("delta"))
        service.always.asks.ask(PassKind.RESYNC, "test")
        await service.sender.tell("component:default/pay")
        await until(lambda: service.ended("resync") == 1)
        assert [one.kind for one in world.heard if isinstance(one, PassEnded)] == ["delta", "hinted", "resync"]


async def test_no_pass_is_made_for_hints_that_another_one_has_dealt_with() -> None:
    async with serve_world([component("pay")]) as world, live(world) as service:
        service.always.asks.ask(PassKind.HINTED, "test")
        service.always.asks.ask(PassKind.DELTA, "test")
        await until(lambda: service.ended("delta") == 1)
        assert service.ended("hinted") == 0


@pytest.mark.usefixtures("impatient")
async def test_where_hints_stay_away_that_ought_to_come_it_looks_more_often() -> None:
    rhythm = Rhythm(delta=0.1, unhinted=0.02)
    async with serve_world([component("pay")]) as world, live(world, rhythm=rhythm) as service:
        assert service.always._delta_interval() == 0.1
        # Changes come without a pause, so that every delta finds one, however late it is.
        numbers = count()

        def looks_more_often() -> bool:
            world.catalog.put(component(f"c{next(numbers)}"))
            return service.always._delta_interval() == 0.02

        await until(looks_more_often)
        assert any(isinstance(one, Noticed) and "no live event had told" in one.message for one in world.heard)
        await service.sender.tell("component:default/pay")
        await until(lambda: service.always._delta_interval() == 0.1)


async def test_metrics_and_status_tell_of_hints() -> None:
    async with serve_world([component("pay")]) as world, live(world) as service:
        world.catalog.update(ref("component", "pay"), lambda one: one["metadata"].update(title="News"))
        await service.sender.tell("component:default/pay", "location:default/unmapped")
        await service.sender.post(b"{")
        await service.settled()
        await until(lambda: b"stageport_hint_seconds_count 2.0" in service.metrics.render())
        rendered = service.metrics.render().decode()
        assert "stageport_hints_total 2.0" in rendered
        assert 'stageport_hints_refused_total{reason="malformed"} 1.0' in rendered
        assert "stageport_hints_waiting 0.0" in rendered
        assert "stageport_oldest_hint_seconds 0.0" in rendered
        assert 'stageport_passes_total{pass="hinted",state="completed"} 1.0' in rendered
        async with service.sender.session.get(f"{service.sender.url}/status") as answer:
            status = await answer.json()
        assert list(status) == re.findall(r"^\| `(\w+)` \|", STATUS_PAGE, re.MULTILINE)
        assert status["hints"] == {"waiting": 0, "oldestSeconds": 0}
        assert status["last"] == {"verify": "completed", "hinted": "completed"}
        assert abs((datetime.now(UTC) - datetime.fromisoformat(status["lastTick"])).total_seconds()) < 60
        async with service.sender.session.get(f"{service.sender.url}/docs") as answer:
            assert "<td>hinted</td><td>hints</td>" in await answer.text()
        run = service.always.around.ledger.runs.latest()[0]
        assert (run.kind, run.trigger, run.counts["update"]) == ("hinted", "hints", 1)


async def test_hinted_passes_one_after_the_other_are_one_line_in_the_history() -> None:
    async with serve_world([component("pay")]) as world, live(world) as service:
        for title in "abc":
            world.catalog.update(ref("component", "pay"), lambda one, t=title: one["metadata"].update(title=t))
            await service.sender.tell("component:default/pay")
            await service.settled()
        await until(lambda: service.always.around.ledger.runs.latest()[0].tries == 3)
        latest, first = service.always.around.ledger.runs.latest()
        assert (latest.kind, latest.trigger, latest.counts["update"], latest.tries) == ("hinted", "hints", 3, 3)
        assert first.kind == "verify"
