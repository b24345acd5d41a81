"""``stageport runs``: what the latest passes came to."""

from typing import Annotated, Literal

import typer

from stageport.cli.options import ConfigFile, Identifier, PortUrl, overrides

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)
Output = Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="How to print it.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many passes to list, the newest first.")]


@app.callback()
def runs(
    context: typer.Context,
    config: ConfigFile = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
    limit: Limit = 20,
    output: Output = "text",
) -> None:
    """List the latest passes of `sync` and `run`: when, why, how they ended.

    They are remembered in the ledger, on this machine; neither Backstage nor Port is asked.
    """
    context.obj = overrides(port_url=port_url, identifier=identifier), config
    if context.invoked_subcommand is None:
        from stageport.cli.run_history import show_runs

        show_runs(*context.obj, limit=limit, output=output)


@app.command("show")
def show(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The pass; its first characters do, or `latest`.")],
    config: ConfigFile = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
    output: Output = "text",
) -> None:
    """Show one pass: counts, what failed entity by entity, and which deletes are held back."""
    from stageport.cli.run_history import show_run

    given, file = context.obj  # what stands before `show`
    own = overrides(port_url=port_url, identifier=identifier)
    show_run({**given, **own}, config or file, run_id=run_id, output=output)
