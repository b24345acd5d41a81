"""The only place that knows concrete classes: it puts clients, stores and processes together for a pass."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, urlsplit

from stageport.backstage.bus import LONGEST_WAIT, BackstageBus
from stageport.backstage.client import BackstageCatalog
from stageport.http.pacing import Gate
from stageport.http.retry import RetryPolicy
from stageport.http.sender import Sender
from stageport.http.transport import Transport
from stageport.ledger.opening import open_ledger
from stageport.ledger.reading import read_runs
from stageport.ledger.sqlite import SqliteLedger
from stageport.mapping.workers import Limits, WorkerPool
from stageport.model.entities import Json
from stageport.model.errors import LedgerBusyError, UsageError
from stageport.model.events import Listener, Noticed
from stageport.model.runs import Run
from stageport.model.schedule import Cron, Every, Schedule
from stageport.port.blueprints import PortBlueprints
from stageport.port.entities import PortCatalog
from stageport.port.identity import IntegrationIdentity
from stageport.port.ingest import PortIngest
from stageport.port.integration import PortIntegration
from stageport.port.session import PortSession
from stageport.settings import Settings, backstage_access, port_access, secrets_of
from stageport.settings.listeners import KafkaListener, WebhookListener
from stageport.settings.model import JqEngine, ResourcesOrigin, TlsSettings
from stageport.sync.lazy import lazily
from stageport.sync.seams import ChangeLog
from stageport.sync.service import PassOptions
from stageport.sync.surroundings import MapperFactory, Surroundings
from stageport.telemetry.fan_out import fan_out
from stageport.telemetry.port_reports import PortReporter, ReportOptions
from stageport.telemetry.redaction import Redactor

PORT_TIMEOUT = 60.0
"""Seconds for one request to Port, as in Port's own integration."""

REPORT_TIMEOUT = 10.0
HASTY = RetryPolicy(attempts=2, seconds=10, unreachable_seconds=5, longest_wait=1.0, longest_asked_wait=2.0)
"""Reports are dropped rather than waited for."""

IN_MEMORY = "memory"
"""The setting ``ledger`` that keeps nothing."""

ENGINE_VERSION = 1
"""Grows when the same mapping makes something else of the same source entity: ledgers of another one are set aside."""


def identity_of(settings: Settings) -> IntegrationIdentity:
    """Return who we are for Port; the version is this package's."""
    integration = settings.integration
    return IntegrationIdentity(integration.type, version("stageport"), integration.identifier)


@asynccontextmanager
async def open_backstage(
    settings: Settings, listener: Listener, *, policy: RetryPolicy | None = None
) -> AsyncIterator[BackstageCatalog]:
    """Open the client of the source catalog.

    Raises:
        SettingsError: its address is missing.
    """
    access = backstage_access(settings)
    async with _transport(settings, settings.ssl.third_party, timeout=settings.client_timeout) as transport:
        yield BackstageCatalog(
            access.url,
            token=access.token.get_secret_value() if access.token else None,
            sender=Sender(transport, side="Backstage", listen=listener, policy=policy or _patience(settings)),
            page_size=settings.page_size,
            starting_seconds=settings.start_timeout,
        )


@asynccontextmanager
async def open_port(
    settings: Settings, listener: Listener, *, policy: RetryPolicy | None = None
) -> AsyncIterator[PortSession]:
    """Open a session with Port.

    Raises:
        SettingsError: the credentials are missing.
    """
    access = port_access(settings)
    async with _transport(settings, settings.ssl.port, timeout=PORT_TIMEOUT) as transport:
        gate = Gate(ceiling=settings.concurrency)
        yield PortSession(
            access.base_url,
            client_id=access.client_id,
            client_secret=access.client_secret.get_secret_value(),
            identity=identity_of(settings),
            sender=Sender(transport, side="Port", gate=gate, listen=listener, policy=policy or _patience(settings)),
        )


def _transport(settings: Settings, trust: TlsSettings, *, timeout: float) -> Transport:
    places = (settings.ca_certificates or "").split(os.pathsep)
    return Transport(
        timeout=timeout,
        verify=trust.verify,
        strict_certificates=trust.x509.strict,
        authorities=[Path(place) for place in places if place],
    )


@asynccontextmanager
async def open_bus(settings: Settings) -> AsyncIterator[BackstageBus]:
    """Open the client of the source's event bus, with a subscription that is this integration's.

    Raises:
        SettingsError: the source's address is missing.
    """
    access = backstage_access(settings)
    async with _transport(settings, settings.ssl.third_party, timeout=LONGEST_WAIT) as transport:
        yield BackstageBus(
            access.url,
            token=access.token.get_secret_value() if access.token else None,
            transport=transport,
            subscription=f"stageport-{settings.integration.identifier}",
        )


def _patience(settings: Settings) -> RetryPolicy:
    return RetryPolicy(unreachable_seconds=settings.unreachable_timeout)


def open_integration(session: PortSession, settings: Settings) -> PortIntegration:
    """Return the integration's record at Port."""
    return PortIntegration(
        session,
        changelog_destination=changelog_destination(settings),
        resources_origin=origin_of(settings),
        schedule=schedule_of(settings),
    )


def schedule_of(settings: Settings) -> Schedule | None:
    """Return when resyncs happen by themselves; intervals count from when this process began."""
    chosen = settings.scheduled_resync_interval
    if chosen is None:
        return None
    if isinstance(chosen, str):
        return Cron(chosen, settings.scheduled_resync_timezone)
    return Every(timedelta(minutes=chosen), since=process_start())


@cache
def process_start() -> datetime:
    """Return the moment from which this process counts."""
    return datetime.now(UTC)


def open_change_log(integration: PortIntegration, settings: Settings, listener: Listener) -> ChangeLog | None:
    """Return Port's change log where the event listener is KAFKA."""
    chosen = settings.event_listener
    if not isinstance(chosen, KafkaListener) or not chosen.should_resync:
        return None
    from stageport.port.changelog import KafkaChangeLog, KafkaOptions

    options = KafkaOptions(
        brokers=chosen.brokers,
        security_protocol=chosen.security_protocol,
        mechanism=chosen.authentication_mechanism,
        is_secured=chosen.kafka_security_enabled,
        poll_seconds=chosen.consumer_poll_timeout,
    )
    return KafkaChangeLog(integration, options, listener=listener)


def changelog_destination(settings: Settings) -> Json:
    """Return how Port is to tell us of resync requests; ``{}`` when we ask for them ourselves."""
    listener = settings.event_listener
    if not listener.should_resync:
        return {}
    if isinstance(listener, KafkaListener):
        return {"type": "KAFKA"}
    if not isinstance(listener, WebhookListener):
        return {}
    # Port can be told an address and nothing else, so the secret goes into it.
    secret = settings.webhook_secret
    query = f"?secret={quote(secret.get_secret_value(), safe='')}" if secret else ""
    return {"type": "WEBHOOK", "url": f"{listener.app_host.rstrip('/')}/resync{query}"}


def mapper_factory(settings: Settings, listener: Listener) -> MapperFactory:
    """Return what starts the processes that run a mapping document, once there is something to map."""
    limits = Limits(translate=settings.jq is JqEngine.TRANSLATED)
    return lazily(lambda document: WorkerPool(document, workers=settings.workers, limits=limits, listener=listener))


@asynccontextmanager
async def open_surroundings(
    settings: Settings, listener: Listener, *, policy: RetryPolicy | None = None, writes: bool = True
) -> AsyncIterator[Surroundings]:
    """Put together everything a pass stands on, and take it down afterwards; ``policy`` replaces the usual patience.

    Without ``writes`` a ledger that another process holds is no obstacle: nothing of it would be changed.

    Raises:
        SettingsError: one side's settings are missing.
        LedgerBusyError: another process writes the ledger.
    """
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(open_backstage(settings, listener, policy=policy))
        session = await stack.enter_async_context(open_port(settings, listener, policy=policy))
        integration = open_integration(session, settings)
        if writes:
            listener = await stack.enter_async_context(open_reports(settings, session, integration, listener))
        yield Surroundings(
            source=source,
            target=PortCatalog(session),
            blueprints=PortBlueprints(session),
            integration=integration,
            start_mapper=mapper_factory(settings, listener),
            ledger=stack.enter_context(closing(find_ledger(settings, listener, writes=writes))),
            listener=listener,
            start_single=lambda document: WorkerPool(document, workers=1, listener=listener),
            redact=Redactor(secrets_of(settings)).text,
            change_log=open_change_log(integration, settings, listener),
        )


@asynccontextmanager
async def open_reports(
    settings: Settings, session: PortSession, integration: PortIntegration, listener: Listener
) -> AsyncIterator[Listener]:
    """Return a listener that tells Port of the passes, too, as far as the settings want it."""
    options = ReportOptions(
        logs=settings.enable_http_logging,
        metrics=settings.send_sync_metrics,
        heartbeat=settings.status_heartbeat_interval_seconds if settings.send_sync_metrics else 0,
        about=_about(session.identity),
    )
    if not (options.logs or options.metrics):
        yield listener
        return
    async with _transport(settings, settings.ssl.port, timeout=REPORT_TIMEOUT) as transport:
        sender = Sender(transport, side="Port", policy=HASTY)
        ingest = PortIngest(session, integration, sender=sender)
        reporter = PortReporter(ingest, options, listener=listener, redact=Redactor(secrets_of(settings)).text)
        async with reporter.at_work():
            yield fan_out(listener, reporter)


def _about(identity: IntegrationIdentity) -> Json:
    """Say who we are, as Port's own integration does in its metrics."""
    return {
        "integrationType": identity.type,
        "installationType": "OnPrem",
        "executionMode": "single_process",
        "integrationIdentifier": identity.identifier,
        "integrationVersion": identity.version,
        "oceanVersion": identity.version,
    }


def find_ledger(settings: Settings, listener: Listener, *, writes: bool) -> SqliteLedger:
    """Open the ledger of this integration; what is odd about it is told to the listener.

    Raises:
        LedgerBusyError: another process holds it, and it is to be written.
    """
    if settings.ledger == IN_MEMORY:
        return SqliteLedger.in_memory()
    try:
        opened = open_ledger(
            path=Path(settings.ledger) if settings.ledger else None,
            identity=_ledger_identity(settings),
            engine=f"{ENGINE_VERSION}/jq-{version('jq')}",
        )
    except LedgerBusyError as error:
        if writes:
            raise
        listener(Noticed("info", f"{error.message} This plan does without it, and reads everything."))
        return SqliteLedger.in_memory()
    for message in opened.messages:
        listener(message)
    return opened.ledger


def read_history(settings: Settings) -> Sequence[Run]:
    """Return the passes that this integration's ledger remembers, the newest first; none where there is no ledger.

    Raises:
        UsageError: the settings keep no ledger.
        LedgerError, SettingsError: what is at its place cannot be read.
    """
    if settings.ledger == IN_MEMORY:
        raise UsageError("The setting `ledger` is `memory`: passes are forgotten when their process ends.")
    path = Path(settings.ledger) if settings.ledger else None
    return read_runs(path=path, identity=_ledger_identity(settings))[1] or ()


def _ledger_identity(settings: Settings) -> str:
    identity = identity_of(settings)
    return f"{identity.type}/{identity.identifier} at {urlsplit(settings.port.base_url).netloc}"


def origin_of(settings: Settings) -> str:
    """Say who creates the first resources, in Port's words; who asks Port to do it gets ours instead."""
    empty = settings.create_port_resources_origin is ResourcesOrigin.EMPTY
    return "Empty" if empty else "Default"


def may_initialize(settings: Settings) -> bool:
    """Tell whether first start may create blueprints, and a mapping where a record lacks one."""
    return settings.initialize_port_resources


def pass_options(settings: Settings, *, release_deletes: bool = False) -> PassOptions:
    """Return the options of a pass that the settings decide."""
    identity = identity_of(settings)
    return PassOptions(
        initialize=may_initialize(settings),
        resources=Path(settings.resources_path),
        identity={
            "installationAppType": identity.type,
            "version": identity.version,
            "changelogDestination": changelog_destination(settings),
            "actionsProcessingEnabled": False,
            "incrementalSyncEnabled": False,
            # Port would else map raw data itself, in accounts that have this on ("dsp").
            "processingMode": "ocean-core",
        },
        send_examples=settings.send_raw_data_examples,
        release_deletes=release_deletes,
    )
