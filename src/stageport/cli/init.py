"""``stageport init``: files to begin with."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write; made when it is missing.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    location: Annotated[bool, typer.Option("--location", help="Map kind Location too.")] = False,
) -> None:
    """Write a commented mapping, its blueprints and a config.yaml to begin with, each with a schema for editors."""
    from stageport.cli.starter import write_files

    for path in write_files(folder, force=force, location=location):
        typer.echo(f"wrote {path}")
    typer.echo("Next: set PORT_CLIENT_ID, PORT_CLIENT_SECRET and BACKSTAGE_TOKEN, then run `stageport check`.")
