"""Networks, gateways and tired servers: a pass sits out what passes, and ends in good order where it does not."""

from typing import Any

import pytest
from tests.contract.harness import SERVICE, SERVICES, World, component, group, mapping, ref, resource, serve_world

from stageport.model.errors import SourceError, TargetError, TargetRefusedError, TargetUnreachableError
from stageport.model.exits import Exit
from stageport.sandbox.backstage.traps import Phase, RateLimit, Stage
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sandbox.port.options import Behaviour, PortOptions
from stageport.sandbox.port.options import RateLimit as PortRateLimit

COUNT = 50
SOURCES = [*(component(f"c{number:02}") for number in range(COUNT)), group("team-a")]
CONFIG = mapping(*SERVICES["resources"], resource("Group", "service", title=".metadata.name"))
BULK, SEARCH, OWNED, DELETE = "/entities/bulk", "/entities/search", "/datasource-entities", "/entities/delete"


def status(code: int, path: str, **more: Any) -> Fault:
    return Fault(kind=FaultKind.STATUS, status=code, path=path, times=2, **more)


def broken(kind: FaultKind, path: str, **more: Any) -> Fault:
    return Fault(kind=kind, path=path, times=2, **more)


PASSING = {
    "429 with Retry-After": status(429, BULK, retry_after=0.02),
    "429 with a date": status(429, BULK, retry_after=0.5, retry_after_as_date=True),
    "429 with a reset in seconds": status(429, BULK, headers={"x-ratelimit-reset": "0.02"}),
    "429 with nothing": status(429, SEARCH),
    "429 on signing in": status(429, "/access_token"),
    "500 on writing": status(500, BULK, after_handler=True),
    "502 on writing": status(502, BULK, body="<html>Bad gateway", content_type="text/html"),
    "503 on listing": status(503, OWNED),
    "504 after the write": status(504, BULK, after_handler=True),
    "503 on deleting": status(503, DELETE),
    "504 after the delete": status(504, DELETE, after_handler=True),
    "reset before the write": broken(FaultKind.RESET_BEFORE, BULK),
    "reset after the write": broken(FaultKind.RESET_AFTER, BULK),
    "reset after the delete": broken(FaultKind.RESET_AFTER, DELETE),
    "reset while searching": broken(FaultKind.RESET_BEFORE, SEARCH),
    "answer of a write cut short": broken(FaultKind.CUT, BULK),
    "answer of a delete cut short": broken(FaultKind.CUT, DELETE),
    "answer of a search cut short": broken(FaultKind.CUT, SEARCH),
    "list of ours cut short": broken(FaultKind.CUT_CHUNKED, OWNED),
    "every third request breaks": Fault(
        kind=FaultKind.RESET_AFTER, path="/v1/", probability=0.3, seed=7, method="POST"
    ),
    "slow and in pieces": Fault(kind=FaultKind.DRIP, path=SEARCH, piece=500, delay_ms=1),
}


async def seeded(world: World) -> None:
    """Put the mapping in place and half of the catalog, one of it stale, so that a pass has something of each to do."""
    world.install(CONFIG, blueprints=[SERVICE])
    await world.sync()
    for number in range(0, COUNT, 2):
        world.catalog.update(ref("component", f"c{number:02}"), lambda one: one["spec"].update(type="website"))
    world.catalog.delete(ref("component", "c07"))
    world.catalog.put(component("brand-new"))
    world.forget()


async def expect_agreement(world: World) -> None:
    held = world.snapshot()
    sources = [one for one in world.sources() if one["kind"] == "Component"]
    wanted = {("service", ref("component", one["metadata"]["name"])): one["spec"]["type"] for one in sources}
    assert {key: one["properties"].get("type") for key, one in held.items() if "component:" in key[1]} == wanted


@pytest.mark.parametrize("name", PASSING)
async def test_what_passes_is_sat_out_and_both_sides_agree(name: str) -> None:
    async with serve_world(SOURCES, page_size=20) as world:
        await seeded(world)
        world.port.faults.add(PASSING[name])
        outcome = await world.sync(send_raw_data_examples=False)
        assert (outcome.exit, outcome.applied.refused) == (Exit.OK, [])
        assert world.port.faults.injected.total() >= 1
        await expect_agreement(world)
        assert world.resync_state() == "completed"
        world.port.faults.clear()
        world.writes()
        assert (await world.sync()).plan.is_empty
        assert not world.writes()


@pytest.mark.parametrize("behaviour", [{"sends_retry_after": True}, {"rate_limit_reset": "seconds"}])
async def test_a_rate_limit_is_waited_for_and_not_run_against(behaviour: dict[str, Any]) -> None:
    options = PortOptions(rate_limit=PortRateLimit(limit=12, period=1), behaviour=Behaviour(**behaviour))
    async with serve_world(SOURCES, port=options) as world:
        world.install(CONFIG, blueprints=[SERVICE])
        assert (await world.sync()).exit is Exit.OK
        await expect_agreement(world)
        assert world.state.journal.statuses[429] <= 3


async def test_a_token_that_expires_in_the_middle_is_renewed() -> None:
    async with serve_world(SOURCES, page_size=10) as world:
        world.install(CONFIG, blueprints=[SERVICE])
        world.backstage.traps.before_page = lambda page: world.state.expire_tokens() if page == 4 else None
        outcome = await world.sync()
        assert outcome.exit is Exit.OK
        await expect_agreement(world)
        assert world.state.tokens.issued == 2
        assert world.state.journal.statuses[401] >= 1


async def test_a_token_that_expires_between_two_writes_is_renewed() -> None:
    refuse = Fault(kind=FaultKind.STATUS, status=401, path=BULK, skip=1, times=1)
    async with serve_world(SOURCES) as world:
        world.install(CONFIG, blueprints=[SERVICE])
        world.port.faults.add(refuse)
        assert (await world.sync()).exit is Exit.OK
        await expect_agreement(world)


async def test_without_the_unpublished_listing_the_published_search_does() -> None:
    options = PortOptions(behaviour=Behaviour(datasource_listing=False))
    async with serve_world(SOURCES, port=options) as world:
        await seeded(world)
        outcome = await world.sync()
        assert (outcome.exit, outcome.applied.deleted) == (Exit.OK, 1)
        await expect_agreement(world)
        assert world.requests("POST /v1/entities/search")


# What does not pass


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(kind=FaultKind.STATUS, status=503, path=BULK, skip=1), TargetUnreachableError),
        (Fault(kind=FaultKind.STATUS, status=500, path="/"), TargetUnreachableError),
        (Fault(kind=FaultKind.STATUS, status=429, path=BULK), TargetUnreachableError),
        (Fault(kind=FaultKind.RESET_BEFORE, path=BULK), TargetUnreachableError),
        (Fault(kind=FaultKind.CUT, path=SEARCH), TargetUnreachableError),
        (Fault(kind=FaultKind.STATUS, status=401, path=BULK), TargetRefusedError),
        (Fault(kind=FaultKind.STATUS, status=403, path=BULK, body="{}"), TargetRefusedError),
        (Fault(kind=FaultKind.HTML, path=BULK), TargetError),
        (Fault(kind=FaultKind.HTML, path=OWNED), TargetError),
        (Fault(kind=FaultKind.STATUS, status=403, path=OWNED, body="{}"), TargetError),
        (Fault(kind=FaultKind.STATUS, status=422, path=OWNED, body="{}"), TargetError),
    ],
    ids=lambda value: f"{value.kind} {value.status} {value.path}" if isinstance(value, Fault) else "",
)
async def test_a_port_that_cannot_be_used_ends_the_pass_without_a_delete(fault: Fault, kind: type[TargetError]) -> None:
    async with serve_world(SOURCES) as world:
        await seeded(world)
        before = world.present()
        world.port.faults.add(fault)
        with pytest.raises(kind) as caught:
            await world.sync(send_raw_data_examples=False)
        assert caught.value.exit is Exit.TARGET
        assert caught.value.hint
        assert before <= world.present()
        world.port.faults.clear()
        assert (await world.sync()).exit is Exit.OK
        await expect_agreement(world)
        assert world.resync_state() == "completed"


FLAKY_SOURCE = {
    "429 with Retry-After": status(429, "/by-query", retry_after=0.02),
    "500": status(500, "/by-query", body="{}"),
    "503": status(503, "/by-query", body="<html>", content_type="text/html"),
    "reset": broken(FaultKind.RESET_BEFORE, "/by-query"),
    "cut": broken(FaultKind.CUT, "/by-query", skip=1),
    "chunks cut": broken(FaultKind.CUT_CHUNKED, "/by-query", skip=2),
    "second look": status(503, "/by-refs", body="{}"),
}


@pytest.mark.parametrize("name", FLAKY_SOURCE)
async def test_a_backstage_that_stumbles_is_asked_again(name: str) -> None:
    async with serve_world(SOURCES, page_size=20) as world:
        await seeded(world)
        world.backstage.faults.add(FLAKY_SOURCE[name])
        assert (await world.sync()).exit is Exit.OK
        assert world.backstage.faults.injected.total() == 2
        await expect_agreement(world)


async def test_a_backstage_that_limits_requests_is_waited_for() -> None:
    async with serve_world(SOURCES, page_size=20, backstage={"rate_limit": RateLimit(2, 1)}) as world:
        world.install(CONFIG, blueprints=[SERVICE])
        assert (await world.sync()).exit is Exit.OK
        await expect_agreement(world)


async def test_a_starting_backstage_is_waited_for() -> None:
    async with serve_world(SOURCES) as world:
        await seeded(world)
        world.backstage.restart([Phase(Stage.SILENT, requests=2), Phase(Stage.WAITING, requests=1)], renew_uids=True)
        assert (await world.sync()).exit is Exit.OK
        await expect_agreement(world)


async def test_a_backstage_that_never_starts_is_given_up_after_the_time_set_for_it() -> None:
    async with serve_world(SOURCES) as world:
        await seeded(world)
        before = world.snapshot()
        world.backstage.restart([Phase(Stage.SILENT, requests=10_000)])
        with pytest.raises(SourceError, match="starting up"):
            await world.sync(start_timeout=0)
        assert world.snapshot() == before
        assert world.resync_state() == "failed"
