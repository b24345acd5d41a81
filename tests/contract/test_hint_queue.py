"""What every queue of hints does, on a file and in memory; ``sync.hint_seams.HintQueue`` is the contract."""

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stageport.ledger.hints import HintTable
from stageport.ledger.opening import open_ledger
from stageport.ledger.sqlite import SqliteLedger
from stageport.model.hints import Backlog, Delivery, Hint
from stageport.model.refs import SourceRef
from stageport.sync.hint_seams import HintQueue

NOW = 1_700_000_000.0


def ref(name: str) -> SourceRef:
    return SourceRef(f"component:default/{name}")


def on_file(folder: Path) -> SqliteLedger:
    return open_ledger(path=folder / "ledger.sqlite3", identity="backstage/mine", engine="1").ledger


MAKERS: dict[str, Callable[[Path], SqliteLedger]] = {"file": on_file, "memory": lambda _: SqliteLedger.in_memory()}


@pytest.fixture(params=MAKERS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteLedger]:
    made = MAKERS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def queue(ledger: SqliteLedger) -> HintQueue:
    return ledger.hints


def names(hints: list[Hint]) -> list[str]:
    return [hint.ref for hint in hints]


def take(queue: HintQueue, *, limit: int = 100, now: float = NOW) -> list[Hint]:
    return list(queue.take(limit=limit, now=now))


def test_an_empty_queue(queue: HintQueue) -> None:
    assert take(queue) == []
    assert queue.backlog() == Backlog(0, 0)


def test_there_is_one_queue_to_a_ledger(ledger: SqliteLedger) -> None:
    ledger.hints.put([ref("a")], now=NOW)
    assert names(take(ledger.hints)) == [ref("a")]


def test_what_waited_longest_comes_first_and_stays_until_it_is_settled(queue: HintQueue) -> None:
    queue.put([ref("z")], now=NOW - 2)
    queue.put([ref("b"), ref("a")], now=NOW - 1)
    assert names(take(queue)) == [ref("z"), ref("a"), ref("b")]
    assert names(take(queue, limit=2)) == [ref("z"), ref("a")]
    assert queue.backlog() == Backlog(3, NOW - 2)
    queue.settle(take(queue, limit=2))
    assert names(take(queue)) == [ref("b")]
    assert queue.backlog() == Backlog(1, NOW - 1)


def test_a_ref_has_one_row_however_often_it_is_named(queue: HintQueue) -> None:
    for second in range(5):
        queue.put([ref("a"), ref("a")], now=NOW + second)
    assert queue.backlog() == Backlog(1, NOW), "its age is that of the oldest hint"


def test_a_hint_that_came_while_its_ref_was_looked_at_stays(queue: HintQueue) -> None:
    queue.put([ref("a"), ref("b")], now=NOW)
    taken = take(queue)
    queue.put([ref("a")], now=NOW + 5)
    queue.settle(taken)
    left = take(queue)
    assert names(left) == [ref("a")]
    assert left[0].received == NOW + 5, "it waits since the newer one came"
    queue.settle(left)
    assert take(queue) == []


def test_what_is_put_off_comes_again_when_it_is_due(queue: HintQueue) -> None:
    queue.put([ref("a"), ref("b")], now=NOW)
    queue.postpone(take(queue, limit=1), due=NOW + 1)
    assert names(take(queue)) == [ref("b")]
    assert [(hint.ref, hint.looks) for hint in take(queue, now=NOW + 1)] == [(ref("a"), 1), (ref("b"), 0)]


def test_a_new_hint_for_what_is_put_off_counts_at_once(queue: HintQueue) -> None:
    queue.put([ref("a")], now=NOW)
    taken = take(queue)
    queue.postpone(taken, due=NOW + 1)
    queue.put([ref("a")], now=NOW)
    assert [(hint.ref, hint.looks) for hint in take(queue)] == [(ref("a"), 0)]
    queue.postpone(taken, due=NOW + 1)
    assert names(take(queue)) == [ref("a")], "the old look is not that of the new hint"


def test_what_a_clock_put_off_that_went_wrong_is_not_waited_for(queue: HintQueue) -> None:
    queue.put([ref("a")], now=NOW)
    queue.postpone(take(queue), due=NOW + 1_000_000)
    assert names(take(queue)) == [ref("a")]


def test_a_delivery_counts_once_until_it_is_forgotten(queue: HintQueue) -> None:
    delivery = Delivery("msg_1", NOW + 300)
    assert queue.put([ref("a")], now=NOW, delivery=delivery)
    queue.settle(take(queue))
    assert not queue.put([ref("a")], now=NOW + 300, delivery=delivery)
    assert take(queue) == [], "what was refused leaves nothing"
    assert queue.put([ref("b")], now=NOW, delivery=Delivery("msg_2", NOW + 300))
    assert queue.put([ref("a")], now=NOW + 301, delivery=delivery)


def test_threads_may_fill_it_side_by_side(queue: HintQueue) -> None:
    def fill(which: int) -> None:
        for number in range(50):
            queue.put([ref(f"{which}-{number}"), ref("shared")], now=NOW)

    threads = [threading.Thread(target=fill, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    taken = 0
    while any(thread.is_alive() for thread in threads):
        portion = take(queue, limit=7)
        queue.settle(portion)
        taken += sum(1 for hint in portion if hint.ref != ref("shared"))
    taken += sum(1 for hint in take(queue, limit=1000) if hint.ref != ref("shared"))
    assert taken == 200


def test_it_may_be_filled_while_a_pass_keeps_the_ledger_open(ledger: SqliteLedger) -> None:
    """A pass gathers what it notes in one long transaction; senders are not to wait for its end."""
    with ledger.gathered():
        ledger.write_fact("busy", "yes")
        thread = threading.Thread(target=ledger.hints.put, args=([ref("a")],), kwargs={"now": NOW})
        thread.start()
        thread.join()
        assert ledger.hints.backlog().waiting == 1
        ledger.hints.settle(take(ledger.hints))


def test_what_was_put_outlives_the_process(tmp_path: Path) -> None:
    place = tmp_path / "ledger.sqlite3-hints"
    first = HintTable.open(place)
    first.put([ref("a")], now=NOW, delivery=Delivery("msg_1", NOW + 300))
    # Not closed: a process that is killed closes nothing.
    second = HintTable.open(place)
    assert names(take(second)) == [ref("a")]
    assert not second.put([ref("b")], now=NOW, delivery=Delivery("msg_1", NOW + 300))
    second.put([ref("a")], now=NOW)
    second.settle([Hint(ref("a"), 1, NOW)])
    assert names(take(second)) == [ref("a")], "numbers go on where they were"
    assert (first.lost, second.lost) == ("", "")
    first.close()
    second.close()


def test_it_outlives_a_ledger_that_is_set_aside(tmp_path: Path) -> None:
    """Another mapping engine makes another ledger; what was promised stays promised."""
    ledger = on_file(tmp_path)
    ledger.hints.put([ref("a")], now=NOW)
    ledger.close()
    opened = open_ledger(path=tmp_path / "ledger.sqlite3", identity="backstage/mine", engine="2")
    assert "set aside" in opened.messages[0].message
    assert names(take(opened.ledger.hints)) == [ref("a")]
    opened.ledger.close()


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    HintTable.open(tmp_path / "queue").close()
    assert stat.S_IMODE((tmp_path / "queue").stat().st_mode) == 0o600


def test_a_damaged_queue_is_set_aside_and_said(tmp_path: Path) -> None:
    place = tmp_path / "queue"
    place.write_bytes(b"SQLite format 3\0" + b"nonsense" * 1000)
    table = HintTable.open(place)
    assert "set aside" in table.lost
    assert (tmp_path / "queue.damaged").exists()
    table.put([ref("a")], now=NOW)
    table.close()
    again = HintTable.open(place)
    assert (again.lost, names(take(again))) == ("", [ref("a")])
    again.close()


def test_what_was_set_aside_before_is_kept(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        (tmp_path / "queue").write_bytes(content)
        HintTable.open(tmp_path / "queue").close()
    kept = {one.name: one.read_bytes() for one in tmp_path.iterdir() if "damaged" in one.name}
    assert kept == {"queue.damaged": b"first", "queue.damaged-2": b"second"}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_is_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "queue")
    table = HintTable.open(tmp_path / "queue")
    assert "in memory only: it is a " in table.lost
    table.put([ref("a")], now=NOW)
    table.close()
    assert [one.name for one in tmp_path.iterdir()] == ["queue"]


def test_where_nothing_can_be_written_it_is_kept_in_memory_and_said(tmp_path: Path) -> None:
    table = HintTable.open(tmp_path / "no" / "such" / "folder" / "queue")
    assert "in memory only" in table.lost
    table.put([ref("a")], now=NOW)
    assert names(take(table)) == [ref("a")]
    table.close()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "queue"
    with sqlite3.connect(place) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    table = HintTable.open(place)
    assert "in memory only" in table.lost
    table.close()
    with sqlite3.connect(place) as other:
        assert other.execute("SELECT count(*) FROM theirs").fetchone() == (0,)
    other.close()


def test_a_copy_to_plan_on_leaves_the_queue_alone(ledger: SqliteLedger) -> None:
    ledger.hints.put([ref("a")], now=NOW)
    copy = ledger.scratch()
    copy.close()
    assert names(take(ledger.hints)) == [ref("a")]
