"""The command line's front door: the commands, and how errors leave the process.

Commands import what they need when they run, so that `stageport --help` stays quick.
"""

import errno
import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from stageport.cli import check, demo, init, map, mapping, notify, plan, run, runs, sandbox, schema, sync  # noqa: A004 - it is the command's name
from stageport.model.errors import StageportError
from stageport.model.exits import Exit
from stageport.telemetry.colours import wants_colours

CLICK_USAGE = 2
"""What the command-line library exits with on wrong usage; here 2 means something else (see ``Exit``)."""

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What writing to a full or failing disk ends in."""

app = typer.Typer(
    name="stageport",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Keeps a Port software catalog in step with a Backstage catalog.",
)
app.command("demo")(demo.demo)
app.command("plan")(plan.plan)
app.command("sync")(sync.sync)
app.command("run")(run.run)
app.command("notify")(notify.notify)
app.command("check")(check.check)
app.command("map")(map.map_entities)
app.command("schema")(schema.schema)
app.command("init")(init.init)
app.add_typer(mapping.app, name="mapping")
app.add_typer(runs.app, name="runs")
app.add_typer(sandbox.app, name="sandbox")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"stageport {version('stageport')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keeps a Port software catalog in step with a Backstage catalog."""


def main() -> None:
    """Run the command line and leave with an exit code of ``Exit``; a person never sees a traceback."""
    _open_what_is_closed()
    try:
        code = app(standalone_mode=False)
        # What is not out by now would fail where nobody catches it: when the interpreter ends.
        sys.stdout.flush()
    except TyperException as error:
        # The words of the library that reads values have a name of an error in front.
        error.message = error.message.replace("Value error, ", "")
        error.show() if hasattr(error, "show") else typer.echo(f"Error: {error}", err=True)
        sys.exit(Exit.USAGE if error.exit_code == CLICK_USAGE else error.exit_code)
    except StageportError as error:
        show_error(error)
        sys.exit(error.exit)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader (`| head`) went away: nothing to say, and nobody to say it to.
        _abandon_output()
        sys.exit(Exit.FAILED)
    except OSError as error:
        show_error(_refusal(error))
        _abandon_output()
        sys.exit(Exit.FAILED)
    sys.exit(code if isinstance(code, int) else Exit.OK)


def _open_what_is_closed() -> None:
    """Give a process that was started without an output (``>&-``) one that leads nowhere; Python gives it None."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as it lives


def _abandon_output() -> None:
    """Let what cannot be written go nowhere, lest the interpreter tries again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refusal(error: OSError) -> StageportError:
    """Say what the operating system refused; an error of a disk that names no file comes from the output."""
    reason = error.strerror or str(error)
    if error.filename:
        return StageportError(f"{error.filename}: {reason}")
    if error.errno in DISK_ERRORS:
        hint = "Send it to a place that has room, and run it again."
        return StageportError(f"The output cannot be written: {reason}", hint=hint)
    return StageportError(reason)


def show_error(error: StageportError) -> None:
    """Print what happened and what to do about it."""
    words = f"Error: {error.message}"
    typer.echo(typer.style(words, fg="red") if wants_colours(sys.stderr, os.environ) else words, err=True)
    if error.hint:
        typer.echo(f"  {error.hint}", err=True)
