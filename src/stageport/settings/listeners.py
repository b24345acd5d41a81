"""What makes a running service resync: the event listener, in all the types that Ocean's settings know.

Keys that belong to another type are left aside, because Port's Helm chart passes ``brokers`` along whatever the
type is.
"""

import json
from typing import Annotated, Literal

from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """A group of settings: frozen, unknown keys left aside, inputs never quoted in errors (they may be secrets)."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        alias_generator=AliasGenerator(serialization_alias=to_camel),
    )


def _brokers(value: object) -> object:
    """Accept brokers as a list, as JSON, or separated by commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


STRINGS_OR_ONE = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
Brokers = Annotated[tuple[str, ...], BeforeValidator(_brokers), WithJsonSchema(STRINGS_OR_ONE)]


class Listener(Section):
    """What every type of listener has."""

    should_resync: bool = Field(default=True, description="False: no resyncs, whoever asks; live changes still come.")
    should_process_webhooks: bool = Field(default=True, description="Accepted for Ocean's sake.")
    should_run_actions: bool = Field(default=True, description="Accepted for Ocean's sake.")


class PollingListener(Listener):
    """Ask Port every so often whether somebody requested a resync."""

    type: Literal["POLLING"] = "POLLING"
    resync_on_start: bool = Field(default=True, description="POLLING: resync once when the service starts.")
    interval: float = Field(default=60, ge=1, description="POLLING: seconds between two questions to Port.")


class KafkaListener(Listener):
    """Listen to the change log that Port writes to its Kafka."""

    type: Literal["KAFKA"]
    brokers: Brokers = Field(default=(), description="KAFKA: bootstrap servers; Port's own when empty.")
    security_protocol: str = Field(default="SASL_SSL", description="KAFKA: librdkafka's `security.protocol`.")
    authentication_mechanism: str = Field(default="SCRAM-SHA-512", description="KAFKA: librdkafka's `sasl.mechanism`.")
    kafka_security_enabled: bool = Field(default=True, description="KAFKA: false means plain text and no password.")
    consumer_poll_timeout: float = Field(default=1, gt=0, description="KAFKA: seconds to wait for a message.")


class WebhookListener(Listener):
    """Be called by Port at ``{app_host}/resync``."""

    type: Literal["WEBHOOK"]
    app_host: str = Field(min_length=1, description="WEBHOOK: the address at which Port reaches this service.")


class OnceListener(Listener):
    """Resync once, then end."""

    type: Literal["ONCE"]


class WebhooksOnlyListener(Listener):
    """Take live changes only; no resync."""

    type: Literal["WEBHOOKS_ONLY"]


class ActionsOnlyListener(Listener):
    """Run self-service actions only; there are none here, so the service just waits."""

    type: Literal["ACTIONS_ONLY"]


LISTENERS: tuple[type[Listener], ...] = (
    PollingListener,
    KafkaListener,
    WebhookListener,
    OnceListener,
    WebhooksOnlyListener,
    ActionsOnlyListener,
)
LISTENER_TYPES = ("POLLING", "KAFKA", "WEBHOOK", "ONCE", "WEBHOOKS_ONLY", "ACTIONS_ONLY")


def _listener_type(value: object) -> str:
    """Tell which listener a value describes; the type may be written in any case, and is POLLING when absent."""
    given = value.get("type", "POLLING") if isinstance(value, dict) else getattr(value, "type", "POLLING")
    return str(given).upper()


def _upper_type(value: object) -> object:
    return {**value, "type": _listener_type(value)} if isinstance(value, dict) else value


EventListener = Annotated[
    Annotated[PollingListener, Tag("POLLING")]
    | Annotated[KafkaListener, Tag("KAFKA")]
    | Annotated[WebhookListener, Tag("WEBHOOK")]
    | Annotated[OnceListener, Tag("ONCE")]
    | Annotated[WebhooksOnlyListener, Tag("WEBHOOKS_ONLY")]
    | Annotated[ActionsOnlyListener, Tag("ACTIONS_ONLY")],
    Discriminator(_listener_type),
    BeforeValidator(_upper_type),
]
