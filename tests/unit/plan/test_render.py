import json
from pathlib import Path

import jsonschema
import pytest
from syrupy.assertion import SnapshotAssertion

from stageport.model.changes import Change, FieldChange, Hold, Operation
from stageport.model.entities import FieldProblem
from stageport.model.refs import SourceRef
from stageport.plan.plan import Plan, ReadCounts, SourceFailure
from stageport.plan.render.document import plan_document
from stageport.plan.render.markdown import plan_markdown
from stageport.plan.render.text import plan_lines

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/plan.schema.json").read_text())
REF = SourceRef("component:default/pay")

PLAN = Plan(
    upserts=(
        Change(Operation.CREATE, "component", "component:default/new", source=REF, body=b'{"identifier":"x"}'),
        Change(
            Operation.UPDATE,
            "component",
            "component:default/pay",
            source=REF,
            body=b'{"identifier":"y"}',
            fields=(
                FieldChange("title", "Pay [bold]", "Payments | `x`"),
                FieldChange("properties.labels", None, {"long": "x" * 100}),
            ),
        ),
    ),
    deletes=(Change(Operation.DELETE, "system", "system:default/old", source=SourceRef("system:default/old")),),
    kept=(Change(Operation.KEEP, "group", "group:default/busy", hold=Hold.STILL_RELATED),),
    blocked=(Change(Operation.CREATE, "fleet", "fleet:default/one"),),
    unchanged=7,
    owned=10,
    counts=ReadCounts(sources=9, targets=9, errors=1),
    failures=(SourceFailure("api", "Backstage answered 500.", "Look at its log."),),
    problems=(FieldProblem(0, "properties.links", REF, "cannot iterate over null"),),
    problem_count=1,
    notes=("Something to know.",),
)


def test_as_text(snapshot: SnapshotAssertion) -> None:
    assert "\n".join(plan_lines(PLAN)) == snapshot


def test_as_markdown(snapshot: SnapshotAssertion) -> None:
    assert plan_markdown(PLAN) == snapshot


@pytest.mark.parametrize("plan", [PLAN, Plan()])
def test_as_json_by_its_schema(plan: Plan) -> None:
    document = {**plan_document(plan), "firstStart": []}
    jsonschema.validate(document, SCHEMA)
    assert json.loads(json.dumps(document)) == document


def test_a_long_plan_stays_within_a_job_summary() -> None:
    changes = tuple(Change(Operation.CREATE, "user", f"user:default/{n}") for n in range(1_000))
    text = plan_markdown(Plan(upserts=changes))
    assert "800 more" in text
    assert len(text.splitlines()) < 250


def test_catalog_data_cannot_break_out_of_a_table_cell() -> None:
    change = Change(Operation.CREATE, "user", "a | b\n<script>`")
    row = next(line for line in plan_markdown(Plan(upserts=(change,))).splitlines() if "script" in line)
    assert "a \\| b &lt;script>\\`" in row


def test_an_empty_plan_says_so() -> None:
    assert list(plan_lines(Plan(unchanged=3))) == [
        "[bold]Plan:[/bold] 0 to create, 0 to update, 0 to delete, 3 unchanged, 0 kept."
    ]
