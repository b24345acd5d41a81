"""How many requests may be under way at once, learnt from the answers.

The gate opens a little with every round of quick answers and closes to half when the other side says that it is too
much (429, 503): additive increase, multiplicative decrease, as TCP does. Where a rate limit says how much is left
(``x-ratelimit-remaining``), no more than that is under way, and when nothing is, everybody waits for its reset: a limit
that nobody else draws on is approached and not hit.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stageport.http.clock import Clock, SystemClock
from stageport.http.messages import Response
from stageport.http.retry import asked_wait, read_reset

TOO_MUCH = frozenset({429, 503})
LONGEST_PAUSE = 300.0
"""Seconds for which an answer may stop everybody, whatever it asks for."""
SAME_WINDOW = 1.5
"""Seconds by which two answers may tell the same reset differently: they are rounded, and travel."""
ALWAYS_QUICK = 0.05
"""Seconds within which an answer is quick, whatever the quickest took: below, it is chance that differs."""
FORGETTING = 1.01
"""What the quickest answer is taken times with each new one, so that a lucky one does not set the measure for good."""


class Gate:
    """A semaphore whose width adapts: it is ``start`` at first, and never above ``ceiling``.

    An answer that takes more than ``slow`` times as long as the quickest does not widen it.
    """

    def __init__(self, *, start: int = 8, ceiling: int = 32, slow: float = 4.0, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._ceiling = float(ceiling)
        self._width = float(min(start, ceiling))
        self._slow = slow
        self._quickest = float("inf")
        self._under_way = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._resume_at = 0.0
        self._halved_at = float("-inf")
        self._left = 0
        self._reset_at = float("-inf")

    @property
    def width(self) -> int:
        """How many requests may be under way at the moment."""
        if self._clock.monotonic() < self._reset_at:
            # Where nothing is left, one is let in, to wait for the reset and see what there is then.
            return max(1, min(int(self._width), self._left))
        return int(self._width)

    def pause_left(self) -> float:
        """Return the seconds for which nobody should send anything."""
        return max(0.0, self._resume_at - self._clock.monotonic())

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a free place and hold it."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    def learn(self, response: Response, *, began: float) -> None:
        """Adapt to an answer whose request was sent at ``began``."""
        now = self._clock.monotonic()
        if response.status in TOO_MUCH:
            self._shrink(response, began=began, now=now)
        elif response.ok:
            self._grow(now - began)
        self._count_down(response, now=now)

    def _count_down(self, response: Response, *, now: float) -> None:
        left = response.headers.get("x-ratelimit-remaining", "")
        seconds = read_reset(response.headers, epoch=self._clock.epoch())
        if not left.isdecimal() or seconds is None:
            return
        # Answers overtake each other, and whole seconds are rounded up: the least that was said of a window is true.
        # Where they are rounded down, one request comes too soon and is told to wait a little longer.
        same = now < self._reset_at and now + seconds < self._reset_at + SAME_WINDOW
        self._left = min(self._left, int(left)) if same else int(left)
        self._reset_at = min(self._reset_at, now + seconds) if same else now + seconds
        if not self._left:
            self._pause(self._reset_at - now, now)

    def _shrink(self, response: Response, *, began: float, now: float) -> None:
        # Requests that were already under way when the width was halved tell nothing about the new width.
        if began > self._halved_at:
            self._width = max(1.0, self._width / 2)
            self._halved_at = now
        self._pause(asked_wait(response, epoch=self._clock.epoch()), now)

    def _grow(self, seconds: float) -> None:
        """Widen by one for each whole round of answers that are not much slower than the quickest seen."""
        self._quickest = min(self._quickest * FORGETTING, seconds)
        if seconds <= max(self._quickest * self._slow, ALWAYS_QUICK):
            self._width = min(self._ceiling, self._width + 1 / self._width)
            self._wake()

    def _pause(self, seconds: float | None, now: float) -> None:
        self._resume_at = max(self._resume_at, now + min(seconds or 0.0, LONGEST_PAUSE))

    async def _enter(self) -> None:
        if self._under_way < self.width and not self._waiters:
            self._under_way += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(place)
        try:
            await place
        except asyncio.CancelledError:
            # Cancelled in the very moment of being let in: the place goes to the next in line.
            if place.done() and not place.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        self._under_way -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiters and self._under_way < self.width:
            place = self._waiters.popleft()
            if not place.done():
                self._under_way += 1
                place.set_result(None)
