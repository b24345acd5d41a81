"""Where results are printed."""

import sys
from typing import TYPE_CHECKING

import msgspec
import typer

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 240
"""Columns where there is no terminal: whoever searches a log wants a row of a table on one line."""


def result_console() -> "Console":
    """Return the console for results: as wide as the terminal, and without one wide enough for most tables."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def counted(number: int, one: str, many: str) -> str:
    """Say how many there are: ``1 entity``, ``2 entities``."""
    return f"{number} {one if number == 1 else many}"


def print_json(document: object) -> None:
    """Print a document on standard output, as JSON that people can read, too."""
    typer.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
