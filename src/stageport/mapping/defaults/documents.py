"""Reading the packaged default documents. Every call returns fresh values, which the caller may change."""

from collections.abc import Collection
from importlib.resources import files

import yaml

from stageport.model.entities import Json

OPTIONAL_SETS = ("location",)
"""Blueprints and resources that are shipped, but only used when asked for by name."""


def default_blueprints(*, sets: Collection[str] = ()) -> list[Json]:
    """Return the documents of the default blueprints in order of creation, those of optional sets last.

    Raises:
        ValueError: there is no such optional set.
    """
    extra = [blueprint for name in _known(sets) for blueprint in _read(f"{name}.yaml")["blueprints"]]
    return [*_read("blueprints.yaml"), *extra]


def default_mapping(*, sets: Collection[str] = ()) -> Json:
    """Return the default mapping document, with the resources of optional sets at the end.

    Raises:
        ValueError: there is no such optional set.
    """
    mapping = _read("mapping.yaml")
    extra = [resource for name in _known(sets) for resource in _read(f"{name}.yaml")["resources"]]
    return {**mapping, "resources": [*mapping["resources"], *extra]}


def _known(sets: Collection[str]) -> list[str]:
    unknown = sorted(set(sets) - set(OPTIONAL_SETS))
    if unknown:
        raise ValueError(f"no optional set {unknown[0]!r}; there are: {', '.join(OPTIONAL_SETS)}")
    return [name for name in OPTIONAL_SETS if name in sets]


def _read(name: str) -> Json:
    """Parse a packaged document. Aliases are unshared, so that nobody changes two blueprints at once."""
    return _unshared(yaml.safe_load(files(__package__).joinpath(name).read_text(encoding="utf-8")))


def _unshared(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _unshared(inner) for key, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value
