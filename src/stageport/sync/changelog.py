"""The KAFKA listener: Port's change log asks for passes, and decides which of several instances works."""

import asyncio

from stageport.model.errors import TargetError, sentences
from stageport.model.events import Noticed
from stageport.sync.always import Always, Sleep
from stageport.sync.passes import PassKind
from stageport.sync.seams import ChangeLog

FIRST_WAIT = 5.0
LONGEST_WAIT = 300.0
TAKEN_OVER = "this instance took over"


class _Hearer:
    def __init__(self, always: Always) -> None:
        self._always = always

    async def accept(self, reason: str) -> None:
        # Asked for is as good as done: a process that ends before the pass begins its next life with one.
        self._always.asks.ask(PassKind.RESYNC, reason)

    async def note_duty(self, *, works: bool) -> None:
        if self._always.duty.set(works=works):
            self._always.asks.ask(PassKind.RESYNC, TAKEN_OVER)


async def follow(always: Always, log: ChangeLog, *, sleep: Sleep = asyncio.sleep) -> None:
    """Follow the change log for ever; what hinders is said when it is new, and tried again.

    Raises:
        SettingsError: the account has no change log.
    """
    failures, last = 0, ""
    while True:
        try:
            await log.follow(_Hearer(always))
        except TargetError as error:
            if error.message != last:
                always.around.listener(Noticed("warning", sentences(error.message, error.hint, "It is tried again.")))
            failures, last = failures + 1, error.message
            # Without the change log nobody says who works: better two than none.
            always.duty.set(works=True)
        await sleep(min(FIRST_WAIT * 2 ** max(0, failures - 1), LONGEST_WAIT))
