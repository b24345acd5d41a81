"""Time as a seam, so that tests wait for nothing."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What waiting needs: two ways to tell the time, and sleep."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...

    def epoch(self) -> float:
        """Return seconds since 1970, for dates that servers send."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The computer's own clock."""

    def monotonic(self) -> float:
        """Return ``time.monotonic()``."""
        return time.monotonic()

    def epoch(self) -> float:
        """Return ``time.time()``."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)
