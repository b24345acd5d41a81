"""Which messages of Port's change log ask for a resync, and how Kafka is reached."""

import json
from typing import Any

import pytest

from stageport.model.errors import SettingsError
from stageport.port.changelog import PORT_BROKERS, KafkaOptions, consumer_config
from stageport.port.changelog_filter import CHANGED, REQUESTED, resync_reason
from stageport.port.integration import KafkaCredentials

ME = "my-backstage"


def changed(**more: Any) -> dict[str, Any]:
    after = {"identifier": ME, "updatedAt": "2026-01-02", "resyncState": {"updatedAt": "2026-01-01"}}
    return {"diff": {"before": None, "after": after}, "changelogDestination": {"type": "KAFKA"}, **more}


def reason(message: object, **more: Any) -> str | None:
    return resync_reason(json.dumps(message).encode(), identifier=ME, **more)


def test_a_request_names_us_in_its_context() -> None:
    assert reason({"action": "RESYNC", "context": {"integrationId": ME}}) == REQUESTED
    assert reason({"action": "RESYNC", "context": {"integrationId": "other"}}) is None
    assert reason({"action": "UPDATE", "context": {"integrationId": ME}}) is None


def test_a_change_of_our_record_counts_unless_it_is_the_report_of_a_resync() -> None:
    assert reason(changed()) == CHANGED
    report = changed()
    report["diff"]["after"]["updatedAt"] = "2026-01-01"
    assert reason(report) is None
    other = changed()
    other["diff"]["after"]["identifier"] = "other"
    assert reason(other) is None
    never_synced = changed()
    del never_synced["diff"]["after"]["resyncState"]
    assert reason(never_synced) == CHANGED


@pytest.mark.parametrize("destination", [None, {}, {"type": "WEBHOOK"}])
def test_a_change_for_another_destination_does_not_count(destination: object) -> None:
    assert reason(changed(changelogDestination=destination)) is None


def test_on_the_topic_for_requests_only_the_context_counts() -> None:
    assert reason({"context": {"integrationId": ME}}, requests_only=True) == REQUESTED
    assert reason(changed(), requests_only=True) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'{"diff": 7}',
        b'{"diff": {"after": []}}',
        b'{"context": "x", "action": "RESYNC"}',
    ],
)
def test_what_is_no_such_message_is_passed_over(message: bytes) -> None:
    assert resync_reason(message, identifier=ME) is None


SECRET = KafkaCredentials("me", "a-password")


def test_secured_by_default_with_port_s_own_brokers() -> None:
    config = consumer_config(KafkaOptions(), SECRET, group="org.backstage.me")
    assert config["bootstrap.servers"] == ",".join(PORT_BROKERS)
    assert (config["security.protocol"], config["sasl.mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (config["sasl.username"], config["sasl.password"]) == ("me", "a-password")
    assert config["group.id"] == "org.backstage.me"
    assert config["enable.auto.commit"] is False


def test_brokers_of_the_settings_win_over_those_that_port_gives() -> None:
    given = KafkaCredentials("me", "a-password", brokers="a:1, b:2")
    assert consumer_config(KafkaOptions(), given, group="g")["bootstrap.servers"] == "a:1,b:2"
    assert consumer_config(KafkaOptions(brokers=("c:3",)), given, group="g")["bootstrap.servers"] == "c:3"


def test_unsecured_it_needs_no_credentials() -> None:
    config = consumer_config(KafkaOptions(is_secured=False), None, group="g")
    assert (config["security.protocol"], config["group.id"]) == ("PLAINTEXT", "no-security")
    assert "sasl.password" not in config
    with pytest.raises(SettingsError, match="no Kafka credentials"):
        consumer_config(KafkaOptions(), None, group="g")
