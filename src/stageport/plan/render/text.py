"""A plan as lines of text: ``+`` create, ``~`` update with the fields that differ, ``-`` delete, ``=`` kept.

The lines carry rich markup for colour; ``escape`` keeps catalog data from being taken for markup.
"""

from collections.abc import Iterator

import msgspec
from rich.markup import escape

from stageport.model.changes import Change, FieldChange, Operation
from stageport.model.entities import Json
from stageport.plan.plan import Plan
from stageport.plan.render.words import HOLD_WORDS, problem_words

VALUE_LENGTH = 60
SIGNS = {
    Operation.CREATE: "[green]+[/green]",
    Operation.UPDATE: "[yellow]~[/yellow]",
    Operation.DELETE: "[red]-[/red]",
    Operation.KEEP: "[cyan]=[/cyan]",
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
