"""What the web room needs to know of the service it stands before: a seam that the service fulfils."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stageport.model.entities import Json
from stageport.model.runs import Run


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the service takes on work; ``reason`` says why not."""

    ok: bool
    reason: str = ""


class Watched(Protocol):
    """A service that can be asked how it fares. No answer may wait for Backstage or Port.

    ``is_alive`` and ``readiness`` are asked from another thread, for they must be answered while the service's own loop
    stands still; the others are asked on that loop.
    """

    def is_alive(self) -> bool:
        """Tell whether the loop ticked lately; a service that is not alive is started anew by whoever watches it."""
        ...

    def readiness(self) -> Readiness:
        """Tell whether the settings are valid, the ledger is open, and nobody has asked to stop."""
        ...

    def status(self) -> Json:
        """Say what the service is doing and how the last passes went, in JSON values and without secrets.

        docs/reference/status.md tells its keys.
        """
        ...

    def runs(self, *, limit: int) -> Sequence[Run]:
        """Return the latest passes of the history, the newest first; none where it cannot be read."""
        ...

    async def request_resync(self, reason: str) -> None:
        """Ask for a resync; it may begin later, and several requests may become one."""
        ...
