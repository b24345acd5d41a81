"""Where a value came from, as values: a source and the name it had there."""

from dataclasses import dataclass
from enum import StrEnum

Path = tuple[str, ...]
"""A setting's place in the tree: ``("port", "client_id")``."""


def dotted(path: Path) -> str:
    """Write a setting's path as people read it: ``port.client_id``."""
    return ".".join(path)


class Source(StrEnum):
    """The places where settings are looked for, strongest first."""

    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    DOTENV = ".env"
    FILE = "config file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value came from; ``name`` is what it is called there (a variable, a path in a file)."""

    source: Source
    name: str = ""

    def __str__(self) -> str:
        return f"{self.source}: {self.name}" if self.name else str(self.source)


@dataclass(frozen=True, slots=True)
class Given:
    """A value as a source gave it, before it is validated. Never shown: it may be a secret."""

    path: Path
    value: object
    origin: Origin


@dataclass(frozen=True, slots=True)
class Ignored:
    """A name that was given and has no effect; ``reason`` says why, or what was probably meant."""

    origin: Origin
    reason: str
