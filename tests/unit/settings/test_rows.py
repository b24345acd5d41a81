"""What ``stageport check`` shows of the settings, and what it warns of."""

import pytest

from stageport.model.errors import SettingsError
from stageport.settings import Part, backstage_access, load_settings, port_access, settings_rows

SECRETS = {"PORT_CLIENT_ID": "hunter1", "PORT_CLIENT_SECRET": "hunter2", "BACKSTAGE_TOKEN": "hunter3"}


def test_secrets_are_set_but_never_shown(tmp_path):
    loaded = load_settings(environ=SECRETS, directory=tmp_path)
    shown = {row.name: row.value for row in settings_rows(loaded)}
    assert shown["port.client_id"] == shown["port.client_secret"] == "set (hidden)"
    assert shown["integration.config.backstage_token"] == "set (hidden)"
    assert "hunter" not in repr(shown) + repr(loaded) + str(loaded.settings)


def test_a_password_in_an_address_is_not_shown(tmp_path):
    env = {"BACKSTAGE_URL": "https://me:hunter2@backstage.example.com:7007/x"}
    shown = {row.name: row.value for row in settings_rows(load_settings(environ=env, directory=tmp_path))}
    assert shown["integration.config.backstage_url"] == "https://***@backstage.example.com:7007/x"


def test_a_row_says_where_the_value_came_from_and_what_it_hid(tmp_path):
    (tmp_path / "config.yaml").write_text("logLevel: debug\n")
    env = {"STAGEPORT_LOG_LEVEL": "warn"}
    rows = {row.name: row for row in settings_rows(load_settings(environ=env, directory=tmp_path))}
    assert rows["log_level"].value == "WARNING"
    assert str(rows["log_level"].origin) == "environment: STAGEPORT_LOG_LEVEL"
    assert [str(origin) for origin in rows["log_level"].shadowed] == ["config file: config.yaml: log_level"]
    assert str(rows["page_size"].origin) == "default"
    assert rows["scheduled_resync_interval"].value == "-"
    assert rows["ssl.port.verify"].value == "true"


def test_only_the_keys_of_the_chosen_listener_are_shown(tmp_path):
    env = {"OCEAN__EVENT_LISTENER": '{"type": "KAFKA", "brokers": "a:1,b:2"}'}
    rows = {row.name: row.value for row in settings_rows(load_settings(environ=env, directory=tmp_path))}
    assert rows["event_listener.type"] == "KAFKA"
    assert rows["event_listener.brokers"] == "a:1, b:2"
    assert "event_listener.interval" not in rows
    assert "event_listener.app_host" not in rows


def test_an_unknown_region_is_allowed_with_a_warning(tmp_path):
    loaded = load_settings(environ={"PORT_BASE_URL": "https://api.eu.example.com"}, directory=tmp_path)
    assert loaded.settings.port.base_url == "https://api.eu.example.com"
    assert "api.eu.example.com is none of the known hosts of Port" in loaded.warnings[0]


@pytest.mark.parametrize(
    "url", ["https://api.getport.io/", "https://api.us.port.io", "http://127.0.0.1:3000", "http://localhost:1"]
)
def test_known_and_local_hosts_of_port_are_not_warned_about(tmp_path, url):
    assert load_settings(environ={"PORT_BASE_URL": url}, directory=tmp_path).warnings == ()


def test_the_version_in_the_address_of_port_is_taken_away(tmp_path):
    assert (
        load_settings(environ={"PORT_BASE_URL": "https://api.port.io/v1/"}, directory=tmp_path).settings.port.base_url
        == "https://api.port.io"
    )


def test_a_personal_account_is_warned_about(tmp_path):
    loaded = load_settings(environ={"PORT_CLIENT_ID": "me@example.com"}, directory=tmp_path)
    assert loaded.warnings == ("port.client_id looks like a personal account; use the credentials of the organization",)


def test_access_to_either_side_is_complete_or_an_error(tmp_path):
    env = {**SECRETS, "BACKSTAGE_URL": "http://b:7007/"}
    settings = load_settings(environ=env, directory=tmp_path, parts=tuple(Part)).settings
    port, backstage = port_access(settings), backstage_access(settings)
    assert (port.client_id, port.client_secret.get_secret_value()) == ("hunter1", "hunter2")
    assert (backstage.url, backstage.token.get_secret_value()) == ("http://b:7007", "hunter3")
    bare = load_settings(environ={"PORT_CLIENT_ID": "x"}, directory=tmp_path).settings
    with pytest.raises(SettingsError, match=r"1 setting is .*\n.*port\.client_secret is missing"):
        port_access(bare)
    with pytest.raises(SettingsError, match=r"backstage_url is missing: set BACKSTAGE_URL"):
        backstage_access(bare)


def test_a_token_is_not_needed(tmp_path):
    settings = load_settings(
        environ={"BACKSTAGE_URL": "http://b"}, directory=tmp_path, parts=(Part.BACKSTAGE,)
    ).settings
    assert backstage_access(settings).token is None
