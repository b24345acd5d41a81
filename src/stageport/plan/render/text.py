"""A plan as lines of text: ``+`` create, ``~`` update with the fields that differ, ``-`` delete, ``=`` kept.

The lines carry rich markup for colour; ``escape`` keeps catalog data from being taken for markup.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec
from rich.markup import escape

from stageport.model.changes import Change, FieldChange, Hold, Operation
from stageport.model.entities import FieldProblem, Json
from stageport.plan.plan import Plan

VALUE_LENGTH = 60
PROBLEMS_SHOWN = 20
SIGNS = {
    Operation.CREATE: "[green]+[/green]",
    Operation.UPDATE: "[yellow]~[/yellow]",
    Operation.DELETE: "[red]-[/red]",
    Operation.KEEP: "[cyan]=[/cyan]",
}
HOLD_WORDS = {
    Hold.INCOMPLETE_READ: "kept: Backstage was not read completely",
    Hold.EMPTY_SOURCE: "kept: Backstage shows no entity at all",
    Hold.EMPTY_KIND: "kept: a whole kind is gone from Backstage",
    Hold.THRESHOLD: "kept: more would be deleted than entityDeletionThreshold allows",
    Hold.MAPPING_FAILED: "kept: the mapping of its source failed",
    Hold.STILL_RELATED: "kept: others still relate to it",
}


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the plan line by line: every change, then why deletes are held back, then the sum."""
    for change in plan.upserts:
        yield f"{SIGNS[change.operation]} {_name(change)}"
        yield from (f"    {_field(field)}" for field in change.fields)
    for change in plan.deletes:
        yield f"{SIGNS[change.operation]} {_name(change)}"
    for change in plan.kept:
        words = HOLD_WORDS[change.hold] if change.hold else "kept"
        yield f"{SIGNS[change.operation]} {_name(change)}  [dim]{words}[/dim]"
    for change in plan.blocked:
        name = escape(change.blueprint)
        yield f"[red]![/red] {_name(change)}  [red]there is no blueprint {name} at Port[/red]"
    yield from report_lines(plan)
    yield sum_line(plan)


def report_lines(plan: Plan) -> Iterator[str]:
    """Yield what a person has to know besides the changes."""
    for failure in plan.failures:
        yield f"[red]Not read:[/red] kind {escape(failure.kind)}: {escape(failure.message)}"
        if failure.hint:
            yield f"  {escape(failure.hint)}"
    for note in plan.notes:
        yield f"[yellow]Note:[/yellow] {escape(note)}"
    if plan.counts.errors:
        yield f"[red]{plan.counts.errors} source entities could not be mapped[/red]; see the problems."
    if plan.problem_count:
        yield f"[yellow]{plan.problem_count} field problems[/yellow], by field:"
        yield from (f"  {escape(words)}" for words in problem_words(plan))


def problem_words(plan: Plan) -> Iterator[str]:
    """Say which fields had problems, how often, and what the first of each was."""
    first: dict[tuple[int, str], FieldProblem] = {}
    counts = Counter[tuple[int, str]]()
    for problem in plan.problems:
        key = (problem.resource, problem.field)
        first.setdefault(key, problem)
        counts[key] += 1
    for key, problem in list(first.items())[:PROBLEMS_SHOWN]:
        times = f" and {counts[key] - 1} more" if counts[key] > 1 else ""
        yield f"resources[{problem.resource}] {problem.field}: {problem.ref}{times}: {problem.message}"
    if len(first) > PROBLEMS_SHOWN:
        yield f"… and {len(first) - PROBLEMS_SHOWN} more fields; the JSON output has them."


def sum_line(plan: Plan) -> str:
    """Return the last line, with the counts."""
    return (
        f"[bold]Plan:[/bold] {plan.count(Operation.CREATE)} to create, {plan.count(Operation.UPDATE)} to update, "
        f"{len(plan.deletes)} to delete, {plan.unchanged} unchanged, {len(plan.kept)} kept."
    )


def _name(change: Change) -> str:
    return f"{escape(change.blueprint)} [bold]{escape(change.identifier)}[/bold]"


def _field(field: FieldChange) -> str:
    return f"{escape(field.path)}: {escape(_value(field.before))} → {escape(_value(field.after))}"


def _value(value: Json) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_LENGTH else f"{text[: VALUE_LENGTH - 1]}…"
