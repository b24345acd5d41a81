"""Taking turns: who works on the same things does so one after the other, everybody else at once."""

import asyncio

import pytest
from tests.unit.sync.scripted_target import settle

from stageport.sync.tasks import Turns


class Stage:
    """Notes who has come on and gone off."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.log: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    def play(self, name: str, *things: str) -> asyncio.Task[None]:
        self.gates[name] = asyncio.Event()
        return asyncio.ensure_future(self._play(name, things))

    async def _play(self, name: str, things: tuple[str, ...]) -> None:
        async with self.turns.take(things):
            self.log.append(f"{name} on")
            await self.gates[name].wait()
            self.log.append(f"{name} off")

    async def end(self, name: str) -> None:
        self.gates[name].set()
        await settle()


async def test_who_comes_for_the_same_thing_waits_in_the_order_of_coming() -> None:
    stage = Stage()
    tasks = [stage.play(name, "x") for name in ("one", "two", "three")]
    await settle()
    for name in ("three", "two", "one"):
        await stage.end(name)
    await asyncio.gather(*tasks)
    assert stage.log == ["one on", "one off", "two on", "two off", "three on", "three off"]


async def test_who_shares_nothing_does_not_wait() -> None:
    stage = Stage()
    tasks = [stage.play("one", "x"), stage.play("two", "y")]
    await settle()
    assert stage.log == ["one on", "two on"]
    await stage.end("one")
    await stage.end("two")
    await asyncio.gather(*tasks)


async def test_one_shared_thing_of_many_is_enough_to_wait_and_nobody_waits_in_a_circle() -> None:
    stage = Stage()
    tasks = [stage.play("one", "x", "y"), stage.play("two", "y", "z"), stage.play("three", "z", "x")]
    await settle()
    assert stage.log == ["one on"]
    for name in ("one", "two", "three"):
        await stage.end(name)
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)


async def test_one_that_fails_or_is_cancelled_lets_the_next_one_on() -> None:
    stage = Stage()
    first, second, third = (stage.play(name, "x") for name in ("one", "two", "three"))
    await settle()
    second.cancel()
    first.cancel()
    await settle()
    assert stage.log == ["one on", "three on"]
    await stage.end("three")
    await third
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_nothing_is_kept_of_turns_that_are_over() -> None:
    turns = Turns()
    async with turns.take(["x", "y"]):
        pass
    assert turns._last == {}
