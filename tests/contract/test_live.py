"""From a hint to Port: what the running service does with live events, between both stand-ins over real sockets."""

from tests.contract.harness import component, group, serve_world
from tests.contract.live_rig import changed, live, until

PAY = ("component", "component:default/pay")
CART = ("component", "component:default/cart")


async def test_a_created_a_changed_and_a_deleted_entity_arrive() -> None:
    async with serve_world([component("pay"), group("team-a")], kind=None) as world, live(world) as service:
        world.catalog.put(component("cart"))
        assert (await service.sender.tell("component:default/cart")).json == {"accepted": 1}
        await until(lambda: CART in world.held())
        world.catalog.put(component("cart", lifecycle="experimental"))
        await service.sender.tell("component:default/cart", "group:default/team-a")
        await until(lambda: world.entity(*CART)["properties"]["lifecycle"] == "experimental")
        world.catalog.delete("component:default/cart")
        await service.sender.post(changed("component:default/cart", operation="delete"))
        await until(lambda: CART not in world.held())
        await service.settled()
        assert world.wrong() == []
        assert service.ended("delta") == 0
