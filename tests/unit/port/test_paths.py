from urllib.parse import parse_qs, urlsplit

from stageport.model.changes import WriteOptions
from stageport.port.identity import IntegrationIdentity
from stageport.port.paths import blueprint_path, bulk_delete_path, entity_delete_path, upsert_path

IDENTITY = IntegrationIdentity(type="backstage", version="0.1.0", identifier="my-backstage")


def test_the_agents_are_shaped_like_those_of_ports_own_integration() -> None:
    assert IDENTITY.user_agent == "port-ocean/backstage/0.1.0/my-backstage"
    assert IDENTITY.exporter_agent == "port-ocean/backstage/0.1.0/my-backstage/exporter"


def test_ownership_survives_an_upgrade() -> None:
    newer = IntegrationIdentity(type="backstage", version="9.9.9", identifier="my-backstage")
    for identity in (IDENTITY, newer):
        assert newer.exporter_agent.startswith(identity.datasource_prefix)
        assert newer.exporter_agent.endswith(identity.datasource_suffix)


def test_the_switches_of_the_mapping_go_along_with_an_upsert() -> None:
    options = WriteOptions(merge=False, create_missing_related=True, pass_id="pass 1")
    assert parse_qs(urlsplit(upsert_path("service", options)).query) == {
        "upsert": ["true"],
        "merge": ["false"],
        "create_missing_related_entities": ["true"],
        "validation_only": ["false"],
        "ocean_info_event_type": ["resync"],
        "ocean_info_resync_id": ["pass 1"],
    }


def test_outside_a_pass_no_resync_is_named() -> None:
    assert bulk_delete_path("service", WriteOptions(delete_dependents=False)) == (
        "/v1/blueprints/service/bulk/entities/delete?delete_dependents=false"
    )


def test_identifiers_are_encoded() -> None:
    assert blueprint_path("a/b+c") == "/v1/blueprints/a%2Fb%2Bc"
    path = entity_delete_path("service", "component:default/ä=b", WriteOptions())
    assert path == "/v1/blueprints/service/entities/component%3Adefault%2F%C3%A4%3Db?delete_dependents=true"
