"""Running the shell blocks of a page between the stand-ins of a ``World``."""

import asyncio
import os
import sys
from pathlib import Path

from tests.contract.command import Result, environment_of, finish
from tests.contract.harness import World
from tests.shell_blocks import Block, runnable

GIVEN = frozenset(
    {
        "BACKSTAGE_URL",
        "BACKSTAGE_TOKEN",
        "PORT_BASE_URL",
        "PORT_CLIENT_ID",
        "PORT_CLIENT_SECRET",
        "OCEAN__INTEGRATION__IDENTIFIER",
    }
)
"""What a page leaves to its reader, and the runner knows."""


async def run_block(
    world: World, block: Block, *, folder: str, codes: tuple[int, ...] = (0,), more: dict[str, str] | None = None
) -> Result:
    """Run a block as a reader would, in a folder that the blocks of a page share; ``more`` is further environment."""
    shims, given = make_shims(folder), environment_of(world, folder)
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", runnable(block.text, given=GIVEN)),
        env={**given, **(more or {}), "PATH": f"{shims}:{os.environ['PATH']}"},
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    result = await finish(process)
    assert result.code in codes, f"{block} ended with {result.code}:\n{result.out}\n{result.err}"
    return result


def make_shims(folder: str) -> Path:
    """Put the command on a path of its own, and return that."""
    shims = Path(folder, ".shims")
    shims.mkdir(exist_ok=True)
    shim = shims / "stageport"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stageport "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    return shims
