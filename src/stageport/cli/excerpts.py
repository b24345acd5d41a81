"""A line of a text with a caret under a place in it, as compilers show it."""

from dataclasses import dataclass

from rich.cells import cell_len
from rich.markup import escape

WIDTH = 100
LEAD = 24
"""Characters that are kept before the place when a line is too long to be shown whole."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A line, or as much of it as fits, and the spaces and carets that point at a place in it."""

    line: str
    pointer: str


def point_at(text: str, *, line: int, column: int, length: int = 1, width: int = WIDTH) -> Excerpt:
    """Return the line of a text that holds a place, and a pointer of some length under it; both count from 1."""
    lines = text.split("\n")
    whole = lines[line - 1].rstrip("\r").replace("\t", " ") if line <= len(lines) else ""
    start = max(0, column - 1)
    cut = 0 if len(whole) <= width else max(0, min(start - LEAD, len(whole) - width))
    shown = ("…" if cut else "") + whole[cut : cut + width] + ("…" if len(whole) > cut + width else "")
    at = start - cut + bool(cut)
    marks = max(1, min(length, cell_len(shown) - at))
    return Excerpt(shown, " " * cell_len(shown[:at]) + "^" * marks)


def excerpt_lines(excerpt: Excerpt, *, number: int | None = None, indent: str = "    ") -> list[str]:
    """Return an excerpt as lines with markup, with the number of the line in its text where there is one."""
    margin = "" if number is None else f"{number} | "
    blank = "" if number is None else f"{' ' * len(str(number))} | "
    return [
        f"{indent}[dim]{margin}[/dim]{escape(excerpt.line)}",
        f"{indent}[dim]{blank}[/dim][red]{excerpt.pointer}[/red]",
    ]
