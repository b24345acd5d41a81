"""Reading the default documents: the packaged ones, or those of a folder that a user keeps for the purpose.

Every call returns fresh values, which the caller may change.
"""

from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from stageport.model.entities import Json
from stageport.model.errors import MappingError

OPTIONAL_SETS = ("location",)
"""Blueprints and resources that are shipped, but only used when asked for by name."""

# The names and endings that Port's own integration reads in its `resourcesPath` (ocean-compat: default resources).
FOLDER_NAMES = {"blueprints": "blueprints", "mapping": "port-app-config"}
ENDINGS = (".json", ".yml", ".yaml")


def default_blueprints(*, sets: Collection[str] = (), folder: Path | None = None) -> list[Json]:
    """Return the documents of the default blueprints in order of creation, those of optional sets last.

    A file ``blueprints.json``, ``.yml`` or ``.yaml`` in ``folder`` replaces the packaged ones.

    Raises:
        ValueError: there is no such optional set.
        MappingError: the file in the folder cannot be used.
    """
    extra = [blueprint for name in _known(sets) for blueprint in _packaged(f"{name}.yaml")["blueprints"]]
    found = _in_folder(folder, FOLDER_NAMES["blueprints"], kind=list)
    return [*(_packaged("blueprints.yaml") if found is None else found), *extra]


def default_mapping(*, sets: Collection[str] = (), folder: Path | None = None) -> Json:
    """Return the default mapping document, with the resources of optional sets at the end.

    A file ``port-app-config.json``, ``.yml`` or ``.yaml`` in ``folder`` replaces the packaged one.

    Raises:
        ValueError: there is no such optional set.
        MappingError: the file in the folder cannot be used.
    """
    found = _in_folder(folder, FOLDER_NAMES["mapping"], kind=dict)
    mapping = _packaged("mapping.yaml") if found is None else found
    extra = [resource for name in _known(sets) for resource in _packaged(f"{name}.yaml")["resources"]]
    return {**mapping, "resources": [*mapping.get("resources", ()), *extra]}


def _known(sets: Collection[str]) -> list[str]:
    unknown = sorted(set(sets) - set(OPTIONAL_SETS))
    if unknown:
        raise ValueError(f"no optional set {unknown[0]!r}; there are: {', '.join(OPTIONAL_SETS)}")
    return [name for name in OPTIONAL_SETS if name in sets]


def _packaged(name: str) -> Json:
    import yaml  # for a first start only

    return _unshared(yaml.safe_load(files(__package__).joinpath(name).read_text(encoding="utf-8")))


def _in_folder(folder: Path | None, name: str, *, kind: type) -> Json | None:
    """Return a document of the folder, None when the folder has no such file."""
    candidates = [folder / f"{name}{ending}" for ending in ENDINGS] if folder else []
    file = next((path for path in candidates if path.is_file()), None)
    if file is None:
        return None
    import yaml

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))  # JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MappingError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(document, kind):
        shape = "a list of blueprints" if kind is list else "a mapping with the key 'resources'"
        raise MappingError(f"{file} should hold {shape}")
    return _unshared(document)


def _unshared(value: Json) -> Json:
    """Copy what YAML aliases share, so that nobody changes two blueprints at once."""
    if isinstance(value, dict):
        return {key: _unshared(inner) for key, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value
