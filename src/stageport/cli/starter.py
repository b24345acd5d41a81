"""The files that ``stageport init`` writes: a mapping, blueprints and settings to begin with, and their schemas."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from textwrap import dedent
from typing import Final, Literal, assert_never

from stageport.model.errors import StageportError
from stageport.model.exits import Exit

RESOURCES: Final = ".port/resources"
"""Where Port's own integration keeps these files; the setting ``resources_path`` names another folder."""

EDITOR_LINE: Final = "# yaml-language-server: $schema={}\n"

MAPPING_HEAD: Final = """\
# A mapping: how the entities of a Backstage catalog become entities at Port.
#
# What is wrong with it, without running it:
#
#   stageport check --mapping {mapping}
#
# What it makes of one entity, field by field, and what Port would say to it:
#
#   stageport map component:default/NAME --mapping {mapping}
#
# The first sync of a new integration stores this mapping at Port. From then on the one at Port counts: edit it in
# Port's data sources page, or store this file there. What the next sync would do with it, and how to get it there:
#
#   stageport plan --mapping {mapping}
#   stageport mapping store {mapping}
#
# Each resource takes the entities of one kind. `selector.query` must give true or false. Every value is a jq expression
# over the entity as Backstage serves it, plus `.metadata.identifier`, which is its ref (kind:namespace/name):
#
# * only the first output of an expression counts; for a list, put brackets around it: [.relations[]? | .targetRef]
# * a field without value becomes null, which clears it at Port; a field that is not named keeps what Port has
# * text needs double quotes of its own, inside those of YAML: '"component"'
# * relations come from `.relations`, never from `.spec`: Backstage has resolved kind, namespace and case there
# * `first(...) // null` and `[...][0]` give null where there is nothing, instead of no output
# * a link, an e-mail address or an identifier that Port would refuse is left out, since Port refuses the whole entity
#
# All keys: docs/reference/mapping.md of Stageport. An editor with the YAML language server shows them as you type.

"""

BLUEPRINTS_HEAD: Final = """\
# The blueprints that the mapping next to this file writes to. The first sync creates those that Port does not have;
# blueprints that exist are never changed. Whether the mapping fits them is told by
#
#   stageport check --mapping {mapping} --blueprints {blueprints}

"""

CONFIG: Final = """\
# Settings of Stageport. Everything here can be set in the environment instead, where it counts more.
# `stageport check` shows which settings are in force and where each came from. Secrets belong into the environment:
# "{{ from env NAME }}" takes a value from there.

port:
  clientId: "{{ from env PORT_CLIENT_ID }}"
  clientSecret: "{{ from env PORT_CLIENT_SECRET }}"
  # In the US: https://api.us.getport.io
  baseUrl: https://api.getport.io

integration:
  # Decides which entities at Port are ours. If Port's own integration has run before, use its identifier.
  identifier: my-backstage-integration
  config:
    # The backend, with its port.
    backstageUrl: http://localhost:7007
    # A static token that may read the catalog (backend.auth.externalAccess); leave it out where none is needed.
    backstageToken: "{{ from env BACKSTAGE_TOKEN }}"

# The folder with the first mapping and the first blueprints.
resourcesPath: .port/resources

# Create blueprints that are missing, and store the mapping where there is none.
initializePortResources: true
"""


class FilesThereError(StageportError):
    """Files that would be written are there already."""

    exit = Exit.USAGE


def schema_text(of: Literal["mapping", "config"], *, strict: bool = False) -> str:
    """Return a JSON Schema as text."""
    if of == "mapping":
        from stageport.mapping.schema import mapping_schema

        return _json(mapping_schema(strict=strict))
    if of == "config":
        from stageport.settings.reference import settings_schema

        return _json(settings_schema())
    assert_never(of)


def starting_files(*, location: bool = False) -> Mapping[str, str]:
    """Return every file by its path below the folder; with ``location``, kind Location is mapped too."""
    mapping, blueprints = f"{RESOURCES}/port-app-config.yaml", f"{RESOURCES}/blueprints.yaml"
    names = {"mapping": mapping, "blueprints": blueprints}
    return {
        mapping: EDITOR_LINE.format("mapping.schema.json")
        + MAPPING_HEAD.format(**names)
        + _mapping_text(location=location),
        blueprints: BLUEPRINTS_HEAD.format(**names) + _blueprints_text(location=location),
        f"{RESOURCES}/mapping.schema.json": schema_text("mapping", strict=True),
        "config.yaml": EDITOR_LINE.format("config.schema.json") + CONFIG,
        "config.schema.json": schema_text("config"),
    }


def _mapping_text(*, location: bool) -> str:
    return "\n".join([_packaged("mapping.yaml"), *([_section("resources")] if location else [])])


def _blueprints_text(*, location: bool) -> str:
    # There the documents are the list itself, here they stand below a key.
    return "\n".join([_packaged("blueprints.yaml"), *([dedent(_section("blueprints"))] if location else [])])


def _section(key: str) -> str:
    """Return what stands below a key of the optional set of kind Location, as text."""
    _, _, below = f"\n{_packaged('location.yaml')}".partition(f"\n{key}:\n")
    return below.partition("\nresources:\n")[0].rstrip("\n") + "\n"


def write_files(folder: Path, *, force: bool, location: bool = False) -> list[Path]:
    """Write the starting files and return their paths.

    Raises:
        FilesThereError: some are there already; nothing was written.
        StageportError: the folder cannot be written to.
    """
    contents = {folder / name: text for name, text in starting_files(location=location).items()}
    there = [path for path in contents if path.exists()]
    if there and not force:
        names = ", ".join(str(path) for path in there)
        raise FilesThereError(f"Nothing was written, for there is already: {names}", hint="--force writes over it.")
    for path, text in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StageportError(f"{path} cannot be written: {error.strerror or error}") from None
    return list(contents)


def _packaged(name: str) -> str:
    """Return a default document without the comments at its top, which are addressed to developers."""
    lines = files("stageport.mapping.defaults").joinpath(name).read_text(encoding="utf-8").splitlines(keepends=True)
    start = next(index for index, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    return "".join(lines[start:])


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
