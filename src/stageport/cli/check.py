"""``stageport check``: a doctor. It looks at everything a pass needs and writes nothing."""

from typing import Annotated, Literal

import typer

from stageport.cli.options import BackstageUrl, ConfigFile, Identifier, PortUrl, overrides


def check(
    config: ConfigFile = None,
    backstage_url: BackstageUrl = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
    output: Annotated[
        Literal["text", "json"], typer.Option("--output", "-o", help="How to print the findings.")
    ] = "text",
) -> int:
    """Check settings, both connections, the mapping and its blueprints; say what is wrong and what to do."""
    from stageport.cli.doctor import examine, show_findings
    from stageport.cli.running import run_async

    given = overrides(backstage_url=backstage_url, port_url=port_url, identifier=identifier)
    findings = run_async(examine(given, config=config))
    return show_findings(findings, output=output)
