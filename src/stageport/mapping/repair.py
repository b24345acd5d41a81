"""What is right about a resource that has faults: so that one fault does not hide what else there is to say."""

import copy
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


ROUNDS: Final = 4
"""What is left after one fault is removed can have the next: a search query without rules, and so on."""


def repair_resource(entry: Json) -> Resource | None:
    """Return a resource without what is wrong with it; None when nothing is left."""
    if not isinstance(entry, dict):
        return None
    mended = copy.deepcopy(entry)
    for _ in range(ROUNDS):
        mended = _filled(mended, SUBSTITUTE)
        try:
            return parse_mapping({"resources": [mended]}).resources[0]
        except MappingError as error:
            # Later items of a list before earlier ones, and what is inside before what is around it.
            for fault in sorted(error.faults, key=lambda fault: str(fault.path), reverse=True):
                _remove(mended, fault.path[2:])
    return None


def _remove(value: Json, path: Path) -> None:
    """Remove what a path leads to; what is missing was needed, so that what lacks it is removed."""
    for depth, step in enumerate(path):
        if not _has(value, step):
            return
        if depth == len(path) - 1 or not _has(value[step], path[depth + 1]):
            del value[step]
            return
        value = value[step]


def _has(value: Json, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _filled(value: Json, substitute: Json) -> Json:
    if not isinstance(value, dict) or not isinstance(substitute, dict):
        return value
    missing = {key: inner for key, inner in substitute.items() if key not in value}
    return {**{key: _filled(inner, substitute.get(key)) for key, inner in value.items()}, **missing}
