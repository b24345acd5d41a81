import asyncio

import pytest
from tests.scripted import FakeClock
from tests.unit.http.responses import answer

from stageport.http.messages import Response
from stageport.http.pacing import Gate


async def test_no_more_are_let_in_than_the_gate_is_wide() -> None:
    gate = Gate(start=3, ceiling=8, clock=FakeClock())
    inside, most = 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with gate.slot():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(30)))
    assert most == 3
    assert inside == 0


def test_quick_answers_widen_the_gate_by_one_a_round_up_to_its_ceiling() -> None:
    clock = FakeClock()
    gate = Gate(start=2, ceiling=4, clock=clock)
    widths = []
    for _ in range(12):
        gate.learn(answer(), began=clock.now)
        widths.append(gate.width)
    assert widths[:2] == [2, 2]
    assert 3 in widths
    assert widths[-1] == 4


def test_slow_answers_do_not_widen_it() -> None:
    clock = FakeClock()
    gate = Gate(start=2, ceiling=8, clock=clock)
    gate.learn(answer(), began=clock.now - 0.1)
    for _ in range(20):
        gate.learn(answer(), began=clock.now - 5.0)
    assert gate.width == 2


@pytest.mark.parametrize("status", [429, 503])
def test_too_much_halves_it(status: int) -> None:
    clock = FakeClock()
    gate = Gate(start=8, ceiling=32, clock=clock)
    clock.now += 1
    gate.learn(answer(status), began=clock.now)
    assert gate.width == 4


def test_requests_that_were_under_way_when_it_was_halved_do_not_halve_it_again() -> None:
    clock = FakeClock()
    gate = Gate(start=16, ceiling=32, clock=clock)
    clock.now += 1
    for _ in range(10):
        gate.learn(answer(429), began=clock.now - 0.5)
    assert gate.width == 8
    clock.now += 1
    gate.learn(answer(429), began=clock.now)
    assert gate.width == 4


def test_it_never_closes() -> None:
    clock = FakeClock()
    gate = Gate(start=2, clock=clock)
    for _ in range(10):
        clock.now += 1
        gate.learn(answer(503), began=clock.now)
    assert gate.width == 1


def test_nothing_left_pauses_everybody_until_the_reset() -> None:
    gate = Gate(clock=FakeClock())
    gate.learn(answer(x_ratelimit_remaining="0", x_ratelimit_reset="20"), began=0)
    assert gate.pause_left() == 20


def test_retry_after_pauses_everybody() -> None:
    gate = Gate(clock=FakeClock())
    gate.learn(answer(429, retry_after="9"), began=0)
    assert gate.pause_left() == 9


def test_something_left_pauses_nobody() -> None:
    gate = Gate(clock=FakeClock())
    gate.learn(answer(x_ratelimit_remaining="1", x_ratelimit_reset="20"), began=0)
    assert gate.pause_left() == 0


def test_no_more_than_is_left_is_under_way() -> None:
    clock = FakeClock()
    gate = Gate(start=8, clock=clock)
    gate.learn(answer(429, x_ratelimit_remaining="3", x_ratelimit_reset="20"), began=clock.now)
    gate.learn(answer(x_ratelimit_remaining="5", x_ratelimit_reset="20"), began=clock.now)
    assert gate.width == 3
    clock.now += 20
    assert gate.width == 4


def test_the_next_window_has_its_own_count() -> None:
    clock = FakeClock()
    gate = Gate(start=8, clock=clock)
    gate.learn(answer(x_ratelimit_remaining="2", x_ratelimit_reset="3"), began=clock.now)
    clock.now += 4
    gate.learn(answer(x_ratelimit_remaining="6", x_ratelimit_reset="20"), began=clock.now)
    assert gate.width == 6


def test_a_reset_told_in_whole_seconds_is_waited_for_no_longer_than_it_takes() -> None:
    clock = FakeClock()
    gate = Gate(clock=clock)
    for left, seconds in [(2, 3), (1, 2), (0, 2)]:  # 2.1, 2.0 and 1.5 seconds before the reset
        gate.learn(answer(x_ratelimit_remaining=str(left), x_ratelimit_reset=str(seconds)), began=clock.now)
        clock.now += {2: 0.1, 1: 0.5, 0: 0.0}[left]
    assert gate.pause_left() == pytest.approx(1.5)


async def test_a_limit_is_approached_and_not_hit() -> None:
    """Twenty at once against 30 requests in 10 seconds; answers take their time and overtake each other."""
    clock = FakeClock()
    gate = Gate(start=20, ceiling=20, clock=clock)
    window = {"number": 0, "used": 0}
    refused = 0

    def ask() -> Response:
        nonlocal refused
        number, into = divmod(clock.now, 10)
        if number != window["number"]:
            window.update(number=number, used=0)
        window["used"] += 1
        refused += window["used"] > 30
        status = 200 if window["used"] <= 30 else 429
        left = str(max(0, 30 - window["used"]))
        return answer(status, x_ratelimit_remaining=left, x_ratelimit_reset=str(10 - into))

    async def work(turns: int) -> None:
        async with gate.slot():
            clock.now += gate.pause_left()
            response, began = ask(), clock.now
            for _ in range(turns):
                await asyncio.sleep(0)
            gate.learn(response, began=began)

    await asyncio.gather(*(work(number % 7) for number in range(200)))
    assert refused == 0


async def test_one_that_gives_up_waiting_leaves_no_hole() -> None:
    gate = Gate(start=1, ceiling=1, clock=FakeClock())
    entered = asyncio.Event()

    async def work() -> None:
        async with gate.slot():
            entered.set()

    async with gate.slot():
        given_up = asyncio.create_task(work())
        patient = asyncio.create_task(work())
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
    await asyncio.wait_for(patient, 1)
    assert entered.is_set()


async def test_one_that_is_cancelled_while_it_is_let_in_hands_its_place_on() -> None:
    gate = Gate(start=1, ceiling=1, clock=FakeClock())

    async def work() -> None:
        async with gate.slot():
            await asyncio.sleep(0)

    async with gate.slot():
        first, second = asyncio.create_task(work()), asyncio.create_task(work())
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 1)
    async with asyncio.timeout(1), gate.slot():
        pass
