"""``stageport map``: what a mapping makes of source entities, without writing anything."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stageport.cli.options import BackstageUrl, ConfigFile, Identifier, PortUrl, overrides

What = Annotated[
    str | None,
    typer.Argument(
        metavar="[REF|FILE|-]",
        help="A ref to read from Backstage, or a file (`-`: standard input) with entities in JSON or YAML.",
        show_default=False,
    ),
]
MappingFile = Annotated[
    Path | None,
    typer.Option(
        "--mapping",
        "-m",
        metavar="FILE",
        help="A whole mapping or one resource; the mapping at Port when left out.",
        show_default=False,
    ),
]
BlueprintsFile = Annotated[
    Path | None,
    typer.Option(
        "--blueprints",
        metavar="FILE",
        help="Say what Port would say by these blueprints; those at Port, or the default ones, when left out.",
        show_default=False,
    ),
]


def map_entities(
    what: What = None,
    mapping: MappingFile = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", "-k", help="Only entities of this kind; the kind of a ref that has none."),
    ] = None,
    blueprints: BlueprintsFile = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 7 when anything fails or Port would refuse it.")
    ] = False,
    output: Annotated[
        Literal["text", "json"], typer.Option("--output", "-o", help="How to print what came of it.")
    ] = "text",
    config: ConfigFile = None,
    backstage_url: BackstageUrl = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
) -> int:
    """Show what a mapping makes of one source entity or of many. Nothing is written, at Port or anywhere.

    With --mapping and a file or `-`, no network is touched and no settings are needed.
    """
    from stageport.cli.map_request import MapRequest
    from stageport.cli.mapping_run import run_map

    request = MapRequest(
        what=what,
        mapping=mapping,
        kind=kind,
        blueprints=blueprints,
        strict=strict,
        output=output,
        config=config,
        given=overrides(backstage_url=backstage_url, port_url=port_url, identifier=identifier),
    )
    return run_map(request)
