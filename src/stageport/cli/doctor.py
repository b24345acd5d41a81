"""The examinations behind ``stageport check``: each gives findings, and none of them stops the others."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from rich.table import Table

from stageport.cli.blueprint_input import basis_of_port
from stageport.cli.console import print_json, result_console
from stageport.cli.mapping_review import review_mapping, subject_of
from stageport.http.retry import RetryPolicy
from stageport.mapping.jq_tokens import line_and_column
from stageport.mapping.lint import Remark
from stageport.model.entities import Json
from stageport.model.errors import SettingsError, StageportError
from stageport.model.events import ignore
from stageport.model.exits import Exit
from stageport.port.blueprints import PortBlueprints
from stageport.port.session import PortSession
from stageport.settings import Loaded, Part, SettingRow, Settings, load_settings, secrets_of, settings_rows
from stageport.settings.access import LOOK_HINT, missing_settings
from stageport.sync.ground import expected_ground, find_ground
from stageport.sync.surroundings import Ground
from stageport.telemetry.logs import configure_logs
from stageport.wiring import may_initialize, open_backstage, open_integration, open_port

IMPATIENT = RetryPolicy(attempts=2, seconds=20.0, unreachable_seconds=5.0)
"""A person is waiting for the answer."""


class Level(StrEnum):
    """How a finding turned out."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``exit`` counts when the level is error."""

    subject: str
    level: Level
    message: str
    hint: str = ""
    exit: Exit = Exit.OK


@dataclass(frozen=True, slots=True)
class Examination:
    """All findings, and the settings they rest on."""

    findings: tuple[Finding, ...]
    rows: tuple[SettingRow, ...] = field(default=())


async def examine(given: Mapping[str, object], *, config: Path | None) -> Examination:
    """Look at settings, Backstage, Port and the mapping.

    Raises:
        SettingsError: a setting is invalid, so that nothing can be looked at.
    """
    loaded = _load(given, config=config)
    configure_logs(level="ERROR", style="text", secrets=secrets_of(loaded.settings))
    findings = list(_settings(loaded))
    kinds: dict[str, int] = {}
    findings.extend([finding async for finding in _backstage(loaded.settings, kinds)])
    findings.extend([finding async for finding in _port(loaded.settings, kinds)])
    return Examination(tuple(findings), settings_rows(loaded))


def _load(given: Mapping[str, object], *, config: Path | None) -> Loaded:
    try:
        return load_settings(given, file=config)
    except SettingsError as error:
        if error.hint == LOOK_HINT:  # which is what the person does already
            error.hint = "Mend what is named, where it stands; then this command lists all settings in force."
        raise


def _settings(loaded: Loaded) -> Iterator[Finding]:
    for part in (Part.BACKSTAGE, Part.PORT):
        given = {tuple(row.name.split(".")) for row in settings_rows(loaded) if row.value != "-"}
        for words in missing_settings((part,), given=given):
            yield Finding("settings", Level.ERROR, words, exit=Exit.SETTINGS)
    for warning in loaded.warnings:
        yield Finding("settings", Level.WARNING, warning)
    for ignored in loaded.ignored:
        yield Finding("settings", Level.WARNING, f"{ignored.origin} has no effect: {ignored.reason}")


async def _backstage(settings: Settings, kinds: dict[str, int]) -> AsyncIterator[Finding]:
    if settings.integration.config.backstage_url is None:
        return
    quick = settings.model_copy(update={"start_timeout": min(settings.start_timeout, 10.0)})
    try:
        async with open_backstage(quick, ignore, policy=IMPATIENT) as catalog:
            kinds.update(await catalog.count_kinds())
    except StageportError as error:
        yield _failure("Backstage", error)
        return
    if kinds:
        shown = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        yield Finding("Backstage", Level.OK, f"{sum(kinds.values())} entities: {shown}")
    else:
        hint = "A token without permission catalog.entity.read sees an empty catalog; so does anybody while it starts."
        yield Finding("Backstage", Level.WARNING, "The catalog answers, but shows no entity at all.", hint)


async def _port(settings: Settings, kinds: Mapping[str, int]) -> AsyncIterator[Finding]:
    if settings.port.client_id is None or settings.port.client_secret is None:
        return
    try:
        async with open_port(settings, ignore, policy=IMPATIENT) as session:
            for finding in await _ground(session, settings, kinds):
                yield finding
    except StageportError as error:
        yield _failure("mapping" if error.exit is Exit.MAPPING else "Port", error)


async def _ground(session: PortSession, settings: Settings, kinds: Mapping[str, int]) -> list[Finding]:
    integration = open_integration(session, settings)
    folder = Path(settings.resources_path)
    found = await find_ground(integration, PortBlueprints(session), initialize=may_initialize(settings), folder=folder)
    name = settings.integration.identifier
    words = f"integration {name} is not registered yet" if found.is_new else f"integration {name} is registered"
    ground = expected_ground(found)
    origin = "the default mapping will be written" if found.seed_config else "the mapping stored at Port is used"
    return [
        Finding("Port", Level.OK, f"{words}; {origin}"),
        _mapping(ground),
        *_unmapped(ground, kinds),
        *await _remarks(found.config, ground, kinds),
    ]


async def _remarks(config: Json, ground: Ground, kinds: Mapping[str, int]) -> list[Finding]:
    """Say of the mapping what ``check --mapping --against-port`` says of a file."""
    basis = basis_of_port(list(ground.blueprints.values()))
    review = await review_mapping(config, basis=basis, kinds=kinds or None)
    return [
        Finding(
            "mapping",
            Level(one.level.value),
            f"{subject_of(one.path, review.resources)}{_place(config, one)}: {one.message}",
            one.hint,
            Exit.MAPPING,
        )
        for one in review.remarks
    ]


def _place(config: Json, remark: Remark) -> str:
    """Say where in an expression the trouble is; the document at Port has no lines of its own."""
    if remark.span is None:
        return ""
    value = config
    for step in remark.path:
        value = value[step]
    line, column = line_and_column(str(value), remark.span[0])
    return f", line {line}, column {column}"


def _mapping(ground: Ground) -> Finding:
    document = ground.document
    return Finding("mapping", Level.OK, f"{len(document.resources)} resources, kinds {', '.join(document.kinds())}")


def _unmapped(ground: Ground, kinds: Mapping[str, int]) -> Iterator[Finding]:
    """Name the kinds of the catalog that nothing maps: fewer entities arrive at Port than Backstage has."""
    mapped = {kind.lower() for kind in ground.document.kinds()}
    left = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()) if kind.lower() not in mapped)
    if left:
        yield Finding("mapping", Level.OK, f"not mapped: {left}")


def _failure(subject: str, error: StageportError) -> Finding:
    return Finding(subject, Level.ERROR, error.message, error.hint, error.exit)


def show_findings(examination: Examination, *, output: Literal["text", "json"]) -> Exit:
    """Print the findings and return the exit code of the first error among them."""
    if output == "json":
        print_json(_document(examination))
    else:
        _print(examination)
    return next((one.exit for one in examination.findings if one.level is Level.ERROR), Exit.OK)


def _print(examination: Examination) -> None:
    console = result_console()
    table = Table(title="Settings", title_justify="left", box=None, pad_edge=False)
    for name in ("setting", "value", "from"):
        table.add_column(name, overflow="fold")
    for row in _worth_showing(examination.rows):
        table.add_row(row.name, row.value, _origin(row))
    console.print(table, markup=False)
    console.print()
    signs = {Level.OK: "[green]✓[/green]", Level.WARNING: "[yellow]![/yellow]", Level.ERROR: "[red]✗[/red]"}
    for finding in examination.findings:
        console.print(f"{signs[finding.level]} [bold]{finding.subject}:[/bold] ", end="")
        console.print(finding.message, markup=False)
        if finding.hint:
            console.print(f"    {finding.hint}", markup=False)


def _worth_showing(rows: Iterable[SettingRow]) -> Iterator[SettingRow]:
    """Leave out what nobody set, but for the few settings that everybody needs to see."""
    always = ("port.base_url", "integration.identifier", "integration.config.backstage_url")
    return (row for row in rows if row.origin.source != "default" or row.name in always)


def _origin(row: SettingRow) -> str:
    if not row.shadowed:
        return str(row.origin)
    return f"{row.origin} (over {', '.join(map(str, row.shadowed))})"


def _document(examination: Examination) -> object:
    return {
        "settings": [
            {"name": row.name, "value": row.value, "from": str(row.origin), "over": list(map(str, row.shadowed))}
            for row in examination.rows
        ],
        "findings": [
            {"subject": one.subject, "level": one.level.value, "message": one.message, "hint": one.hint}
            for one in examination.findings
        ],
    }
