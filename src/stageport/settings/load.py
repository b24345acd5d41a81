"""Loading settings: merge what the sources gave, validate it once, remember where each value came from."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from types import MappingProxyType
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from stageport.model.entities import Json
from stageport.settings.access import Part, missing_settings, missing_words, settings_error
from stageport.settings.config_file import read_config
from stageport.settings.dotenv import read_dotenv
from stageport.settings.listeners import LISTENER_TYPES
from stageport.settings.model import KNOWN_PORT_HOSTS, LOOPBACK_HOSTS, Settings
from stageport.settings.names import LISTENER, is_hidden, leaves
from stageport.settings.origin import Given, Ignored, Origin, Path, Source, dotted
from stageport.settings.sources import Collected, collect_file, collect_options, collect_variables

HIDDEN = "set (hidden)"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and how they came about.

    ``provenance`` holds every setting by its dotted path; ``shadowed`` the weaker places that named it too, in
    vain; ``ignored`` the names that have no effect; ``warnings`` what is allowed but looks wrong.
    """

    settings: Settings
    provenance: Mapping[str, Origin]
    shadowed: Mapping[str, tuple[Origin, ...]]
    ignored: tuple[Ignored, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the table that ``stageport check`` prints. ``value`` never holds a secret."""

    name: str
    value: str
    origin: Origin
    shadowed: tuple[Origin, ...]


def load_settings(
    options: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: FilePath | None = None,
    file: FilePath | None = None,
    parts: Collection[Part] = (),
) -> Loaded:
    """Read all sources and return validated settings.

    ``options`` is what the command line gave, by dotted path (``{"port.base_url": …, "page_size": …}``; None means
    not given). ``directory`` is where ``.env`` and ``config.yaml`` are looked for, the current one by default;
    ``file`` is read instead of ``config.yaml``. ``parts`` are the sides that must be complete.

    Raises:
        SettingsError: naming every missing and every invalid setting at once.
    """
    folder = directory or FilePath.cwd()
    variables = os.environ if environ is None else environ
    found = _collect(options or {}, variables=variables, folder=folder, file=file)
    winners, shadowed = _rank(found.given)
    settings = _validate(winners, problems=found.problems, parts=parts)
    provenance = {path: winners[path].origin if path in winners else Origin(Source.DEFAULT) for path in _paths()}
    return Loaded(
        settings,
        provenance=MappingProxyType({dotted(path): origin for path, origin in provenance.items()}),
        shadowed=MappingProxyType({dotted(path): origins for path, origins in shadowed.items()}),
        ignored=tuple(found.ignored),
        warnings=tuple(_warnings(settings)),
    )


def settings_rows(loaded: Loaded) -> tuple[SettingRow, ...]:
    """Return every setting with its value (secrets hidden) and where it came from."""
    rows = ((path, setting_value(loaded.settings, path)) for path in _paths())
    return tuple(
        SettingRow(
            name=dotted(path),
            value=show_value(path, value),
            origin=loaded.provenance[dotted(path)],
            shadowed=loaded.shadowed.get(dotted(path), ()),
        )
        for path, value in rows
        if path[:1] != LISTENER or value is not _ABSENT
    )


_ABSENT = object()


def setting_value(settings: Settings, path: Path) -> object:
    """Return the value at a path; a listener lacks the keys of other types."""
    value: object = settings
    for name in path:
        value = getattr(value, name, _ABSENT)
    return value


def show_value(path: Path, value: object) -> str:
    """Write a value for people: never a secret, not even one inside an address."""
    if value is None or value == ():
        return "-"
    if is_hidden(path) or isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    text = str(value)
    return _without_password(text) if "://" in text else text


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"***@{host}").geturl() if host != parts.netloc else url


def _collect(
    options: Mapping[str, object], *, variables: Mapping[str, str], folder: FilePath, file: FilePath | None
) -> Collected:
    """Read the sources, the strongest first."""
    dotenv = read_dotenv(folder / ".env")
    name, content = read_config(folder, file=file)
    found = Collected()
    collect_options(found, options)
    collect_variables(found, variables, source=Source.ENVIRONMENT)
    collect_variables(found, dotenv, source=Source.DOTENV)
    collect_file(found, content, name=name, variables={**dotenv, **variables})
    return found


def _rank(given: list[Given]) -> tuple[dict[Path, Given], dict[Path, tuple[Origin, ...]]]:
    winners: dict[Path, Given] = {}
    shadowed: dict[Path, tuple[Origin, ...]] = {}
    for each in given:
        if each.path in winners:
            shadowed[each.path] = (*shadowed.get(each.path, ()), each.origin)
        else:
            winners[each.path] = each
    return winners, shadowed


def _validate(winners: Mapping[Path, Given], *, problems: list[str], parts: Collection[Part]) -> Settings:
    wrong = [*problems, *missing_settings(parts, given=winners), *_absent_authorities(winners)]
    try:
        settings = Settings.model_validate(_nested(winners))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise settings_error([*(_words(each, winners=winners) for each in details), *wrong]) from None
    if wrong:
        raise settings_error(wrong)
    return settings


def _absent_authorities(winners: Mapping[Path, Given]) -> Iterator[str]:
    """Name places that do not exist: a connection would tell of them only once it is one over TLS."""
    given = winners.get(("ca_certificates",))
    if given is None:
        return
    for place in str(given.value).split(os.pathsep):
        if place and not FilePath(place).exists():
            yield f"ca_certificates ({given.origin}) names {place}, and there is no such file or folder"


def _nested(winners: Mapping[Path, Given]) -> Json:
    tree: dict[str, Json] = {}
    for path, given in winners.items():
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = given.value
    return tree


def _words(error: ErrorDetails, *, winners: Mapping[Path, Given]) -> str:
    """Say what is wrong with one setting; the value is quoted only where it cannot be a secret."""
    path = tuple(str(part) for part in error["loc"] if str(part) not in LISTENER_TYPES)
    message = error["msg"]
    if error["type"] == "union_tag_invalid":
        path, message = (*LISTENER, "type"), f"should be one of {', '.join(LISTENER_TYPES)}"
    given = next((winners[known] for known in winners if path[: len(known)] == known), None)
    if given is None:
        return missing_words(path) if error["type"] == "missing" else f"{dotted(path)}: {message}"
    return f"{dotted(path)} ({given.origin}) {_plain(message)}{_quoted(given)}"


def _plain(message: str) -> str:
    """Take pydantic's accent off a message."""
    for opening in ("Value error, ", "Input ", "String "):
        message = message.removeprefix(opening)
    return message.partition(", unable to")[0]


def _quoted(given: Given) -> str:
    harmless = isinstance(given.value, (str, int, float)) and "url" not in given.path[-1] and not is_hidden(given.path)
    return f", not {str(given.value)[:60]!r}" if harmless else ""


def _paths() -> list[Path]:
    return [leaf.path for leaf in leaves()]


def _warnings(settings: Settings) -> list[str]:
    host = urlsplit(settings.port.base_url).hostname or ""
    warnings = []
    if host not in KNOWN_PORT_HOSTS | LOOPBACK_HOSTS:
        known = ", ".join(sorted(KNOWN_PORT_HOSTS))
        warnings.append(f"port.base_url: {host} is none of the known hosts of Port ({known})")
    if "@" in (settings.port.client_id or ""):
        warnings.append("port.client_id looks like a personal account; use the credentials of the organization")
    if settings.base_url and not (settings.live_events_secret or settings.live_events_open):
        warnings.append("live_events_secret is missing: live events are taken from this machine only")
    return warnings
