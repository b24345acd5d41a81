"""What the HTTP server may know of the running service."""

import dataclasses

from stageport.model.entities import Json
from stageport.sync.always import Always
from stageport.sync.passes import PassKind
from stageport.web.watched import Readiness


class ServiceWatch:
    """Answers probes from what the process knows; it never waits for Backstage or Port."""

    def __init__(self, always: Always) -> None:
        self._always = always

    def is_alive(self) -> bool:
        """Tell whether the loop ticked lately."""
        return self._always.is_alive()

    def readiness(self) -> Readiness:
        """Tell whether the service takes on work; settings and ledger were there before it was made."""
        draining = self._always.standing.draining
        return Readiness(not draining, "the service is being stopped" if draining else "")

    def status(self) -> Json:
        """Say what the service is doing and how the last passes went."""
        return {**dataclasses.asdict(self._always.standing), "waiting": self._always.asks.waiting}

    async def request_resync(self, reason: str) -> None:
        """Ask for a resync."""
        self._always.asks.ask(PassKind.RESYNC, reason)
