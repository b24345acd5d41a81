"""What can be wrong with a ledger, told apart by what is done about it when it is opened.

To everybody else all of them are a ``LedgerError``.
"""

import sqlite3

from stageport.model.errors import LedgerBusyError, LedgerError

_PRIMARY = 0xFF
"""SQLite's extended codes hold the plain one in the lowest byte."""


class UnwritableLedgerError(LedgerError):
    """The disk is full, read-only or failing: nothing can be remembered there."""


class UnusableLedgerError(LedgerError):
    """What the file holds is of no use here: damaged, or not written for us. It is set aside."""


class DamagedLedgerError(UnusableLedgerError):
    """The file is no database, or a malformed one."""


class ForeignDatabaseError(LedgerError):
    """The file is a sound database of another program. It is left alone."""


_ROOM = "Make room on the disk, then run it again: what was noted stays noted."
_RIGHTS = "Make the ledger's folder writable, or choose another place for the ledger."
_DISK = "Look after the disk, then run it again: what was noted stays noted."
_AGAIN = "Run it again: a damaged ledger is set aside, and the next pass reads everything."
_OTHERS = "Close the other program that has the ledger open."

_FAULTS: dict[int, tuple[type[LedgerError], str]] = {
    sqlite3.SQLITE_FULL: (UnwritableLedgerError, _ROOM),
    sqlite3.SQLITE_IOERR: (UnwritableLedgerError, _DISK),
    sqlite3.SQLITE_READONLY: (UnwritableLedgerError, _RIGHTS),
    sqlite3.SQLITE_CANTOPEN: (UnwritableLedgerError, _RIGHTS),
    sqlite3.SQLITE_PERM: (UnwritableLedgerError, _RIGHTS),
    sqlite3.SQLITE_CORRUPT: (DamagedLedgerError, _AGAIN),
    sqlite3.SQLITE_NOTADB: (DamagedLedgerError, _AGAIN),
    sqlite3.SQLITE_BUSY: (LedgerBusyError, _OTHERS),
    sqlite3.SQLITE_LOCKED: (LedgerBusyError, _OTHERS),
}


def told(error: sqlite3.Error, *, name: str) -> LedgerError:
    """Put an error of SQLite's into words for people; ``name`` says which ledger."""
    kind, hint = _FAULTS.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY, (LedgerError, ""))
    return kind(f"The ledger ({name}) failed: {error}.", hint=hint)
