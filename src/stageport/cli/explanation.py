"""One source entity explained as text: which resources take it, what each expression gives, what Port would say."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.markup import escape

from stageport.cli.blueprint_input import Basis
from stageport.cli.excerpts import excerpt_lines, point_at
from stageport.mapping.explain import Fate, FieldValue, ItemTold, ResourceTold
from stageport.mapping.jq_tokens import line_and_column
from stageport.mapping.loading import LoadedMapping
from stageport.model.entities import TargetEntity
from stageport.plan.verdict import judge_target

ITEMS_SHOWN = 5
FIELD_WIDTH = 28
EXPRESSION_WIDTH = 60

FATE_WORDS: Mapping[Fate, str] = {
    Fate.MAPPED: "[green]mapped[/green]",
    Fate.FILTERED_OUT: "[yellow]not selected[/yellow]: selector.query gave false",
    Fate.DROPPED: "[red]dropped[/red]: without identifier and blueprint there is nothing to write",
    Fate.FAILED: "[red]failed[/red]: selector.query must give true or false",
    Fate.ORPHANED: "[yellow]not selected[/yellow]: it is an orphan, and selector.orphans says skip",
    Fate.BROKEN: "[yellow]not selected[/yellow]: Backstage reports errors for it, and selector.broken says skip",
    Fate.STOPPED: "[red]failed[/red]: an expression that it needs had to be stopped; what came of it before is kept",
    Fate.NO_ITEMS: "[yellow]no items[/yellow]: itemsToParse must give an array",
}


@dataclass(frozen=True, slots=True)
class Context:
    """What an explanation rests on. ``unfiltered`` are resources whose ``selector.filter`` keeps the entity away."""

    basis: Basis
    loaded: LoadedMapping | None = None
    unfiltered: frozenset[int] = field(default_factory=frozenset)
    width: int = 120


def explanation_lines(name: str, told: Sequence[ResourceTold], context: Context) -> Iterator[str]:
    """Yield the explanation of one source entity, with markup."""
    yield f"[bold]{escape(name)}[/bold]"
    for one in told:
        yield ""
        yield from _resource_lines(one, context)


def _resource_lines(told: ResourceTold, context: Context) -> Iterator[str]:
    where = f" ({context.loaded.where(('resources', told.index))})" if context.loaded else ""
    kept_away = told.index in context.unfiltered
    words = "[yellow]not read[/yellow]: selector.filter keeps it away" if kept_away else FATE_WORDS[told.fate]
    yield f"resource {told.index}: [bold]{escape(told.resource.kind)}[/bold]{escape(where)}, {words}"
    if told.resource.selector.filter and not kept_away:
        yield f"  [dim]selector.filter is asked of Backstage: {escape(', '.join(told.resource.selector.filter))}[/dim]"
    if kept_away:
        return
    if told.items_value is not None:
        yield from _field_lines([told.items_value], context)
    for number, item in enumerate(told.items[:ITEMS_SHOWN]):
        if told.items_value is not None:
            yield f"  item {number}: {FATE_WORDS[item.fate]}"
        yield from _item_lines(item, context)
    if len(told.items) > ITEMS_SHOWN:
        yield f"  … and {len(told.items) - ITEMS_SHOWN} more items; `--output json` has all target entities."
    yield from (f"  {escape(one.message)}" for one in told.mapped.problems if not told.items and not told.items_value)


def _item_lines(item: ItemTold, context: Context) -> Iterator[str]:
    passed = item.fate in {Fate.MAPPED, Fate.DROPPED, Fate.STOPPED}
    # Behind a selector that is not true nothing counts, and errors there are no news.
    yield from _field_lines(item.fields if passed else item.fields[:1], context)
    if item.target is not None:
        yield ""
        yield from target_lines(item.target, context)


def _field_lines(fields: Sequence[FieldValue], context: Context) -> Iterator[str]:
    names = min(FIELD_WIDTH, max((cell_len(one.slot.field) for one in fields), default=0))
    texts = min(EXPRESSION_WIDTH, max((cell_len(_flat(one.slot.expression)) for one in fields), default=0))
    room = max(20, context.width - names - texts - 6)
    for one in fields:
        name, text = _padded(one.slot.field, names), _padded(_flat(one.slot.expression), texts)
        value = "[red]error[/red]" if one.error else f"[cyan]{escape(_clipped(_value(one), room))}[/cyan]"
        yield f"  {escape(name)}  [dim]{escape(text)}[/dim]  {value}"
        if one.error:
            yield from _error_lines(one, context)


def _error_lines(value: FieldValue, context: Context) -> Iterator[str]:
    yield f"      [red]{escape(value.error)}[/red]"
    if value.hint:
        yield f"      {escape(value.hint)}"
    if value.span is None:
        return
    expression = value.slot.expression
    line, column = line_and_column(expression, value.span.start)
    length = value.span.end - value.span.start
    excerpt = point_at(expression, line=line, column=column, length=length, width=context.width - 8)
    first, second = excerpt_lines(excerpt, indent="      ")
    yield first
    place = ""
    if context.loaded is not None:
        at = context.loaded.position_within(value.slot.path, line=line, column=column)
        place = f" [dim]{escape(f'{context.loaded.name}:{at.line}:{at.column}')}[/dim]"
    yield second + place


def target_lines(target: TargetEntity, context: Context) -> Iterator[str]:
    """Yield a target entity as JSON, and what Port would say to it."""
    body = json.dumps(msgspec.json.decode(target.body), indent=2, ensure_ascii=False)
    yield f"  target entity of blueprint [bold]{escape(target.blueprint)}[/bold]:"
    yield from (f"  {escape(line)}" for line in body.split("\n"))
    yield from verdict_lines(target, context.basis)


def verdict_lines(target: TargetEntity, basis: Basis) -> Iterator[str]:
    """Yield what Port would say to a target entity."""
    if target.blueprint not in basis.blueprints and not basis.certain:
        yield f"  [yellow]Not checked:[/yellow] there is no default blueprint {escape(target.blueprint)}."
        yield "  Give --blueprints FILE to hold it against your own."
        return
    objections = judge_target(target, basis.blueprints)
    said = "[red]Port would refuse it[/red]" if objections else "[green]Port would take it[/green]"
    yield f"  {said}, by {escape(basis.origin)}."
    for one in objections:
        yield f"    [red]✗[/red] {escape(str(one))} [dim]({one.code.value})[/dim]"


def _value(one: FieldValue) -> str:
    return "(not evaluated)" if one.value is None else one.value.decode("utf-8", "replace")


def _flat(expression: str) -> str:
    return " ".join(expression.split())


def _clipped(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _padded(text: str, width: int) -> str:
    return set_cell_size(_clipped(text, width), width)
