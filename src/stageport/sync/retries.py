"""When a live delta looks again at source entities that came to nothing: soon at first, then less and less often.

What failed once mostly fails again, until somebody mends the entity, the mapping or the blueprint. An edit of the
entity is seen by any delta, an edit of the mapping starts a verify; of what changed at Port nobody tells.
"""

from collections.abc import Callable

from stageport.sync.passes import PassKind

FIRST_WAIT = 60.0
LONGEST_WAIT = 3600.0
"""Seconds."""


class Retries:
    """Remembers how often it was tried in vain, for as long as the service runs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wait = FIRST_WAIT
        self._at: float | None = None
        self._trying = False

    def are_due(self) -> bool:
        """Tell whether the delta that begins now is to look again; what is noted next is what came of it."""
        self._trying = self._at is not None and self._clock() >= self._at
        return self._trying

    def note(self, kind: PassKind, *, unwritten: bool) -> None:
        """Note how a pass ended. One that looked at everything begins anew; so does a fresh failure."""
        # As was said when it began: it may have become due while the delta passed over what had failed.
        tried, self._trying = kind is PassKind.DELTA and self._trying, False
        if kind in (PassKind.RESYNC, PassKind.VERIFY) or tried:
            self._wait = min(self._wait * 2, LONGEST_WAIT) if tried else FIRST_WAIT
            self._at = self._clock() + self._wait if unwritten else None
        elif unwritten:
            self._wait = FIRST_WAIT
            self._at = self._clock() + self._wait
