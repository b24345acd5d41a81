"""The queue of hints: what the receiver has promised to look at, one row for each ref.

It has a connection of its own to the ledger's file, because it is filled by the thread that answers senders, also
while a pass keeps the service's loop busy. A sender forgets what we have taken, so here a commit waits for the disk.
"""

from collections.abc import Sequence
from threading import Lock

from stageport.ledger.database import Database
from stageport.model.hints import Backlog, Delivery, Hint
from stageport.model.refs import SourceRef

FURTHEST = 60.0
"""Seconds. What is put off for longer was put off by a clock that went wrong."""

_PUT = """
INSERT INTO hints (ref, number, received, renewed, due, looks) VALUES (?, ?, ?, ?, 0, 0)
ON CONFLICT (ref) DO UPDATE SET number = excluded.number, renewed = excluded.renewed, due = 0, looks = 0
"""
_TAKE = """
SELECT ref, number, received, looks FROM hints WHERE due <= ? OR due > ? ORDER BY received, ref LIMIT ?
"""


class HintTable:
    """See ``sync.seams.HintQueue`` for what each call means. May be used by several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._number = int(database.value("SELECT coalesce(max(number), 0) FROM hints"))

    def put(self, refs: Sequence[SourceRef], *, now: float, delivery: Delivery | None = None) -> bool:
        """Remember refs to look at; False when this delivery came before, and nothing was done."""
        with self._lock, self._database.together():
            if delivery is not None and not self._note_delivery(delivery, now=now):
                return False
            self._number += 1
            self._database.run_each(_PUT, ((ref, self._number, now, now) for ref in refs))
        return True

    def _note_delivery(self, delivery: Delivery, *, now: float) -> bool:
        self._database.run("DELETE FROM deliveries WHERE forgotten < ?", (now,))
        if self._database.value("SELECT 1 FROM deliveries WHERE id = ?", (delivery.id,)):
            return False
        self._database.run("INSERT INTO deliveries (id, forgotten) VALUES (?, ?)", delivery)
        return True

    def take(self, *, limit: int, now: float) -> list[Hint]:
        """Return those that have waited longest and are due; they stay in the queue."""
        with self._lock:
            rows = self._database.rows(_TAKE, (now, now + FURTHEST, limit))
        return [Hint(SourceRef(ref), number, received, looks) for ref, number, received, looks in rows]

    def settle(self, hints: Sequence[Hint]) -> None:
        """Drop hints that were dealt with; a ref of which another hint came meanwhile stays."""
        with self._lock, self._database.together():
            self._database.run_each(
                "DELETE FROM hints WHERE ref = ? AND number = ?", ((hint.ref, hint.number) for hint in hints)
            )
            self._database.run_each(
                "UPDATE hints SET received = renewed WHERE ref = ? AND number > ?",
                ((hint.ref, hint.number) for hint in hints),
            )

    def postpone(self, hints: Sequence[Hint], *, due: float) -> None:
        """Have hints looked at once more, not before ``due``; a ref of which another hint came meanwhile stays due."""
        with self._lock:
            self._database.run_each(
                "UPDATE hints SET due = ?, looks = looks + 1 WHERE ref = ? AND number = ?",
                ((due, hint.ref, hint.number) for hint in hints),
            )

    def backlog(self) -> Backlog:
        """Return how much waits."""
        with self._lock:
            ((count, oldest),) = self._database.rows("SELECT count(*), coalesce(min(received), 0) FROM hints")
        return Backlog(count, oldest)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._database.close()
