"""Telling a running service to look at entities: by the command, and by openssl and curl as the guide has it."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest
from tests.contract.command import Result, stageport
from tests.contract.harness import component, serve_world
from tests.contract.live_rig import SECRET, live, until

CART = ("component", "component:default/cart")
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "real-time.md"


@pytest.mark.timeout(60)
async def test_the_command_tells_a_service_to_look() -> None:
    async with serve_world([component("pay")]) as world, live(world) as service:

        async def notify(*words: str, secret: str = SECRET, url: str | None = None) -> Result:
            where = ("--url", url or service.sender.url)
            return await stageport(world, "notify", *words, *where, STAGEPORT_LIVE_EVENTS_SECRET=secret)

        world.catalog.put(component("cart"))
        told = await notify("component:default/cart", "Component:pay")
        assert (told.code, told.out) == (0, "2 to be looked at.\n"), told.err
        await until(lambda: CART in world.held())
        world.catalog.delete("component:default/cart")
        everything = await notify("--all")
        assert (everything.code, everything.out) == (0, "Everything will be looked at.\n")
        await until(lambda: CART not in world.held())
        wrong, nameless, nothing = await asyncio.gather(
            notify("component:cart", secret="whsec_" + "QUJD" * 8), notify("cart"), notify()
        )
        assert wrong.code == 1
        assert "answered 401" in wrong.err
        assert "STAGEPORT_LIVE_EVENTS_SECRET has to be the service's" in wrong.err
        assert nameless.code == nothing.code == 64
        assert "is no entity ref" in nameless.err
        assert "Name the entities" in nothing.err
        lost = await notify("component:cart", url="http://127.0.0.1:9")
        assert lost.code == 1
        assert "Is `stageport run` up?" in lost.err


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl")
async def test_the_script_of_the_guide_tells_a_service_to_look() -> None:
    script = re.search(r"```sh\n(#!/bin/sh\n.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    async with serve_world([component("pay")]) as world, live(world) as service:
        world.catalog.put(component("cart"))
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", script[1], "notify.sh", "component:default/cart"),
            env={"PATH": "/usr/bin:/bin", "STAGEPORT_URL": service.sender.url, "STAGEPORT_LIVE_EVENTS_SECRET": SECRET},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert (process.returncode, out.strip()) == (0, b'{"accepted":1}'), err
        await until(lambda: CART in world.held())
