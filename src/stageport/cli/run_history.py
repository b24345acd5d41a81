"""The history of passes on standard output, for people and as JSON (docs/reference/runs.schema.json)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from stageport.cli.console import print_json, result_console
from stageport.model.errors import UsageError
from stageport.model.exits import Exit
from stageport.model.runs import Run
from stageport.plan.plan import RELEASABLE
from stageport.plan.render.words import hold_reason
from stageport.settings import load_settings
from stageport.wiring import read_history

FORMAT = 1
LATEST = "latest"
SHORT_ID = 8
SIGNS = {"create": "+", "update": "~", "delete": "-"}
LEGEND = "+ created, ~ updated, - deleted, ! not written"
Output = Literal["text", "json"]
_STYLES = {"completed": "green", "failed": "red", "aborted": "yellow"}


def show_runs(given: Mapping[str, object], config: Path | None, *, limit: int, output: Output) -> None:
    """Print a list of passes.

    Raises:
        StageportError: there is no ledger that could be read.
    """
    runs = _read(given, config)[:limit]
    if output == "json":
        print_json({"format": FORMAT, "runs": [msgspec.to_builtins(run) for run in runs]})
        return
    console = result_console()
    if not runs:
        console.print("No pass has been noted yet.")
        return
    console.print(_list(runs), markup=False)
    console.print(f"{LEGEND}. All times are UTC.")
    console.print(f"`stageport runs show ID` says more of one; `stageport runs show {LATEST}` of the newest.")


def show_run(given: Mapping[str, object], config: Path | None, *, run_id: str, output: Output) -> None:
    """Print one pass.

    Raises:
        StageportError: there is no such pass, or no ledger that could be read.
    """
    run = choose(_read(given, config), run_id)
    if output == "json":
        print_json({"format": FORMAT, "run": msgspec.to_builtins(run)})
        return
    console = result_console()
    for line in _head(run):
        console.print(line, markup=False)
    _show_details(console, run)


def choose(runs: Sequence[Run], run_id: str) -> Run:
    """Find a pass by its id, or by as many of its first characters as make it the only one.

    Raises:
        UsageError: there is none, or there are several.
    """
    found = list(runs[:1]) if run_id == LATEST else [run for run in runs if run.id.startswith(run_id)]
    if len(found) == 1:
        return found[0]
    if not runs:
        raise UsageError("No pass has been noted yet.", hint="`stageport sync` and `stageport run` note theirs.")
    few = f"There is no pass {run_id!r} among the {len(runs)} that are remembered."
    many = f"{len(found)} passes begin with {run_id!r}."
    raise UsageError(many if found else few, hint="`stageport runs` lists them.")


def _read(given: Mapping[str, object], config: Path | None) -> Sequence[Run]:
    return read_history(load_settings(given, file=config, parts=()).settings)


def _list(runs: Iterable[Run]) -> Table:
    """Return a table that fits 80 columns; what is looked for in it stays on its line."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("id", "started", "pass"):
        table.add_column(name, no_wrap=True)
    table.add_column("because of", overflow="fold")
    table.add_column("took", no_wrap=True, justify="right")
    table.add_column("state", overflow="fold")
    table.add_column("changes", no_wrap=True)
    for run in runs:
        table.add_row(*_row(run))
    return table


def _row(run: Run) -> list[RenderableType]:
    tries = f" ({run.tries} times)" if run.tries > 1 else ""
    return [
        run.id[:SHORT_ID],
        run.started[:16].replace("T", " "),
        run.kind,
        run.trigger,
        f"{run.seconds:.1f} s",
        Text(f"{run.state}{tries}", style=_STYLES.get(run.state, "cyan")),
        _changes(run),
    ]


def _changes(run: Run) -> str:
    """Write the counts in the signs of a plan: ``+60 ~0 -2``, and ``!3`` for what was not written."""
    if not run.counts:
        return ""
    words = [f"{sign}{run.counts.get(name, 0)}" for name, sign in SIGNS.items()]
    return " ".join([*words, f"!{run.unwritten}"] if run.unwritten else words)


def _head(run: Run) -> Iterable[str]:
    yield f"Pass {run.id}: {run.kind}, because of: {run.trigger}"
    first = "First started" if run.tries > 1 else "Started"
    yield f"{first} {_moment(run.started)}, took {run.seconds:.1f} s."
    code = "" if run.exit is None else f", exit code {run.exit} ({Exit(run.exit).name.lower()})"
    yield f"State {run.state}{code}" + (f"; the same {run.tries} times in a row." if run.tries > 1 else ".")
    yield from (words for words in (run.error, run.hint) if words)
    if run.counts:
        named = ", ".join(f"{name} {count}" for name, count in run.counts.items() if count)
        yield f"Counts: {named or ('nothing to do' if run.state == 'completed' else 'none')}."


def _show_details(console: Console, run: Run) -> None:
    for note in run.notes:
        console.print(f"* {note}", markup=False)
    _show_table(console, "kinds not read", ("kind", "why"), ((one.kind, one.message) for one in run.failures))
    _show_table(
        console,
        f"not written: {run.unwritten}",
        ("entity", "from", "Port's answer"),
        (
            (f"{one.blueprint}/{one.identifier}", one.source or "", f"{one.status} {one.code}: {one.message}")
            for one in run.refused
        ),
    )
    _show_table(
        console,
        f"expressions that failed: {run.counts.get('problems', 0)}",
        ("source entity", "resource", "field", "why"),
        ((one.ref, str(one.resource), one.field, one.message) for one in run.problems),
    )
    _show_table(
        console,
        "kept although stale: " + "; ".join(f"{count}: {hold_reason(hold)}" for hold, count in run.holds.items()),
        ("entity", "from", "why"),
        ((f"{one.blueprint}/{one.identifier}", one.source or "", hold_reason(one.hold)) for one in run.held),
    )
    if any(hold in run.holds for hold in RELEASABLE):
        console.print("Look whether they may go; `stageport sync --release-deletes` deletes them.", markup=False)


def _show_table(console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = list(rows)
    if not lines:
        return
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*line)
    console.print(table, markup=False)


def _moment(stamp: str) -> str:
    return f"{stamp[:19].replace('T', ' ')} UTC"
