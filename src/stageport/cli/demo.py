"""``stageport demo``: the main job on embedded stand-ins, with nothing to install and no account."""

from typing import Annotated

import typer

from stageport.model.exits import Exit


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave both stand-ins running afterwards, to look around. Ctrl-C ends it.")
    ] = False,
) -> int:
    """Sync a sample Backstage catalog into a local Port stand-in: everything, nothing, a change, and a lost permission.

    Both run on this machine. What arrived is looked up in Port, entity by entity.
    """
    from stageport.cli.running import run_async, run_until_stopped
    from stageport.cli.showcase import run_demo

    run = run_until_stopped if keep else run_async
    run(run_demo(keep=keep))
    return Exit.OK
