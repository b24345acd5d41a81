"""``stageport map --output json``: one JSON object, described in docs/reference/map.md."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from stageport.mapping.batches import Outcome
from stageport.mapping.loading import LoadedMapping
from stageport.mapping.reading import Path, path_text
from stageport.model.entities import FieldProblem, Json, TargetEntity
from stageport.model.errors import MappingFault
from stageport.plan.verdict import Objection

PathOf = Callable[[FieldProblem], Path]
"""Leads from a field problem to its expression in the document."""

MAPPINGS = "port.entity.mappings."


def map_document(
    outcome: Outcome,
    *,
    loaded: LoadedMapping | None,
    path_of: PathOf,
    objections: Sequence[tuple[TargetEntity, Objection]] | None,
) -> bytes:
    """Return the outcome as JSON; the entities are the bytes that would be sent."""
    document = {
        "entities": [msgspec.Raw(target.body) for target in outcome.targets],
        "filteredOut": outcome.filtered_out,
        "dropped": outcome.dropped,
        "errors": outcome.errors,
        "resourceFailed": outcome.resource_failed,
        "problems": [_problem(one, loaded=loaded, path_of=path_of) for one in outcome.problems],
    }
    if objections is not None:
        document["objections"] = [_objection(target, one) for target, one in objections]
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def refused_document(faults: Iterable[MappingFault], *, message: str) -> bytes:
    """Return what is printed for a mapping that cannot be loaded: nothing is mapped, every fault is a problem."""
    problems = [_fault(fault) for fault in faults] or [{"resource": None, "field": "", "ref": None, "message": message}]
    document = {
        "entities": [],
        "filteredOut": 0,
        "dropped": 0,
        "errors": 0,
        "resourceFailed": True,
        "problems": problems,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def field_of(path: Path) -> str:
    """Return what a place in a mapping is called within its resource: ``properties.links``, ``selector.query``."""
    inner = path[2:] if path[:1] == ("resources",) else path
    return path_text(inner).removeprefix(MAPPINGS)


def _problem(problem: FieldProblem, *, loaded: LoadedMapping | None, path_of: PathOf) -> Json:
    document: dict[str, Json] = {
        "resource": problem.resource if problem.resource >= 0 else None,
        "field": problem.field,
        "ref": problem.ref or None,
        "message": problem.message,
    }
    if loaded is not None and problem.resource >= 0:
        place = loaded.position(path_of(problem))
        document |= {"line": place.line, "column": place.column}
    return document


def _fault(fault: MappingFault) -> Json:
    inside = len(fault.path) > 1 and fault.path[0] == "resources"
    return {
        "resource": fault.path[1] if inside else None,
        "field": field_of(fault.path),
        "ref": None,
        "message": fault.message,
        "line": fault.line,
        "column": fault.column,
    }


def _objection(target: TargetEntity, objection: Objection) -> Json:
    return {
        "blueprint": target.blueprint,
        "identifier": target.identifier,
        "path": objection.path,
        "code": objection.code.value,
        "message": objection.message,
    }
