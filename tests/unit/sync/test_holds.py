"""What is remembered of deletes from one pass to the next."""

from collections.abc import Iterator

import pytest

from stageport.ledger.sqlite import SqliteLedger
from stageport.model.changes import Change, Hold, Operation
from stageport.model.refs import TargetKey
from stageport.plan.safety import Verdict
from stageport.sync.holds import add_up_deletes, count_held_of, note_holds, read_emptied, read_hinted_deletes

GONE = TargetKey("team", "group:default/crew")
NOTHING = Verdict((), ())


@pytest.fixture
def ledger() -> Iterator[SqliteLedger]:
    made = SqliteLedger.in_memory()
    yield made
    made.close()


def held(hold: Hold) -> Verdict:
    return Verdict((), (Change(Operation.KEEP, *GONE, hold=hold),), hold=hold)


def note(
    ledger: SqliteLedger, verdict: Verdict, *, owned: int = 10, kinds: tuple[str, ...] = (), whole: bool = True
) -> None:
    note_holds(ledger, verdict, owned=owned, emptied=lambda _: kinds, whole=whole)


def test_a_share_is_of_what_was_ours_when_the_hold_began_or_of_less(ledger: SqliteLedger) -> None:
    assert count_held_of(ledger, 10) == 10
    note(ledger, held(Hold.THRESHOLD))
    note(ledger, held(Hold.THRESHOLD), owned=30)
    assert [count_held_of(ledger, owned) for owned in (30, 10, 4)] == [10, 10, 4]


@pytest.mark.parametrize("verdict", [held(Hold.INCOMPLETE_READ), held(Hold.EMPTY_KIND)])
def test_another_hold_ends_none(ledger: SqliteLedger, verdict: Verdict) -> None:
    note(ledger, held(Hold.THRESHOLD))
    note(ledger, verdict)
    assert count_held_of(ledger, 30) == 10


def test_only_a_pass_that_looked_at_everything_ends_a_hold(ledger: SqliteLedger) -> None:
    note(ledger, held(Hold.THRESHOLD))
    note(ledger, held(Hold.EMPTY_KIND), kinds=("group", "user"))
    note(ledger, NOTHING, whole=False)
    assert (count_held_of(ledger, 30), read_emptied(ledger)) == (10, {"group", "user"})
    note(ledger, held(Hold.EMPTY_SOURCE), kinds=("api",), whole=False)
    assert read_emptied(ledger) == {"api", "group", "user"}
    note(ledger, NOTHING)
    assert (count_held_of(ledger, 30), read_emptied(ledger)) == (30, frozenset())


def test_deletes_of_narrow_passes_add_up_until_everything_is_looked_at(ledger: SqliteLedger) -> None:
    for count in (2, 3):
        add_up_deletes(ledger, count, narrowed=True)
    assert read_hinted_deletes(ledger) == 5
    add_up_deletes(ledger, 7, narrowed=False)
    assert read_hinted_deletes(ledger) == 0
