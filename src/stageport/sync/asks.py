"""What waits to be done: passes asked for by triggers, folded into at most one more.

A trigger that arrives while a pass runs asks for another one after it; ten of them ask for the same one. Nothing is
lost, because a pass reads the truth when it starts, and nothing piles up.

Hints go first, because somebody waits for each of them; but not for ever, because they may never stop coming.
"""

import asyncio
import time
from collections.abc import Callable

from stageport.sync.passes import PassKind

_STRENGTH = {PassKind.DELTA: 0, PassKind.RESYNC: 1, PassKind.VERIFY: 2}
LONGEST_YIELD = 30.0
"""Seconds for which any other pass lets hints go first."""


class Asks:
    """At most one pass that is asked for: the strongest kind of all that asked. Hints stand beside it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._kind: PassKind | None = None
        self._reason = ""
        self._since = 0.0
        self._hinted = ""
        self._clock = clock
        self._there = asyncio.Event()
        self._resync = asyncio.Event()

    @property
    def waiting(self) -> bool:
        """True when a pass is asked for, hints left aside."""
        return self._kind is not None

    def ask(self, kind: PassKind, reason: str) -> None:
        """Ask for a pass; ``reason`` is for people."""
        if kind is PassKind.HINTED:
            self._hinted = reason
        elif self._kind is None or _STRENGTH[kind] > _STRENGTH[self._kind]:
            self._since = self._clock() if self._kind is None else self._since
            self._kind, self._reason = kind, reason
            if kind in (PassKind.RESYNC, PassKind.VERIFY):
                self._resync.set()
        self._there.set()

    async def resync_asked(self) -> None:
        """Wait until a resync, or more, is asked for that was not yet."""
        self._resync.clear()
        await self._resync.wait()

    async def take(self) -> tuple[PassKind, str]:
        """Wait for a pass to be asked for, and take it."""
        await self._there.wait()
        taken = self._take_hints() if self._hinted and not self._is_overdue() else self._take_pass()
        if self._kind is None and not self._hinted:
            self._there.clear()
        return taken

    def _is_overdue(self) -> bool:
        return self._kind is not None and self._clock() - self._since > LONGEST_YIELD

    def _take_hints(self) -> tuple[PassKind, str]:
        reason, self._hinted = self._hinted, ""
        return PassKind.HINTED, reason

    def _take_pass(self) -> tuple[PassKind, str]:
        kind, reason = self._kind, self._reason
        assert kind is not None, "the event is set only with a kind, or hints"
        self._kind, self._reason = None, ""
        return kind, reason
