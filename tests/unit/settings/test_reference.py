"""The settings page and the JSON Schema cannot drift from the model."""

from pathlib import Path

import jsonschema
import pytest

from stageport.settings.reference import settings_page, settings_schema

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"
REWRITE = "python -m stageport.settings.reference > docs/reference/settings.md"


def test_the_settings_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == settings_page(), f"write it again: {REWRITE}"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"port": {"clientId": "{{ from env X }}", "clientSecret": "s", "baseUrl": "https://api.port.io"}},
        {"eventListener": {"type": "KAFKA", "brokers": "a:1"}, "pageSize": 100, "scheduledResyncInterval": 60},
        {"pageSize": "{{ from env SIZE }}", "initializePortResources": "{{ from env INIT }}"},
        {"integration": {"identifier": "x", "config": {"backstageUrl": "http://b:7007", "other": 1}}, "unknown": True},
        {"ssl": {"thirdParty": {"verify": False, "x509": {"strict": False}}}, "logLevel": "DEBUG"},
    ],
)
def test_the_schema_accepts_what_can_be_written(config):
    jsonschema.validate(config, settings_schema())


@pytest.mark.parametrize(
    "config",
    [
        {"pageSize": "many"},
        {"eventListener": {"type": "PIGEON"}},
        {"port": {"clientId": []}},
        {"workers": 0},
        {"logFormat": "xml"},
    ],
)
def test_the_schema_refuses_what_would_be_refused(config):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, settings_schema())


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(settings_schema())
