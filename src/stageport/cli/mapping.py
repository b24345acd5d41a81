"""``stageport mapping show|store``: the mapping document at Port, which is the one that counts."""

from pathlib import Path
from typing import Annotated

import typer

from stageport.cli.options import ConfigFile, Fit, Identifier, PortUrl, overrides

app = typer.Typer(no_args_is_help=True, help="Show the mapping at Port, or store another one there.")


@app.command("show")
def show(config: ConfigFile = None, port_url: PortUrl = None, identifier: Identifier = None) -> None:
    """Print the mapping at Port as YAML. Keep it in a file, and `stageport mapping store` brings it back."""
    from stageport.cli.mapping_file import fetch_mapping, load_port_side
    from stageport.cli.running import run_async

    loaded = load_port_side(overrides(port_url=port_url, identifier=identifier), config=config)
    typer.echo(run_async(fetch_mapping(loaded.settings)), nl=False)


@app.command("store")
def store(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The mapping, in YAML or JSON.")],
    fit: Fit = False,
    register: Annotated[
        bool, typer.Option("--register", help="Register the integration with it, where Port has none of that name.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Store it although `check --mapping` finds errors in it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    config: ConfigFile = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
) -> None:
    """Store a mapping at Port in place of the one there. No entity is touched; the next pass works with it.

    `stageport plan --mapping FILE` shows before what that pass would do. A
    service that runs begins it at once, because Port asks for a resync
    whenever a mapping is stored. What `check --mapping FILE` calls an error is refused.
    """
    from stageport.cli.mapping_file import load_port_side
    from stageport.cli.mapping_store import read_sound_mapping, replace_mapping, stored_lines
    from stageport.cli.running import run_async

    document = read_sound_mapping(file, force=force)
    loaded = load_port_side(overrides(port_url=port_url, identifier=identifier), config=config)
    stored = run_async(replace_mapping(loaded.settings, document, fit=fit, register=register, dry_run=dry_run))
    for line in stored_lines(stored, dry_run=dry_run):
        typer.echo(line)
