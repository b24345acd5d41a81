"""``stageport sync``: one pass, once."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stageport.cli.options import BackstageUrl, ConfigFile, Identifier, PortUrl, Quiet, ReleaseDeletes, overrides
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
    output: Annotated[
        Literal["text", "json"], typer.Option("--output", "-o", help="How to print the result.")
    ] = "text",
) -> int:
    """Make Port agree with Backstage, once; only what differs is written.

    Exits with 0 when both agree, 5 when Backstage could not be read, 6 when Port could not be used, 7 when some
    entities could not be written, 8 when deletes are held back. Safe to run at any time, and again after a crash.
    """
    from stageport.cli.passes import load, show_outcome, work

    given = overrides(backstage_url=backstage_url, port_url=port_url, identifier=identifier)
    loaded = load(given, config=config)
    outcome: Outcome = work(loaded, quiet=quiet, release_deletes=release_deletes)
    show_outcome(outcome, output=output)
    return Exit(outcome.exit)
