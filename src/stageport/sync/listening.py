"""Listening to the source's event bus, for a source that cannot reach us: what it tells goes the way of all hints.

Whoever subscribes may have missed something before, so that a whole delta looks after it. Trouble is said when it is
new, and listening goes on when it is over.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from stageport.model.announcements import read_document
from stageport.model.entities import Json
from stageport.model.errors import SourceError
from stageport.model.events import HintRefused, HintsTaken, HintsWaiting, Noticed
from stageport.model.hints import OVERFLOW
from stageport.model.refs import SourceRef
from stageport.sync.always import Always, Sleep
from stageport.sync.hint_seams import EventBus

FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0


async def listen(
    always: Always, bus: EventBus, *, sleep: Sleep = asyncio.sleep, epoch: Callable[[], float] = time.time
) -> None:
    """Put what the bus tells into the queue of hints, for ever."""
    said, wait = "", FIRST_WAIT
    while True:
        try:
            await bus.subscribe()
            if said:
                always.around.listener(Noticed("info", "The event bus of Backstage works again."))
            said, wait = "", FIRST_WAIT
            await _take(always, [OVERFLOW], epoch())
            while (events := await bus.read()) is not None:
                await _take(always, _refs(always, events), epoch())
        except SourceError as error:
            if error.message != said:
                always.around.listener(Noticed("warning", f"{error.message}. {error.hint}".rstrip(". ") + "."))
            said = error.message
            await sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)


def _refs(always: Always, events: Sequence[Json]) -> list[SourceRef]:
    found: list[SourceRef] = []
    for event in events:
        try:
            found += read_document({"event": event})
        except ValueError:
            always.around.listener(HintRefused("malformed"))
    return found


async def _take(always: Always, refs: Sequence[SourceRef], now: float) -> None:
    """Put refs into the queue, in a thread because that waits for the disk."""
    queue = always.around.ledger.hints
    if refs:
        await asyncio.to_thread(queue.put, refs, now=now)
        always.around.listener(HintsTaken(len(refs)))
        always.around.listener(HintsWaiting(*queue.backlog()))
        always.note_hints()
