"""Who goes first of those who ask for a pass."""

import asyncio

from stageport.sync.asks import LONGEST_YIELD, Asks
from stageport.sync.passes import PassKind


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_the_strongest_of_all_that_asked_comes_once() -> None:
    asks = Asks()
    for kind in (PassKind.DELTA, PassKind.VERIFY, PassKind.RESYNC):
        asks.ask(kind, kind.value)
    assert await asks.take() == (PassKind.VERIFY, "verify")
    assert not asks.waiting


async def test_hints_go_before_passes_that_wait_and_take_nothing_from_them() -> None:
    asks = Asks()
    asks.ask(PassKind.RESYNC, "the schedule")
    asks.ask(PassKind.HINTED, "hints")
    asks.ask(PassKind.HINTED, "hints")
    assert await asks.take() == (PassKind.HINTED, "hints")
    assert await asks.take() == (PassKind.RESYNC, "the schedule")
    assert not asks._there.is_set()


async def test_hints_that_never_end_let_a_pass_go_first_at_last() -> None:
    clock = Clock()
    asks = Asks(clock=clock)
    asks.ask(PassKind.DELTA, "live")
    clock.now = LONGEST_YIELD
    asks.ask(PassKind.RESYNC, "somebody asked")
    asks.ask(PassKind.HINTED, "hints")
    assert (await asks.take())[0] is PassKind.HINTED
    asks.ask(PassKind.HINTED, "hints")
    clock.now = LONGEST_YIELD + 1
    assert await asks.take() == (PassKind.RESYNC, "somebody asked"), "it has waited since the first one asked"
    assert (await asks.take())[0] is PassKind.HINTED


async def test_hints_alone_are_no_waiting_pass() -> None:
    asks = Asks()
    taking = asyncio.create_task(asks.take())
    await asyncio.sleep(0)
    asks.ask(PassKind.HINTED, "hints")
    assert not asks.waiting
    assert await taking == (PassKind.HINTED, "hints")
