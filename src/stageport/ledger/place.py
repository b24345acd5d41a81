"""Where a ledger lies: one file for each integration, in the state folder of whoever runs it.

A container with a read-only root leaves ``/tmp/ocean`` writable (Port's own chart mounts a volume there), so that is
the last resort. The folder is for its owner alone: names of entities are nobody else's business.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

OCEAN_FOLDER = Path("/tmp/ocean")  # noqa: S108 -- only a folder in it that belongs to us is ever used
FOLDER = "stageport"


def find_place(identity: str, *, environ: Mapping[str, str], last_resort: Path = OCEAN_FOLDER) -> Path:
    """Return where the ledger of an integration lies, in the first folder that can be written.

    Raises:
        OSError: there is no such folder.
    """
    refused: OSError | None = None
    for state in _state_folders(environ, last_resort):
        try:
            if state == last_resort:
                _make_trusted(state)
            _make_own(state / FOLDER)
        except OSError as error:
            refused = error
        else:
            return state / FOLDER / file_name(identity)
    raise refused or FileNotFoundError("there is no folder to keep it in")


def file_name(identity: str) -> str:
    """Name the file of an integration: readable, and different for every other one."""
    readable = re.sub(r"[^a-z0-9.-]+", "-", identity.lower()).strip("-.")[:80]
    mark = blake2b(identity.encode(), digest_size=4).hexdigest()
    return f"{readable or 'integration'}-{mark}.sqlite3"


def make_parent(path: Path) -> None:
    """Make the folder of a ledger whose place a person chose; one that exists stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    if not path.parent.is_dir():
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file for its owner alone, unless there is one; SQLite's side files take its rights over.

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def make_private(path: Path) -> None:
    """Take a file away from everybody but its owner, if that is us.

    Raises:
        OSError: that cannot be done.
    """
    found = path.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != 0o600:
        path.chmod(0o600)


def _state_folders(environ: Mapping[str, str], last_resort: Path) -> Iterator[Path]:
    """Yield candidates; what is not absolute is ignored, as the XDG specification demands."""
    state, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    if state.startswith("/"):
        yield Path(state)
    # A user without a home has "/" for one, in many a container.
    if home.startswith("/") and home.strip("/"):
        yield Path(home, ".local", "state")
    yield last_resort


def _make_trusted(folder: Path) -> None:
    """Make a folder in one that all may write to: whoever owns it can take what is in it away, or lead us elsewhere."""
    folder.mkdir(exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {0, os.geteuid()}:
        raise PermissionError(f"{folder} belongs to somebody else")


def _make_own(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    # In a folder that all may write to, somebody else may have laid a link, or a folder of theirs, in our way.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be written")
