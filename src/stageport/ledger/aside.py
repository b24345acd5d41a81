"""Setting aside: a database that is of no use, or must not be believed, is renamed and never deleted."""

import itertools
import os
import stat
from pathlib import Path

from stageport.ledger.misfits import SIDE_FILES


def set_aside(place: Path, *, mark: str) -> Path:
    """Rename a database and its side files to a name that is free, and return it.

    Raises:
        OSError: they cannot be renamed, or are no files that we can read: such may be anybody's.
    """
    parts = parts_of(place)
    for part in parts:
        _demand_own_file(part)
    aside = _free_name(place, mark)
    for part in parts:
        part.rename(aside.with_name(part.name.replace(place.name, aside.name, 1)))
    return aside


def parts_of(place: Path) -> list[Path]:
    """Return the database and its side files, as far as they are there."""
    return [part for side in SIDE_FILES if (part := place.with_name(place.name + side)).exists()]


def _demand_own_file(path: Path) -> None:
    # Without a wait: a pipe that nobody writes to would keep us for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{path} is no regular file")
    finally:
        os.close(handle)


def _free_name(place: Path, mark: str) -> Path:
    first = f"{place.name}.{mark}"
    names = (first if count == 1 else f"{first}-{count}" for count in itertools.count(1))
    return next(path for path in map(place.with_name, names) if not _is_taken(path))


def _is_taken(path: Path) -> bool:
    # A link that leads nowhere would be replaced by what is renamed to its name.
    return any(os.path.lexists(path.with_name(path.name + side)) for side in SIDE_FILES)
