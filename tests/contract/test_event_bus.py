"""Live events by Backstage's own event bus, for a Stageport that Backstage cannot reach."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.contract.harness import TOKEN, World, component, serve_world
from tests.contract.live_rig import Live, changed, live, until

from stageport.backstage.bus import _MISSING_HINT
from stageport.model.events import Noticed
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync import listening as listening_room
from stageport.sync.listening import listen
from stageport.wiring import open_bus

TOPIC = "stageport.catalog.changed"
ID = "stageport-my-backstage"
CART = ("component", "component:default/cart")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_room, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(listening_room, "LONGEST_WAIT", 0.02)


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[Live]:
    async with live(world) as service, open_bus(world.settings) as bus:
        task = asyncio.create_task(listen(service.always, bus))
        try:
            yield service
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def world_with_bus(seconds: float = 30.0, **more: Any) -> Any:
    return serve_world([component("pay")], backstage={"bus_seconds": seconds, **more})


def said(world: World) -> list[str]:
    return [one.message for one in world.heard if isinstance(one, Noticed) and "event bus" in one.message]


async def test_what_the_bus_tells_arrives() -> None:
    async with world_with_bus() as world, listening(world):
        bus = world.backstage.bus
        await until(lambda: ID in bus.subscriptions)
        world.catalog.put(component("cart"))
        assert bus.publish(TOPIC, changed("component:default/cart"))
        await until(lambda: CART in world.held())
        world.catalog.delete("component:default/cart")
        assert bus.publish(TOPIC, changed("component:default/cart", operation="delete"))
        await until(lambda: CART not in world.held())


async def test_whoever_subscribes_looks_at_everything_once() -> None:
    async with world_with_bus() as world, live(world) as service:
        world.catalog.put(component("cart"))
        async with open_bus(world.settings) as bus:
            task = asyncio.create_task(listen(service.always, bus))
            await until(lambda: CART in world.held())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await service.settled()
        assert service.ended("delta") == 1


async def test_a_bus_with_nothing_to_tell_is_asked_again() -> None:
    async with world_with_bus(0.05) as world, listening(world):
        bus = world.backstage.bus
        await until(lambda: ID in bus.subscriptions)
        await asyncio.sleep(0.2)
        world.catalog.put(component("cart"))
        bus.publish(TOPIC, changed("component:default/cart"))
        await until(lambda: CART in world.held())
        assert said(world) == []


async def test_a_subscription_that_is_gone_is_made_anew_and_what_was_missed_is_found() -> None:
    async with world_with_bus(0.05) as world, listening(world) as service:
        bus = world.backstage.bus
        await until(lambda: ID in bus.subscriptions)
        await until(lambda: service.ended("delta") == 1)
        await service.settled()
        bus.subscriptions.clear()
        world.catalog.put(component("cart"))
        await until(lambda: CART in world.held())
        await until(lambda: ID in bus.subscriptions)


async def test_more_events_than_come_at_once_all_arrive() -> None:
    names = [f"c{number}" for number in range(25)]
    async with world_with_bus() as world, listening(world) as service:
        bus = world.backstage.bus
        await until(lambda: ID in bus.subscriptions)
        for name in names:
            world.catalog.put(component(name))
            bus.publish(TOPIC, changed(f"component:default/{name}"))
        bus.publish(TOPIC, {"nonsense": True})
        bus.publish(TOPIC, changed("no ref at all"))
        bus.publish("another.topic", changed("component:default/pay"))
        await until(lambda: {("component", f"component:default/{name}") for name in names} <= world.present())
        await until(lambda: b'refused_total{reason="malformed"} 1.0' in service.metrics.render())


async def test_a_backstage_without_the_plugin_is_said_once_and_lived_with() -> None:
    async with serve_world([component("pay")]) as world, listening(world) as service:
        await until(lambda: len(said(world)) == 1)
        await asyncio.sleep(0.1)
        assert said(world) == [
            f"Backstage at {world.backstage.url} has no event bus. {_MISSING_HINT}",
        ]
        world.catalog.put(component("cart"))
        await service.sender.tell("component:default/cart")
        await until(lambda: CART in world.held())


async def test_a_token_that_may_not_read_the_bus_is_said_without_being_shown() -> None:
    tokens = {"backstage": {"bus_seconds": 30.0, "token": None, "tokens": {TOKEN: Access.READ_ONLY}}}
    async with serve_world([component("pay")], **tokens) as world, listening(world):
        await until(lambda: any(isinstance(one, Noticed) and one.level == "warning" for one in world.heard))
        await asyncio.sleep(0.1)
        warnings = [one.message for one in world.heard if isinstance(one, Noticed) and one.level == "warning"]
        assert len(warnings) == 1
        assert "restricted to plugin" in warnings[0]
        assert TOKEN not in warnings[0]


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.STATUS, FaultKind.HTML, FaultKind.CUT])
async def test_a_bus_that_fails_for_a_while_is_said_once_and_listened_to_again(kind: FaultKind) -> None:
    async with world_with_bus(0.05) as world, listening(world):
        bus = world.backstage.bus
        await until(lambda: ID in bus.subscriptions)
        world.backstage.faults.add(Fault(kind=kind, path="/subscriptions/.*/events", times=5))
        world.catalog.put(component("cart"))
        bus.publish(TOPIC, changed("component:default/cart"))
        await until(lambda: CART in world.held())
