"""``stageport sandbox port|backstage``: the local stand-ins, each in a process of its own."""

import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from stageport.cli.console import counted
from stageport.model.errors import StageportError

app = typer.Typer(no_args_is_help=True, help="Run a local stand-in for Port or for Backstage. No account needed.")

Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Number = Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Latency = Annotated[int, typer.Option("--latency", metavar="MS", min=0, help="Answer every request so much later.")]


@app.command("port")
def port(
    host: Host = "127.0.0.1",
    number: Number = 8787,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="FILE", help="Keep the state in this file; in memory otherwise.")
    ] = None,
    client_id: Annotated[str, typer.Option("--client-id", help="The client id it accepts.")] = "sandbox-client",
    client_secret: Annotated[
        str, typer.Option("--client-secret", help="The client secret it accepts.")
    ] = "sandbox-secret",
    latency: Latency = 0,
) -> None:
    """Run a Port that validates like Port, with a page that lists what arrived. Stop it with Ctrl-C."""
    from stageport.sandbox.faults import Fault, FaultKind
    from stageport.sandbox.port.options import PortOptions
    from stageport.sandbox.port.server import run_port_sandbox

    faults = (Fault(kind=FaultKind.LATENCY, delay_ms=latency),) if latency else ()
    options = PortOptions(client_id=client_id, client_secret=client_secret, state_file=state, faults=faults)

    def ready(url: str) -> None:
        typer.echo(f"Port stand-in on {url} (open it in a browser to see what arrived)")
        typer.echo(f"  export PORT_BASE_URL={url} PORT_CLIENT_ID={client_id} PORT_CLIENT_SECRET={client_secret}")

    _serve(run_port_sandbox(options, host=host, port=number, ready=ready), place=f"{host}:{number}")


@app.command("backstage")
def backstage(
    host: Host = "127.0.0.1",
    number: Number = 7007,
    entities: Annotated[
        int, typer.Option("--entities", metavar="N", min=0, help="Serve N synthetic entities instead of the sample.")
    ] = 0,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", metavar="DIR", help="Serve the descriptors (YAML) of this folder.")
    ] = None,
    token: Annotated[str, typer.Option("--token", help="The static token it accepts.")] = "sandbox-token",
    latency: Latency = 0,
) -> None:
    """Run a Backstage catalog with a sample of 65 entities, or your own descriptors. Stop it with Ctrl-C."""
    from stageport.sandbox.backstage.descriptors import descriptors_from
    from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, run_backstage_sandbox

    options = BackstageOptions(
        token=token,
        entities=entities or None,
        descriptors=descriptors_from(catalog) if catalog else None,
        latency_ms=latency,
    )

    def ready(running: RunningBackstage) -> None:
        many = counted(len(running.catalog), "entity", "entities")
        typer.echo(f"Backstage stand-in on {running.url}, with {many}")
        typer.echo(f"  export BACKSTAGE_URL={running.url} BACKSTAGE_TOKEN={token}")
        for ref, reason in running.catalog.rejected.items():
            typer.echo(f"  left out: {ref}: {reason}", err=True)

    _serve(run_backstage_sandbox(options, host=host, port=number, ready=ready), place=f"{host}:{number}")


def _serve(server: Coroutine[Any, Any, None], *, place: str) -> None:
    """Run a stand-in until a signal stops it.

    Raises:
        StageportError: the place to listen on is taken, or not ours.
    """
    from stageport.cli.running import run_until_stopped

    try:
        run_until_stopped(server)
    except OSError as error:
        # Of a name that is not found the number is none of the system's.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
        raise StageportError(
            f"Cannot listen on {place}: {reason}", hint="Take another one with --port (0 takes a free one) or --host."
        ) from None
