"""``stageport plan``: what a pass would change."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stageport.cli.options import BackstageUrl, ConfigFile, Fit, Identifier, PortUrl, Quiet, ReleaseDeletes, overrides
from stageport.cli.summary import Summary, demand_summary, first_start_markdown, write_summary
from stageport.model.exits import Exit


def plan(
    config: ConfigFile = None,
    backstage_url: BackstageUrl = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
    release_deletes: ReleaseDeletes = False,
    quiet: Quiet = False,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping",
            "-m",
            metavar="FILE",
            help="Plan with this mapping, not with the one at Port.",
            show_default=False,
        ),
    ] = None,
    fit: Fit = False,
    output: Annotated[
        Literal["text", "json", "markdown"], typer.Option("--output", "-o", help="How to print the plan.")
    ] = "text",
    summary: Summary = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there is something to apply.")
    ] = False,
) -> int:
    """Show what `sync` would create, update, delete and keep. Nothing is written, at Port or anywhere.

    With --mapping, show what it would do once that file is stored at Port (`stageport mapping store`).
    """
    from stageport.cli.mapping_file import read_mapping
    from stageport.cli.passes import first_start, load, preview, show_plan

    demand_summary(summary)
    given = overrides(backstage_url=backstage_url, port_url=port_url, identifier=identifier)
    document = read_mapping(mapping, fit=fit)
    loaded = load(given, config=config)
    found = preview(loaded, quiet=quiet, release_deletes=release_deletes, mapping=document, fit=fit)
    show_plan(found, output=output)
    if summary is not None:
        from stageport.plan.render.markdown import plan_markdown

        write_summary(summary, plan_markdown(found.plan) + first_start_markdown(first_start(found.found)))
    code = found.plan.exit
    if code is Exit.OK and detailed_exitcode and found.changes_anything:
        return Exit.CHANGES
    return code
