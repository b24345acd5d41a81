"""The only module that touches ``sqlite3``: statements, transactions, and errors that people can read.

One connection, used by one thread unless it is ``shared``. ``isolation_level=None`` leaves transactions to
``together``; the driver's own begin late and end in surprising places.

A commit costs more than the rows in it. While things are ``gathered``, a transaction stays open over many calls, until
``keep`` commits it: a process that is killed loses the last of them, in the order in which they came.
"""

import os
import sqlite3
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stageport.ledger.faults import DamagedLedgerError, UnwritableLedgerError, told
from stageport.model.errors import LedgerError

MEMORY = ":memory:"
BUSY_SECONDS = 5.0
"""Long enough for a person's look into the file with another program, short enough for a pass."""
COPY_MARK = ".unfinished-copy-"
"""What a copy is called until it has no name any more: nothing that a person would call theirs."""
COPIED_IN_MEMORY = 32 << 20
"""A copy of more bytes than these goes to a file, so that memory stays flat."""

_SETTINGS = (
    # With a write-ahead log, a crash of the process loses nothing; one of the machine may lose the last commits.
    "PRAGMA synchronous = NORMAL",
    # Negative: in KiB. Flat, however large the ledger grows.
    "PRAGMA cache_size = -8000",
    # In pages: a larger log is folded in less often, and the same page is then written once instead of many times.
    "PRAGMA wal_autocheckpoint = 4000",
    # The write-ahead log shrinks again after a large transaction.
    "PRAGMA journal_size_limit = 16777216",
    # Debian's SQLite overwrites what is deleted with zeros, twice the writes; there are no secrets here.
    "PRAGMA secure_delete = OFF",
)

_SHARED_SETTINGS = ("PRAGMA synchronous = FULL",)


class Database:
    """A connection to a file, or to memory.

    ``damaged`` turns true once SQLite finds that the file is none of its own, or malformed. Several threads may use a
    ``shared`` one, one at a time; its commits wait for the disk.
    """

    def __init__(self, place: Path | None, *, shared: bool = False) -> None:
        self._name = str(place) if place else "the ledger in memory"
        self._depth = 0
        self._gathers = False
        self._lost: LedgerError | None = None
        self.damaged = False
        self.place = place
        try:
            self._connection = sqlite3.connect(
                place or MEMORY, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=not shared
            )
        except sqlite3.Error as error:
            raise self._told(error) from error
        try:
            for setting in (*_SETTINGS, *(_SHARED_SETTINGS if shared else ())):
                self.run(setting)
        except LedgerError:
            self.close()
            raise

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of an answer."""
        try:
            return self._connection.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._told(error) from error

    def pages(self, statement: str, *, size: int) -> Iterator[list[Any]]:
        """Yield the rows of an answer so many at a time; write nothing meanwhile."""
        try:
            cursor = self._connection.execute(statement)
            while rows := cursor.fetchmany(size):
                yield rows
        except sqlite3.Error as error:
            raise self._told(error) from error

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row, None when there is no row."""
        found = self.rows(statement, parameters)
        return found[0][0] if found else None

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement; outside of ``together`` it is a transaction of its own."""
        self.rows(statement, parameters)

    def run_each(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row, all in one transaction."""
        with self.together():
            try:
                self._connection.executemany(statement, rows)
            except sqlite3.Error as error:
                raise self._told(error) from error

    @contextmanager
    def together(self) -> Generator[None, None, None]:
        """Make one transaction of all that is run inside: all of it counts, or nothing. May be nested."""
        if self._depth == 0:
            self._begin()
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self._end()
        except BaseException:
            if self._depth == 1:
                self._roll_back()
            raise
        finally:
            self._depth -= 1

    @contextmanager
    def gathered(self) -> Generator[None, None, None]:
        """Commit what is run inside when told to ``keep`` it, and at the end, instead of after each call."""
        self._gathers, self._lost = True, None
        try:
            yield
        finally:
            self._gathers = False
            try:
                self.keep()
            finally:
                self._lost = None

    def keep(self) -> None:
        """Commit what has been gathered. When that fails, nothing more can be gathered: it would build on what is lost.

        Raises:
            LedgerError: what has been gathered since the last time is lost.
        """
        if self._lost is not None:
            raise self._lost
        if not self._connection.in_transaction:
            return
        try:
            self.run("COMMIT")
        except LedgerError as error:
            self._roll_back_all()
            self._lost = error
            raise

    def _begin(self) -> None:
        if self._lost is not None:
            raise self._lost
        if not self._connection.in_transaction:
            self.run("BEGIN IMMEDIATE")
        if self._gathers:
            self.run("SAVEPOINT step")

    def _end(self) -> None:
        self.run("RELEASE step" if self._gathers else "COMMIT")

    def use_log(self) -> None:
        """Write ahead to a log, a commit without a wait for the disk; the file itself remembers that."""
        self.run("PRAGMA journal_mode = WAL")

    def size(self) -> int:
        """Return how many bytes the database takes."""
        return int(self.value("PRAGMA page_count")) * int(self.value("PRAGMA page_size"))

    def copy(self) -> "Database":
        """Return a copy, in memory while it is small, else in a file beside this one that has no name any more."""
        self.keep()
        size = self.size()
        place = None if self.place is None or size <= COPIED_IN_MEMORY else _passing_file(self.place)
        other = Database(place)
        try:
            self._connection.backup(other._connection)
            # The copied header says WAL, which would make files by the name that is about to go.
            other.run("PRAGMA journal_mode = MEMORY")
        except sqlite3.Error as error:
            other.close()
            raise self._told(error) from error
        finally:
            if place is not None:
                place.unlink()
        return other

    def close(self) -> None:
        """Close it; closing twice is fine. What is on disk is consistent with or without."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def _roll_back(self) -> None:
        """Undo the present step, or all where nothing is gathered."""
        if not self._gathers:
            self._roll_back_all()
        elif self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK TO step")
                self._connection.execute("RELEASE step")
        elif self._lost is None:
            self._lost = LedgerError(f"The ledger ({self._name}) failed before, and lost what was noted last.")

    def _roll_back_all(self) -> None:
        """Undo; SQLite has done so by itself after some errors (a full disk)."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.rollback()

    def _told(self, error: sqlite3.Error) -> LedgerError:
        fault = told(error, name=self._name)
        self.damaged = self.damaged or isinstance(fault, DamagedLedgerError)
        return fault


def _passing_file(place: Path) -> Path:
    """Make an empty file beside another, where there is room and the right to write."""
    try:
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f"{place.name}{COPY_MARK}")
    except OSError as error:
        raise UnwritableLedgerError(f"The ledger ({place}) could not be copied: {error}.") from error
    os.close(handle)
    return Path(name)
