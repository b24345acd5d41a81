"""`stageport demo`: what it shows is what the README says that it shows."""

import re
from pathlib import Path

import pytest
from tests.contract.command import Result, stageport
from tests.contract.harness import serve_world

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
async def shown() -> Result:
    async with serve_world([]) as world:
        return await stageport(world, "demo")


async def test_the_excerpt_of_the_readme_is_true(shown: Result) -> None:
    excerpt = re.findall(r"```text\n(1\. The first sync\n.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(excerpt) == 1
    told = [line for line in excerpt[0].splitlines() if line.strip() not in ("", "...")]
    lines = iter(shown.out.splitlines())
    assert [line for line in told if line not in lines] == [], shown.out


async def test_a_token_that_lost_its_permission_costs_nothing(shown: Result) -> None:
    assert (shown.code, shown.err) == (0, "")
    _, _, last = shown.out.partition("4. The token loses its permission")
    assert "A token without permission to read the catalog looks just like that" in last
    assert " 0 deleted, 66 kept: Backstage shows no entity at all." in last
    assert "exit code 8 (held)" in last
