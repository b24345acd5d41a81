"""``config.yaml``: providers, and what happens when it is missing or broken."""

import traceback

import pytest

from stageport.model.errors import SettingsError
from stageport.model.exits import Exit
from stageport.settings import load_settings

BROKEN = [
    "port: {clientSecret: *hunter2}",
    "port:\n\tclientSecret: hunter2",
    "port: {clientSecret: !hunter2 x}",
    "a: [hunter2",
]


def test_a_value_from_the_environment_is_resolved(tmp_path):
    (tmp_path / "config.yaml").write_text('port:\n  clientId: "{{ from env MY_ID }}"\n')
    loaded = load_settings(environ={"MY_ID": "abc"}, directory=tmp_path)
    assert loaded.settings.port.client_id == "abc"
    assert str(loaded.provenance["port.client_id"]) == "config file: config.yaml: port.client_id"


def test_a_value_from_dotenv_is_resolved_too(tmp_path):
    (tmp_path / "config.yaml").write_text('port:\n  clientId: "{{from env MY_ID}}"\n')
    (tmp_path / ".env").write_text("MY_ID=abc\n")
    assert load_settings(environ={}, directory=tmp_path).settings.port.client_id == "abc"


def test_a_missing_variable_leaves_the_key_absent(tmp_path):
    (tmp_path / "config.yaml").write_text('pageSize: "{{ from env NOT_SET }}"\n')
    assert load_settings(environ={}, directory=tmp_path).settings.page_size == 500


def test_another_provider_is_refused_by_name(tmp_path):
    (tmp_path / "config.yaml").write_text('port:\n  clientId: "{{ from vault secret/port }}"\n')
    with pytest.raises(SettingsError, match=r"port\.client_id .*asks for provider 'vault'; only `from env` is known"):
        load_settings(environ={}, directory=tmp_path)


def test_a_value_in_the_place_of_a_section_is_told_how_a_section_looks(tmp_path):
    (tmp_path / "config.yaml").write_text("port: text\nintegration:\n  config: 5\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={}, directory=tmp_path)
    assert caught.value.message.splitlines()[1:] == [
        f"  - {name} (config file: config.yaml: {name}) should be a section: "
        f"its own settings on the lines below, indented, such as `{example}: ...`"
        for name, example in (("port", "client_id"), ("integration.config", "backstage_url"))
    ]


def test_a_file_may_be_named(tmp_path):
    file = tmp_path / "other.yaml"
    file.write_text("pageSize: 7\n")
    assert load_settings(environ={}, directory=tmp_path, file=file).settings.page_size == 7


def test_a_named_file_must_exist(tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.yaml cannot be read") as caught:
        load_settings(environ={}, directory=tmp_path, file=tmp_path / "absent.yaml")
    assert caught.value.exit is Exit.SETTINGS
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "port: {clientSecret: *hunter2}",
        "port:\n\tclientSecret: hunter2",
        "port: {clientSecret: !hunter2 x}",
        "a: [hunter2",
    ],
)
def test_broken_yaml_is_named_by_line_and_quotes_nothing(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"config\.yaml is not valid YAML at line \d+, column \d+") as caught:
        load_settings(environ={}, directory=tmp_path)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)) + caught.value.hint


def test_a_provider_without_quotes_is_explained(tmp_path):
    (tmp_path / "config.yaml").write_text("port:\n  clientId: {{ from env MY_ID }}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={}, directory=tmp_path)
    assert '"{{ from env NAME }}"' in caught.value.hint


@pytest.mark.parametrize("text", ["- a\n", "just words\n"])
def test_a_file_that_holds_no_settings_is_refused(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(SettingsError, match="should hold settings as `name: value`"):
        load_settings(environ={}, directory=tmp_path)


def test_an_empty_file_is_no_settings(tmp_path):
    (tmp_path / "config.yaml").write_text("# nothing yet\n")
    assert load_settings(environ={}, directory=tmp_path).settings.page_size == 500


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"port: \xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read: it is no UTF-8"):
        load_settings(environ={}, directory=tmp_path)
