"""What ``stageport run`` does with its settings: one pass for ONCE, else the service until a signal comes."""

import asyncio
import signal
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import structlog
from rich.console import Console

from stageport.cli.intentions import intentions
from stageport.cli.live import (
    admission_of,
    delta_seconds,
    is_set_up,
    listen_to_bus,
    path_prefix,
    receiver_of,
    unhinted_seconds,
    work_of,
)
from stageport.cli.passes import failures_in_json, load, show_outcome, start_logs, work
from stageport.cli.running import run_until_stopped
from stageport.cli.watch import ServiceWatch
from stageport.model.errors import SettingsError
from stageport.model.exits import Exit
from stageport.settings import Loaded, Settings
from stageport.settings.listeners import (
    ActionsOnlyListener,
    KafkaListener,
    OnceListener,
    PollingListener,
    WebhookListener,
    WebhooksOnlyListener,
)
from stageport.sync.always import Always, Rhythm, Trigger
from stageport.sync.changelog import follow
from stageport.sync.polling import poll
from stageport.sync.surroundings import Surroundings
from stageport.telemetry.fan_out import fan_out
from stageport.telemetry.metrics import Metrics
from stageport.web.server import Webhook, serve_web
from stageport.wiring import open_surroundings, pass_options, schedule_of


def serve_by_settings(given: Mapping[str, object], *, config: Path | None) -> int:
    """Load the settings and act by their event listener.

    Raises:
        StageportError: the settings are of no use, or waiting does not mend what is wrong.
    """
    loaded = load(given, config=config)
    listener = loaded.settings.event_listener
    if isinstance(listener, OnceListener) and not listener.should_resync:
        start_logs(loaded.settings)
        structlog.get_logger().info("event_listener.should_resync is false: ONCE has nothing to do")
        return Exit.OK
    if isinstance(listener, OnceListener):
        outcome = work(loaded, quiet=not Console(stderr=True).is_terminal, release_deletes=False)
        show_outcome(outcome, output="text")
        return Exit(outcome.exit)
    if isinstance(listener, KafkaListener) and listener.should_resync:
        from stageport.port.changelog import demand_kafka_library

        demand_kafka_library()
    with failures_in_json(loaded.settings):
        run_until_stopped(_serve_and_reload(loaded, given, config=config))
    return Exit.OK


async def _serve_and_reload(loaded: Loaded, given: Mapping[str, object], *, config: Path | None) -> None:
    """Serve; on SIGHUP, end the service in good order and begin it anew with settings read again."""
    loop = asyncio.get_running_loop()
    reload = asyncio.Event()
    # One for the life of the process: counters that begin anew would look like a restart.
    metrics = Metrics(version=version("stageport"))
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    log = structlog.get_logger()
    while True:
        service = asyncio.ensure_future(_serve(loaded.settings, metrics))
        asked = asyncio.ensure_future(reload.wait())
        try:
            await asyncio.wait({service, asked}, return_when=asyncio.FIRST_COMPLETED)
            if reload.is_set():
                log.info("stopping: SIGHUP asked for other settings; a pass that runs is broken off, and begun anew")
        except asyncio.CancelledError:
            log.info("stopping: a signal asked for it; a pass that runs is broken off, what it wrote stays written")
            raise
        finally:
            asked.cancel()
            if not service.done():
                service.cancel()
                await asyncio.gather(service, return_exceptions=True)
        if not reload.is_set():
            service.result()
            return
        reload.clear()
        try:
            loaded = load(given, config=config)
            log.info("settings were read again")
        except SettingsError as error:
            log.warning(f"The settings were not read again, the old ones stay: {error.message}")


async def _serve(settings: Settings, metrics: Metrics) -> None:
    async with open_surroundings(settings, fan_out(start_logs(settings), metrics)) as around:
        options, rhythm = pass_options(settings), rhythm_of(settings)
        always = Always(
            around,
            options,
            rhythm,
            triggers=triggers_of(settings, around),
            hints=work_of(around, expected=is_set_up(settings)),
            is_elected=around.change_log is not None,
        )
        web = serve_web(
            ServiceWatch(always),
            host=settings.http_host,
            port=settings.http_port,
            metrics=metrics,
            version=version("stageport"),
            path_prefix=path_prefix(settings),
            webhook=webhook_of(settings),
            receiver=receiver_of(always, admission_of(settings)),
        )
        async with web as running:
            log = structlog.get_logger()
            log.info(f"starting: {intentions(settings, rhythm)}")
            log.info("serving health, metrics and status", url=running.url)
            await always.run()


def webhook_of(settings: Settings) -> Webhook | None:
    """Return whether Port may ask for a resync over HTTP, and what it has to know for it."""
    listener = settings.event_listener
    if not isinstance(listener, WebhookListener) or not listener.should_resync:
        return None
    secret = settings.webhook_secret
    return Webhook(secret.get_secret_value() if secret else None)


def rhythm_of(settings: Settings) -> Rhythm:
    """Return when passes happen by themselves."""
    listener = settings.event_listener
    on_start = not isinstance(listener, PollingListener) or listener.resync_on_start
    idle = isinstance(listener, ActionsOnlyListener)
    return Rhythm(
        delta=0.0 if idle else delta_seconds(settings),
        unhinted=unhinted_seconds(settings),
        schedule=schedule_of(settings),
        on_start=on_start,
        resyncs=listener.should_resync and not isinstance(listener, WebhooksOnlyListener | ActionsOnlyListener),
    )


def triggers_of(settings: Settings, around: Surroundings) -> list[Trigger]:
    """Return what else asks for passes."""
    chosen = settings.event_listener
    triggers: list[Trigger] = []
    if settings.live_events_bus:
        triggers.append(lambda always: listen_to_bus(always, settings))
    if isinstance(chosen, PollingListener) and chosen.should_resync:
        triggers.append(lambda always: poll(always, around.integration, interval=chosen.interval, sleep=asyncio.sleep))
    elif (log := around.change_log) is not None:
        triggers.append(lambda always: follow(always, log))
    return triggers
