"""``config.yaml``: the settings as a file, with ``{{ from env NAME }}`` resolved."""

import re
from collections.abc import Mapping
from pathlib import Path

from stageport.model.errors import SettingsError

CONFIG_NAME = "config.yaml"
PROVIDER = re.compile(r"\{\{\s*from\s+(?P<provider>\w+)\s+(?P<name>\S+)\s*\}\}")


def read_config(directory: Path, *, file: Path | None) -> tuple[str, object]:
    """Return a config file's name and content: the one that was asked for, else ``config.yaml`` if there is one.

    Raises:
        SettingsError: the file was asked for and is missing, cannot be read, or is not YAML.
    """
    chosen = file or directory / CONFIG_NAME
    try:
        text = chosen.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        if file is None and isinstance(error, FileNotFoundError):
            return chosen.name, {}
        reason = (error.strerror or "why is not said") if isinstance(error, OSError) else "it is no UTF-8"
        raise SettingsError(
            f"{chosen} cannot be read: {reason}", hint="It should be a readable YAML file in UTF-8."
        ) from None
    return chosen.name, _parse(text, file=chosen)


def _parse(text: str, *, file: Path) -> object:
    """Parse YAML. The parser's own words are left out: they may quote the line, and so a secret."""
    import yaml  # most installs have no such file, and no reason to load a parser for it

    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SettingsError(
            f"{file} is not valid YAML{where}",
            hint='Quote values that hold special characters, "{{ from env NAME }}" among them.',
        ) from None


def resolve_provider(value: object, *, variables: Mapping[str, str]) -> object:
    """Replace ``{{ from env NAME }}`` by that variable, None when it is not set.

    Raises:
        ValueError: the value asks for a provider other than ``env``.
    """
    found = PROVIDER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return value
    if found["provider"] != "env":
        raise ValueError(f"asks for provider {found['provider']!r}; only `from env` is known")
    return variables.get(found["name"])
