"""A mapping in a file, and the one at Port: ``plan --mapping``, ``mapping show`` and ``mapping store``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from stageport.cli.doctor import IMPATIENT
from stageport.cli.entity_input import read_text
from stageport.mapping.document import parse_mapping
from stageport.mapping.loading import load_mapping
from stageport.model.entities import Json
from stageport.model.errors import MappingError, UsageError
from stageport.model.events import ignore
from stageport.plan.fit import check_fields, fields_of_mapping
from stageport.port.blueprints import PortBlueprints
from stageport.settings import Loaded, Settings, load_settings, secrets_of
from stageport.settings.access import Part
from stageport.sync.ground import Found, find_with_mapping, store_mapping
from stageport.telemetry.logs import configure_logs
from stageport.wiring import open_integration, open_port


@dataclass(frozen=True, slots=True)
class Stored:
    """What ``mapping store`` did, or with ``dry_run`` would do: ``created`` blueprints, fields that were left out."""

    identifier: str
    resources: int
    created: tuple[str, ...]
    left_out: tuple[str, ...]
    unfit: tuple[str, ...]
    registered: bool


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
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)


async def replace_mapping(settings: Settings, config: Json, *, fit: bool, dry_run: bool) -> Stored:
    """Store a mapping document at Port, in place of the one there; with ``fit``, create the blueprints it lacks first.

    Raises:
        TargetError: Port could not be read, or refused.
    """
    folder = Path(settings.resources_path)
    async with open_port(settings, ignore, policy=IMPATIENT) as session:
        integration, blueprints = open_integration(session, settings), PortBlueprints(session)
        found = await find_with_mapping(integration, blueprints, config=config, fit=fit, folder=folder)
        if not dry_run:
            await store_mapping(found, integration, blueprints)
    return _stored(settings, config, found)


def _stored(settings: Settings, config: Json, found: Found) -> Stored:
    created = tuple(str(one["identifier"]) for one in found.provision.creates) if found.provision else ()
    documents = {**found.blueprints, **found.coming}
    unfit = check_fields(documents, fields=fields_of_mapping(parse_mapping(found.config)))
    return Stored(
        identifier=settings.integration.identifier,
        resources=len(found.config["resources"]),
        created=created,
        left_out=tuple(_lost(config, found.config)),
        unfit=tuple(one.message for one in unfit),
        registered=found.is_new,
    )


def _lost(before: Json, after: Json) -> Iterator[str]:
    """Name the fields that one document has and the other lacks."""
    for one, other in zip(before["resources"], after["resources"], strict=True):
        mappings, kept = (each["port"]["entity"]["mappings"] for each in (one, other))
        for group in ("properties", "relations"):
            lost = [name for name in mappings.get(group) or {} if name not in (kept.get(group) or {})]
            yield from (f"{one['kind']}: {group}.{name}" for name in lost)


def stored_lines(stored: Stored, *, dry_run: bool) -> Iterator[str]:
    """Say what was done, or would be."""
    verb = "Would store" if dry_run else "Stored"
    yield from (f"{'Would create' if dry_run else 'Created'} blueprint {name}." for name in stored.created)
    yield from (f"Left out: {name}; the blueprint at Port cannot hold it." for name in stored.left_out)
    yield from (f"Does not fit: {words}." for words in stored.unfit)
    if stored.unfit:
        yield "Port refuses entities for that. --fit leaves such fields out and creates missing blueprints."
    many = "1 resource" if stored.resources == 1 else f"{stored.resources} resources"
    yield f"{verb} a mapping of {many} for the integration {stored.identifier}."
