"""Port's change log on Kafka: the one reader that tells a running service of resync requests and edits.

The Kafka library is an extra (``stageport[kafka]``), imported only here and only when the listener is on. Its consumer
blocks, so it has a thread of its own; what it hears is handed to the service's loop.

Instances of one integration share a consumer group, so that one partition is one instance's. One that was given none
stands by: it stays in the group, and is given the partition when the other goes.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from stageport.model.errors import SettingsError, TargetUnreachableError
from stageport.model.events import Listener, Noticed
from stageport.port.changelog_filter import resync_reason
from stageport.port.integration import KafkaCredentials, PortIntegration

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

PORT_BROKERS: Final = tuple(
    f"b-{number}-public.publicclusterprod.t9rw6w.c1.kafka.eu-west-1.amazonaws.com:9196" for number in (1, 2, 3)
)
"""Where Port's own integration looks when nothing else is said: Port's Kafka for the EU."""
REQUESTS_FLAG: Final = "OCEAN_KAFKA_INTEGRATION_RESYNC_REQUESTS_TOPIC_ENABLED"
UNSECURED_GROUP: Final = "no-security"
SETTLE_SECONDS: Final = 30.0
"""How long a service waits at its start to be told whether it is the one that works."""
SESSION_SECONDS: Final = 15.0
"""After so long without a sign of life an instance is given up, and another takes over."""
COMMIT_SECONDS: Final = 5.0
ASK_SECONDS: Final = 10.0
EXTRA_HINT: Final = "Install it with `pip install 'stageport[kafka]'`, or set OCEAN__EVENT_LISTENER__TYPE=POLLING."


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """How to reach Kafka: the settings of the listener. ``further`` are properties of librdkafka on top."""

    brokers: tuple[str, ...] = ()
    security_protocol: str = "SASL_SSL"
    mechanism: str = "SCRAM-SHA-512"
    is_secured: bool = True
    poll_seconds: float = 1.0
    further: Mapping[str, Any] = field(default_factory=dict)


class Hearer(Protocol):
    """Who is told."""

    async def accept(self, reason: str) -> None:
        """Take a request for a resync; when this returns it will not be told again."""
        ...

    async def note_duty(self, *, works: bool) -> None:
        """Take note of whether this instance works, or stands by for another one."""
        ...


def demand_kafka_library() -> None:
    """Make sure that the library is there.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        import confluent_kafka  # noqa: F401 -- only whether it is there
    except ImportError as error:
        raise SettingsError(
            f"The event listener KAFKA needs the library confluent-kafka, which is not installed ({error}).",
            hint=EXTRA_HINT,
        ) from None


class KafkaChangeLog:
    """Reads the change log of the organization that an integration belongs to."""

    def __init__(
        self, integration: PortIntegration, options: KafkaOptions, *, listener: Listener, settle: float = SETTLE_SECONDS
    ) -> None:
        self._integration = integration
        self._options = options
        self._listener = listener
        self._settle = settle

    async def follow(self, hearer: Hearer) -> None:
        """Tell of every request until cancelled; brokers that go away are waited for.

        Raises:
            SettingsError: Port has no Kafka credentials for this account.
            TargetError: Port could not be asked, or Kafka refuses the credentials (fresh ones may help).
        """
        identity = self._integration.identity
        organization = await self._integration.read_organization()
        credentials = await self._integration.read_kafka_credentials()
        name, flags = organization.get("id"), organization.get("featureFlags") or ()
        requests_only = REQUESTS_FLAG in flags
        topic = f"{name}.integration.resync.requests" if requests_only else f"{name}.change.log"
        reading = _Reading(
            config=consumer_config(self._options, credentials, group=f"{name}.{identity.type}.{identity.identifier}"),
            topic=topic,
            identifier=identity.identifier,
            requests_only=requests_only,
            poll_seconds=self._options.poll_seconds,
            hearer=hearer,
            listener=self._listener,
            loop=asyncio.get_running_loop(),
        )
        await self._read(reading)

    async def _read(self, reading: "_Reading") -> None:
        thread = asyncio.ensure_future(asyncio.to_thread(reading.run))
        try:
            done, _ = await asyncio.wait({thread}, timeout=self._settle)
            if not done and not reading.is_settled:
                words = f"Kafka says nothing of topic {reading.topic} yet; this instance works meanwhile."
                self._listener(Noticed("warning", words))
                await reading.hearer.note_duty(works=True)
            await asyncio.shield(thread)
        finally:
            reading.stop()
            await asyncio.wait({thread})


def consumer_config(options: KafkaOptions, credentials: KafkaCredentials | None, *, group: str) -> dict[str, Any]:
    """Return the properties of the consumer.

    Raises:
        SettingsError: Port gave no credentials, and they are needed.
    """
    common = {
        "group.id": group if options.is_secured else UNSECURED_GROUP,
        "client.id": "stageport",
        "enable.auto.commit": False,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": int(SESSION_SECONDS * 1000),
    }
    if not options.is_secured:
        servers = options.brokers or (credentials.brokers if credentials else ()) or PORT_BROKERS
        return {**common, "bootstrap.servers": ",".join(servers), "security.protocol": "PLAINTEXT", **options.further}
    if credentials is None:
        raise SettingsError(
            "Port has no Kafka credentials for this account, and the event listener is KAFKA.",
            hint="Ask Port for them, or set OCEAN__EVENT_LISTENER__TYPE=POLLING.",
        )
    return {
        **common,
        "bootstrap.servers": ",".join(options.brokers or credentials.brokers or PORT_BROKERS),
        "security.protocol": options.security_protocol,
        "sasl.mechanism": options.mechanism,
        "sasl.username": credentials.username,
        "sasl.password": credentials.password,
        **options.further,
    }


class _Reading:
    """One consumer, from its subscription to its end; ``run`` is for a thread."""

    def __init__(
        self,
        *,
        config: dict[str, Any],
        topic: str,
        identifier: str,
        requests_only: bool,
        poll_seconds: float,
        hearer: Hearer,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.topic = topic
        self.hearer = hearer
        self.is_settled = False
        self._config = config
        self._identifier = identifier
        self._requests_only = requests_only
        self._poll_seconds = poll_seconds
        self._listener = listener
        self._loop = loop
        self._stopped = threading.Event()
        self._owned: set[int] = set()
        self._committed_at = 0.0
        self._refused = ""
        self._last_words = ""

    def stop(self) -> None:
        """Ask the thread to end; it does within one poll."""
        self._stopped.set()

    def run(self) -> None:
        """Read until stopped.

        Raises:
            TargetUnreachableError: Kafka refuses us, or the consumer cannot go on.
        """
        from confluent_kafka import Consumer, KafkaException

        try:
            consumer = Consumer({**self._config, "error_cb": self._note_error, "logger": _silent_logger()})
        except KafkaException as error:
            raise self._failed(str(error)) from None
        try:
            consumer.subscribe([self.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
            while not self._stopped.is_set():
                self._poll(consumer)
                if self._refused:
                    raise self._failed(self._refused)
        except KafkaException as error:
            raise self._failed(str(error)) from None
        finally:
            consumer.close()

    def _failed(self, why: str) -> TargetUnreachableError:
        return TargetUnreachableError(
            f"Port's Kafka cannot be used: {why}.",
            hint="Compare the setting event_listener.brokers with what Port says, and allow connections to them.",
        )

    def _poll(self, consumer: "Consumer") -> None:
        message = consumer.poll(self._poll_seconds)
        if message is None:
            return
        if (error := message.error()) is not None:
            self._note_error(error)
            return
        self._last_words = ""
        value = message.value()
        reason = resync_reason(value, identifier=self._identifier, requests_only=self._requests_only) if value else None
        if reason is not None:
            self._tell(self.hearer.accept(reason))
        self._commit(consumer, message, now=reason is not None)

    def _commit(self, consumer: "Consumer", message: "Message", *, now: bool) -> None:
        """Commit what was accepted; a commit that fails means that it is told once more, which does no harm."""
        from confluent_kafka import KafkaException

        moment = time.monotonic()
        if not now and moment - self._committed_at < COMMIT_SECONDS:
            return
        self._committed_at = moment
        try:
            if now:
                consumer.commit(message=message, asynchronous=False)
            else:
                consumer.commit(message=message, asynchronous=True)
        except KafkaException as error:
            self._say(f"Kafka did not take an offset: {error}")

    # What Kafka says in between; called from within a poll.

    def _assigned(self, consumer: "Consumer", partitions: "Sequence[TopicPartition]") -> None:
        if partitions:
            self._begin_at_the_end(consumer, list(partitions))
        self._owned |= {one.partition for one in partitions}
        self._note_duty()

    def _begin_at_the_end(self, consumer: "Consumer", partitions: "list[TopicPartition]") -> None:
        """Settle where to begin before anybody is told: after what was committed, else at the end as it is now.

        The pass that follows reads the truth; what is asked for from now on must not fall into a gap.
        """
        from confluent_kafka import KafkaException

        try:
            places = consumer.committed(partitions, timeout=ASK_SECONDS)
            for place in places:
                if place.offset < 0:
                    _, place.offset = consumer.get_watermark_offsets(place, timeout=ASK_SECONDS)
            consumer.incremental_assign(places)
        except KafkaException as error:
            self._say(f"Kafka does not say where its topic ends: {error}")

    def _revoked(self, _consumer: "Consumer", partitions: "Sequence[TopicPartition]") -> None:
        self._owned -= {one.partition for one in partitions}
        if not self._stopped.is_set():
            self._note_duty()

    def _lost(self, _consumer: "Consumer", _partitions: "Sequence[TopicPartition]") -> None:
        # Kafka was away too long. Whether somebody else works now is known with the next assignment, not before.
        self._owned.clear()

    def _note_duty(self) -> None:
        self.is_settled = True
        self._tell(self.hearer.note_duty(works=bool(self._owned)))

    def _note_error(self, error: "KafkaError") -> None:
        from confluent_kafka import KafkaError

        refusals = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)  # noqa: SLF001 -- its public name
        if error.fatal() or error.code() in refusals:
            self._refused = error.str()
        else:
            self._say(f"Kafka: {error.str()}. It is tried again.")

    def _say(self, words: str) -> None:
        if words != self._last_words:
            self._loop.call_soon_threadsafe(self._listener, Noticed("info", words))
        self._last_words = words

    def _tell(self, word: Any) -> None:
        asyncio.run_coroutine_threadsafe(word, self._loop).result()


def _silent_logger() -> logging.Logger:
    """Return a logger that says nothing: the library would write to standard error by itself."""
    logger = logging.Logger("stageport.kafka")
    logger.addHandler(logging.NullHandler())
    return logger
