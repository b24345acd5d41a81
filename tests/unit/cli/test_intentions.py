"""What a service says at its start, for each event listener of the settings."""

from pathlib import Path

import pytest

from stageport.cli.intentions import intentions
from stageport.cli.serving import rhythm_of
from stageport.settings import load_settings

LISTENER = "OCEAN__EVENT_LISTENER"
CRON = {"OCEAN__SCHEDULED_RESYNC_INTERVAL": "0 3 * * *", "OCEAN__SCHEDULED_RESYNC_TIMEZONE": "Europe/Berlin"}


def said(**environment: str) -> str:
    settings = load_settings({}, environ=environment, directory=Path("/nonexistent")).settings
    return intentions(settings, rhythm_of(settings))


def test_by_itself_it_polls_and_looks_for_changes() -> None:
    assert said() == (
        "event listener POLLING. Resyncs: at the start, when somebody asks Port for one, or edits the mapping there "
        "(looked for every 60 s). Live delta: every 15 s. Live events: none are set up."
    )


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({LISTENER: '{"type": "POLLING", "resync_on_start": false}'}, "Resyncs: when somebody asks Port"),
        ({LISTENER: '{"type": "KAFKA"}'}, "(its change log tells)"),
        (
            {LISTENER: '{"type": "WEBHOOK", "app_host": "https://s.example.com"}'},
            "at the start, when Port calls /resync.",
        ),
        ({LISTENER: '{"type": "WEBHOOKS_ONLY"}'}, "Nothing resyncs by itself: the event listener is WEBHOOKS_ONLY."),
        ({LISTENER: '{"type": "ACTIONS_ONLY"}'}, "Nothing resyncs by itself: the event listener is ACTIONS_ONLY."),
        ({LISTENER: '{"type": "ACTIONS_ONLY"}'}, "No live delta: there is nothing to look for."),
        (
            {LISTENER: '{"type": "POLLING", "should_resync": false}'},
            "Nothing resyncs by itself: event_listener.should_resync is false.",
        ),
        ({"OCEAN__SCHEDULED_RESYNC_INTERVAL": "90"}, "at the start, every 90 minutes, when"),
        (CRON, "at the start, by the schedule 0 3 * * * (Europe/Berlin), when"),
        ({"STAGEPORT_DELTA_INTERVAL": "0"}, "No live delta: delta_interval is 0."),
        ({"STAGEPORT_DELTA_INTERVAL": "2.5"}, "Live delta: every 2.5 s."),
        ({"OCEAN__BASE_URL": "https://s.example.com"}, "Live delta: every 300 s. Live events: taken over HTTP."),
        ({"STAGEPORT_LIVE_EVENTS_BUS": "true"}, "Live events: from Backstage's event bus."),
    ],
)
def test_what_the_settings_change_is_said(environment: dict[str, str], words: str) -> None:
    assert words in said(**environment)
