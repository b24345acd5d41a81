"""The table of passes: the latest ones, each as one JSON document."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import msgspec

from stageport.ledger.database import Database
from stageport.model.runs import ABORTED, KEPT_RUNS, RUNNING, Run

CUT_SHORT = "The process ended before the pass did."
_PUT = """
INSERT INTO runs (id, content) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET content = excluded.content
"""
_TRIM = "DELETE FROM runs WHERE number <= (SELECT max(number) FROM runs) - ?"
_LOOKED_AT = 10
"""A pass that was cut short is among the latest: the next one closes it."""
_decoder = msgspec.json.Decoder(Run)


class RunTable:
    """What is remembered of passes; see ``sync.seams.RunHistory`` for what each call means."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, run: Run) -> None:
        """Remember a pass, or what became of it; the oldest beyond ``KEPT_RUNS`` are forgotten."""
        with self._database.together():
            self._database.run(_PUT, (run.id, msgspec.json.encode(run)))
            self._database.run(_TRIM, (KEPT_RUNS,))

    def drop(self, run_id: str) -> None:
        """Forget a pass."""
        self._database.run("DELETE FROM runs WHERE id = ?", (run_id,))

    def latest(self, *, limit: int = KEPT_RUNS) -> Sequence[Run]:
        """Return the latest passes, the newest first."""
        rows = self._database.rows("SELECT content FROM runs ORDER BY number DESC LIMIT ?", (limit,))
        return list(_readable(content for (content,) in rows))

    def close_open(self) -> None:
        """Say of passes that never ended that they were cut short: whoever may write knows that nobody else runs."""
        cut = [run for run in self.latest(limit=_LOOKED_AT) if run.state == RUNNING]
        for run in cut:
            self.put(msgspec.structs.replace(run, state=ABORTED, error=CUT_SHORT))


def _readable(contents: Iterable[bytes]) -> Iterator[Run]:
    """Leave out what another version wrote in another way: the history is for people, and never a reason to fail."""
    for content in contents:
        with suppress(msgspec.DecodeError):
            yield _decoder.decode(content)
