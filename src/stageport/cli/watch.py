"""What the HTTP server may know of the running service."""

import dataclasses
import time
from collections.abc import Callable

from stageport.model.entities import Json
from stageport.sync.always import Always
from stageport.sync.passes import PassKind
from stageport.web.watched import Readiness


class ServiceWatch:
    """Answers probes from what the process knows; it never waits for Backstage or Port."""

    def __init__(self, always: Always, *, epoch: Callable[[], float] = time.time) -> None:
        self._always = always
        self._epoch = epoch

    def is_alive(self) -> bool:
        """Tell whether the loop ticked lately."""
        return self._always.is_alive()

    def readiness(self) -> Readiness:
        """Tell whether the service takes on work; settings and ledger were there before it was made."""
        draining = self._always.standing.draining
        return Readiness(not draining, "the service is being stopped" if draining else "")

    def status(self) -> Json:
        """Say what the service is doing and how the last passes went."""
        standing = dataclasses.asdict(self._always.standing)
        doing = {"doing": "standing by"} if self._always.duty.stands_by else {}
        return {**standing, **doing, "waiting": self._always.asks.waiting, "hints": self._hints()}

    def _hints(self) -> Json:
        """Say how many refs wait to be looked at, and for how long the oldest has."""
        if self._always.hints is None:
            return {}
        waiting, oldest = self._always.hints.queue.backlog()
        return {"waiting": waiting, "oldestSeconds": round(max(0.0, self._epoch() - oldest), 3) if waiting else 0}

    async def request_resync(self, reason: str) -> None:
        """Ask for a resync."""
        self._always.asks.ask(PassKind.RESYNC, reason)
