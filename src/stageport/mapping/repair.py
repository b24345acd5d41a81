"""What is right about a resource that has faults: so that one fault does not hide what else there is to say."""

import copy
from collections.abc import Sequence
from typing import Final

from stageport.mapping.document import parse_mapping
from stageport.mapping.reading import Path
from stageport.mapping.resource import Resource
from stageport.model.entities import Json
from stageport.model.errors import MappingError

SUBSTITUTE: Final = {
    "kind": "",
    "selector": {"query": "true"},
    "port": {"entity": {"mappings": {"identifier": ".metadata.identifier", "blueprint": "null"}}},
}
"""What stands in for required keys that are missing: nothing about it is remarkable."""


def repair_resource(entry: Json, faults: Sequence[Path]) -> Resource | None:
    """Return a resource without what is wrong with it; None when nothing is left.

    ``faults`` are paths within the resource.
    """
    if not isinstance(entry, dict):
        return None
    mended = copy.deepcopy(entry)
    # Deepest first, and later items of a list before earlier ones, so that the paths stay true.
    for path in sorted(faults, key=lambda path: (len(path), str(path)), reverse=True):
        _remove(mended, path)
    try:
        return parse_mapping({"resources": [_filled(mended, SUBSTITUTE)]}).resources[0]
    except MappingError:
        return None


def _remove(value: Json, path: Path) -> None:
    """Remove what a path leads to, or the search query around it."""
    for step in path[:-1]:
        if not _has(value, step):
            return
        value = value[step]
    if path and _has(value, path[-1]):
        del value[path[-1]]


def _has(value: Json, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _filled(value: Json, substitute: Json) -> Json:
    if not isinstance(value, dict) or not isinstance(substitute, dict):
        return value
    missing = {key: inner for key, inner in substitute.items() if key not in value}
    return {**{key: _filled(inner, substitute.get(key)) for key, inner in value.items()}, **missing}
