"""Working off the queue of hints: a portion at a time, each by a narrowed delta.

A hint leaves the queue when the pass that looked at its ref is through, unless another one came for the same ref
meanwhile. So a crash at any moment leaves it there, and looking twice changes nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from stageport.model.errors import SourceAnswerError
from stageport.model.events import HintsSettled, HintsWaiting, Listener
from stageport.model.hints import OVERFLOW, Hint
from stageport.sync.hint_seams import HintQueue
from stageport.sync.passes import PassKind
from stageport.sync.service import Outcome, PassOptions, run_delta, run_hinted
from stageport.sync.surroundings import Ground, Surroundings

PAUSE = 0.03
"""Seconds to wait for more before a portion is taken: changes come in company."""
PORTION = 5_000
"""Refs that one pass looks at: enough to fill Port's batches, few enough to let the next ones have their turn."""
SECOND_LOOK = 1.0
"""Seconds after which Backstage's filters know of a change that it has told."""


class HintWork:
    """Takes hints from the queue, has them looked at, and drops them.

    Where hints are ``expected``, the mapping's process is started before the first one comes.
    """

    def __init__(
        self,
        queue: HintQueue,
        *,
        listener: Listener,
        expected: bool = False,
        epoch: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.queue = queue
        self.expected = expected
        self._listener = listener
        self._epoch = epoch
        self._sleep = sleep

    def ready(self) -> bool:
        """Tell whether something waits that is due."""
        return bool(self.queue.take(limit=1, now=self._epoch()))

    async def run(self, around: Surroundings, ground: Ground, options: PassOptions) -> Outcome:
        """Look at the next portion; a whole delta stands in where the sender has lost track.

        Raises:
            StageportError: one of the catalogs could not be used; the hints stay.
        """
        await self._sleep(PAUSE)
        hints = self.queue.take(limit=PORTION, now=self._epoch())
        lost_track = [hint for hint in hints if hint.ref == OVERFLOW]
        if lost_track:
            outcome = await run_delta(around, ground, options)
        else:
            outcome = await run_hinted(around, ground, options, hints)
        if outcome.plan.failures:
            failure = outcome.plan.failures[0]
            raise SourceAnswerError(f"Kind {failure.kind} was not read: {failure.message}", hint=failure.hint)
        if lost_track or outcome.kind is PassKind.HINTED:
            self._settle(lost_track or hints, outcome)
        return outcome

    def _settle(self, hints: Sequence[Hint], outcome: Outcome) -> None:
        now = self._epoch()
        again = [hint for hint in hints if hint.ref in outcome.unsure]
        done = [hint for hint in hints if hint.ref not in outcome.unsure]
        self.queue.postpone(again, due=now + SECOND_LOOK)
        self.queue.settle(done)
        self._listener(HintsSettled(tuple(max(0.0, now - hint.received) for hint in done)))
        self._listener(HintsWaiting(*self.queue.backlog()))
