"""Descriptors: entities as people write them in YAML, read as Backstage reads them."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from stageport.model.entities import Json
from stageport.model.errors import SettingsError
from stageport.sandbox.backstage.placeholders import reading_beside, resolve_placeholders

Descriptor = dict[str, Json]
"""One entity as written: apiVersion, kind, metadata, spec."""

_SUFFIXES = (".yaml", ".yml")
_CONDITIONS = "conditions.yaml"
_SAMPLE_LOCATION = "url:https://git.nordwind.example/platform/catalog/blob/main/"
_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreSchemaLoader(_BaseLoader):  # type: ignore[misc]  # the base is chosen at run time
    """YAML 1.2 core schema, as the parser Backstage uses: ``on`` is a word and ``2024-05-01`` is no date."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own interface


_SCALARS = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ("~", "n", "N", "")),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+0123456789."),
)
for _name, _pattern, _first in _SCALARS:
    _CoreSchemaLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), list(_first))


def _core_int(loader: Any, node: Any) -> int:
    return int(loader.construct_scalar(node), 10)


def _core_float(loader: Any, node: Any) -> float | int:
    # JSON written by Node knows one kind of number: 1.0 is 1 there.
    number = float(loader.construct_scalar(node))
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


_CoreSchemaLoader.add_constructor("tag:yaml.org,2002:int", _core_int)
_CoreSchemaLoader.add_constructor("tag:yaml.org,2002:float", _core_float)


def read_descriptors(text: str, *, origin: str) -> Iterator[Descriptor]:
    """Yield the documents of a YAML file; empty ones are passed over.

    Raises:
        SettingsError: the file is no YAML, or a document of it is no mapping.
    """
    try:
        documents = list(yaml.load_all(text, Loader=_CoreSchemaLoader))
    except yaml.YAMLError as error:
        raise SettingsError(f"{origin} is not valid YAML: {error}", hint="Correct the file and start again.") from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise SettingsError(
                f"{origin} holds a {type(document).__name__} where an entity should stand",
                hint="Each YAML document is one entity: apiVersion, kind, metadata, spec.",
            )
        yield document


def descriptors_from(path: Path) -> list[Descriptor]:
    """Read every entity from a YAML file, or from all YAML files under a folder, in the order of their paths.

    An entity that names no location gets the file it stands in, as a location of Backstage would have it.

    Raises:
        SettingsError: there is no such folder, or a file of it cannot be read.
    """
    if not path.exists():
        raise SettingsError(f"There is no catalog at {path}", hint="Name a YAML file or a folder of YAML files.")
    names = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)
    found: list[Descriptor] = []
    for name in names:
        location, read = f"file:{name.resolve()}", reading_beside(name)
        found.extend(
            located(resolve_placeholders(entity, read=read), location=location)
            for entity in read_descriptors(name.read_text("utf-8"), origin=str(name))
        )
    return found


def sample_descriptors() -> list[Descriptor]:
    """Return the sample catalog that ships with the package: a small shipping company, told in about 60 entities."""
    found: list[Descriptor] = []
    for file in sorted(_sample_files(), key=lambda file: file.name):
        location = _SAMPLE_LOCATION + file.name[3:]
        found.extend(
            located(entity, location=location) for entity in read_descriptors(file.read_text("utf-8"), origin=file.name)
        )
    return found


def sample_conditions() -> list[Mapping[str, str]]:
    """Return what befell entities of the sample catalog that no descriptor can say: orphans and processing errors."""
    text = (_sample() / _CONDITIONS).read_text("utf-8")
    return list(read_descriptors(text, origin=_CONDITIONS))


def located(entity: Descriptor, *, location: str) -> Descriptor:
    """Return the entity with the annotations that say where it came from, unless it says so itself."""
    metadata = entity.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("annotations") or {}, dict):
        return entity
    annotations = {
        "backstage.io/managed-by-location": location,
        "backstage.io/managed-by-origin-location": location,
        **(metadata.get("annotations") or {}),
    }
    return {**entity, "metadata": {**metadata, "annotations": annotations}}


def _sample() -> Traversable:
    return files(__package__) / "sample"


def _sample_files() -> list[Traversable]:
    return [file for file in _sample().iterdir() if file.name.endswith(_SUFFIXES) and file.name != _CONDITIONS]
