"""Running several things at once, with errors that a person can read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Hashable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from stageport.model.errors import StageportError

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


class Turns:
    """Makes those who work on the same things wait for each other, in the order in which they came."""

    def __init__(self) -> None:
        self._last: dict[Hashable, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def take(self, things: Collection[Hashable]) -> AsyncIterator[None]:
        """Wait until all who came before for any of these things are done."""
        before = {self._last[thing] for thing in things if thing in self._last}
        mine = asyncio.get_running_loop().create_future()
        self._last.update(dict.fromkeys(things, mine))
        try:
            if before:
                await asyncio.wait(before)
            yield
        finally:
            mine.set_result(None)
            for thing in things:
                if self._last.get(thing) is mine:
                    del self._last[thing]


async def run_all(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines together; the first error stops the others and is raised as itself, not in a group.

    Raises:
        StageportError: what one of them raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except BaseExceptionGroup as group_error:
        raise first_error(group_error) from None


async def both(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Run two coroutines together and return what they return; an error is raised as itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            one, other = group.create_task(first), group.create_task(second)
    except BaseExceptionGroup as group_error:
        raise first_error(group_error) from None
    return one.result(), other.result()


@asynccontextmanager
async def beside(coroutine: Coroutine[Any, Any, None] | None) -> AsyncIterator[None]:
    """Run a coroutine while the block lasts; what it raises is left to those who need what it was to bring about."""
    tasks = [asyncio.ensure_future(coroutine)] if coroutine else []
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def first_of(*awaitables: Awaitable[object]) -> None:
    """Wait until one of several is done, and let go of the others.

    Raises:
        Exception: what the one that is done raised.
    """
    tasks = [asyncio.ensure_future(one) for one in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Pick the error to show of several: one of ours before any other."""
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, StageportError)), leaves[0])


def _leaves(error: BaseException) -> Iterable[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


async def run_limited(work: Callable[[T], Awaitable[object]], items: Iterable[T], *, limit: int) -> None:
    """Do ``work`` for each item, at most ``limit`` at a time, starting in the order given."""
    queue = iter(items)

    async def drain() -> None:
        for item in queue:
            await work(item)

    await run_all(drain() for _ in range(limit))
