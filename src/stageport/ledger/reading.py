"""Reading the history of passes beside the process that writes it."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from stageport.ledger.database import Database
from stageport.ledger.lock import LedgerLock
from stageport.ledger.misfits import ELSEWHERE, misfit_at
from stageport.ledger.place import find_place
from stageport.ledger.runs import CUT_SHORT, RunTable
from stageport.ledger.schema import APPLICATION
from stageport.model.errors import LedgerError, SettingsError
from stageport.model.runs import ABORTED, RUNNING, Run


def read_runs(
    *, path: Path | None, identity: str, environ: Mapping[str, str] = os.environ
) -> tuple[Path, Sequence[Run] | None]:
    """Return where the ledger of an integration lies, and its passes, the newest first; None where there is no ledger.

    Raises:
        LedgerError: it cannot be read.
        SettingsError: what is there is no ledger.
    """
    try:
        place = path or find_place(identity, environ=environ)
        if reason := misfit_at(place):
            raise SettingsError(f"{place} is no ledger: {reason}.", hint=ELSEWHERE)
        if not place.exists():
            return place, None
    except OSError as error:
        raise LedgerError(f"The ledger cannot be found: {error}.") from error
    with closing(Database(place)) as database:
        runs = _runs_in(database, place)
    if any(run.state == RUNNING for run in runs) and not LedgerLock.is_held(place):
        runs = [_closed(run) for run in runs]
    return place, runs


def _runs_in(database: Database, place: Path) -> Sequence[Run]:
    if database.value("PRAGMA application_id") != APPLICATION:
        raise SettingsError(f"{place} is no ledger: it is another program's database.")
    # One of an earlier version has no such table until its owner opens it again.
    known = database.value("SELECT count(*) FROM sqlite_master WHERE name = 'runs'")
    return RunTable(database).latest() if known else []


def _closed(run: Run) -> Run:
    return msgspec.structs.replace(run, state=ABORTED, error=CUT_SHORT) if run.state == RUNNING else run
