"""``stageport check``: a doctor. It looks at everything a pass needs, or at a mapping file, and writes nothing."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from stageport.cli.options import BackstageUrl, ConfigFile, Identifier, PortUrl, overrides

MappingFile = Annotated[
    Path | None,
    typer.Option(
        "--mapping",
        "-m",
        metavar="FILE",
        help="Check this mapping instead, without running it and without network.",
        show_default=False,
    ),
]
BlueprintsFile = Annotated[
    Path | None,
    typer.Option(
        "--blueprints",
        metavar="FILE",
        help="With --mapping: hold it against these blueprints; the default ones when left out.",
        show_default=False,
    ),
]


def check(
    mapping: MappingFile = None,
    blueprints: BlueprintsFile = None,
    against_port: Annotated[
        bool, typer.Option("--against-port", help="With --mapping: hold it against the blueprints at Port.")
    ] = False,
    against_backstage: Annotated[
        bool, typer.Option("--against-backstage", help="With --mapping: hold its kinds against the catalog's.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --mapping: let warnings count as errors in the exit code.")
    ] = False,
    config: ConfigFile = None,
    backstage_url: BackstageUrl = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
    output: Annotated[
        Literal["text", "json"], typer.Option("--output", "-o", help="How to print the findings.")
    ] = "text",
) -> int:
    """Check settings, both connections, the mapping and its blueprints; say what is wrong and what to do.

    With --mapping only that file is checked: every problem at once, each with line and column.
    """
    given = overrides(backstage_url=backstage_url, port_url=port_url, identifier=identifier)
    if mapping is not None:
        from stageport.cli.mapping_check import CheckRequest, run_check

        request = CheckRequest(
            mapping=mapping,
            blueprints=blueprints,
            against_port=against_port,
            against_backstage=against_backstage,
            strict=strict,
            output=output,
            config=config,
            given=given,
        )
        return run_check(request)
    if blueprints or against_port or against_backstage or strict:
        raise typer.BadParameter("--blueprints, --against-port, --against-backstage and --strict need --mapping FILE")

    from stageport.cli.doctor import examine, show_findings
    from stageport.cli.running import run_async

    findings = run_async(examine(given, config=config))
    return show_findings(findings, output=output)
