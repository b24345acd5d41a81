"""What the HTTP server may know of the running service."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from stageport.model.entities import Json
from stageport.model.errors import LedgerError
from stageport.model.runs import Run
from stageport.sync.always import Always
from stageport.sync.passes import PassKind
from stageport.web.watched import Readiness


class ServiceWatch:
    """Answers probes from what the process knows; it never waits for Backstage or Port."""

    def __init__(
        self,
        always: Always,
        *,
        epoch: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._always = always
        self._epoch = epoch
        self._clock = clock

    def is_alive(self) -> bool:
        """Tell whether the loop ticked lately."""
        return self._always.is_alive()

    def readiness(self) -> Readiness:
        """Tell whether the service takes on work; settings and ledger were there before it was made."""
        draining = self._always.standing.draining
        return Readiness(not draining, "the service is being stopped" if draining else "")

    def status(self) -> Json:
        """Say what the service is doing and how the last passes went; docs/reference/status.md tells the keys."""
        standing = self._always.standing
        return {
            "doing": "standing by" if self._always.duty.stands_by else standing.doing,
            "draining": standing.draining,
            "failures": standing.failures,
            "lastError": self._always.around.redact(standing.last_error),
            "lastTick": self._moment_of(standing.last_tick),
            "passes": standing.passes,
            "last": dict(standing.last),
            "waiting": self._always.asks.waiting,
            "hints": self._hints(),
        }

    def runs(self, *, limit: int) -> Sequence[Run]:
        """Return the latest passes that the ledger remembers."""
        try:
            return self._always.around.ledger.runs.latest(limit=limit)
        except LedgerError:
            return ()

    def _moment_of(self, reading: float) -> str:
        """Return when the clock of the service read so, in ISO 8601."""
        moment = datetime.fromtimestamp(self._epoch() - (self._clock() - reading), UTC)
        return moment.isoformat(timespec="seconds").replace("+00:00", "Z")

    def _hints(self) -> Json:
        """Say how many refs wait to be looked at, and for how long the oldest has."""
        if self._always.hints is None:
            return {}
        waiting, oldest = self._always.hints.queue.backlog()
        return {"waiting": waiting, "oldestSeconds": round(max(0.0, self._epoch() - oldest), 3) if waiting else 0}

    async def request_resync(self, reason: str) -> None:
        """Ask for a resync."""
        self._always.asks.ask(PassKind.RESYNC, reason)
