"""One writer: a lock beside the ledger that says who holds it.

The lock is the kernel's (``flock``), so that it ends with the process however that ends; the file stays, and what it
says counts only while the lock is held.
"""

import fcntl
import json
import os
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from stageport.model.errors import LedgerBusyError

_BEGINNING = b'{"pid": '
_HINT = "Wait until it has ended, or stop it: two at once would undo each other's work."


class LedgerLock:
    """A lock that is held until it is released, or the process ends."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @classmethod
    def take(cls, ledger: Path, *, now: datetime) -> "LedgerLock":
        """Take the lock of a ledger.

        Raises:
            LedgerBusyError: somebody else holds it.
            OSError: there can be no lock at this place.
        """
        handle = os.open(lock_beside(ledger), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_holder(handle)
            os.close(handle)
            raise LedgerBusyError(f"The ledger {ledger} is in use{holder}.", hint=_HINT) from None
        except OSError:
            os.close(handle)
            raise
        _write_holder(handle, now)
        return cls(handle)

    @staticmethod
    def is_held(ledger: Path) -> bool:
        """Tell whether some process holds the lock of a ledger."""
        try:
            handle = os.open(lock_beside(ledger), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def release(self) -> None:
        """Let go; twice is fine."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def lock_beside(ledger: Path) -> Path:
    """Return where the lock of a ledger lies."""
    return ledger.with_name(f"{ledger.name}.lock")


def was_locked(ledger: Path) -> bool:
    """Tell whether a lock of ours lies beside a file, with or without a holder: it was a ledger once."""
    return _read_beginning(ledger) == _BEGINNING


def is_foreign_lock(ledger: Path) -> bool:
    """Tell whether what lies at the place of the lock was not written by us; what a full disk cut short was."""
    return not _BEGINNING.startswith(_read_beginning(ledger))


def _read_beginning(ledger: Path) -> bytes:
    try:
        with lock_beside(ledger).open("rb") as file:
            return file.read(len(_BEGINNING))
    except OSError:
        return b""


def _write_holder(handle: int, now: datetime) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now.isoformat(timespec="seconds")}
    # A lock on a full disk locks as well as any; only its words are missing then.
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(holder).encode(), 0)


def _read_holder(handle: int) -> str:
    try:
        holder = json.loads(os.pread(handle, 1000, 0))
        return f" by process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, TypeError, KeyError):
        return ""
