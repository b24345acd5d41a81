"""A fifth of all requests fails, on both sides, and nothing is lost, nothing wrongly deleted, and both sides agree."""

import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.contract.harness import World, component, described, group, serve_world
from tests.resilience.sizes import SEEDS

from stageport.model.errors import StageportError
from stageport.model.exits import Exit
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync.passes import PassKind

SHARE = 0.2
MOST_PASSES = 15
"""Under faults most passes end early; each goes on where the last one ended."""

WHOLE = (None, PassKind.DELTA, PassKind.RESYNC, PassKind.VERIFY)
"""Passes that look at everything, which a hinted one does not."""

TROUBLES: tuple[dict[str, Any], ...] = (
    {"kind": FaultKind.RESET_BEFORE},
    {"kind": FaultKind.RESET_AFTER},
    {"kind": FaultKind.STATUS, "status": 429},
    {"kind": FaultKind.STATUS, "status": 429, "retry_after": 0.01},
    {"kind": FaultKind.STATUS, "status": 429, "retry_after": 0.0, "retry_after_as_date": True},
    {"kind": FaultKind.STATUS, "status": 500, "body": "{}"},
    {"kind": FaultKind.STATUS, "status": 500, "body": "{}", "after_handler": True},
    {"kind": FaultKind.STATUS, "status": 502, "body": "<html>Bad gateway", "content_type": "text/html"},
    {"kind": FaultKind.STATUS, "status": 503},
    {"kind": FaultKind.STATUS, "status": 504, "after_handler": True},
    {"kind": FaultKind.CUT},
    {"kind": FaultKind.CUT, "keep": 0.95},
    {"kind": FaultKind.CUT_CHUNKED},
    {"kind": FaultKind.HTML},
    {"kind": FaultKind.DRIP, "piece": 4096, "delay_ms": 1},
)


@dataclass
class Tally:
    """What was counted: how many passes it took until one came through, and what was injected."""

    needed: Counter[int] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)


def troubles(seed: int) -> list[Fault]:
    """Mix a plan of which a fifth of all requests meets something; latency comes on top."""
    chance = random.Random(seed)
    kinds = chance.sample(TROUBLES, k=8)
    plan = [Fault(kind=FaultKind.LATENCY, probability=0.2, delay_ms=3, jitter_ms=3, seed=seed)]
    left = 1.0
    for number, trouble in enumerate(kinds):
        # Faults are asked one after the other: each takes its part of what those before it have let pass.
        part = SHARE / len(kinds)
        plan.append(Fault(**trouble, probability=part / left, seed=seed * 100 + number))
        left -= part
    return plan


def landscape(count: int = 190) -> list[dict[str, Any]]:
    """Describe teams, systems and components that relate to each other."""
    teams = [group(f"team-{number}") for number in range(5)]
    systems = [described("System", f"s{number}", owner=f"team-{number % 5}") for number in range(5)]
    components = [
        component(f"c{number:03}", owner=f"team-{number % 5}", system=f"s{number % 5}", dependsOn=_before(number))
        for number in range(count)
    ]
    return [*teams, *systems, *components]


def _before(number: int) -> list[str]:
    return [f"component:default/c{number - 1:03}"] if number % 7 == 1 else []


def edit(world: World, chance: random.Random) -> set[str]:
    """Change, delete and add a few; return the refs that were deleted."""
    components = [one.ref for one in world.catalog if one.kind == "Component"]
    touched = chance.sample(components, k=9)
    for one in touched[:4]:
        world.catalog.update(one, lambda entity: entity["spec"].update(lifecycle=f"stage-{chance.randint(0, 10**6)}"))
    for one in touched[4:7]:
        world.catalog.delete(one)
    for _ in range(2):
        world.catalog.put(component(f"new-{chance.randint(0, 10**9)}", owner="team-1"))
    again = touched[4]
    name = again.rpartition("/")[2]
    world.catalog.put(component(name, owner="team-2"))
    return set(touched[5:7])


async def sync(world: World, kind: PassKind | None) -> Exit | None:
    """Run a pass; None when it could not come to its end."""
    world.kind = kind
    try:
        return (await world.sync()).exit
    except StageportError:
        return None


async def passes_until_quiet(
    world: World, gone: set[str], chance: random.Random, *, kinds: Sequence[PassKind | None] = WHOLE
) -> int:
    """Run passes of these kinds under faults until one comes through; nothing that is still there may be deleted."""
    for number in range(1, MOST_PASSES + 1):
        ended = await sync(world, chance.choice(kinds))
        deleted = {one.identifier for one in world.state.journal.arrivals if one.fate == "deleted"}
        assert deleted <= gone, "deleted at Port and not in Backstage"
        if ended is Exit.OK:
            return number
    raise AssertionError(f"no pass came through in {MOST_PASSES}")


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """Count over all seeds, and tell at the end."""
    counted = Tally()
    yield counted
    print(
        f"\npasses until one came through: {dict(sorted(counted.needed.items()))}; injected: {dict(counted.injected)}"
    )


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_with_a_fifth_of_all_requests_failing_both_sides_come_to_agree(
    seed: int, tmp_path: Path, tally: Tally
) -> None:
    async with serve_world(landscape(), page_size=40, ledger=str(tmp_path / "ledger.sqlite3")) as world:
        chance = random.Random(seed)
        world.state.journal.arrivals = deque()
        world.port.faults.add(*troubles(seed))
        world.backstage.faults.add(*troubles(seed + 50_000))
        gone: set[str] = set()
        for _ in range(3):
            tally.needed[await passes_until_quiet(world, gone, chance)] += 1
            gone |= edit(world, chance)
        tally.needed[await passes_until_quiet(world, gone, chance)] += 1
        tally.injected.update(str(one) for one in world.port.faults.injected.elements())
        tally.injected.update(str(one) for one in world.backstage.faults.injected.elements())
        # A pass that came through under faults has left nothing undone: one without faults finds nothing to do.
        world.port.faults.clear()
        world.backstage.faults.clear()
        assert world.wrong() == []
        world.writes()
        assert await sync(world, PassKind.VERIFY) is Exit.OK
        assert not world.writes()
        assert world.wrong() == []
