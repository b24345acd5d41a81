"""What the settings say of live events."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from stageport.cli.live import admission_of, delta_seconds, path_prefix, unhinted_seconds
from stageport.cli.serving import rhythm_of, serve_by_settings, triggers_of, webhook_of
from stageport.model.errors import SettingsError
from stageport.model.events import ignore
from stageport.model.exits import Exit
from stageport.port.integration import PortIntegration
from stageport.settings import Settings, load_settings, secrets_of
from stageport.sync.surroundings import Surroundings
from stageport.wiring import changelog_destination, open_change_log

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="


def settings(**environment: str) -> Settings:
    return load_settings({}, environ=environment, directory=Path("/nonexistent")).settings


@pytest.mark.parametrize(
    ("environment", "delta", "unhinted"),
    [
        ({}, 15.0, None),
        ({"STAGEPORT_LIVE_EVENTS_SECRET": SECRET}, 300.0, 15.0),
        ({"OCEAN__BASE_URL": "https://stageport.example.com"}, 300.0, 15.0),
        ({"STAGEPORT_LIVE_EVENTS_BUS": "true"}, 300.0, 15.0),
        ({"STAGEPORT_LIVE_EVENTS_BUS": "true", "STAGEPORT_DELTA_INTERVAL": "7"}, 7.0, None),
        ({"STAGEPORT_LIVE_EVENTS_SECRET": SECRET, "STAGEPORT_DELTA_INTERVAL": "0"}, 0.0, None),
    ],
)
def test_scans_are_rare_beside_live_events_unless_told_otherwise(
    environment: dict[str, str], delta: float, unhinted: float | None
) -> None:
    given = settings(**environment)
    assert (delta_seconds(given), unhinted_seconds(given)) == (delta, unhinted)


def test_the_event_bus_is_listened_to_when_told_so_beside_what_else_asks() -> None:
    around = cast("Surroundings", SimpleNamespace(change_log=None, integration=None))
    assert len(triggers_of(settings(), around)) == 1
    assert len(triggers_of(settings(STAGEPORT_LIVE_EVENTS_BUS="true"), around)) == 2


@pytest.mark.parametrize(
    "listener",
    [
        '{"type": "WEBHOOK", "appHost": "https://stageport.example.com", "shouldResync": false}',
        '{"type": "KAFKA", "shouldResync": false}',
        '{"type": "POLLING", "shouldResync": false}',
    ],
)
def test_who_is_not_to_resync_asks_nobody_to_tell_of_resyncs(listener: str) -> None:
    given = settings(OCEAN__EVENT_LISTENER=listener)
    nobody = cast("PortIntegration", None)
    assert changelog_destination(given) == {}
    assert open_change_log(nobody, given, ignore) is None
    assert webhook_of(given) is None
    assert not rhythm_of(given).resyncs
    assert triggers_of(given, cast("Surroundings", SimpleNamespace(change_log=None, integration=None))) == []


def test_one_pass_that_is_not_to_resync_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "port.client_id": "id",
        "port.client_secret": "hush",
        "integration.config.backstage_url": "http://127.0.0.1:9",
        "event_listener.type": "ONCE",
        "event_listener.should_resync": False,
    }
    assert serve_by_settings(given, config=None) == Exit.OK


def test_the_path_of_the_public_address_is_served() -> None:
    assert path_prefix(settings(OCEAN__BASE_URL="https://tools.example.com/stageport/")) == "/stageport"
    assert path_prefix(settings()) == ""
    given = {"OCEAN__BASE_URL": "https://tools.example.com/other", "OCEAN__PATH_PREFIX": "/stageport"}
    assert path_prefix(settings(**given)) == "/stageport"


def test_several_secrets_are_one_setting_and_each_is_hidden() -> None:
    given = settings(STAGEPORT_LIVE_EVENTS_SECRET=f"{SECRET} {OLD}")
    assert len(admission_of(given).keys) == 2
    assert {SECRET, OLD} <= set(secrets_of(given))
    assert admission_of(settings()).keys == ()
    assert not admission_of(settings()).open


def test_what_is_no_secret_is_said_without_being_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        settings(STAGEPORT_LIVE_EVENTS_SECRET="hunter2-hunter2")
    assert "live_events_secret" in caught.value.message
    assert "whsec_" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_public_address_without_a_secret_is_warned_of() -> None:
    def warnings(**environment: str) -> tuple[str, ...]:
        return load_settings({}, environ=environment, directory=Path("/nonexistent")).warnings

    public = {"OCEAN__BASE_URL": "https://stageport.example.com"}
    assert warnings(**public) == ("live_events_secret is missing: live events are taken from this machine only",)
    assert warnings(**public, STAGEPORT_LIVE_EVENTS_SECRET=SECRET) == ()
    assert warnings(**public, STAGEPORT_LIVE_EVENTS_OPEN="true") == ()
