"""What ``stageport run`` says at its start: what will make it do passes, and what will not."""

from collections.abc import Iterator

from stageport.cli.live import is_set_up
from stageport.model.schedule import Cron, Every, Schedule
from stageport.settings import Settings
from stageport.settings.listeners import (
    ActionsOnlyListener,
    KafkaListener,
    PollingListener,
    WebhookListener,
    WebhooksOnlyListener,
)
from stageport.sync.always import Rhythm


def intentions(settings: Settings, rhythm: Rhythm) -> str:
    """Say by these settings what the service will do, in one line."""
    words = (_resyncs(settings, rhythm), _delta(settings, rhythm), _live_events(settings))
    return f"event listener {_type(settings)}. {' '.join(words)}"


def _type(settings: Settings) -> str:
    # Only those that serve come here, and each of them has a type.
    return str(getattr(settings.event_listener, "type", "POLLING"))


def _resyncs(settings: Settings, rhythm: Rhythm) -> str:
    if not rhythm.resyncs:
        return f"Nothing resyncs by itself: {_why_not(settings)}."
    return f"Resyncs: {', '.join(_occasions(settings, rhythm)) or 'none'}."


def _why_not(settings: Settings) -> str:
    if isinstance(settings.event_listener, WebhooksOnlyListener | ActionsOnlyListener):
        return f"the event listener is {_type(settings)}"
    return "event_listener.should_resync is false"


def _occasions(settings: Settings, rhythm: Rhythm) -> Iterator[str]:
    if rhythm.on_start:
        yield "at the start"
    if rhythm.schedule is not None:
        yield _schedule(rhythm.schedule)
    match settings.event_listener:
        case PollingListener(interval=interval):
            yield f"when somebody asks Port for one, or edits the mapping there (looked for every {interval:g} s)"
        case KafkaListener():
            yield "when somebody asks Port for one, or edits the mapping there (its change log tells)"
        case WebhookListener():
            yield "when Port calls /resync"
        case _:
            pass


def _schedule(schedule: Schedule) -> str:
    match schedule:
        case Cron(expression, zone):
            return f"by the schedule {expression} ({zone})"
        case Every(interval):
            return f"every {interval.total_seconds() / 60:g} minutes"
        case _:
            return "by a schedule"


def _delta(settings: Settings, rhythm: Rhythm) -> str:
    if rhythm.delta > 0:
        return f"Live delta: every {rhythm.delta:g} s."
    idle = isinstance(settings.event_listener, ActionsOnlyListener)
    return f"No live delta: {'there is nothing to look for' if idle else 'delta_interval is 0'}."


def _live_events(settings: Settings) -> str:
    if settings.live_events_bus:
        return "Live events: from Backstage's event bus."
    return "Live events: taken over HTTP." if is_set_up(settings) else "Live events: none are set up."
