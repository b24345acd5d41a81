"""The settings themselves: a frozen tree with Ocean's names, defaults and limits, and a few of our own.

Validation happens here and nowhere else; where values come from is told in ``sources`` and ``load``.
"""

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema

from stageport.model.schedule import cron_expression, time_zone
from stageport.model.signing import parse_keys
from stageport.settings.cpus import default_workers
from stageport.settings.listeners import EventListener, PollingListener, Section

DEFAULT_PORT_URL = "https://api.getport.io"
KNOWN_PORT_HOSTS = frozenset({"api.getport.io", "api.us.getport.io", "api.port.io", "api.us.port.io"})
LONGEST_MINUTES = 366 * 24 * 60
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def _http_url(value: str) -> str:
    """Accept an absolute http(s) address and take its trailing slashes away, as Ocean does."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(character.isspace() for character in value):
        raise ValueError("should be an address that starts with http:// or https://")
    if parts.query or parts.fragment:
        raise ValueError("should be an address without ? and #")
    return value.rstrip("/")


def _port_url(value: str) -> str:
    """Take ``/v1`` away too: the API root is the base URL plus ``/v1`` (port-api: hosts), not twice."""
    return value.removesuffix("/v1")


def _name(value: str) -> str:
    """Accept what fits into one segment of a User-Agent and of an address: ``$datasource`` is split at slashes."""
    if not value.isascii() or not value.isprintable() or set(value) & set(" /") or not value:
        raise ValueError("should be a name in ASCII without spaces and slashes")
    return value


def _text(value: object) -> object:
    """Take a secret of digits only, which YAML reads as a number, for the text that it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _signing_secrets(value: SecretStr) -> SecretStr:
    """Accept secrets that sign as Standard Webhooks do; what is wrong is said without quoting them."""
    parse_keys(value.get_secret_value())
    return value


def _schedule(value: object) -> object:
    """Accept minutes, or a cron expression."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return cron_expression(str(value))
    if isinstance(value, int | float) and not isinstance(value, bool) and not 0 < value < LONGEST_MINUTES:
        raise ValueError("should be greater than 0 (minutes), and less than a year")
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


ScheduleValue = Annotated[
    float | str,
    BeforeValidator(_schedule),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}),
]
Secret = Annotated[SecretStr, BeforeValidator(_text)]
HttpUrl = Annotated[str, AfterValidator(_http_url), Field(json_schema_extra={"format": "uri"})]
PortUrl = Annotated[HttpUrl, AfterValidator(_port_url)]


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class LogFormat(StrEnum):
    """How log lines look; ``auto`` is text on a terminal, JSON elsewhere."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


class JqEngine(StrEnum):
    """What evaluates the expressions of a mapping; the results are the same."""

    TRANSLATED = "translated"
    LIBJQ = "libjq"


class ResourcesOrigin(StrEnum):
    """Who creates the first blueprints and the first mapping. ``Ocean`` is another word for ``Default``."""

    EMPTY = "Empty"
    DEFAULT = "Default"
    OCEAN = "Ocean"
    PORT = "Port"


LEVEL_NAMES = {"WARN": "WARNING", "FATAL": "CRITICAL", "TRACE": "DEBUG"}


def _log_level(value: object) -> object:
    if not isinstance(value, str):
        return value
    level = value.strip().upper()
    return LEVEL_NAMES.get(level, level)


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _capital(value: object) -> object:
    return value.strip().capitalize() if isinstance(value, str) else value


class PortSettings(Section):
    """How to reach Port."""

    client_id: str | None = Field(default=None, min_length=1, repr=False, description="Client id of your Port account.")
    client_secret: Secret | None = Field(default=None, min_length=1, description="Its client secret.")
    base_url: PortUrl = Field(
        default=DEFAULT_PORT_URL,
        description="Port's API: `https://api.getport.io` for the EU, `https://api.us.getport.io` for the US.",
    )


class IntegrationConfig(Section):
    """How to reach Backstage; Ocean calls this the integration's own configuration."""

    backstage_url: HttpUrl | None = Field(
        default=None, description="Address of the Backstage backend, with its port (usually 7007)."
    )
    backstage_token: Secret | None = Field(
        default=None, min_length=1, description="Static token for the Backstage API; leave it out where none is needed."
    )


class IntegrationSettings(Section):
    """Who we are to Port. Type and identifier decide which entities are ours (`$datasource`)."""

    identifier: Annotated[str, AfterValidator(_name)] = Field(
        default="my-backstage-integration",
        description="Name of this integration at Port. Entities belong to it: keep it when you move.",
    )
    type: Annotated[str, BeforeValidator(_lower), AfterValidator(_name)] = Field(
        default="backstage", description="Type of the integration at Port."
    )
    config: IntegrationConfig = IntegrationConfig()


class X509Settings(Section):
    """How strictly certificates are read."""

    strict: bool = Field(default=True, description="Refuse certificates that RFC 5280 forbids (`VERIFY_X509_STRICT`).")


class TlsSettings(Section):
    """How far the other side's certificate is trusted."""

    verify: bool = Field(default=True, description="Verify the certificate of the other side.")
    x509: X509Settings = X509Settings()


class SslSettings(Section):
    """TLS towards Port, and towards the third party (Backstage)."""

    port: TlsSettings = TlsSettings()
    third_party: TlsSettings = TlsSettings()


class Settings(Section):
    """Everything a user can decide, validated."""

    port: PortSettings = PortSettings()
    integration: IntegrationSettings = IntegrationSettings()
    event_listener: EventListener = PollingListener()
    initialize_port_resources: bool = Field(
        default=True, description="Create missing default blueprints and, when there is none, the default mapping."
    )
    send_raw_data_examples: bool = Field(
        default=True,
        description="Show Port up to five raw entities of each kind for its mapping editor.",
    )
    enable_http_logging: bool = Field(
        default=True, description="Send log lines that a person would read to Port as well."
    )
    send_sync_metrics: bool = Field(
        default=True, description="Tell Port what each resync read, wrote and could not write, kind by kind."
    )
    status_heartbeat_interval_seconds: float = Field(
        default=10, ge=0, description="Seconds between two signs of life while a resync runs; 0 for none."
    )
    scheduled_resync_interval: ScheduleValue | None = Field(
        default=None,
        description="Minutes between two resyncs, or a cron expression (`0 3 * * *`); none when left out.",
    )
    scheduled_resync_timezone: Annotated[str, AfterValidator(time_zone)] = Field(
        default="UTC", description="The time zone of the cron expression, like `Europe/Berlin`."
    )
    create_port_resources_origin: Annotated[ResourcesOrigin, BeforeValidator(_capital)] | None = Field(
        default=None,
        description="Who creates the first resources: `Default` us, `Empty` nobody. `Port` counts as `Default`: "
        "what Port would create has the same names. What Port has stored counts before this.",
    )
    client_timeout: float = Field(default=60, gt=0, description="Seconds to wait for an answer of Backstage.")
    resources_path: str = Field(
        default=".port/resources",
        min_length=1,
        description="Folder with blueprints and a mapping that replace the packaged defaults.",
    )
    base_url: HttpUrl | None = Field(
        default=None, description="Public address of this service, for live events: `{base_url}/integration/webhook`."
    )
    path_prefix: str | None = Field(
        default=None,
        min_length=1,
        description="Path under which the service answers beside the root; that of `base_url` when left out.",
    )
    ssl: SslSettings = SslSettings()
    ca_certificates: str | None = Field(
        default=None,
        min_length=1,
        description="Files and folders of certificate authorities to trust besides the system's; `:` between them.",
    )
    log_level: Annotated[LogLevel, BeforeValidator(_log_level)] = Field(
        default=LogLevel.INFO, description="How much is logged."
    )
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = Field(
        default=LogFormat.AUTO, description="`auto` is text on a terminal and JSON elsewhere."
    )
    http_host: str = Field(
        default="", description="Address on which the service answers (health, metrics); all of them when empty."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, min_length=1, description="WEBHOOK: only who knows it may ask for a resync."
    )
    http_port: int = Field(default=8000, ge=0, le=65535, description="TCP port of the service (health, metrics).")
    page_size: int = Field(default=500, ge=1, le=10_000, description="Entities per page when Backstage is read.")
    workers: int = Field(
        default_factory=default_workers,
        ge=1,
        le=64,
        description="Processes that run the mapping; one per available CPU, at most 4, when left out.",
    )
    jq: Annotated[JqEngine, BeforeValidator(_lower)] = Field(
        default=JqEngine.TRANSLATED,
        description="`translated`: plain expressions as Python functions, the others in libjq. `libjq`: all in libjq.",
    )
    start_timeout: float = Field(
        default=120, ge=0, description="Seconds to wait for a Backstage that is still starting before giving up."
    )
    unreachable_timeout: float = Field(
        default=30, ge=0, description="Seconds to go on trying an address at which nothing has answered yet."
    )
    live_events_secret: Annotated[SecretStr, AfterValidator(_signing_secrets)] | None = Field(
        default=None,
        min_length=1,
        description="What live events are signed with: `whsec_` and base64. Several, parted by spaces, to change it.",
    )
    live_events_open: bool = Field(
        default=False, description="Without a secret: take live events from everybody, not from this machine only."
    )
    live_events_bus: bool = Field(
        default=False, description="Listen to Backstage's event bus, where Backstage cannot reach this service."
    )
    delta_interval: float | None = Field(
        default=None,
        ge=0,
        description="Seconds between two looks for changes in Backstage while running; 0 for none. "
        "When left out 15, or 300 where live events are set up (`base_url`, `live_events_secret`, `live_events_bus`).",
    )
    ledger: str | None = Field(
        default=None,
        min_length=1,
        description="File that remembers what was done; `memory` for none. The state folder of the user when left out.",
    )
    concurrency: int = Field(default=16, ge=1, le=100, description="Requests to Port in flight at once, at most.")


OWN_SETTINGS = frozenset(
    {
        "ca_certificates",
        "concurrency",
        "delta_interval",
        "http_host",
        "jq",
        "ledger",
        "live_events_bus",
        "live_events_open",
        "live_events_secret",
        "log_format",
        "page_size",
        "scheduled_resync_timezone",
        "send_sync_metrics",
        "start_timeout",
        "unreachable_timeout",
        "webhook_secret",
        "workers",
    }
)
"""Top-level settings that Ocean does not have."""
