"""``stageport sync``: one pass, once."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stageport.cli.options import BackstageUrl, ConfigFile, Identifier, PortUrl, Quiet, ReleaseDeletes, overrides
from stageport.cli.summary import Summary, demand_summary, sync_markdown, write_summary
from stageport.model.exits import Exit

if TYPE_CHECKING:
    from stageport.sync.service import Outcome


def sync(
    config: ConfigFile = None,
    backstage_url: BackstageUrl = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
    release_deletes: ReleaseDeletes = False,
    quiet: Quiet = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every field with what Port holds, not only what changed.")
    ] = False,
    since_ledger: Annotated[
        bool, typer.Option("--since-ledger", help="Trust the ledger, even if a verify is due.")
    ] = False,
    delta: Annotated[
        bool, typer.Option("--delta", help="Ask Backstage only what changed since the last run, and Port nothing.")
    ] = False,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", metavar="KIND", help="Only this kind; may be given several times.")
    ] = None,
    output: Annotated[
        Literal["text", "json"], typer.Option("--output", "-o", help="How to print the result.")
    ] = "text",
    summary: Summary = None,
) -> int:
    """Make Port agree with Backstage, once; only what differs is written.

    Exits with 0 when both agree, 5 when Backstage could not be read, 6 when
    Port could not be used, 7 when some entities could not be written, 8 when
    deletes are held back. Safe to run at any time, and again after a crash.

    How much is read is chosen by what the ledger remembers, and said:
    everything on the first run, after a change of the mapping and once a day;
    else what changed. The options choose otherwise.
    """
    from stageport.cli.passes import choose_kind, load, outcome_document, show_outcome, work

    demand_summary(summary)
    given = overrides(backstage_url=backstage_url, port_url=port_url, identifier=identifier)
    loaded = load(given, config=config)
    chosen = choose_kind(verify=verify, since_ledger=since_ledger, delta=delta)
    kinds = frozenset(name.lower() for name in kind or ())
    outcome: Outcome = work(loaded, quiet=quiet, release_deletes=release_deletes, kind=chosen, kinds=kinds)
    show_outcome(outcome, output=output)
    write_summary(summary, sync_markdown(outcome_document(outcome)) if summary else "")
    return Exit(outcome.exit)
