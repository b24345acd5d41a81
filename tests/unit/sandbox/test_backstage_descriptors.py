"""Descriptors of the Backstage stand-in: YAML as Backstage reads it, the sample catalog, folders."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from stageport.model.entities import Json
from stageport.model.errors import SettingsError
from stageport.sandbox.backstage.catalog import Catalog
from stageport.sandbox.backstage.descriptors import descriptors_from, read_descriptors, sample_descriptors
from stageport.sandbox.backstage.placeholders import resolve_placeholders
from stageport.sandbox.backstage.server import sample_catalog

SHARED = Path(__file__).parents[4] / "shared" / "real-catalogs"
GROUP = "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: g}\nspec: {type: t, children: []}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("True", True),
        ("2024-05-01", "2024-05-01"),
        ("12:30", "12:30"),
        ("0o14", "0o14"),
        ("1_000", "1_000"),
        ("1.0", 1),
        ("1.5", 1.5),
        ("-3", -3),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("1e3", 1000),
    ],
)
def test_scalars_are_read_as_yaml_1_2_reads_them(text: str, expected: Json) -> None:
    (document,) = read_descriptors(f"value: {text}", origin="test")

    assert document["value"] == expected
    assert type(document["value"]) is type(expected)


def test_empty_documents_are_passed_over() -> None:
    assert list(read_descriptors("---\n---\na: 1\n---\n", origin="test")) == [{"a": 1}]


@pytest.mark.parametrize("text", ["a: [", "- a\n- b", "just text"])
def test_what_is_no_entity_is_an_error_that_names_the_file(text: str) -> None:
    with pytest.raises(SettingsError, match=r"some\.yaml") as caught:
        list(read_descriptors(text, origin="some.yaml"))
    assert caught.value.hint


def test_a_folder_is_read_whole_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.yml").write_text(GROUP.replace("name: g", "name: two") + "---\n" + GROUP)
    (tmp_path / "a.yaml").write_text(GROUP.replace("name: g", "name: one"))
    (tmp_path / "notes.txt").write_text("not: [yaml")

    found = descriptors_from(tmp_path)

    assert [entity["metadata"]["name"] for entity in found] == ["one", "two", "g"]
    assert found[0]["metadata"]["annotations"]["backstage.io/managed-by-location"] == f"file:{tmp_path / 'a.yaml'}"


def test_a_single_file_will_do(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(GROUP)

    assert len(descriptors_from(tmp_path / "one.yaml")) == 1


def test_a_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no catalog at"):
        descriptors_from(tmp_path / "nowhere")


def test_placeholders_are_read_from_beside_the_file_and_never_from_above_it(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "api.txt").write_text("openapi: 3.0.0")
    (folder / "api.json").write_text('{"a": 1}')
    spec = "{type: t, children: [], text: {$text: ./api.txt}, json: {$json: api.json}, up: {$text: ../secret.txt}}"
    (folder / "g.yaml").write_text(GROUP.replace("{type: t, children: []}", spec))

    (entity,) = descriptors_from(folder)

    assert entity["spec"]["text"] == "openapi: 3.0.0"
    assert entity["spec"]["json"] == {"a": 1}
    assert entity["spec"]["up"] == "# not fetched: ../secret.txt"


def test_what_only_looks_like_a_placeholder_stays() -> None:
    value = {"$text": "a", "other": 1, "inner": {"$yaml": "b"}}

    assert resolve_placeholders({"x": value, "y": "${{ parameters.name }}"}) == {
        "x": value,
        "y": "${{ parameters.name }}",
    }
    assert resolve_placeholders([{"$yaml": "b"}]) == [{"not fetched": "b"}]


def test_the_sample_catalog_is_accepted_whole() -> None:
    catalog = sample_catalog()

    assert catalog.rejected == {}
    assert 60 <= len(catalog) <= 70
    assert set(catalog.counts()) == {
        "API", "Component", "Domain", "Environment", "Group", "Location", "Resource", "System", "Template", "User",
    }  # fmt: skip


def test_the_sample_catalog_has_the_odd_ones() -> None:
    catalog = sample_catalog()
    entities = [entity.decoded() for entity in catalog]
    listed = {entity["metadata"]["name"]: Counter(item["type"] for item in entity["relations"]) for entity in entities}

    def dependencies(name: str) -> list[str]:
        relations = catalog.entity(f"component:default/{name}")["relations"]
        return [item["targetRef"] for item in relations if item["type"] == "dependsOn"]

    assert "component:default/traffic-feed" in dependencies("route-planner")
    assert "component:default/route-solver" in dependencies("traffic-feed")
    assert "component:default/route-planner" in dependencies("route-solver")
    assert listed["tracking-service"]["ownedBy"] == listed["shop-frontend"]["ownedBy"] == 2
    assert listed["voucher-printer"]["partOf"] == 0
    assert listed["scan-codec"]["partOf"] == 1
    assert {entity["metadata"]["namespace"] for entity in entities} == {"default", "insight"}
    assert any(entity["metadata"]["name"] != entity["metadata"]["name"].lower() for entity in entities)
    assert any(not entity["metadata"].get("title", "").isascii() for entity in entities)
    assert {entity["spec"]["type"] for entity in entities if entity["kind"] == "API"} == {
        "openapi", "asyncapi", "graphql", "grpc",
    }  # fmt: skip
    assert catalog.entity("component:default/payment-gateway")["status"]["items"][0]["level"] == "error"
    orphan = catalog.entity("component:default/mainframe-bridge")
    assert orphan["metadata"]["annotations"]["backstage.io/orphan"] == "true"
    assert all(item["targetRef"] not in catalog for item in orphan["relations"])
    assert "${{ parameters.name }}" in str(catalog.entity("template:default/go-service")["spec"])
    assert any(
        set(link) == {"url", "title", "icon", "type"}
        for link in catalog.entity("component:default/tracking-service")["metadata"]["links"]
    )


@pytest.mark.parametrize("kind", ["openapi", "asyncapi"])
def test_definitions_of_the_sample_are_documents(kind: str) -> None:
    definitions = [
        entity["spec"]["definition"]
        for entity in sample_descriptors()
        if entity["kind"] == "API" and entity["spec"]["type"] == kind
    ]

    assert definitions
    for definition in definitions:
        document = yaml.safe_load(definition)
        assert {"openapi", "asyncapi", "swagger"} & document.keys()
        assert document["info"]["title"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the descriptors of public repositories next door")
def test_descriptors_of_public_repositories_are_read_and_mostly_accepted() -> None:
    found = [entity for entity in descriptors_from(SHARED) if entity.get("kind")]

    catalog = Catalog(found)

    assert len(found) > 150
    assert len(catalog) > 100
    assert len(catalog.rejected) < 20
