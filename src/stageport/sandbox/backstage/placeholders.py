"""Placeholders: ``$text: ./openapi.yaml`` stands for the content of that file.

Backstage fetches it from beside the descriptor. A stand-in reads what lies in the same folder tree, and never the
network: what it cannot read it names, for an entity whose definition lies elsewhere is worth more than none.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import yaml

from stageport.model.entities import Json

Read = Callable[[str], str | None]
"""Returns the content that a placeholder names; None when it is out of reach."""

_RESOLVERS = ("$text", "$yaml", "$json")


def read_nothing(_name: str) -> str | None:
    """Reach nothing."""
    return None


def reading_beside(file: Path) -> Read:
    """Reach the files below the folder of a descriptor file."""
    folder = file.resolve().parent

    def read(name: str) -> str | None:
        wanted = (folder / name).resolve()
        return wanted.read_text("utf-8") if wanted.is_relative_to(folder) and wanted.is_file() else None

    return read


def resolve_placeholders(value: Json, *, read: Read = read_nothing) -> Json:
    """Return a copy in which every placeholder has become what it stands for."""
    if isinstance(value, list):
        return [resolve_placeholders(item, read=read) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, name),) = value.items()
        if key in _RESOLVERS and isinstance(name, str):
            return _resolved(key, name, read(name))
    if any(isinstance(key, str) and key.startswith("$") for key in value):
        return value  # Backstage does not look into an object with other keys of that kind
    return {key: resolve_placeholders(item, read=read) for key, item in value.items()}


def _resolved(key: str, name: str, content: str | None) -> Json:
    if key == "$text":
        return f"# not fetched: {name}" if content is None else content
    if content is None:
        return {"not fetched": name}
    return msgspec.json.decode(content) if key == "$json" else yaml.safe_load(content)
