"""What a command cannot do without: Port's credentials, Backstage's address. Commands ask only for what they need."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, SecretStr

from stageport.model.errors import SettingsError
from stageport.settings.model import Settings
from stageport.settings.names import environment_names
from stageport.settings.origin import Path, dotted

LOOK_HINT = (
    "Set them in the environment, in .env or in config.yaml; `stageport check` shows where each value was looked for."
)


class Part(StrEnum):
    """A side of the settings that a command may need."""

    PORT = "port"
    BACKSTAGE = "backstage"


@dataclass(frozen=True, slots=True)
class PortAccess:
    """How to reach Port; nothing is missing."""

    client_id: str
    client_secret: SecretStr
    base_url: str


@dataclass(frozen=True, slots=True)
class BackstageAccess:
    """How to reach Backstage; the token is None where none is needed."""

    url: str
    token: SecretStr | None


NEEDS: Mapping[Part, tuple[Path, ...]] = {
    Part.PORT: (("port", "client_id"), ("port", "client_secret")),
    Part.BACKSTAGE: (("integration", "config", "backstage_url"),),
}


def port_access(settings: Settings) -> PortAccess:
    """Return what is needed to reach Port.

    Raises:
        SettingsError: the credentials are missing.
    """
    port = settings.port
    if port.client_id is None or port.client_secret is None:
        values = (port.client_id, port.client_secret)
        raise settings_error(missing_settings((Part.PORT,), given=_present(Part.PORT, values=values)))
    return PortAccess(port.client_id, port.client_secret, port.base_url)


def backstage_access(settings: Settings) -> BackstageAccess:
    """Return what is needed to reach Backstage.

    Raises:
        SettingsError: the address is missing.
    """
    config = settings.integration.config
    if config.backstage_url is None:
        raise settings_error(missing_settings((Part.BACKSTAGE,), given=()))
    return BackstageAccess(config.backstage_url, config.backstage_token)


def missing_settings(parts: Collection[Part], *, given: Collection[Path]) -> list[str]:
    """Say which settings these parts lack, and by which names to give them."""
    return [missing_words(path) for part in Part if part in parts for path in NEEDS[part] if path not in given]


def missing_words(path: Path) -> str:
    """Say that a setting is missing, the shortest name first."""
    names = " or ".join(reversed(environment_names(path)))
    return f"{dotted(path)} is missing: set {names}"


def settings_error(problems: Collection[str]) -> SettingsError:
    """Name every problem at once."""
    count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
    lines = "".join(f"\n  - {problem}" for problem in problems)
    return SettingsError(f"{count} missing or invalid:{lines}", hint=LOOK_HINT)


def _present(part: Part, *, values: Collection[object]) -> set[Path]:
    return {path for path, value in zip(NEEDS[part], values, strict=True) if value is not None}


def secrets_of(settings: Settings) -> list[str]:
    """Return every secret value among the settings, to be kept out of all output."""
    return list(_secrets_in(settings))


def _secrets_in(section: BaseModel) -> Iterator[str]:
    for _, value in section:
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            yield from dict.fromkeys((text, *text.split()))  # where several stand in one, each is one
        elif isinstance(value, BaseModel):
            yield from _secrets_in(value)
