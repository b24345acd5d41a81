"""What a real Backstage does now and then, on demand: it starts slowly, limits requests, and answers oddly.

Faults of the network (latency, resets, HTML, bodies cut short) are the business of ``stageport.sandbox.faults``.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

Clock = Callable[[], float]


@dataclass(slots=True, kw_only=True)
class Traps:
    """Answers of by-query that deceive a careless reader; all off, and changed at will while the server runs.

    ``count_off_by`` is added to ``totalItems``. ``overlap`` entities of the page before are served again, ``lose``
    entities of each page are not served, ``reversed_pages`` turns each page round. ``broken_json`` ends an answer in
    the middle, in good order, as Backstage does when reading its database fails under way. ``before_page`` is called
    before each page with its number since the start, to change the catalog while a scan runs.
    """

    count_off_by: int = 0
    overlap: int = 0
    lose: int = 0
    reversed_pages: bool = False
    broken_json: bool = False
    before_page: Callable[[int], None] | None = None


class Stage(Enum):
    """How far a starting backend has come.

    ``SILENT``: it listens, but the catalog has no routes yet: 404 without a body. ``WAITING``: 503. ``EMPTY``: it
    answers, but nothing is processed yet. ``READY``: it serves its entities.
    """

    SILENT = "silent"
    WAITING = "waiting"
    EMPTY = "empty"
    READY = "ready"


class Phase(NamedTuple):
    """A stage of starting up; it lasts until so many requests were met and so many seconds have passed."""

    stage: Stage
    requests: int = 0
    seconds: float = 0.0


class StartUp:
    """Walks through the phases of starting up, and is ready thereafter."""

    def __init__(self, phases: Sequence[Phase] = (), *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.begin(phases)

    def begin(self, phases: Sequence[Phase]) -> None:
        """Start up anew."""
        self._phases = list(phases)
        self._enter()

    def meet(self) -> Stage:
        """Return the stage in which a request finds the backend."""
        while self._phases:
            phase = self._phases[0]
            if self._met < phase.requests or self._clock() - self._since < phase.seconds:
                self._met += 1
                return phase.stage
            self._phases.pop(0)
            self._enter()
        return Stage.READY

    def _enter(self) -> None:
        self._met = 0
        self._since = self._clock()


class RateLimit(NamedTuple):
    """So many requests in so many seconds; Backstage has none unless ``backend.rateLimit`` is set."""

    requests: int
    seconds: float = 60.0


class RateLimiter:
    """Counts requests in fixed windows, as express-rate-limit does in memory."""

    def __init__(self, limit: RateLimit | None, *, clock: Clock = time.time) -> None:
        self._limit = limit
        self._clock = clock
        self._used = 0
        self._ends = 0.0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Count a request; tell whether it may pass, and with which headers it is answered."""
        if self._limit is None:
            return True, {}
        now = self._clock()
        if now >= self._ends:
            self._used, self._ends = 0, now + self._limit.seconds
        self._used += 1
        headers = {
            "X-RateLimit-Limit": str(self._limit.requests),
            "X-RateLimit-Remaining": str(max(0, self._limit.requests - self._used)),
            "X-RateLimit-Reset": str(math.ceil(self._ends)),
        }
        if self._used <= self._limit.requests:
            return True, headers
        return False, {**headers, "Retry-After": str(math.ceil(self._ends - now))}
