"""What is surely no ledger, told before anything is made, written or renamed there.

A person's slip points at a folder, a device, a mapping, or the database of another program. None of them is touched.
"""

import os
import stat
from pathlib import Path

from stageport.ledger.lock import is_foreign_lock, lock_beside, was_locked
from stageport.ledger.schema import APPLICATION

ELSEWHERE = "Choose another path for the ledger, one where no file is yet."
SIDE_FILES = ("", "-wal", "-shm")
"""The database goes first: SQLite discards a log without a database, but would believe one beside a new database."""

_MAGIC = b"SQLite format 3\0"
_HEADER = 100
_SCHEMA_COOKIE, _APPLICATION_ID = slice(40, 44), slice(68, 72)
"""Where SQLite's header counts the changes of a schema, and where it says whose database it is."""
_SUFFIXES = frozenset({".sqlite3", ".sqlite", ".db"})
_KINDS = (
    (stat.S_ISREG, ""),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def misfit_at(place: Path) -> str:
    """Say why what is at a place can be no ledger; empty when it may be one, or nothing is there."""
    if kind := irregular(place):
        return f"it is {kind}"
    for part in (*(place.with_name(place.name + side) for side in SIDE_FILES[1:]), lock_beside(place)):
        if kind := irregular(part):
            return f"{part.name}, which would go with it, is {kind}"
    if is_foreign_lock(place):
        return f"{lock_beside(place).name}, which would go with it, is another program's file"
    return "it is another program's file" if _is_foreign(place) else ""


def irregular(path: Path) -> str:
    """Say what is at a path that is no regular file; empty when it is one, or nothing is there."""
    try:
        mode = path.stat().st_mode
    except OSError:
        # Path.is_symlink() raises where a folder may not be entered.
        is_link = os.path.islink(path)  # noqa: PTH114
        return "a symbolic link that cannot be followed" if is_link else ""
    return next((words for is_one, words in _KINDS if is_one(mode)), "no regular file")


def _is_foreign(place: Path) -> bool:
    """Tell whether a file is another program's.

    A damaged ledger may begin with anything, but a lock of ours lies beside it, and its name is not that of a document.
    """
    try:
        with place.open("rb") as file:
            header = file.read(_HEADER)
    except OSError:
        return False
    if not header or _is_ours(header):
        return False
    return not was_locked(place) or (not header.startswith(_MAGIC) and place.suffix not in _SUFFIXES)


def _is_ours(header: bytes) -> bool:
    """Tell whether a header is a ledger's, or of a database without tables: a ledger that was only just begun."""
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        return False
    owner = int.from_bytes(header[_APPLICATION_ID], "big")
    return owner == APPLICATION or (owner == 0 and not any(header[_SCHEMA_COOKIE]))
