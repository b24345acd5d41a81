"""Whether to write colours, by the habits of terminals."""

from collections.abc import Mapping
from typing import TextIO

PLAIN_TERMINALS = frozenset({"dumb", "unknown"})


def wants_colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether a stream shows colours: a terminal that can, and nobody who said NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") not in PLAIN_TERMINALS
