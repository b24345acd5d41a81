"""When the ledger goes to disk during a pass: every few hundredths of a second, and where a step depends on it.

A commit for each answer of Port's would cost as much as everything else that is noted. What a killed process noted
last and did not keep, the next one finds out by itself: it looks at these entities again, and writes those once more
of which it does not see that Port has them already.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from stageport.model.errors import LedgerError
from stageport.sync.seams import Ledger

KEEP_SECONDS = 0.05


@asynccontextmanager
async def gathering(ledger: Ledger) -> AsyncIterator[None]:
    """Keep what is noted inside every ``KEEP_SECONDS``, and at the end.

    Raises:
        LedgerError: the ledger could not be written.
    """
    with ledger.gathered():
        keeper = asyncio.create_task(_keep_regularly(ledger))
        try:
            yield
        finally:
            keeper.cancel()


async def _keep_regularly(ledger: Ledger) -> None:
    # The next call that notes something says that this failed.
    with suppress(LedgerError):
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            ledger.keep()
