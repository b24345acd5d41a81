"""Troubles of their own kind, one by one: hosts without address, clocks that differ, items that fail, full disks."""

import asyncio
import random
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.contract.harness import serve_world
from tests.e2e.port import Result, Stageport, in_thread, port_in_thread
from tests.expectation import differences, expected_catalog, expected_stubs
from tests.resilience.moody_port import refuse_items
from tests.resilience.sizes import REAL_SEEDS
from tests.resilience.test_faults import edit, landscape, passes_until_quiet, sync, troubles

from stageport.model.exits import Exit
from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, serve_backstage
from stageport.sandbox.port.options import Behaviour, PortOptions, RateLimit
from stageport.sync.passes import PassKind

TOKEN = "a-static-token"
DAY = 86_400


# Real processes


@pytest.fixture(scope="module")
def backstage() -> Iterator[RunningBackstage]:
    with in_thread(lambda: serve_backstage(BackstageOptions(descriptors=landscape(), token=TOKEN))) as running:
        yield running


@pytest.fixture
def stageport(backstage: RunningBackstage, tmp_path: Path) -> Iterator[Stageport]:
    with port_in_thread(PortOptions()) as port:
        yield Stageport(backstage_url=backstage.url, token=TOKEN, port=port, folder=tmp_path)


def wrong(backstage: RunningBackstage, stageport: Stageport) -> list[str]:
    expected = expected_catalog(one.decoded() for one in backstage.catalog)
    stubs = expected_stubs(expected)
    return differences(expected, {key: one for key, one in stageport.held().items() if key not in stubs})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(REAL_SEEDS))
def test_a_real_process_sits_out_what_a_fifth_of_all_requests_meets(
    backstage: RunningBackstage, stageport: Stageport, seed: int
) -> None:
    stageport.port.faults.add(*troubles(seed))
    backstage.faults.add(*troubles(seed + 50_000))
    try:
        passes = 1
        while (result := stageport.sync()).code != Exit.OK:
            passes += 1
            assert result.code in (Exit.SOURCE, Exit.TARGET, Exit.UNWRITTEN), result.err
            assert passes <= 10, result.err
    finally:
        backstage.faults.clear()
    stageport.port.faults.clear()
    assert wrong(backstage, stageport) == []
    stageport.writes()
    assert stageport.sync("--verify").code == Exit.OK
    assert stageport.writes() == {}


@pytest.mark.parametrize(
    ("side", "code"), [("BACKSTAGE_URL", Exit.SOURCE), ("PORT_BASE_URL", Exit.TARGET)], ids=["Backstage", "Port"]
)
def test_a_host_without_an_address_is_named_and_costs_nothing(
    backstage: RunningBackstage, stageport: Stageport, side: str, code: Exit
) -> None:
    assert stageport.sync().code == Exit.OK
    before = stageport.held()
    result = stageport.sync(**{side: "http://no-such-host.invalid:7007", "STAGEPORT_UNREACHABLE_TIMEOUT": "1"})
    assert result.code == code
    assert "no-such-host.invalid" in result.out + result.err
    assert stageport.held() == before
    stageport.writes()
    assert stageport.sync().code == Exit.OK
    assert stageport.writes() == {}


# Disks


def sync_with_little_room(stageport: Stageport, *, blocks: int) -> Result:
    """Run a sync that may write no file beyond so many blocks of 512 bytes, as on a disk that is full there."""
    # Python would keep what it compiles as far as there is room, and run that half of it ever after.
    return stageport.shell(f"ulimit -f {blocks}; PYTHONDONTWRITEBYTECODE=1 exec $STAGEPORT sync --output json")


@pytest.mark.parametrize("blocks", [0, 40, 200, 320, 400])
def test_a_disk_that_is_full_under_the_ledger_costs_no_entity(
    backstage: RunningBackstage, stageport: Stageport, blocks: int
) -> None:
    """With no room at all a pass remembers in memory; where room ends on the way, the pass does.

    That is before Port is sent anything (200 blocks), in the midst of it (320), or when nearly all is there (400).
    """
    result = sync_with_little_room(stageport, blocks=blocks)
    assert result.code in (Exit.OK, Exit.FAILED), result.err
    assert "ledger" in result.err.lower()
    assert stageport.writes().get("deleted", 0) == 0
    assert stageport.sync().code == Exit.OK
    assert wrong(backstage, stageport) == []
    assert stageport.writes().get("deleted", 0) == 0
    assert stageport.sync().code == Exit.OK
    assert stageport.writes() == {}


def test_a_disk_that_fills_up_later_is_told_and_forgives(backstage: RunningBackstage, stageport: Stageport) -> None:
    assert stageport.sync().code == Exit.OK
    changed = "component:default/c010"
    for blocks, title in ((100, "first"), (0, "second")):
        backstage.catalog.update(changed, lambda entity, title=title: entity["metadata"].update(title=title))
        result = sync_with_little_room(stageport, blocks=blocks)
        assert result.code in (Exit.OK, Exit.FAILED), result.err
    assert stageport.sync().code == Exit.OK
    assert stageport.held()["component", changed]["title"] == "second"
    assert wrong(backstage, stageport) == []


def test_a_ledger_that_can_be_nowhere_is_said_and_done_without(
    backstage: RunningBackstage, stageport: Stageport
) -> None:
    for _ in range(2):
        result = stageport.run("sync", STAGEPORT_LEDGER="/proc/nowhere/ledger.sqlite3")
        assert result.code == Exit.OK
        assert "in memory only" in result.err
    quiet = stageport.run("sync", "--quiet", STAGEPORT_LEDGER="/proc/nowhere/ledger.sqlite3")
    assert "in memory only" in quiet.err
    assert len(quiet.err.strip().splitlines()) == 1, "and that is all it says"
    assert wrong(backstage, stageport) == []
    assert stageport.writes()["created"] > 0
    assert stageport.sync().code == Exit.OK
    assert stageport.writes() == {}


# Within this process


@pytest.mark.parametrize("seed", range(5))
async def test_items_that_fail_in_an_answer_are_written_by_a_later_try_or_pass(seed: int, tmp_path: Path) -> None:
    async with serve_world(landscape(), page_size=40, ledger=str(tmp_path / "ledger.sqlite3")) as world:
        chance, gone = random.Random(seed), set[str]()
        with refuse_items(world, seed):
            for _ in range(3):
                await passes_until_quiet(world, gone, chance, kinds=[PassKind.RESYNC, PassKind.VERIFY])
                assert world.wrong() == []
                gone |= edit(world, chance)
                # A delta tries again what was refused, as any other pass.
                await passes_until_quiet(world, gone, chance, kinds=[PassKind.DELTA])
                assert world.wrong() == []
                gone |= edit(world, chance)
            await passes_until_quiet(world, gone, chance, kinds=[PassKind.RESYNC])
        assert world.state.journal.refusals.total() > 20
        assert world.wrong() == []


async def test_tokens_that_expire_all_the_time_are_renewed(tmp_path: Path) -> None:
    async with serve_world(landscape(), page_size=10, ledger=str(tmp_path / "ledger.sqlite3")) as world:
        chance, pages = random.Random(1), count()

        def expire(_page: int) -> None:
            # Not with every page: a token that expires while it is on its way is no token.
            if next(pages) % 5 == 4:
                world.state.expire_tokens()

        world.backstage.traps.before_page = expire
        assert (await world.sync()).exit is Exit.OK
        edit(world, chance)
        assert (await world.sync()).exit is Exit.OK
        assert world.state.journal.statuses[401] >= 3
        assert world.wrong() == []


@pytest.mark.parametrize("skew", [-DAY, -600, 600, DAY], ids=["a day behind", "behind", "ahead", "a day ahead"])
async def test_a_port_whose_clock_differs_is_waited_for_as_long_as_it_asks_by_its_own(skew: int) -> None:
    options = PortOptions(
        clock=lambda: time.time() + skew,
        rate_limit=RateLimit(limit=60, period=1),
        behaviour=Behaviour(rate_limit_reset="epoch"),
    )
    async with serve_world(landscape(), page_size=40, port=options) as world:
        async with asyncio.timeout(30):
            assert (await world.sync()).exit is Exit.OK
        assert world.state.journal.statuses[429] <= 30
        assert world.wrong() == []
        edit(world, random.Random(1))
        assert await sync(world, PassKind.RESYNC) is Exit.OK
        assert world.wrong() == []
