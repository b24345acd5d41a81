"""A line with carets under a place in it."""

import pytest
from rich.cells import cell_len
from rich.text import Text

from stageport.cli.excerpts import excerpt_lines, point_at

TEXT = "first\n  key: value\n\tkey: 日本 value\n" + "x" * 300


@pytest.mark.parametrize(
    ("line", "column", "length", "shown", "marked"),
    [
        (1, 1, 5, "first", "first"),
        (2, 8, 5, "  key: value", "value"),
        (2, 8, 99, "  key: value", "value"),
        (3, 10, 5, " key: 日本 value", "value"),
        (9, 1, 1, "", ""),
    ],
)
def test_the_pointer_stands_under_what_is_meant(line: int, column: int, length: int, shown: str, marked: str) -> None:
    excerpt = point_at(TEXT, line=line, column=column, length=length)
    assert excerpt.line == shown
    start = excerpt.pointer.index("^")
    cells = [character for character in excerpt.line for _ in range(cell_len(character))]
    assert "".join(cells[start : start + excerpt.pointer.count("^")]) == marked


@pytest.mark.parametrize("column", [1, 50, 150, 299, 300])
def test_long_lines_are_cut_around_the_place(column: int) -> None:
    excerpt = point_at(TEXT, line=4, column=column, width=60)
    assert len(excerpt.line) <= 62
    assert excerpt.line[excerpt.pointer.index("^")] == "x"


def test_the_pointer_stands_under_the_place_with_a_number_before_it() -> None:
    first, second = (
        Text.from_markup(line).plain for line in excerpt_lines(point_at("a [b]", line=1, column=3), number=12)
    )
    assert first == "    12 | a [b]"
    assert second.index("^") == first.index("[b]")
