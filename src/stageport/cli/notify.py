"""``stageport notify``: tells a running service to look at some entities now."""

import os
from pathlib import Path
from typing import Annotated

import typer

from stageport.cli.options import ConfigFile


def notify(
    refs: Annotated[
        list[str] | None, typer.Argument(metavar="REF...", help="Entities to look at, as kind:namespace/name.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Look at everything instead.")] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help="Where the service answers; `base_url`, or this machine, when left out."
        ),
    ] = None,
    config: ConfigFile = None,
) -> int:
    """Tell a running `stageport run` that entities changed in Backstage, so that it looks at them now.

    For scripts and pipelines: what is said is a hint, and what is true is
    read from Backstage. It is signed with `live_events_secret`. Without a
    secret the service listens to its own machine only.
    """
    from stageport.cli.notifying import notify_service
    from stageport.model.errors import UsageError
    from stageport.settings import load_settings

    if bool(refs) == everything:
        raise UsageError("Name the entities to look at, or give --all.")
    settings = load_settings(environ=os.environ, directory=Path.cwd(), file=config).settings
    taken = notify_service(settings, refs=refs or [], url=url)
    typer.echo("Everything will be looked at." if everything else f"{taken} to be looked at.")
    return 0
