"""The shell blocks of the pages, run as they are written; an engine and a cluster are stood in for."""

import asyncio
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.command import Result, environment_of, finish, start
from tests.contract.harness import OURS, World, component, group, serve_world
from tests.contract.pages import GIVEN, make_shims, run_block
from tests.deploy.container import can_unshare
from tests.deploy.shims import cluster_on_path
from tests.deploy.test_image import free_port
from tests.shell_blocks import COVERED, ROOT, Block, by_make, pages, runnable, shell_blocks
from tests.tls_relay import make_certificate

SOURCES = [component("pay"), component("bill"), group("team-a")]
RELEASE = ROOT / "docs" / "how-to" / "release-held-deletes.md"
OTHERS = [page for page in pages() if page != RELEASE and str(page.relative_to(ROOT)) not in COVERED]


WITH_PLAIN = [page for page in OTHERS if any(not block.needs and not by_make(block) for block in shell_blocks(page))]
MARKED = [block for page in pages() for block in shell_blocks(page) if block.needs]


@pytest.mark.parametrize("page", WITH_PLAIN, ids=lambda page: str(page.relative_to(ROOT)))
async def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    async with serve_world(SOURCES) as world:
        # Pages speak to people whose catalogs have met before.
        await run_block(world, Block(page, 0, "stageport sync --quiet", ""), folder=str(tmp_path))
        for block in shell_blocks(page):
            if not block.needs and not by_make(block):
                await run_block(world, block, folder=str(tmp_path))


async def test_held_deletes_are_seen_and_released_by_following_the_page(tmp_path: Path) -> None:
    see, release, beside = [block for block in shell_blocks(RELEASE) if not block.needs]
    async with serve_world(SOURCES) as world:
        await world.sync()
        held = world.present()
        for source in SOURCES:
            if source["kind"] == "Component":
                world.catalog.delete(f"component:default/{source['metadata']['name']}")
        seen = await run_block(world, see, folder=str(tmp_path), codes=(0, 8))
        assert "kept: a whole kind is gone from Backstage" in seen.out
        assert world.present() == held
        await run_block(world, release, folder=str(tmp_path))
        assert ("component", "component:default/pay") not in world.present()
        assert ("group", "group:default/team-a") in world.present()
        world.write_as(OURS, "component", {"identifier": "component:default/left-over"})
        await run_block(world, beside, folder=str(tmp_path))
        assert ("component", "component:default/left-over") not in world.present()


async def run_with_stand_ins(world: World, block: Block, folder: Path, tools: Path) -> Result:
    outer = environment_of(world, str(folder))
    names = ("BACKSTAGE_URL", "BACKSTAGE_TOKEN", "PORT_BASE_URL", "PORT_CLIENT_ID", "PORT_CLIENT_SECRET")
    oceans = {
        "OCEAN__PORT__CLIENT_ID": outer["PORT_CLIENT_ID"],
        "OCEAN__PORT__CLIENT_SECRET": outer["PORT_CLIENT_SECRET"],
        "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL": outer["BACKSTAGE_URL"],
        "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN": outer["BACKSTAGE_TOKEN"],
    }
    make_shims(str(folder))
    (folder / "stageport.env").write_text("".join(f"{name}={outer[name]}\n" for name in names))
    text = runnable(block.text, given=GIVEN).replace("https://api.getport.io", world.port.url)
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", text),
        env={**{name: outer[name] for name in names}, **oceans, **cluster_on_path(folder, tools / "helm4")},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return await finish(process)


@pytest.mark.parametrize("block", [one for one in MARKED if one.needs in {"a cluster", "docker"}], ids=str)
async def test_a_marked_block_runs_with_what_stands_in(block: Block, tools: Path, tmp_path: Path) -> None:
    if block.needs == "docker" and not can_unshare():
        pytest.skip("this machine allows no mount namespaces")
    (make_certificate(tmp_path) / "cert.pem").rename(tmp_path / "company-ca.crt")
    async with serve_world(SOURCES) as world:
        result = await run_with_stand_ins(world, block, tmp_path, tools)
        assert result.code == 0, f"{block}:\n{result.out}\n{result.err}"


@pytest.mark.parametrize("block", [one for one in MARKED if one.needs == "a running service"], ids=str)
async def test_a_block_that_needs_a_running_service_runs_beside_one(block: Block, tmp_path: Path) -> None:
    if "| jq" in block.text and shutil.which("jq") is None:
        pytest.skip("needs jq")
    number = str(free_port())
    async with serve_world(SOURCES) as world:
        outer = {**environment_of(world, str(tmp_path)), "STAGEPORT_HTTP_PORT": number}
        service = await start("run", environment=outer, folder=str(tmp_path))
        try:
            while world.resync_state() != "completed":
                await asyncio.sleep(0.05)
            there = replace(block, text=block.text.replace("localhost:8000", f"localhost:{number}"))
            await run_block(world, there, folder=str(tmp_path), more={"STAGEPORT_HTTP_PORT": number})
        finally:
            service.terminate()
            await finish(service)


def test_the_links_of_the_pages_hold(tools: Path) -> None:
    command = [tools / "lychee", "--offline", "--no-progress", "--include-fragments", "--quiet", *pages()]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
