"""Opening the ledger, whatever is found at its place.

A ledger is a cache with consequences. One of another integration or engine, of a later version, or damaged, would
mislead a pass: it is renamed, never deleted, and a new one begun. Where nothing can be written the pass runs on a
ledger in memory; a ledger left over there would have missed what that pass writes, so it is set aside as well.
"""

import glob
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stageport.ledger.aside import parts_of, set_aside
from stageport.ledger.database import COPY_MARK, Database
from stageport.ledger.faults import DamagedLedgerError, ForeignDatabaseError, UnusableLedgerError, UnwritableLedgerError
from stageport.ledger.hints import HintTable
from stageport.ledger.lock import LedgerLock
from stageport.ledger.misfits import ELSEWHERE, misfit_at
from stageport.ledger.place import find_place, make_file, make_parent, make_private
from stageport.ledger.schema import migrate
from stageport.ledger.sqlite import SqliteLedger
from stageport.model.errors import LedgerError, SettingsError
from stageport.model.events import Noticed

CHECKED_BYTES = 128 << 20
"""Up to this size the whole file is checked when it is opened: 0.2 s. Larger ones tell when damage is met."""

HINTS_MARK = "-hints"
"""What the file beside the ledger is called that keeps live events."""

_OLD_ONE = "; delete it when it can be, for it will have missed this run"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class OpenedLedger:
    """A ledger, where it lies (None: in memory), and what people should be told of it."""

    ledger: SqliteLedger
    place: Path | None
    messages: tuple[Noticed, ...] = ()


def open_ledger(
    *,
    path: Path | None,
    identity: str,
    engine: str,
    environ: Mapping[str, str] = os.environ,
    now: Callable[[], datetime] = _now,
) -> OpenedLedger:
    """Open the ledger of an integration, at its default place where ``path`` is None.

    ``identity`` names the integration and the Port that it belongs to; ``engine`` is the version of what maps.

    Raises:
        LedgerBusyError: another process has it open.
        SettingsError: what is at its place is no file, or another program's.
    """
    try:
        place = path or find_place(identity, environ=environ)
    except OSError as error:
        return _in_memory(f"The ledger cannot be kept ({error})")
    if reason := misfit_at(place):
        raise _misplaced(place, reason)
    try:
        make_parent(place)
        lock = LedgerLock.take(place, now=now())
    except OSError as error:
        # Without the lock it may be in use: nothing of it is renamed.
        return _in_memory(f"{_unwritable(place, error)}{_OLD_ONE if _holds_something(place) else ''}")
    try:
        return _open_locked(place, lock, owner=(identity, engine), now=now)
    except ForeignDatabaseError as error:
        lock.release()
        raise _misplaced(place, error.message) from None
    except BaseException:
        lock.release()
        raise


def _misplaced(place: Path, reason: str) -> SettingsError:
    return SettingsError(f"{place} is no place for the ledger: {reason}.", hint=ELSEWHERE)


def _open_locked(place: Path, lock: LedgerLock, *, owner: tuple[str, str], now: Callable[[], datetime]) -> OpenedLedger:
    _clear_copies(place)
    try:
        database, messages = _open_or_replace(place, owner, now=now)
    except (UnwritableLedgerError, OSError) as error:
        opened = _without_disk(place, error=error, now=now())
        lock.release()
        return opened

    def release() -> None:
        database.close()
        # Nobody waits for an answer any more; what cannot be renamed now is found damaged by the next run.
        with suppress(OSError):
            if database.damaged and place.exists():
                _set_aside(place, reason="it is damaged", now=now())
        lock.release()

    hints = place.with_name(f"{place.name}{HINTS_MARK}")
    ledger = SqliteLedger(database, release=release, open_hints=lambda: HintTable.open(hints))
    return OpenedLedger(ledger, place, messages)


def _clear_copies(place: Path) -> None:
    """Remove what a process left that was killed while it copied; the lock says that nobody is copying now."""
    for left in place.parent.glob(f"{glob.escape(place.name)}{COPY_MARK}????????"):
        with suppress(OSError):
            left.unlink()


def _open_or_replace(
    place: Path, owner: tuple[str, str], *, now: Callable[[], datetime]
) -> tuple[Database, tuple[Noticed, ...]]:
    try:
        return _open_file(place, owner), ()
    except UnusableLedgerError as error:
        message = _set_aside(place, reason=error.message, now=now())
        return _open_file(place, owner), (message,)


def _open_file(place: Path, owner: tuple[str, str]) -> Database:
    """Open a file and make sure that it is ours, sound and writable.

    Raises:
        UnusableLedgerError: what it holds is of no use.
        LedgerError: it cannot be opened, or is another program's.
        OSError: it cannot be made.
    """
    make_file(place)
    database = Database(place)
    try:
        migrate(database)
        _check(database, place, owner)
        for part in parts_of(place):
            make_private(part)
    except (LedgerError, OSError) as error:
        database.close()
        # What SQLite refuses without a cause of its own (a table is missing) is damage too.
        if type(error) is LedgerError:
            raise DamagedLedgerError(error.message) from error
        raise
    return database


def _check(database: Database, place: Path, owner: tuple[str, str]) -> None:
    if place.stat().st_size <= CHECKED_BYTES and (found := database.value("PRAGMA quick_check(1)")) != "ok":
        raise DamagedLedgerError(f"it is damaged: {found}")
    (identity, engine) = database.rows("SELECT identity, engine FROM ledger")[0]
    if identity and identity != owner[0]:
        raise UnusableLedgerError(f"it belongs to another integration ({identity})")
    if engine and engine != owner[1]:
        raise UnusableLedgerError(f"another version of the mapping engine wrote it ({engine})")
    # Written even where nothing changes: a full or read-only disk shows now, not in the middle of a pass.
    database.run("UPDATE ledger SET identity = ?, engine = ?", owner)


def _set_aside(place: Path, *, reason: str, now: datetime) -> Noticed:
    """Rename a ledger and its side files.

    Raises:
        OSError: they cannot be renamed.
    """
    aside = set_aside(place, mark=f"set-aside-{now:%Y%m%dT%H%M%SZ}")
    words = f"The ledger {place} was set aside as {aside.name}: {reason.rstrip('.')}."
    return Noticed("warning", f"{words} This run begins a new one, and reads and compares everything.")


def _without_disk(place: Path, *, error: Exception, now: datetime) -> OpenedLedger:
    words = _unwritable(place, error)
    try:
        if _holds_something(place):
            _set_aside(place, reason=_reason(error), now=now)
    except OSError:
        words += _OLD_ONE
    return _in_memory(words)


def _holds_something(place: Path) -> bool:
    try:
        return place.stat().st_size > 0
    except OSError:
        return False


def _unwritable(place: Path, error: Exception) -> str:
    return f"The ledger {place} cannot be written ({_reason(error).rstrip('.')})"


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, LedgerError) else str(error)


def _in_memory(words: str) -> OpenedLedger:
    warning = f"{words}. This run remembers in memory only: the next run will read everything again."
    return OpenedLedger(SqliteLedger.in_memory(), None, (Noticed("warning", warning),))
