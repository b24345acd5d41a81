"""The JSON Schema of a mapping against what is really accepted and refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from stageport.mapping.defaults import default_mapping
from stageport.mapping.document import parse_mapping
from stageport.mapping.schema import mapping_schema, walk_mapping
from stageport.model.errors import MappingError

ROOT = Path(__file__).parents[3]
CASES = json.loads((ROOT / "tests" / "conformance" / "mapping-cases.json").read_text(encoding="utf-8"))
OFFICIAL = ROOT / ".." / "shared" / "conformance" / "official" / "port-app-config.yml"
LENIENT = Draft7Validator(mapping_schema())
STRICT = Draft7Validator(mapping_schema(strict=True))

MAPPINGS: dict[str, Any] = {"identifier": ".x", "blueprint": '"c"'}


def resource(**more: Any) -> dict[str, Any]:
    return {"kind": "component", "selector": {"query": "true"}, "port": {"entity": {"mappings": MAPPINGS}}, **more}


def with_mappings(**more: Any) -> dict[str, Any]:
    return {"resources": [resource(port={"entity": {"mappings": {**MAPPINGS, **more}}})]}


def with_selector(**more: Any) -> dict[str, Any]:
    return {"resources": [resource(selector={"query": "true", **more})]}


def is_loaded(config: Any) -> bool:
    try:
        parse_mapping(config)
    except MappingError:
        return False
    return True


def test_the_schemas_are_schemas() -> None:
    Draft7Validator.check_schema(mapping_schema())
    Draft7Validator.check_schema(mapping_schema(strict=True))


@pytest.mark.parametrize("validator", [LENIENT, STRICT], ids=["lenient", "strict"])
def test_the_default_mapping_is_valid(validator: Draft7Validator) -> None:
    assert list(validator.iter_errors(default_mapping(sets=("location",)))) == []


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official mapping lies outside of the project")
def test_the_official_mapping_is_valid() -> None:
    assert list(STRICT.iter_errors(yaml.safe_load(OFFICIAL.read_text(encoding="utf-8")))) == []


def test_the_schema_accepts_what_is_accepted_and_refuses_what_is_refused() -> None:
    documents = {case["id"]: {"resources": [case["mapping"]]} for case in CASES}
    differing = [name for name, document in documents.items() if LENIENT.is_valid(document) != is_loaded(document)]
    assert differing == []
    assert sum(not LENIENT.is_valid(document) for document in documents.values()) == 11


SHAPES: list[Any] = [
    {},
    [],
    None,
    {"resources": None},
    {"resources": {}},
    {"resources": [None]},
    {"resources": []},
    {"deleteDependentEntities": "yes", "resources": []},
    {"deleteDependentEntities": "Off", "resources": []},
    {"deleteDependentEntities": 2, "resources": []},
    {"deleteDependentEntities": None, "resources": []},
    {"create_missing_related_entities": "maybe"},
    {"entityDeletionThreshold": 0.5},
    {"entityDeletionThreshold": "0.5"},
    {"entityDeletionThreshold": 1.5},
    {"entityDeletionThreshold": "often"},
    {"entityDeletionThreshold": None},
    {"resources": [resource(kind=None)]},
    {"resources": [resource(kind=["a"])]},
    {"resources": [resource(kind=1)]},
    {"resources": [resource(selector=None)]},
    {"resources": [resource(port=None)]},
    {"resources": [resource(port={"entity": None})]},
    {"resources": [resource(port={"entity": {"mappings": [MAPPINGS]}})]},
    {"resources": [resource(port={"entity": {"mappings": MAPPINGS}, "itemsToParse": None})]},
    {"resources": [resource(port={"entity": {"mappings": MAPPINGS}, "itemsToParse": [".a"]})]},
    {"resources": [resource(port={"entity": {"mappings": MAPPINGS}, "itemsToParseName": None})]},
    {"resources": [resource(port={"entity": {"mappings": MAPPINGS}, "itemsToParseTopLevelTransform": "no"})]},
    {"resources": [resource(port={"entity": {"mappings": MAPPINGS}, "itemsToParseTopLevelTransform": []})]},
    with_selector(filter=["a=b"]),
    with_selector(filter="a=b"),
    with_selector(filter=[{}]),
    with_selector(orphans="skip"),
    with_selector(orphans="keep", broken="skip"),
    with_selector(orphans=True),
    with_selector(exportEnvVariables=["A"]),
    with_selector(exportEnvVariables=None),
    with_mappings(title=None, icon=None, team=None),
    with_mappings(title=["a"]),
    with_mappings(team={"combinator": '"and"', "rules": []}),
    with_mappings(team={"a": 1}),
    with_mappings(identifier=None),
    with_mappings(identifier={"combinator": '"and"', "rules": [{"property": "1", "operator": "1", "value": 1}]}),
    with_mappings(identifier={"combinator": '"and"'}),
    with_mappings(identifier={"combinator": '"and"', "rules": [{"property": "1"}]}),
    with_mappings(identifier={"combinator": '"and"', "rules": [{"combinator": '"or"', "rules": []}]}),
    with_mappings(blueprint={"combinator": '"and"', "rules": []}),
    with_mappings(properties={}),
    with_mappings(properties=[], relations=""),
    with_mappings(properties=[".a"]),
    with_mappings(properties={"a": 1, "b": True, "c": 1.5}),
    with_mappings(relations={"a": {"combinator": 1, "rules": []}}),
    with_mappings(relations={"a": {"combinator": None, "rules": []}}),
    with_mappings(relations=None),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_schema_and_loader_agree(shape: Any) -> None:
    assert LENIENT.is_valid(shape) is is_loaded(shape)


def test_strict_refuses_unknown_keys_where_keys_are_known() -> None:
    assert not STRICT.is_valid({"resources": [resource(seletor={})]})
    assert not STRICT.is_valid(with_mappings(propertes={}))
    assert STRICT.is_valid(with_mappings(properties={"anything": ".x"}))


def test_a_walk_finds_unknown_keys_with_their_neighbours() -> None:
    config = {"resorces": [], **with_mappings(propertes={}, team={"combinator": '"and"', "rulez": []})}
    unknown = {met.path: met.known for met in walk_mapping(config) if met.known is not None}
    root = ("resources", 0, "port", "entity", "mappings")
    assert set(unknown) == {("resorces",), (*root, "propertes"), (*root, "team", "rulez")}
    assert "properties" in (unknown[(*root, "propertes")] or ())
    assert "rules" in (unknown[(*root, "team", "rulez")] or ())


def test_a_walk_finds_the_same_keys_unknown_as_the_loader() -> None:
    for case in CASES:
        config = {"resources": [case["mapping"]]}
        if is_loaded(config):
            unknown = {met.path for met in walk_mapping(config) if met.known is not None}
            assert unknown == set(parse_mapping(config).unknown), case["id"]


def test_a_walk_finds_expressions_whatever_is_wrong_around_them() -> None:
    config = with_mappings(properties={"a": ".a", "b": None, "c": [".c"]}, relations={"r": {"combinator": '"and"'}})
    config["resources"].append({"kind": 1, "selector": {"query": True}})
    found = {met.path[2:]: met.value for met in walk_mapping(config) if met.known is None}
    root = ("port", "entity", "mappings")
    assert found == {
        ("selector", "query"): True,
        (*root, "identifier"): ".x",
        (*root, "blueprint"): '"c"',
        (*root, "properties", "a"): ".a",
        (*root, "relations", "r", "combinator"): '"and"',
    }
