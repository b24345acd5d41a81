"""The shell blocks of a Markdown page, as a reader would copy them."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHELLS = frozenset({"bash", "sh", "shell", "console"})
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+)\s*(?P<language>[\w-]*)")
NEEDS = re.compile(r"^\s*<!-- needs (?P<what>[^>]+?) -->\s*$")
COMMANDS = frozenset(
    {"make", "stageport", "python", "pip", "docker", "helm", "kubectl", "terraform", "export", "curl", "echo"}
)
SYNOPSIS = re.compile(r"\[(--|[A-Z|-]+)")
PLACEHOLDER = re.compile(r"^export (?:\w+=\S*\s*)+(?:#.*)?$")
COVERED = {
    "docs/how-to/move-from-ports-integration.md": "tests/contract/test_taking_over.py",
    "docs/how-to/write-a-mapping.md": "tests/contract/test_docs_mapping.py",
    "backstage-module/README.md": "tests/e2e",
}
"""Pages whose blocks a test of their own runs."""


@dataclass(frozen=True)
class Block:
    """One block: where it stands, its text, and what it needs that a test does not have (empty for nothing)."""

    page: Path
    line: int
    text: str
    needs: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every page that people read."""
    top = [path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"]
    module = [ROOT / "backstage-module" / "README.md"]
    below = [path for folder in ("docs", "deploy") for path in (ROOT / folder).rglob("*.md")]
    return sorted(path for path in [*top, *below, *module, *ROOT.glob("tests/e2e/*.md")] if path.is_file())


def shell_blocks(page: Path) -> list[Block]:
    """Return the shell blocks of a page: fenced with a shell's name, or indented and beginning with a command."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return sorted([*_fenced(page, lines), *_indented(page, lines)], key=lambda block: block.line)


def _fenced(page: Path, lines: Sequence[str]) -> Iterator[Block]:
    number = 0
    while number < len(lines):
        opening = FENCE.match(lines[number])
        number += 1
        if opening is None:
            continue
        start, indent = number, len(opening["indent"])
        while number < len(lines) and not lines[number].strip().startswith(opening["fence"]):
            number += 1
        if opening["language"] in SHELLS:
            text = "\n".join(line[indent:] for line in lines[start:number])
            yield Block(page, start + 1, text, _needs(lines, start - 1))
        number += 1


def _indented(page: Path, lines: Sequence[str]) -> Iterator[Block]:
    fenced = False
    for number, line in enumerate(lines):
        fenced ^= bool(FENCE.match(line))
        opens = line.startswith("    ") and number and not lines[number - 1].strip() and not fenced
        if opens and line.split()[0].rpartition("/")[2] in COMMANDS and not SYNOPSIS.search(line):
            block = [line[4:]]
            while number + len(block) < len(lines) and lines[number + len(block)].startswith("    "):
                block.append(lines[number + len(block)][4:])
            yield Block(page, number + 1, "\n".join(block), _needs(lines, number))


def _needs(lines: Sequence[str], opening: int) -> str:
    """Read the comment above a block; an indented one has an empty line in between."""
    before = opening - 1
    while before >= 0 and not lines[before].strip():
        before -= 1
    marked = NEEDS.match(lines[before]) if before >= 0 else None
    return marked["what"] if marked else ""


def by_make(block: Block) -> bool:
    """Tell a block that holds nothing but targets of the Makefile, which continuous integration runs."""
    return all(line.startswith("make ") for line in block.text.splitlines() if line.strip())


def runnable(text: str, *, given: frozenset[str]) -> str:
    """Make a script of a block: what the page leaves to the reader (`export X=...`) is ``given`` by the environment."""
    return "\n".join(_line(line, given) for line in text.splitlines()).replace(".venv/bin/stageport", "stageport")


def _line(line: str, given: frozenset[str]) -> str:
    if not PLACEHOLDER.match(line):
        return line
    kept = [word for word in shlex.split(line, comments=True)[1:] if word.partition("=")[0] not in given]
    return f"export {shlex.join(kept)}" if kept else ":"
