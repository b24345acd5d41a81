"""Where settings come from, and which source wins."""

from pathlib import Path

import pytest

from stageport.model.errors import SettingsError
from stageport.settings import Loaded, Source, load_settings
from stageport.settings.listeners import KafkaListener, OnceListener, PollingListener


def load(directory: Path, *, env: dict[str, str] | None = None, dotenv="", config="", options=None) -> Loaded:
    if dotenv:
        (directory / ".env").write_text(dotenv)
    if config:
        (directory / "config.yaml").write_text(config)
    return load_settings(options, environ=env or {}, directory=directory)


def test_defaults_are_those_of_ocean(tmp_path):
    settings = load(tmp_path).settings
    assert settings.port.base_url == "https://api.getport.io"
    assert settings.integration.identifier == "my-backstage-integration"
    assert settings.integration.type == "backstage"
    assert isinstance(settings.event_listener, PollingListener)
    assert settings.event_listener.interval == 60
    assert settings.initialize_port_resources
    assert settings.send_raw_data_examples
    assert settings.scheduled_resync_interval is None
    assert settings.ssl.port.verify
    assert settings.ssl.third_party.x509.strict
    assert settings.page_size == 500
    assert 1 <= settings.workers <= 4


def test_every_source_yields_to_the_one_before_it(tmp_path):
    env = {"STAGEPORT_PAGE_SIZE": "20"}
    loaded = load(
        tmp_path, env=env, dotenv="STAGEPORT_PAGE_SIZE=30\n", config="pageSize: 40\n", options={"page_size": 10}
    )
    assert loaded.settings.page_size == 10
    assert loaded.provenance["page_size"].source is Source.COMMAND_LINE
    assert [origin.source for origin in loaded.shadowed["page_size"]] == [
        Source.ENVIRONMENT,
        Source.DOTENV,
        Source.FILE,
    ]
    assert load(tmp_path, env=env).settings.page_size == 20
    assert load(tmp_path).settings.page_size == 30
    (tmp_path / ".env").unlink()
    assert load(tmp_path).settings.page_size == 40
    (tmp_path / "config.yaml").unlink()
    assert load(tmp_path).settings.page_size == 500


def test_of_the_families_of_names_ours_is_strongest_and_the_short_one_weakest(tmp_path):
    short = {"PORT_CLIENT_ID": "short"}
    ocean = {**short, "OCEAN__PORT__CLIENT_ID": "ocean"}
    own = {**ocean, "STAGEPORT_PORT_CLIENT_ID": "own"}
    assert load(tmp_path, env=short).settings.port.client_id == "short"
    assert load(tmp_path, env=ocean).settings.port.client_id == "ocean"
    loaded = load(tmp_path, env=own)
    assert loaded.settings.port.client_id == "own"
    assert str(loaded.provenance["port.client_id"]) == "environment: STAGEPORT_PORT_CLIENT_ID"
    assert [origin.name for origin in loaded.shadowed["port.client_id"]] == ["OCEAN__PORT__CLIENT_ID", "PORT_CLIENT_ID"]


def test_the_environment_beats_dotenv_whatever_the_family(tmp_path):
    loaded = load(tmp_path, env={"PORT_CLIENT_ID": "environment"}, dotenv="STAGEPORT_PORT_CLIENT_ID=dotenv")
    assert loaded.settings.port.client_id == "environment"


def test_the_short_names_reach_their_settings(tmp_path):
    names = ("PORT_CLIENT_ID", "PORT_CLIENT_SECRET", "BACKSTAGE_TOKEN")
    env = {name: name.lower() for name in names} | {"PORT_BASE_URL": "https://api.port.io", "BACKSTAGE_URL": "http://b"}
    settings = load(tmp_path, env=env).settings
    assert settings.port.client_id == "port_client_id"
    assert settings.port.client_secret.get_secret_value() == "port_client_secret"
    assert settings.port.base_url == "https://api.port.io"
    assert settings.integration.config.backstage_url == "http://b"
    assert settings.integration.config.backstage_token.get_secret_value() == "backstage_token"


@pytest.mark.parametrize(
    ("env", "identifier"),
    [
        ({"OCEAN__INTEGRATION__IDENTIFIER": "a"}, "a"),
        ({"ocean__integration__identifier": "a"}, "a"),
        ({"OCEAN__INTEGRATION": '{"identifier": "a"}'}, "a"),
        ({"OCEAN__INTEGRATION": '{"identifier": "a"}', "OCEAN__INTEGRATION__IDENTIFIER": "b"}, "b"),
        ({"STAGEPORT_INTEGRATION_IDENTIFIER": "c"}, "c"),
    ],
)
def test_any_level_may_be_json_and_the_deeper_name_wins(tmp_path, env, identifier):
    assert load(tmp_path, env=env).settings.integration.identifier == identifier


def test_the_variables_of_a_terraform_install_work(tmp_path):
    env = {
        "OCEAN__PORT": '{"clientId": "id", "clientSecret": "secret", "baseUrl": "https://api.us.getport.io/"}',
        "OCEAN__INTEGRATION": '{"type": "backstage", "identifier": "mine", "config": {"backstageUrl": "http://b:7007/"}}',
        "OCEAN__EVENT_LISTENER": '{"type": "POLLING", "interval": 30, "resyncOnStart": false}',
        "OCEAN__SCHEDULED_RESYNC_INTERVAL": "120",
    }
    settings = load(tmp_path, env=env).settings
    assert settings.port.client_id == "id"
    assert settings.port.base_url == "https://api.us.getport.io"
    assert settings.integration.config.backstage_url == "http://b:7007"
    assert settings.event_listener == PollingListener(interval=30, resync_on_start=False)
    assert settings.scheduled_resync_interval == 120


def test_the_variables_of_the_helm_chart_are_all_tolerated(tmp_path):
    env = {
        "OCEAN__PORT__BASE_URL": "https://api.getport.io",
        "OCEAN__INITIALIZE_PORT_RESOURCES": "true",
        "OCEAN__CREATE_PORT_RESOURCES_ORIGIN": "Port",
        "OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS": "true",
        "OCEAN__SCHEDULED_RESYNC_INTERVAL": "60",
        "OCEAN__CLIENT_TIMEOUT": "60",
        "OCEAN__SEND_RAW_DATA_EXAMPLES": "true",
        "OCEAN__EVENT_LISTENER": '{"type":"POLLING","brokers":"b-1:9196,b-2:9196"}',
        "OCEAN__INTEGRATION__IDENTIFIER": "my-backstage",
        "OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH": "/token",
        "OCEAN__PROCESS_EXECUTION_MODE": "single_process",
        "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL": "http://backstage:7007",
        "OCEAN__LAKEHOUSE_ENABLED": "true",
        "OCEAN__PROCESSING_MODE": "dsp",
        "OCEAN__STREAMING__ENABLED": "false",
        "OCEAN__ACTIONS_PROCESSOR__ENABLED": "false",
        "OCEAN__PORT__CLIENT_ID": "id",
        "OCEAN__PORT__CLIENT_SECRET": "secret",
        "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN": "token",
        "OCEAN__BASE_URL": "https://ocean.example.com",
        "APPLICATION__ENABLE_HTTP_LOGGING": "false",
    }
    loaded = load(tmp_path, env=env)
    assert loaded.settings.integration.identifier == "my-backstage"
    assert loaded.settings.create_port_resources_origin == "Port"
    assert {each.origin.name for each in loaded.ignored} == {
        "OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS",
        "OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH",
        "OCEAN__PROCESS_EXECUTION_MODE",
        "OCEAN__LAKEHOUSE_ENABLED",
        "OCEAN__PROCESSING_MODE",
        "OCEAN__STREAMING__ENABLED",
        "OCEAN__ACTIONS_PROCESSOR__ENABLED",
    }
    assert all(each.reason.startswith("has no effect here: ") for each in loaded.ignored)


@pytest.mark.parametrize("written", ['{"type":"ONCE"}', "ONCE", "once", ' {"type": "once"} '])
def test_a_listener_may_be_json_or_just_its_type(tmp_path, written):
    assert isinstance(load(tmp_path, env={"OCEAN__EVENT_LISTENER": written}).settings.event_listener, OnceListener)


@pytest.mark.parametrize("brokers", ['["a:1", "b:2"]', "a:1, b:2"])
def test_brokers_may_be_json_or_separated_by_commas(tmp_path, brokers):
    env = {"OCEAN__EVENT_LISTENER__TYPE": "KAFKA", "OCEAN__EVENT_LISTENER__BROKERS": brokers}
    listener = load(tmp_path, env=env).settings.event_listener
    assert isinstance(listener, KafkaListener)
    assert listener.brokers == ("a:1", "b:2")


def test_the_application_variables_set_log_level_and_port(tmp_path):
    settings = load(tmp_path, env={"APPLICATION__LOG_LEVEL": "debug", "APPLICATION__PORT": "8080"}).settings
    assert settings.log_level == "DEBUG"
    assert settings.http_port == 8080


@pytest.mark.parametrize("key", ["clientId", "client_id", "client-id", "CLIENTID"])
def test_keys_may_be_written_in_any_case(tmp_path, key):
    assert load(tmp_path, config=f"port:\n  {key}: x\n").settings.port.client_id == "x"


def test_sections_of_several_sources_merge(tmp_path):
    config = "port:\n  clientId: file\n  clientSecret: file\n"
    port = load(tmp_path, env={"OCEAN__PORT__CLIENT_ID": "env"}, config=config).settings.port
    assert (port.client_id, port.client_secret.get_secret_value()) == ("env", "file")


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_counts_as_absent(tmp_path, empty):
    loaded = load(tmp_path, env={"OCEAN__PORT__CLIENT_ID": empty}, config="port: {clientId: file}")
    assert loaded.settings.port.client_id == "file"


def test_secrets_lose_the_newline_of_the_file_they_came_from(tmp_path):
    env = {"PORT_CLIENT_SECRET": "secret\n", "BACKSTAGE_TOKEN": " token "}
    settings = load(tmp_path, env=env).settings
    assert settings.port.client_secret.get_secret_value() == "secret"
    assert settings.integration.config.backstage_token.get_secret_value() == "token"


def test_a_secret_of_digits_in_yaml_is_text(tmp_path):
    settings = load(
        tmp_path, config="integration: {config: {backstageToken: 12345678}}\nport: {clientSecret: 77}"
    ).settings
    assert settings.integration.config.backstage_token.get_secret_value() == "12345678"
    assert settings.port.client_secret.get_secret_value() == "77"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("OCEAN__PORT__CLIENT_IDD", "unknown; did you mean OCEAN__PORT__CLIENT_ID?"),
        ("OCEAN_PORT__CLIENT_ID", "unknown; did you mean OCEAN__PORT__CLIENT_ID?"),
        ("STAGEPORT_PAGESIZE", "unknown; did you mean STAGEPORT_PAGE_SIZE?"),
        ("PORT_CLIENTID", "unknown; did you mean PORT_CLIENT_ID?"),
        ("BACKSTAGE_TOKENS", "unknown; did you mean BACKSTAGE_TOKEN?"),
        ("OCEAN__METRICS__WEBHOOK_URL", "has no effect here: there is no switch for it"),
        ("OCEAN__SOMETHING_ELSE", "unknown"),
        ("APPLICATION__WHATEVER", "unknown"),
    ],
)
def test_a_name_without_effect_is_listed_with_the_reason(tmp_path, name, reason):
    ignored = load(tmp_path, env={name: "x"}).ignored
    assert [(each.origin.name, each.reason) for each in ignored] == [(name, reason)]


@pytest.mark.parametrize(
    "name",
    [
        "STAGEPORT_PORT",
        "STAGEPORT_SERVICE_HOST",
        "STAGEPORT_SERVICE_PORT_HTTP",
        "STAGEPORT_PORT_8000_TCP",
        "STAGEPORT_PORT_8000_TCP_ADDR",
        "PORT_8000",
        "BACKSTAGE_SERVICE_HOST",
        "BACKSTAGE_BASE_IMAGE",
        "HOME",
    ],
)
def test_variables_that_nobody_meant_as_settings_are_not_even_listed(tmp_path, name):
    assert load(tmp_path, env={name: "tcp://10.0.0.1:8000"}).ignored == ()


def test_unknown_keys_of_a_file_are_listed_by_their_place(tmp_path):
    ignored = load(tmp_path, config="port: {clientIdd: 1}\nstreaming: {enabled: true}\n").ignored
    assert [(str(each.origin), each.reason) for each in ignored] == [
        ("config file: config.yaml: port.clientIdd", "unknown; did you mean port.client_id?"),
        ("config file: config.yaml: streaming", "has no effect here: pages are always streamed"),
    ]


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("60", 60.0),
        ("0.5", 0.5),
        ("*/60 * * * *", "*/60 * * * *"),
        ("'0 3 * * 1'", "0 3 * * 1"),
        ("@daily", "0 0 * * *"),
    ],
)
def test_the_schedule_is_minutes_or_cron(tmp_path, given, understood):
    settings = load(tmp_path, env={"OCEAN__SCHEDULED_RESYNC_INTERVAL": given}).settings
    assert settings.scheduled_resync_interval == understood


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("OCEAN__SCHEDULED_RESYNC_INTERVAL", "0", "minutes"),
        ("OCEAN__SCHEDULED_RESYNC_INTERVAL", "-5", "minutes"),
        ("OCEAN__SCHEDULED_RESYNC_INTERVAL", "nan", "minutes"),
        ("OCEAN__SCHEDULED_RESYNC_INTERVAL", "now and then", "cron"),
        ("STAGEPORT_SCHEDULED_RESYNC_TIMEZONE", "Middle/Earth", "time zone"),
    ],
)
def test_a_schedule_that_is_none_is_refused(tmp_path, name, given, said):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, env={name: given})
    assert said in f"{caught.value.message} {caught.value.hint}"
