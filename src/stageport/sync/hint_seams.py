"""Where hints come from and where they wait, as protocols; ``wiring`` decides what stands behind them."""

from collections.abc import Sequence
from typing import Protocol

from stageport.model.entities import Json
from stageport.model.hints import Backlog, Delivery, Hint
from stageport.model.refs import SourceRef


class EventBus(Protocol):
    """A bus on which the source tells of changes."""

    async def subscribe(self) -> None:
        """Subscribe; a subscription that exists keeps its place.

        Raises:
            SourceError: there is no bus, or it cannot be used.
        """
        ...

    async def read(self) -> Sequence[Json] | None:
        """Wait for events and return them; none when there was nothing for a while; None without a subscription.

        Raises:
            SourceError: the bus cannot be used.
        """
        ...


class HintQueue(Protocol):
    """Refs that somebody says have changed, safe until they were looked at. Calls may come from several threads."""

    @property
    def lost(self) -> str:
        """Say why what an earlier process left could not be taken over; empty when it could."""
        ...

    def put(self, refs: Sequence[SourceRef], *, now: float, delivery: Delivery | None = None) -> bool:
        """Remember refs to look at, one row for each; False when this delivery came before, and nothing was done.

        ``now`` is in seconds since the Unix epoch, here and below. When this returns, the refs are on the disk.

        Raises:
            LedgerError: they are not.
        """
        ...

    def take(self, *, limit: int, now: float) -> Sequence[Hint]:
        """Return those that have waited longest and are due; they stay in the queue until they are settled."""
        ...

    def settle(self, hints: Sequence[Hint]) -> None:
        """Drop hints that were dealt with; a ref of which another hint came meanwhile stays."""
        ...

    def postpone(self, hints: Sequence[Hint], *, due: float) -> None:
        """Have hints looked at once more, not before ``due``."""
        ...

    def backlog(self) -> Backlog:
        """Return how much waits."""
        ...
