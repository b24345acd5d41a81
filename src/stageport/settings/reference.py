"""The settings described: a JSON Schema for ``config.yaml``, and the page ``docs/reference/settings.md``.

Both are derived from the model, so they cannot disagree with it; a test holds the page to it.
"""

import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic_core import PydanticUndefined

from stageport.model.entities import Json
from stageport.settings.config_file import CONFIG_NAME
from stageport.settings.listeners import LISTENER_TYPES
from stageport.settings.model import Settings
from stageport.settings.names import LISTENER, Node, environment_names, leaves
from stageport.settings.origin import dotted

PROVIDER_PATTERN = r"^\s*\{\{\s*from\s+env\s+\S+\s*\}\}\s*$"

INTRODUCTION = f"""# Settings

<!-- Generated from the settings model; a test says so when it is out of date and how to write it again. -->

## Where settings are read

Strongest first; each setting is looked up on its own, so several places can be combined:

1. the command line,
2. environment variables,
3. `.env` in the current folder (nothing is interpolated in it),
4. `{CONFIG_NAME}` in the current folder, or the file that the command line names,
5. the default.

Environment variables (and `.env`) have up to three names for one setting. Strongest first:

1. `STAGEPORT_…`: our own, flat;
2. `OCEAN__…` and `APPLICATION__…`: those of Port's own integration, so that its Helm chart, its CI jobs and your
   existing installs work unchanged;
3. short names: `PORT_CLIENT_ID`, `PORT_CLIENT_SECRET`, `PORT_BASE_URL`, `BACKSTAGE_URL`, `BACKSTAGE_TOKEN`.

The short names come last because other programs use them too: whoever set the longer one meant us.

* Names of variables may be written in any case. `__` separates levels, and any level may hold JSON:
  `OCEAN__PORT='{{"clientId": "…"}}'`, `OCEAN__EVENT_LISTENER='{{"type": "ONCE"}}'`. The deeper name wins.
* Keys in `{CONFIG_NAME}` and in JSON may be written as `clientId`, `client_id` or `client-id`. A value
  `"{{{{ from env NAME }}}}"` (with the quotes) is taken from that variable; when it is not set, the key is absent.
* An empty value counts as absent, because CI systems pass unset variables on as empty ones.
* Unknown names are tolerated. `stageport check` lists them, says which of them belong to Port's own integration and
  have no effect here, and asks "did you mean" for near misses. It also shows where each value came from; secrets are
  never shown.

## All settings

| Setting | Environment | Default | Meaning |
|---|---|---|---|
"""


def settings_schema() -> Json:
    """Return the JSON Schema of ``config.yaml``, with keys in camelCase; further keys are allowed."""
    schema = Settings.model_json_schema(mode="serialization")
    for section in (schema, *schema.get("$defs", {}).values()):
        for name, value in (section.get("properties") or {}).items():
            section["properties"][name] = _or_provider(value)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Stageport settings"}


def settings_page() -> str:
    """Return the text of ``docs/reference/settings.md``."""
    return INTRODUCTION + "".join(f"{row}\n" for row in _rows())


def _or_provider(value: Json) -> Json:
    """Allow ``{{ from env NAME }}`` where the schema would not: for numbers, switches and addresses."""
    value.pop("title", None)
    if "$ref" in value or "oneOf" in value or "const" in value:
        return value
    if value.get("type") == "string" and "format" not in value:
        return value
    about = {key: value.pop(key) for key in ("description", "default") if key in value}
    return {**about, "anyOf": [value, {"type": "string", "pattern": PROVIDER_PATTERN}]}


def _rows() -> Iterator[str]:
    for leaf in leaves():
        names = "<br>".join(f"`{name}`" for name in environment_names(leaf.path))
        yield f"| `{dotted(leaf.path)}` | {names} | {_default(leaf)} | {_meaning(leaf)} |"


def _default(leaf: Node) -> str:
    value = leaf.info.default if leaf.info else None
    if value is PydanticUndefined:
        return "the CPUs available, 1 to 4" if leaf.info and leaf.info.default_factory else "-"
    if value is None or value in ((), ""):
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def _meaning(leaf: Node) -> str:
    """Describe a leaf: its text and its choices."""
    if leaf.path == (*LISTENER, "type"):
        return "What makes a running service resync." + _one_of(LISTENER_TYPES)
    return "" if leaf.info is None else (leaf.info.description or "") + _one_of(_choices(leaf.info.annotation))


def _one_of(choices: Sequence[str]) -> str:
    return f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) in {Union, UnionType}:
        return tuple(choice for part in get_args(annotation) for choice in _choices(part))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(member.value) for member in annotation)
    return ()


if __name__ == "__main__":
    sys.stdout.write(settings_page())
