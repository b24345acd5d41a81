import io

import pytest

from stageport.telemetry.colours import wants_colours


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, True),
        ({"TERM": "xterm-256color"}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
    ids=str,
)
def test_a_terminal_shows_colours_unless_somebody_said_no(environ: dict[str, str], wanted: bool) -> None:
    assert wants_colours(Terminal(), environ) is wanted
    assert not wants_colours(io.StringIO(), environ)
