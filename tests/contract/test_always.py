"""The always-on loop between both stand-ins: triggers, live changes, faults it sits out."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from tests.contract.harness import (
    HURRIED,
    IDENTIFIER,
    SEEN_WITHIN,
    SERVICE,
    SERVICES,
    TOKEN,
    World,
    component,
    group,
    mapping,
    resource,
    serve_world,
    until,
)

from stageport.ledger.sqlite import SqliteLedger
from stageport.model.errors import TargetRefusedError
from stageport.model.events import Noticed, PassEnded
from stageport.model.schedule import Every
from stageport.sandbox.faults import Fault, FaultKind
from stageport.settings import load_settings
from stageport.sync import always as always_room
from stageport.sync.always import Always, Rhythm
from stageport.sync.passes import PassKind
from stageport.sync.polling import poll
from stageport.sync.seams import SourceCatalog
from stageport.wiring import open_surroundings, pass_options

QUICK = 0.05
EVERY = Every(timedelta(seconds=QUICK), since=datetime(2026, 1, 1, tzinfo=UTC))


@asynccontextmanager
async def running(world: World, rhythm: Rhythm | None = None) -> AsyncIterator[Always]:
    """Run the loop while the block lasts, with polling and a ledger of its own."""
    async with open_surroundings(world.settings, world.heard.append, policy=HURRIED) as around:

        async def polling(always: Always) -> None:
            await poll(always, around.integration, interval=QUICK, sleep=asyncio.sleep)

        rhythm = rhythm or Rhythm(delta=QUICK)
        always = Always(around, pass_options(world.settings), rhythm, triggers=[polling])
        task = asyncio.create_task(always.run())
        try:
            yield always
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert world.state.journal.crashes == []


def ended(world: World, kind: str, state: str = "completed") -> int:
    return sum(
        1 for event in world.heard if isinstance(event, PassEnded) and (event.kind, event.state) == (kind, state)
    )


def words(world: World) -> list[str]:
    return [event.message for event in world.heard if isinstance(event, Noticed)]


async def test_a_pass_at_the_start_then_changes_arrive_by_themselves() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world, running(world):
        await until(lambda: ("component", "component:default/pay") in world.held())
        await until(lambda: ended(world, "verify") == 1)
        world.catalog.put(component("cart"))
        await until(lambda: ("component", "component:default/cart") in world.held())
        world.catalog.delete("component:default/cart")
        await until(lambda: ("component", "component:default/cart") not in world.held())
        assert world.wrong() == []


async def test_a_delta_with_nothing_to_do_asks_port_nothing() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        async with open_surroundings(world.settings, world.heard.append, policy=HURRIED) as around:
            always = Always(around, pass_options(world.settings), Rhythm(delta=QUICK))
            task = asyncio.create_task(always.run())
            await until(lambda: ended(world, "delta") >= 1)  # what the verify sends of raw data goes out at its end
            world.forget()
            await until(lambda: ended(world, "delta") >= 4)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert world.requests() == []


async def test_the_resync_button_asks_for_one_more_pass() -> None:
    async with serve_world([component("pay")]) as world, running(world, Rhythm(delta=0)):
        await until(lambda: ended(world, "verify") == 1)
        await asyncio.sleep(QUICK * 3)
        world.state.integrations.request_resync(IDENTIFIER)
        await until(lambda: ended(world, "resync") == 1)
        await asyncio.sleep(QUICK * 5)
        assert ended(world, "resync") == 1


async def test_an_edit_of_the_mapping_without_a_request_is_followed() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        async with running(world, Rhythm(delta=0)):
            await until(lambda: ended(world, "verify") == 1)
            await asyncio.sleep(QUICK * 3)
            edited = mapping(resource("Component", "service", title='"Edited"'))
            world.state.integrations.patch(IDENTIFIER, {"config": edited}, skip_resync=True)
            await until(lambda: world.entity("service", "component:default/pay")["title"] == "Edited")


async def test_triggers_that_overlap_come_to_one_pass_more() -> None:
    async with serve_world([component("pay")]) as world, running(world, Rhythm(delta=0)) as always:
        await until(lambda: ended(world, "verify") == 1)
        for _ in range(20):
            always.asks.ask(always_room.PassKind.RESYNC, "again")
        await until(lambda: ended(world, "resync") >= 1 and not always.asks.waiting)
        await asyncio.sleep(QUICK * 5)
        assert ended(world, "resync") == 1


async def test_the_schedule_resyncs_by_itself() -> None:
    async with serve_world([component("pay")]) as world, running(world, Rhythm(delta=0, schedule=EVERY)):
        await until(lambda: ended(world, "resync") >= 2)


RECORD = f"/v1/integration/{IDENTIFIER}$"
REQUESTS = "/resync-request$"


@pytest.mark.parametrize("path", [RECORD, REQUESTS])
async def test_a_request_that_comes_while_port_cannot_be_asked_is_not_forgotten(path: str) -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        async with running(world, Rhythm(delta=0)):
            await until(lambda: ended(world, "verify") == 1)
            polls = len(world.requests("GET /v1/integration"))
            await until(lambda: len(world.requests("GET /v1/integration")) >= polls + 4)
            world.port.faults.add(Fault(kind=FaultKind.STATUS, status=503, method="GET", path=path))
            world.state.integrations.request_resync(IDENTIFIER)
            await until(lambda: any("cannot be asked" in one for one in words(world)))
            world.port.faults.clear()
            await until(lambda: ended(world, "resync") == 1)


async def test_a_request_is_not_forgotten_when_the_first_poll_was_in_vain() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        world.port.faults.add(Fault(kind=FaultKind.STATUS, status=503, method="GET", path=REQUESTS))
        async with running(world, Rhythm(delta=0)):
            await until(lambda: any("cannot be asked" in one for one in words(world)))
            await until(lambda: ended(world, "verify") == 1)
            world.state.integrations.request_resync(IDENTIFIER)
            world.port.faults.clear()
            await until(lambda: ended(world, "resync") == 1)


@pytest.mark.parametrize("newer", [True, False])
async def test_without_a_pass_at_the_start_a_request_counts_that_came_after_the_last_resync(newer: bool) -> None:
    async with serve_world([component("pay")], kind=PassKind.RESYNC) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        world.state.integrations.request_resync(IDENTIFIER)
        await world.sync()
        if newer:
            world.state.integrations.request_resync(IDENTIFIER)
        world.forget()
        async with running(world, Rhythm(delta=0, on_start=False)) as always:
            if newer:
                await until(lambda: ended(world, "resync") == 1)
            else:
                await until(lambda: len(world.requests("GET /v1/integration")) >= 6)
                assert (always.standing.passes, always.asks.waiting) == (0, False)


async def test_deletes_that_the_threshold_holds_wait_for_a_person_however_often_it_looks() -> None:
    renamed = mapping(resource("Component", "service", identifier='"x-" + .metadata.name'))
    async with serve_world([component(f"c{number}") for number in range(10)]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        async with running(world) as always:
            await until(lambda: ended(world, "verify") == 1)
            world.state.integrations.patch(IDENTIFIER, {"config": renamed}, skip_resync=True)
            always.asks.ask(PassKind.RESYNC, "the mapping was changed")
            await until(lambda: len(world.present()) == 20)
            passed = always.standing.passes
            await until(lambda: always.standing.passes >= passed + 3)
            always.asks.ask(PassKind.RESYNC, "again")
            await until(lambda: ended(world, "resync") >= 1)
            assert len(world.present()) == 20


class Reluctant:
    """A source catalog whose reads do not end before they are let go."""

    def __init__(self, source: SourceCatalog) -> None:
        self._source = source
        self.holds = False
        self.ending = asyncio.Event()
        self.let_go = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    async def read_kind(self, kind: str, *, filters: Sequence[str] = ()) -> AsyncIterator[Any]:
        try:
            while self.holds:
                await asyncio.sleep(QUICK)
            async with aclosing(self._source.read_kind(kind, filters=filters)) as pages:
                async for page in pages:
                    yield page
        finally:
            if self.holds:
                self.ending.set()
                await self.let_go.wait()


@pytest.mark.parametrize("lost", [False, True], ids=["", "and the ledger cannot be written"])
async def test_a_stop_that_comes_while_a_pass_is_failing_ends_the_service(lost: bool) -> None:
    async with (
        serve_world([component("pay")], kind=PassKind.RESYNC) as world,
        open_surroundings(world.settings, world.heard.append, policy=HURRIED) as around,
    ):
        world.install(SERVICES, blueprints=[SERVICE])
        source = Reluctant(around.source)
        reluctant = replace(around, source=cast("SourceCatalog", source))
        always = Always(reluctant, pass_options(world.settings), Rhythm(delta=0))
        task = asyncio.create_task(always.run())
        await until(lambda: always.standing.passes == 1)
        source.holds = True
        world.port.faults.add(Fault(kind=FaultKind.STATUS, status=403, path="datasource-entities"))
        always.asks.ask(PassKind.RESYNC, "again")
        await source.ending.wait()
        if lost:
            cast("SqliteLedger", around.ledger)._database.run("PRAGMA query_only = True")
        task.cancel()
        await asyncio.sleep(0)
        source.let_go.set()
        done, _ = await asyncio.wait({task}, timeout=SEEN_WITHIN)
        assert done
        assert task.cancelled() or task.exception() is not None


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once; what is tested is that it is tried again, and how often it is said."""
    monkeypatch.setattr(always_room, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(always_room, "LONGEST_WAIT", 0.02)


@pytest.mark.usefixtures("impatient")
async def test_a_backstage_that_is_down_at_the_start_is_waited_for_and_said_once() -> None:
    async with serve_world([component("pay")]) as world:
        down = Fault(kind=FaultKind.STATUS, status=503)
        world.backstage.faults.add(down)
        async with running(world, Rhythm(delta=0)) as always:
            await until(lambda: always.standing.failures >= 3)
            said = [one for one in words(world) if "failed" in one]
            assert len(said) == 1
            assert always.is_alive()
            world.backstage.faults.clear()
            await until(lambda: ("component", "component:default/pay") in world.held())
            await until(lambda: "It works again." in words(world))


@pytest.mark.usefixtures("impatient")
async def test_a_port_that_is_down_at_the_start_is_waited_for() -> None:
    async with serve_world([component("pay")]) as world:
        world.port.faults.add(Fault(kind=FaultKind.STATUS, status=503))
        async with running(world) as always:
            await until(lambda: always.standing.failures >= 2)
            world.port.faults.clear()
            await until(lambda: ("component", "component:default/pay") in world.held())


@pytest.mark.usefixtures("impatient")
async def test_a_broken_mapping_is_told_to_port_and_mended_without_a_restart() -> None:
    async with serve_world([component("pay")]) as world:
        world.install({**SERVICES, "entityDeletionThreshold": 5}, blueprints=[SERVICE])
        async with running(world) as always:
            await until(lambda: always.standing.failures >= 2)
            assert world.resync_state() == "failed"
            world.state.integrations.patch(IDENTIFIER, {"config": SERVICES}, skip_resync=True)
            await until(lambda: ("service", "component:default/pay") in world.held())


async def test_wrong_credentials_at_the_start_end_the_service() -> None:
    async with serve_world([component("pay")]) as world:
        wrong = {**world.given, "port.client_secret": "wrong"}
        settings = load_settings(wrong, environ={}, directory=Path("/nonexistent")).settings
        async with open_surroundings(settings, world.heard.append, policy=HURRIED) as around:
            with pytest.raises(TargetRefusedError):
                await Always(around, pass_options(settings), Rhythm()).run()


async def test_a_denied_token_deletes_nothing_however_often_it_looks() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world, running(world) as always:
        await until(lambda: ended(world, "verify") == 1)
        before = set(world.held())
        for one in list(world.catalog.refs()):
            world.catalog.delete(one)
        passed = always.standing.passes
        await until(lambda: always.standing.passes >= passed + 3)
        assert set(world.held()) == before
    assert TOKEN not in " ".join(words(world))


async def test_it_is_alive_while_it_ticks_and_not_after() -> None:
    now = 0.0
    async with (
        serve_world([component("pay")]) as world,
        open_surroundings(world.settings, world.heard.append, policy=HURRIED) as around,
    ):
        always = Always(around, pass_options(world.settings), Rhythm(), clock=lambda: now)
        assert always.is_alive()
        now = always_room.ALIVE_SECONDS + 1
        assert not always.is_alive()
        assert dataclasses.asdict(always.standing)["doing"] == "starting"


async def test_a_resync_that_is_asked_for_ends_the_wait_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(always_room, "FIRST_WAIT", 3600.0)
    monkeypatch.setattr(always_room, "LONGEST_WAIT", 3600.0)
    async with serve_world([component("pay")]) as world:
        world.install({**SERVICES, "entityDeletionThreshold": 5}, blueprints=[SERVICE])
        async with running(world, Rhythm(delta=0)) as always:
            await until(lambda: always.standing.failures == 1)
            await asyncio.sleep(QUICK * 3)
            world.state.integrations.patch(IDENTIFIER, {"config": SERVICES}, skip_resync=True)
            await until(lambda: ("service", "component:default/pay") in world.held())


@pytest.mark.usefixtures("impatient")
async def test_both_sides_down_at_the_start_are_waited_for_and_each_cause_is_said_once() -> None:
    async with serve_world([component("pay")]) as world:
        world.port.faults.add(Fault(kind=FaultKind.STATUS, status=503))
        world.backstage.faults.add(Fault(kind=FaultKind.STATUS, status=503))
        async with running(world, Rhythm(delta=0)) as always:
            await until(lambda: always.standing.failures >= 3)
            assert len([one for one in words(world) if "failed" in one]) == 1
            failures = always.standing.failures
            world.port.faults.clear()
            await until(lambda: always.standing.failures >= failures + 3)
            assert 2 <= len([one for one in words(world) if "failed" in one]) <= 3
            world.backstage.faults.clear()
            await until(lambda: ("component", "component:default/pay") in world.held())
            await until(lambda: "It works again." in words(world))


@pytest.mark.usefixtures("impatient")
async def test_a_wrong_backstage_token_is_said_once_and_tried_again() -> None:
    async with serve_world([component("pay")]) as world:
        world.backstage.faults.add(Fault(kind=FaultKind.STATUS, status=401))
        async with running(world, Rhythm(delta=0)) as always:
            await until(lambda: always.standing.passes + always.standing.failures >= 3)
            assert always.is_alive()
            assert world.resync_state() == "failed"
            assert world.held() == {}
            assert TOKEN not in " ".join(words(world))
            world.backstage.faults.clear()
            always.asks.ask(always_room.PassKind.RESYNC, "again")
            await until(lambda: ended(world, "verify") >= 1)
            assert ("component", "component:default/pay") in world.held()
