"""``stageport schema``: JSON Schemas for editors."""

from enum import StrEnum
from typing import Annotated

import typer


class Subject(StrEnum):
    """What there is a schema of."""

    MAPPING = "mapping"
    CONFIG = "config"


def schema(
    of: Annotated[Subject, typer.Argument(metavar="mapping|config", help="Of a mapping, or of config.yaml.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Of a mapping: refuse unknown keys, which are ignored otherwise.")
    ] = False,
) -> None:
    """Print the JSON Schema of a mapping or of config.yaml, for editors and other checkers."""
    from stageport.cli.starter import schema_text

    typer.echo(schema_text(of.value, strict=strict), nl=False)
