"""What waits to be done: passes asked for by triggers, folded into at most one more.

A trigger that arrives while a pass runs asks for another one after it; ten of them ask for the same one. Nothing is
lost, because a pass reads the truth when it starts, and nothing piles up.
"""

import asyncio

from stageport.sync.passes import PassKind

_STRENGTH = {PassKind.DELTA: 0, PassKind.RESYNC: 1, PassKind.VERIFY: 2}


class Asks:
    """At most one pass that is asked for: the strongest kind of all that asked."""

    def __init__(self) -> None:
        self._kind: PassKind | None = None
        self._reason = ""
        self._there = asyncio.Event()

    @property
    def waiting(self) -> bool:
        """True when a pass is asked for."""
        return self._kind is not None

    def ask(self, kind: PassKind, reason: str) -> None:
        """Ask for a pass; ``reason`` is for people."""
        if self._kind is None or _STRENGTH[kind] > _STRENGTH[self._kind]:
            self._kind, self._reason = kind, reason
        self._there.set()

    async def take(self) -> tuple[PassKind, str]:
        """Wait for a pass to be asked for, and take it."""
        await self._there.wait()
        kind, reason = self._kind, self._reason
        assert kind is not None, "the event is set only with a kind"
        self._kind, self._reason = None, ""
        self._there.clear()
        return kind, reason
