"""Options that several commands share, and how they become settings."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Read this file instead of ./config.yaml.", show_default=False),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show results, warnings and errors only.")]
BackstageUrl = Annotated[
    str | None,
    typer.Option(
        "--backstage-url", metavar="URL", help="Backstage backend; counts more than BACKSTAGE_URL.", show_default=False
    ),
]
PortUrl = Annotated[
    str | None,
    typer.Option("--port-url", metavar="URL", help="Port's API; counts more than PORT_BASE_URL.", show_default=False),
]
Identifier = Annotated[
    str | None,
    typer.Option(
        "--identifier", metavar="NAME", help="The integration at Port; decides what is ours.", show_default=False
    ),
]
ReleaseDeletes = Annotated[
    bool,
    typer.Option(
        "--release-deletes",
        help="Delete what is held back because the source, a kind, or too large a share is gone. For one run.",
    ),
]

Fit = Annotated[
    bool,
    typer.Option(
        "--fit",
        help="Create the blueprints that Port lacks, and leave out what the others cannot hold.",
    ),
]


def overrides(
    *, backstage_url: str | None = None, port_url: str | None = None, identifier: str | None = None
) -> dict[str, object]:
    """Return what the command line gave, by the dotted path of the setting."""
    given = {
        "integration.config.backstage_url": backstage_url,
        "port.base_url": port_url,
        "integration.identifier": identifier,
    }
    return {path: value for path, value in given.items() if value is not None}
