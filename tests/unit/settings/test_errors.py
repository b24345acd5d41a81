# ruff: noqa: E501 (whole messages, each on its line)
"""Everything wrong is told at once, in words, and without a secret."""

import traceback

import pytest

from stageport.model.errors import SettingsError
from stageport.model.exits import Exit
from stageport.settings import Part, load_settings


def failure(tmp_path, env, *, parts=()) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ=env, directory=tmp_path, parts=parts)
    return caught.value


def test_every_missing_and_invalid_setting_is_named_at_once(tmp_path):
    error = failure(
        tmp_path,
        {
            "STAGEPORT_PAGE_SIZE": "many",
            "APPLICATION__PORT": "99999",
            "OCEAN__EVENT_LISTENER__TYPE": "WEBHOOK",
            "PORT_CLIENT_ID": "id",
        },
        parts=(Part.PORT, Part.BACKSTAGE),
    )
    assert error.exit is Exit.SETTINGS
    assert error.message.splitlines() == [
        "5 settings are missing or invalid:",
        "  - event_listener.app_host is missing: set OCEAN__EVENT_LISTENER__APP_HOST or STAGEPORT_EVENT_LISTENER_APP_HOST",
        "  - http_port (environment: APPLICATION__PORT) should be less than or equal to 65535, not '99999'",
        "  - page_size (environment: STAGEPORT_PAGE_SIZE) should be a valid integer, not 'many'",
        "  - port.client_secret is missing: set PORT_CLIENT_SECRET or OCEAN__PORT__CLIENT_SECRET or STAGEPORT_PORT_CLIENT_SECRET",
        "  - integration.config.backstage_url is missing: set BACKSTAGE_URL or OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL or STAGEPORT_BACKSTAGE_URL",
    ]
    assert "stageport check" in error.hint


def test_nothing_is_missing_for_a_command_that_needs_nothing(tmp_path):
    assert load_settings(environ={}, directory=tmp_path).settings.port.client_id is None


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"OCEAN__EVENT_LISTENER__TYPE": "CARRIER_PIGEON"}, "should be one of POLLING, KAFKA, WEBHOOK, ONCE, WEBHOOKS_ONLY, ACTIONS_ONLY, not 'CARRIER_PIGEON'"),
        ({"OCEAN__EVENT_LISTENER": '{"type": "POLLING", "interval": 0}'}, "event_listener.interval (environment: OCEAN__EVENT_LISTENER) should be greater than or equal to 1, not '0'"),
        ({"OCEAN__EVENT_LISTENER": '{"type": '}, "event_listener (environment: OCEAN__EVENT_LISTENER) should be a JSON object"),
        ({"OCEAN__PORT": "tcp://10.0.0.1"}, "port (environment: OCEAN__PORT) should be a JSON object"),
        ({"OCEAN__PORT": "[1]"}, "port (environment: OCEAN__PORT) should be a JSON object"),
        ({"STAGEPORT_LOG_LEVEL": "LOUD"}, "log_level (environment: STAGEPORT_LOG_LEVEL) should be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL', not 'LOUD'"),
        ({"STAGEPORT_LOG_FORMAT": "xml"}, "should be 'auto', 'text' or 'json', not 'xml'"),
        ({"BACKSTAGE_URL": "localhost:7007"}, "should be an address that starts with http:// or https://"),
        ({"PORT_BASE_URL": "https://api.port.io/?a=b"}, "should be an address without ? and #"),
        ({"PORT_BASE_URL": "https:// api.port.io"}, "should be an address that starts with"),
        ({"OCEAN__INTEGRATION__IDENTIFIER": "a/b"}, "should be a name in ASCII without spaces and slashes"),
        ({"OCEAN__INITIALIZE_PORT_RESOURCES": "perhaps"}, "initialize_port_resources (environment: OCEAN__INITIALIZE_PORT_RESOURCES) should be a valid boolean, not 'perhaps'"),
        ({"OCEAN__SCHEDULED_RESYNC_INTERVAL": "0"}, "should be greater than 0"),
        ({"OCEAN__CREATE_PORT_RESOURCES_ORIGIN": "Mars"}, "should be 'Empty', 'Default', 'Ocean' or 'Port', not 'Mars'"),
        ({"STAGEPORT_WORKERS": "0"}, "should be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_an_invalid_value_is_explained_with_its_origin(tmp_path, env, words):
    assert words in failure(tmp_path, env).message


@pytest.mark.parametrize(
    "env",
    [
        {"OCEAN__PORT": '{"clientSecret": "hunter2"'},
        {"OCEAN__PORT__CLIENT_SECRET": '{"a": ["hunter2"]}', "STAGEPORT_WORKERS": "x"},
        {"OCEAN__PORT": '{"clientSecret": ["hunter2"]}'},
        {"OCEAN__PORT": '{"clientId": {"a": "hunter2"}}'},
        {"OCEAN__INTEGRATION": '{"config": {"backstageToken": {"x": "hunter2"}}}'},
        {"BACKSTAGE_URL": "ftp://user:hunter2@backstage"},
    ],
)
def test_an_error_never_quotes_a_secret(tmp_path, env):
    error = failure(tmp_path, env)
    assert "hunter2" not in error.message
    assert "hunter2" not in error.hint
    assert "hunter2" not in "".join(traceback.format_exception(error))


def test_the_command_line_is_named_as_the_origin(tmp_path):
    with pytest.raises(SettingsError, match=r"page_size \(command line\) should be a valid integer, not 'x'"):
        load_settings({"page_size": "x"}, environ={}, directory=tmp_path)
