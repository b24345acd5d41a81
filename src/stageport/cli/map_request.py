"""What a command line of ``stageport map`` asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class MapRequest:
    """The arguments and options; ``given`` are those that are settings, by dotted path."""

    what: str | None
    mapping: Path | None = None
    kind: str | None = None
    blueprints: Path | None = None
    strict: bool = False
    output: Literal["text", "json"] = "text"
    config: Path | None = None
    given: Mapping[str, object] = field(default_factory=dict)
