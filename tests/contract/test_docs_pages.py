"""The pages: each shell block is run by a test or marked, targets of the Makefile exist, links hold."""

import re
from pathlib import Path

import pytest
from tests.shell_blocks import COVERED, ROOT, by_make, pages, shell_blocks

# A script that needs arguments is run by the test of what it does.
MARKS = {"arguments", "a running service", "a cluster", "docker", "a cluster and Port's chart", "a real Backstage"}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {slug(match) for match in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_hold(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for match in LINK.finditer(text):
        target, _, anchor = match["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page}: {match['target']}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{page}: {match['target']}"


def test_blocks_are_run_or_marked_with_what_they_need() -> None:
    blocks = [block for page in pages() for block in shell_blocks(page)]
    assert len(blocks) > 20
    assert {block.needs for block in blocks} - {""} <= MARKS


def test_what_a_page_tells_to_make_is_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    for page in pages():
        for block in filter(by_make, shell_blocks(page)):
            named = {re.split(r"\s+", line)[1] for line in block.text.splitlines() if line.strip()}
            assert named <= targets, block


def test_covered_pages_are_named_by_their_tests() -> None:
    for page, place in COVERED.items():
        if not (ROOT / page).is_file():
            continue
        files = [ROOT / place] if (ROOT / place).is_file() else sorted((ROOT / place).rglob("*.py"))
        assert any(Path(page).name in file.read_text(encoding="utf-8") for file in files), page
