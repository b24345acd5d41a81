"""What ``plan`` and ``sync`` share: settings in, a pass with progress and logs, a result on standard output.

Results go to standard output; progress, logs and errors to standard error, so that a result can be piped.
What only people look at (colours, progress, log lines) is imported where it is shown: a quiet run starts sooner.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from stageport.cli.console import counted, print_json, result_console
from stageport.cli.kinds import check_kinds
from stageport.cli.running import run_async
from stageport.model.entities import Json
from stageport.model.errors import StageportError, UsageError
from stageport.model.events import Event, Listener, Noticed, ignore
from stageport.model.exits import Exit
from stageport.plan.plan import Plan
from stageport.plan.render.document import plan_document
from stageport.plan.render.words import HOLD_WORDS
from stageport.settings import Loaded, Part, Settings, load_settings, secrets_of
from stageport.settings.model import LogFormat
from stageport.sync.ground import Found
from stageport.sync.passes import PassKind
from stageport.sync.service import Outcome, plan_pass, run_pass
from stageport.telemetry.redaction import Redactor
from stageport.wiring import open_surroundings, pass_options

if TYPE_CHECKING:
    from rich.console import Console

REFUSED_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Preview:
    """A plan, and what first start would add before it."""

    plan: Plan
    found: Found

    @property
    def changes_anything(self) -> bool:
        """True when ``sync`` would write anything at all."""
        provision = self.found.provision
        return not self.plan.is_empty or self.found.is_new or bool(provision and provision.creates)


def load(given: Mapping[str, object], *, config: Path | None) -> Loaded:
    """Load settings for a command that needs both sides.

    Raises:
        SettingsError: something is missing or invalid.
    """
    return load_settings(given, file=config, parts=(Part.PORT, Part.BACKSTAGE))


def start_logs(settings: Settings) -> Listener:
    """Set logging up, and return the listener that logs what a person would want to read."""
    from stageport.telemetry.logs import configure_logs, log_listener

    configure_logs(level=settings.log_level.value, style=settings.log_format.value, secrets=secrets_of(settings))
    return log_listener()


def choose_kind(*, verify: bool, since_ledger: bool, delta: bool) -> PassKind | None:
    """Turn the options that choose a pass into one; None leaves the choice to the ledger.

    Raises:
        UsageError: more than one was given.
    """
    if verify + since_ledger + delta > 1:
        raise UsageError("Give one of --verify, --since-ledger and --delta, not several.")
    asked = {PassKind.VERIFY: verify, PassKind.RESYNC: since_ledger, PassKind.DELTA: delta}
    return next((kind for kind, given in asked.items() if given), None)


def work(
    loaded: Loaded,
    *,
    quiet: bool,
    release_deletes: bool,
    kind: PassKind | None = None,
    kinds: frozenset[str] = frozenset(),
) -> Outcome:
    """Run one pass, over ``kinds`` (lower case) alone where some are given.

    Raises:
        StageportError: it could not be run to its end.
        UsageError: no resource of the mapping reads one of the kinds.
    """

    async def one_pass() -> Outcome:
        logs = _warn_of(loaded.settings) if quiet else start_logs(loaded.settings)
        with _shown(quiet=quiet, logs=logs) as listener:
            async with open_surroundings(loaded.settings, listener) as around:
                options = pass_options(loaded.settings, release_deletes=release_deletes)
                options = replace(options, kind=kind, kinds=kinds)
                await check_kinds(around, options)
                return await run_pass(around, options)

    if quiet:
        return run_async(one_pass())
    with failures_in_json(loaded.settings):
        return run_async(one_pass())


@contextmanager
def failures_in_json(settings: Settings) -> Iterator[None]:
    """Have what ends the command stand in the log, where that is to be JSON whoever reads it; elsewhere it is raised.

    Raises:
        Exit: with the code of the failure, of which nothing more is to be said.
    """
    try:
        yield
    except StageportError as error:
        if settings.log_format is not LogFormat.JSON:
            raise
        from stageport.telemetry.logs import log_failure

        log_failure(error)
        raise typer.Exit(error.exit) from None


def _warn_of(settings: Settings) -> Listener:
    """Return a listener that says nothing but warnings: a run that remembers nothing must not look like any other."""
    redact = Redactor(secrets_of(settings)).text

    def listen(event: Event) -> None:
        if isinstance(event, Noticed) and event.level == "warning":
            typer.echo(f"Warning: {redact(event.message)}", err=True)

    return listen


@contextmanager
def _shown(*, quiet: bool, logs: Listener | None = None) -> Iterator[Listener]:
    """Show progress, and log, while the block runs; when asked to be quiet, there is no progress."""
    if quiet:
        yield logs or ignore
        return
    from rich.console import Console

    from stageport.telemetry.fan_out import fan_out
    from stageport.telemetry.logs import log_words
    from stageport.telemetry.progress import show_progress

    with show_progress(Console(stderr=True), quiet=quiet, log=log_words if logs else None) as progress:
        yield fan_out(progress, logs) if logs else progress


def preview(loaded: Loaded, *, quiet: bool, release_deletes: bool, mapping: Json = None, fit: bool = False) -> Preview:
    """Plan one pass, writing nothing; with ``mapping``, as it would be with that document at Port."""
    options = replace(pass_options(loaded.settings, release_deletes=release_deletes), mapping=mapping, fit=fit)

    async def one_plan() -> Preview:
        with _shown(quiet=quiet) as progress:
            async with open_surroundings(loaded.settings, progress, writes=False) as around:
                return Preview(*await plan_pass(around, options))

    return run_async(one_plan())


def show_plan(preview: Preview, *, output: Literal["text", "json", "markdown"]) -> None:
    """Print a plan."""
    if output == "json":
        print_json({**plan_document(preview.plan), "firstStart": first_start(preview.found)})
    elif output == "markdown":
        from stageport.plan.render.markdown import plan_markdown

        typer.echo(plan_markdown(preview.plan), nl=False)
    else:
        from stageport.plan.render.text import plan_lines

        console = result_console()
        for words in first_start(preview.found):
            console.print(f"[green]+[/green] {words}", markup=True)
        for line in plan_lines(preview.plan):
            console.print(line)


def show_outcome(outcome: Outcome, *, output: Literal["text", "json"]) -> None:
    """Print what came of a pass."""
    if output == "json":
        print_json(outcome_document(outcome))
        return
    from stageport.plan.render.text import report_lines

    console = result_console()
    for line in report_lines(outcome.plan):
        console.print(line)
    _show_refused(console, outcome)
    applied, plan = outcome.applied, outcome.plan
    console.print(
        f"[bold]Done:[/bold] {applied.created} created, {applied.updated} updated, {applied.deleted} deleted, "
        f"{plan.unchanged} unchanged, {len(plan.kept)} kept, {len(applied.refused) + len(plan.blocked)} not written."
    )
    if plan.kept:
        console.print(f"  {kept_words(plan)}.", markup=False)
    if outcome.exit is not Exit.OK:
        console.print(f"[yellow]Exit code {outcome.exit.value} ({outcome.exit.name.lower()})[/yellow]")


def kept_words(plan: Plan) -> str:
    """Say how many stale entities are kept for which reason: ``2 kept: others still relate to it``."""
    holds = Counter(HOLD_WORDS[change.hold] if change.hold else "kept" for change in plan.kept)
    return "; ".join(f"{count} {words}" for words, count in holds.most_common())


def outcome_document(outcome: Outcome) -> dict[str, object]:
    """Return what came of a pass as plain JSON values."""
    document = plan_document(outcome.plan)
    return {
        "format": document["format"],
        "passId": outcome.pass_id,
        "pass": outcome.kind.value,
        "state": outcome.state,
        "exit": outcome.exit.value,
        "counts": {
            **document["counts"],
            "create": outcome.applied.created,
            "update": outcome.applied.updated,
            "delete": outcome.applied.deleted,
            "refused": len(outcome.applied.refused),
            "blocked": len(outcome.plan.blocked),
        },
        "refused": [
            {
                "blueprint": change.blueprint,
                "identifier": change.identifier,
                "source": change.source,
                "status": refusal.status,
                "code": refusal.code,
                "message": refusal.message,
            }
            for change, refusal in outcome.applied.refused
        ],
        **{key: document[key] for key in ("kept", "blocked", "failures", "problems", "notes")},
    }


def _show_refused(console: "Console", outcome: Outcome) -> None:
    refused = outcome.applied.refused
    if refused:
        from rich.table import Table

        many = counted(len(refused), "entity was", "entities were")
        table = Table(title=f"{many} refused by Port")
        for name in ("not written", "from", "Port's answer"):
            table.add_column(name, overflow="fold")
        for change, refusal in refused[:REFUSED_SHOWN]:
            said = f"{refusal.status} {refusal.code}: {refusal.message}"
            table.add_row(str(change.key), change.source or "", said)
        console.print(table, markup=False)
    if len(refused) > REFUSED_SHOWN:
        console.print(f"… and {len(refused) - REFUSED_SHOWN} more; `--output json` has them all.")
    for name in sorted({change.blueprint for change in outcome.plan.blocked}):
        count = sum(1 for change in outcome.plan.blocked if change.blueprint == name)
        words = f"Not written: {count} entities of blueprint {name}, which Port does not have."
        console.print(words, style="red", markup=False)
        console.print("  Create it at Port, or map these entities to another blueprint.")


def first_start(found: Found) -> list[str]:
    """Say what comes before the first entity is written."""
    words = ["register the integration"] if found.is_new else []
    if found.seed_config:
        words.append("store the given mapping" if found.given else "write the default mapping")
    if found.provision:
        words += [f"create blueprint {document['identifier']}" for document in found.provision.creates]
    return words
