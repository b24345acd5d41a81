"""Storing a mapping at Port: ``mapping store``, which looks at the mapping before Port has it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from stageport.cli.console import counted
from stageport.cli.doctor import IMPATIENT
from stageport.cli.entity_input import read_text
from stageport.cli.mapping_check import check_alone, problem_lines
from stageport.cli.running import run_async
from stageport.mapping.document import parse_mapping
from stageport.mapping.lint import Level
from stageport.mapping.loading import load_mapping
from stageport.model.entities import Json
from stageport.model.errors import MappingError, UsageError
from stageport.model.events import ignore
from stageport.plan.fit import check_fields, fields_of_mapping
from stageport.port.blueprints import PortBlueprints
from stageport.settings import Settings
from stageport.sync.ground import Found, find_with_mapping, store_mapping
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


def read_sound_mapping(file: Path, *, force: bool) -> Json:
    """Return the mapping document of a file, and print what `check` says of it.

    Raises:
        InputError: the file cannot be read.
        MappingError: it cannot be used, or `check` finds errors in it; with ``force`` those are only printed.
    """
    name, text = str(file), read_text(str(file))
    document = load_mapping(text, name=name).config
    checked = run_async(check_alone(text, name=name))
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for line in problem_lines(checked):
        console.print(line)
    errors = checked.count(Level.ERROR)
    if errors and not force:
        many = counted(errors, "error", "errors")
        raise MappingError(
            f"Nothing was stored: {name} has {many}.",
            hint="With it entities would be dropped or lose fields. --force stores it all the same.",
        )
    return document


async def replace_mapping(settings: Settings, config: Json, *, fit: bool, register: bool, dry_run: bool) -> Stored:
    """Store a mapping document at Port, in place of the one there; with ``fit``, create the blueprints it lacks first.

    Raises:
        TargetError: Port could not be read, or refused.
        UsageError: Port has no such integration, and nobody asked to ``register`` one.
    """
    folder = Path(settings.resources_path)
    async with open_port(settings, ignore, policy=IMPATIENT) as session:
        integration, blueprints = open_integration(session, settings), PortBlueprints(session)
        found = await find_with_mapping(integration, blueprints, config=config, fit=fit, folder=folder)
        if found.is_new and not register:
            raise UsageError(
                f"Port has no integration {settings.integration.identifier}, so nothing was stored.",
                hint="Is the identifier right? --register makes it a new integration, with this mapping.",
            )
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
    if stored.registered:
        yield f"{'Would register' if dry_run else 'Registered'} {stored.identifier} at Port, as a new integration."
    yield from (f"{'Would create' if dry_run else 'Created'} blueprint {name}." for name in stored.created)
    yield from (f"Left out: {name}; the blueprint at Port cannot hold it." for name in stored.left_out)
    yield from (f"Does not fit: {words}." for words in stored.unfit)
    if stored.unfit:
        yield "Port refuses entities for that. --fit leaves such fields out and creates missing blueprints."
    many = counted(stored.resources, "resource", "resources")
    yield f"{verb} a mapping of {many} for the integration {stored.identifier}."
