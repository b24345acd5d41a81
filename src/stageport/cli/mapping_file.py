"""A mapping in a file, and the one at Port: ``plan --mapping`` and ``mapping show``."""

from pathlib import Path

import yaml

from stageport.cli.doctor import IMPATIENT
from stageport.cli.entity_input import read_text
from stageport.mapping.loading import load_mapping
from stageport.model.entities import Json
from stageport.model.errors import MappingError, UsageError
from stageport.model.events import ignore
from stageport.settings import Loaded, Settings, load_settings, secrets_of
from stageport.settings.access import Part
from stageport.telemetry.logs import configure_logs
from stageport.wiring import open_integration, open_port

UNFOLDED = 2**31
"""Columns of a line: an expression that is folded in the middle is hard to read, and harder to search for."""


class _MappingDumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, as people write expressions."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_MappingDumper.add_representer(str, _represent_text)


def read_mapping(file: Path | None, *, fit: bool) -> Json:
    """Return the mapping document of a file, None where there is none to read.

    Raises:
        MappingError: it cannot be used; every fault is named.
        UsageError: ``fit`` without a file.
    """
    if file is None:
        if fit:
            raise UsageError("--fit needs --mapping FILE: the mapping at Port is used as it is.")
        return None
    return load_mapping(read_text(str(file)), name=str(file)).config


def load_port_side(given: dict[str, object], *, config: Path | None) -> Loaded:
    """Load the settings of a command that needs Port only.

    Raises:
        SettingsError: something is missing or invalid.
    """
    loaded = load_settings(given, file=config, parts=(Part.PORT,))
    configure_logs(level="ERROR", style="text", secrets=secrets_of(loaded.settings))
    return loaded


async def fetch_mapping(settings: Settings) -> str:
    """Return the mapping document at Port as YAML, with its keys in the order in which Port gives them.

    Raises:
        MappingError: there is none.
        TargetError: Port could not be read.
    """
    async with open_port(settings, ignore, policy=IMPATIENT) as session:
        config = await open_integration(session, settings).read_config()
    if not config:
        raise MappingError(
            f"The integration {settings.integration.identifier} has no mapping at Port.",
            hint="Is the identifier right? `stageport check` shows it. The first `sync` stores a mapping.",
        )
    return yaml.dump(config, Dumper=_MappingDumper, sort_keys=False, allow_unicode=True, width=UNFOLDED)
