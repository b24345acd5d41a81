"""Several source entities mapped, as text: what would be sent, what is wrong, what Port would refuse."""

from collections.abc import Callable, Iterator, Sequence

from rich.markup import escape

from stageport.cli.blueprint_input import Basis
from stageport.cli.console import counted
from stageport.mapping.trial import Trial
from stageport.model.entities import FieldProblem, TargetEntity
from stageport.plan.verdict import Objection

SHOWN = 50

Place = Callable[[FieldProblem], str]
"""Says where a problem's expression stands in its file; empty when there is no file."""


def summary_lines(
    trial: Trial, *, count: int, basis: Basis, objections: Sequence[tuple[TargetEntity, Objection]], place: Place
) -> Iterator[str]:
    """Yield the outcome for several source entities, with markup."""
    outcome = trial.outcome
    for target in outcome.targets[:SHOWN]:
        yield f"[green]+[/green] {escape(target.blueprint)} [bold]{escape(target.identifier or '(by search)')}[/bold]"
    if len(outcome.targets) > SHOWN:
        yield f"  … and {len(outcome.targets) - SHOWN} more; `--output json` has them all."
    yield from _problem_lines(outcome.problems, place)
    yield from _objection_lines(objections, basis)
    for kind, number in trial.unmapped.items():
        yield f"[yellow]Note:[/yellow] no resource maps kind {escape(kind)}, of which there are {number}."
    if outcome.resource_failed:
        yield "[red]A resource ended early:[/red] an entity that cannot be called anything ends it, as in a sync."
    yield (
        f"[bold]{counted(count, 'source entity', 'source entities')}[/bold]: "
        f"{counted(len(outcome.targets), 'target entity', 'target entities')}, {outcome.filtered_out} filtered out, "
        f"{outcome.dropped} dropped, {outcome.errors} errors, {len(outcome.problems)} field problems."
    )
    if count > 1:
        yield "Give one entity, or its ref, to see what every expression gives."


def _problem_lines(problems: Sequence[FieldProblem], place: Place) -> Iterator[str]:
    """Say each problem once, with the first source entity it met."""
    grouped: dict[tuple[int, str, str], list[FieldProblem]] = {}
    for one in problems:
        grouped.setdefault((one.resource, one.field, one.message), []).append(one)
    for (resource, field, message), ones in list(grouped.items())[:SHOWN]:
        subject = f"{field} of resource {resource}" if field else "a source entity"
        where = f" ({place(ones[0])})" if field and place(ones[0]) else ""
        first = f"{counted(len(ones), 'entity', 'entities')}, first {ones[0].ref}" if ones[0].ref else str(len(ones))
        yield f"[red]![/red] {escape(subject + where)}: {escape(message)} [dim]({escape(first)})[/dim]"


def _objection_lines(objections: Sequence[tuple[TargetEntity, Objection]], basis: Basis) -> Iterator[str]:
    if not objections:
        return
    refused = dict.fromkeys((target.blueprint, target.body) for target, _ in objections)
    yield f"[red]Port would refuse {len(refused)} of them[/red], by {escape(basis.origin)}:"
    for target, objection in objections[:SHOWN]:
        name = f"{target.blueprint} {target.identifier or '(by search)'}"
        yield f"  [red]✗[/red] {escape(name)}: {escape(str(objection))} [dim]({objection.code.value})[/dim]"
    if len(objections) > SHOWN:
        yield f"  … and {len(objections) - SHOWN} more."
