"""``stageport plan``: what a pass would change."""

from typing import Annotated, Literal

import typer

from stageport.cli.options import BackstageUrl, ConfigFile, Identifier, PortUrl, Quiet, ReleaseDeletes, overrides
from stageport.model.exits import Exit


def plan(
    config: ConfigFile = None,
    backstage_url: BackstageUrl = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
    release_deletes: ReleaseDeletes = False,
    quiet: Quiet = False,
    output: Annotated[
        Literal["text", "json", "markdown"], typer.Option("--output", "-o", help="How to print the plan.")
    ] = "text",
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there is something to apply.")
    ] = False,
) -> int:
    """Show what `sync` would create, update, delete and keep. Nothing is written, at Port or anywhere."""
    from stageport.cli.passes import load, preview, show_plan

    given = overrides(backstage_url=backstage_url, port_url=port_url, identifier=identifier)
    found = preview(load(given, config=config), quiet=quiet, release_deletes=release_deletes)
    show_plan(found, output=output)
    code = found.plan.exit
    if code is Exit.OK and detailed_exitcode and found.changes_anything:
        return Exit.CHANGES
    return code
