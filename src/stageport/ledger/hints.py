"""The queue of hints: what the receiver has promised to look at, one row for each ref.

It is a file of its own beside the ledger, because it is filled by the thread that answers senders, also while a pass
keeps a transaction of the ledger open. A sender forgets what we have taken, so here a commit waits for the disk. What
is in it means the same whatever mapping or engine the ledger was made with: nobody has to set it aside for those.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from stageport.ledger.aside import set_aside
from stageport.ledger.database import Database
from stageport.ledger.faults import DamagedLedgerError, ForeignDatabaseError, UnusableLedgerError, UnwritableLedgerError
from stageport.ledger.misfits import irregular
from stageport.ledger.place import make_file, make_private
from stageport.ledger.schema import migrate
from stageport.model.errors import LedgerError
from stageport.model.hints import Backlog, Delivery, Hint
from stageport.model.refs import SourceRef

FURTHEST = 60.0
"""Seconds. What is put off for longer was put off by a clock that went wrong."""

_FIRST = """
CREATE TABLE hints (
    ref TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    received REAL NOT NULL,
    renewed REAL NOT NULL,
    due REAL NOT NULL,
    looks INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX hints_by_age ON hints (received, ref);
CREATE TABLE deliveries (id TEXT PRIMARY KEY, forgotten REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX deliveries_by_end ON deliveries (forgotten);
"""

MIGRATIONS = (_FIRST,)
"""As ``schema.MIGRATIONS``, for this file."""

_PUT = """
INSERT INTO hints (ref, number, received, renewed, due, looks) VALUES (?, ?, ?, ?, 0, 0)
ON CONFLICT (ref) DO UPDATE SET number = excluded.number, renewed = excluded.renewed, due = 0, looks = 0
"""
_TAKE = """
SELECT ref, number, received, looks FROM hints WHERE due <= ? OR due > ? ORDER BY received, ref LIMIT ?
"""


class HintTable:
    """See ``sync.hint_seams.HintQueue`` for what each call means. May be used by several threads.

    ``lost`` says in words why what an earlier process left could not be taken over; empty when it could.
    """

    def __init__(self, database: Database, *, lost: str = "") -> None:
        migrate(database, migrations=MIGRATIONS)
        self.lost = lost
        self._database = database
        self._lock = Lock()
        self._number = int(database.value("SELECT coalesce(max(number), 0) FROM hints"))

    @classmethod
    def in_memory(cls, *, lost: str = "") -> "HintTable":
        """Return an empty queue that is gone once closed."""
        return cls(Database(None, shared=True), lost=lost)

    @classmethod
    def open(cls, place: Path) -> "HintTable":
        """Open the queue at a place; one that cannot be used is replaced by one in memory until it can."""
        try:
            if kind := irregular(place):
                raise UnwritableLedgerError(f"it is {kind}")
            make_file(place)
            table = cls._open(place)
            make_private(place)
        except (LedgerError, OSError) as error:
            reason = error.message if isinstance(error, LedgerError) else str(error)
            return cls.in_memory(lost=f"Live events are kept in memory only: {reason.rstrip('.')} ({place}).")
        return table

    @classmethod
    def _open(cls, place: Path) -> "HintTable":
        """Open a file; a damaged one is renamed, and a new one begun.

        Raises:
            LedgerError: it cannot be written, or is another program's.
            OSError: it cannot be renamed.
        """
        try:
            return cls(_sound(place))
        except ForeignDatabaseError:
            raise
        except UnusableLedgerError as error:
            set_aside(place, mark="damaged")
            make_file(place)
            return cls(_sound(place), lost=f"The queue of live events was set aside: {error.message}")

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


def _sound(place: Path) -> Database:
    """Open a file that holds a queue, or nothing yet.

    Raises:
        UnusableLedgerError: it is damaged.
        LedgerError: it cannot be used.
    """
    database = Database(place, shared=True)
    try:
        migrate(database, migrations=MIGRATIONS)
        if (found := database.value("PRAGMA quick_check(1)")) != "ok":
            raise DamagedLedgerError(f"it is damaged: {found}")
        database.value("SELECT count(*) FROM hints")
    except LedgerError as error:
        database.close()
        # What SQLite refuses without a cause of its own (a table is missing) is damage too.
        if type(error) is LedgerError:
            raise DamagedLedgerError(error.message) from error
        raise
    return database
