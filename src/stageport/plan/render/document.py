"""A plan as a JSON document; the schema is docs/reference/plan.schema.json, and a test holds both together."""

import msgspec

from stageport.model.changes import Change, Operation
from stageport.model.entities import FieldProblem, Json
from stageport.model.refs import SourceRef
from stageport.plan.plan import Plan

FORMAT = 1


def plan_document(plan: Plan) -> Json:
    """Return the plan as plain JSON values. ``format`` grows when a reader would have to change."""
    return {
        "format": FORMAT,
        "empty": plan.is_empty,
        "counts": {
            "create": plan.count(Operation.CREATE),
            "update": plan.count(Operation.UPDATE),
            "delete": plan.count(Operation.DELETE),
            **plan.numbers,
        },
        "changes": [_change(change) for change in (*plan.upserts, *plan.deletes)],
        "kept": [_change(change) for change in plan.kept],
        "blocked": [_change(change) for change in plan.blocked],
        "failures": [{"kind": one.kind, "message": one.message, "hint": one.hint} for one in plan.failures],
        "problems": [problem_document(problem) for problem in plan.problems],
        "notes": list(plan.notes),
    }


def problem_document(problem: FieldProblem) -> Json:
    """Return a field problem as plain JSON values."""
    return {
        "resource": problem.resource,
        "field": problem.field,
        "ref": problem.ref,
        "message": problem.message,
    }


def _change(change: Change) -> Json:
    document: dict[str, Json] = {
        "operation": change.operation.value,
        "blueprint": change.blueprint,
        "identifier": change.identifier,
    }
    if change.source is not None:
        document["source"] = SourceRef(change.source)
    if change.body:
        document["entity"] = msgspec.json.decode(change.body)
    if change.fields:
        document["fields"] = [
            {"path": field.path, "before": field.before, "after": field.after} for field in change.fields
        ]
    if change.hold is not None:
        document["hold"] = change.hold.value
    return document
