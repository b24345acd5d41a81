"""What a person sees in a terminal: a real one, of the operating system's making."""

import asyncio
import os
import pty
import re
import sys
import termios
from pathlib import Path

import pytest
from tests.contract.command import SECONDS, environment_of, stageport
from tests.contract.harness import SERVICE, SERVICES, World, component, serve_world

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])[0-9;]*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


async def seen(world: World, *words: str, folder: Path, **environment: str) -> str:
    """Run a command on a terminal of 80 columns, and return what was written there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    given = environment_of(world, str(folder)) | {"TERM": "xterm-256color"} | environment
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stageport", *words),
        env=given,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        written = await asyncio.wait_for(asyncio.to_thread(drained, ours), SECONDS)
        await asyncio.wait_for(process.wait(), SECONDS)
    finally:
        os.close(ours)
    return written


def drained(terminal: int) -> str:
    """Read a terminal until the other end is closed, which Linux tells with an error."""
    chunks = []
    try:
        while chunk := os.read(terminal, 65536):
            chunks.append(chunk)
    except OSError:
        pass
    return b"".join(chunks).decode()


def lines_of(written: str) -> list[str]:
    """Return the lines as they stand on the screen: what a line was before it was erased or written over is gone."""
    lines = [re.split(r"\r|\x1b\[2K", line.rstrip("\r"))[-1] for line in written.split("\n")]
    return [CONTROL.sub("", line) for line in lines]


async def test_log_lines_stand_above_the_progress_bar(tmp_path: Path) -> None:
    async with serve_world([component("pay"), component("bill")], backstage={"latency_ms": 150}) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        written = await seen(world, "sync", folder=tmp_path)
    assert "Reading Backstage" in written
    logged = [line for line in lines_of(written) if "pass started" in line or "pass ended" in line]
    assert len(logged) == 2
    assert all(re.match(r"\d{4}-\d\d-\d\dT", line) for line in logged), logged


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
async def test_colours_are_left_out_where_somebody_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        written = await seen(world, "sync", folder=tmp_path, **environment)
        failed = await seen(world, "mapping", "store", "missing.yaml", folder=tmp_path, **environment)
        coloured = await seen(world, "mapping", "store", "missing.yaml", folder=tmp_path)
    assert "pass started" in written
    assert COLOUR.findall(written) == []
    assert "Error: " in failed
    assert COLOUR.findall(failed) == []
    assert COLOUR.findall(coloured) != []


async def test_the_list_of_passes_fits_with_each_on_one_line(tmp_path: Path) -> None:
    async with serve_world([component("pay"), component("cart")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        for _ in range(2):
            await stageport(world, "sync", "--quiet", HOME=str(tmp_path))
        written = await seen(world, "runs", folder=tmp_path)
        passes = (await stageport(world, "runs", "--output", "json", HOME=str(tmp_path))).json["runs"]
    head, *lines = lines_of(written)
    assert head.split() == ["id", "started", "pass", "because", "of", "took", "state", "changes"]
    for line, one, changes in zip(lines, passes, ("+0 ~0 -0", "+2 ~0 -0"), strict=False):
        assert line.startswith(f"{one['id'][:8]} {one['started'][:16].replace('T', ' ')} ")
        assert line.rstrip().endswith(f" completed {changes}")
