"""Running a command's coroutine: signals cancel it, so that a pass can tell Port that it was aborted."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from stageport.model.errors import InterruptedPassError

T = TypeVar("T")


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; SIGINT and SIGTERM cancel it once, and a second one kills the process.

    Raises:
        InterruptedPassError: a signal stopped it.
    """
    # What is imported by now stays: there is no point in searching it for garbage again and again.
    gc.freeze()
    try:
        return asyncio.run(_cancellable(coroutine))
    except asyncio.CancelledError:
        raise InterruptedPassError("Stopped by a signal.") from None


async def _cancellable(coroutine: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(coroutine)

    def stop(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    return await task


def run_until_stopped(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a server until a signal stops it; being stopped is how it ends well."""
    with contextlib.suppress(InterruptedPassError):
        run_async(coroutine)
