"""When a live delta looks again at what came to nothing."""

import pytest

from stageport.sync.passes import PassKind
from stageport.sync.retries import FIRST_WAIT, LONGEST_WAIT, Retries


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def waited(retries: Retries, clock: Clock) -> float:
    """Let time go by until a retry is due."""
    began = clock.now
    while not retries.are_due():
        clock.now += FIRST_WAIT / 4
    return clock.now - began


def test_nothing_is_due_while_nothing_failed(clock: Clock) -> None:
    retries = Retries(clock)
    for kind in PassKind:
        retries.note(kind, unwritten=False)
        clock.now += LONGEST_WAIT
        assert not retries.are_due()


@pytest.mark.parametrize("kind", list(PassKind))
def test_what_failed_is_tried_again_less_and_less_often(kind: PassKind, clock: Clock) -> None:
    retries = Retries(clock)
    retries.note(kind, unwritten=True)
    waits = []
    for _ in range(9):
        waits.append(waited(retries, clock))
        retries.note(PassKind.DELTA, unwritten=True)
    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT


def test_deltas_in_between_that_did_not_look_change_nothing(clock: Clock) -> None:
    retries = Retries(clock)
    retries.note(PassKind.RESYNC, unwritten=True)
    retries.note(PassKind.DELTA, unwritten=False)
    assert waited(retries, clock) == FIRST_WAIT


def test_what_becomes_due_during_a_delta_that_did_not_look_is_due_still(clock: Clock) -> None:
    retries = Retries(clock)
    retries.note(PassKind.RESYNC, unwritten=True)
    clock.now += FIRST_WAIT - 1
    assert not retries.are_due()
    clock.now += 2
    retries.note(PassKind.DELTA, unwritten=False)
    assert retries.are_due()


def test_once_all_is_written_nothing_is_due(clock: Clock) -> None:
    retries = Retries(clock)
    retries.note(PassKind.RESYNC, unwritten=True)
    waited(retries, clock)
    retries.note(PassKind.DELTA, unwritten=False)
    clock.now += LONGEST_WAIT
    assert not retries.are_due()


def test_a_fresh_failure_is_tried_soon(clock: Clock) -> None:
    retries = Retries(clock)
    retries.note(PassKind.RESYNC, unwritten=True)
    for _ in range(4):
        waited(retries, clock)
        retries.note(PassKind.DELTA, unwritten=True)
    retries.note(PassKind.DELTA, unwritten=True)
    assert waited(retries, clock) == FIRST_WAIT
