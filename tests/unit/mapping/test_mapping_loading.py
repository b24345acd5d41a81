"""Reading mapping files: YAML 1.2 values, and the line and column of everything."""

import json

import pytest

from stageport.mapping.loading import load_mapping
from stageport.mapping.yaml_text import Position
from stageport.model.errors import MappingError

TEXT = """\
# how components become services
deleteDependentEntities: no
resources:
  - kind: component
    selector: {query: 'true', note: yes}
    port:
      entity:
        mappings:
          identifier: .metadata.identifier
          blueprint: '"service"'
          properties:
            literal: |
              .foo
                | bar
            folded: >-
              .foo |
              baz(1)
            single: 'it''s | foo'
            double: "\\"x\\" \\
              | foo"
            plain: .a
              | foo
            on: 2024-01-01
            version: 0o17
"""
MAPPINGS = ("resources", 0, "port", "entity", "mappings")


def faults_of(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(MappingError) as refusal:
        load_mapping(text, name="mapping.yaml")
    return [(fault.line, fault.column, fault.message) for fault in refusal.value.faults]


def test_scalars_are_those_of_yaml_1_2() -> None:
    properties = load_mapping(TEXT, name="m").document.resources[0].mappings.properties
    assert isinstance(properties, dict)
    assert properties["on"] == "2024-01-01"
    assert properties["version"] == "15"


@pytest.mark.parametrize(
    ("name", "line", "column"),
    [("literal", 2, 5), ("folded", 1, 8), ("single", 1, 8), ("double", 1, 7), ("plain", 1, 6)],
)
def test_a_place_in_an_expression_is_found_in_the_file_however_it_is_written(name: str, line: int, column: int) -> None:
    loaded = load_mapping(TEXT, name="m")
    place = loaded.position_within((*MAPPINGS, "properties", name), line=line, column=column)
    rest = TEXT.splitlines()[place.line - 1][place.column - 1 :]
    assert rest.startswith(("bar", "baz", "foo"))


def test_values_and_keys_have_positions_and_what_is_missing_has_that_of_its_parent() -> None:
    loaded = load_mapping(TEXT, name="mapping.yaml")
    assert loaded.position((*MAPPINGS, "blueprint")) == Position(10, 22)
    assert loaded.position((*MAPPINGS, "blueprint"), of_key=True) == Position(10, 11)
    assert loaded.position((*MAPPINGS, "title")) == loaded.position(MAPPINGS)
    assert loaded.where(("resources", 0, "kind")) == "mapping.yaml:4:11"


def test_a_single_resource_is_a_mapping_too() -> None:
    text = "kind: API\nselector:\n  query: true\nport:\n  entity:\n    mappings: {identifier: .a, blueprint: .b}\n"
    loaded = load_mapping(text, name="m")
    assert loaded.is_single
    assert loaded.document.kinds() == ["API"]
    assert loaded.position(("resources", 0, "selector", "query")) == Position(3, 10)


def test_json_is_yaml_even_with_tabs_and_surrogate_pairs() -> None:
    resource = {"kind": "a😀", "selector": {"query": "x\0y"}, "port": {"entity": {"mappings": {}}}}
    resource["port"]["entity"]["mappings"] = {"identifier": ".a", "blueprint": ".b"}  # type: ignore[index]
    for text in (json.dumps({"resources": [resource]}, indent="\t"), json.dumps({"resources": [resource]})):
        loaded = load_mapping(text, name="m").document.resources[0]
        assert (loaded.kind, loaded.selector.query) == ("a😀", "x\0y")


def test_faults_have_the_place_of_their_value() -> None:
    text = "resources:\n- kind: a\n  kind: b\n  selector: {query: null}\n  port:\n    entity:\n      mappings: []\n"
    assert [(line, column) for line, column, _ in faults_of(text)] == [(3, 3), (4, 21), (7, 17)]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: [", 1, 5, "no YAML"),
        ("a: 1\nb: 2\na: 3", 3, 1, "second time; the first is on line 1"),
        ("a: &x [*x]", 1, 4, "contains itself"),
        ("a: !!binary aGk=", 1, 4, "tag binary"),
        ("a: !!int x", 1, 4, "tagged as int"),
        ("[a]: 1", 1, 1, "no plain text"),
        ("--- {a: 1}\n--- {b: 1}", 2, 1, "no YAML"),
        ("a: \x01", 1, 1, "no YAML"),
        ("- 1", 1, 1, "must be an object"),
        ("a: def f: 1; f", 1, 9, "stand in quotes"),
    ],
)
def test_broken_texts_are_told_with_their_place(text: str, line: int, column: int, message: str) -> None:
    assert any(found[:2] == (line, column) and message in found[2] for found in faults_of(text))


def test_an_empty_text_is_an_empty_document() -> None:
    with pytest.raises(MappingError, match="empty"):
        load_mapping("# nothing\n", name="m")


def test_aliases_cannot_grow_without_bound() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert len(faults_of("\n".join(lines))) == 1


def test_merge_keys_fill_in_what_is_missing() -> None:
    text = (
        "x-base: &base {identifier: .a, blueprint: .b}\n"
        "resources:\n- kind: a\n  selector: {query: 'true'}\n  port: {entity: {mappings: {<<: *base, blueprint: .c}}}\n"
    )
    mappings = load_mapping(text, name="m").document.resources[0].mappings
    assert (mappings.identifier, mappings.blueprint) == (".a", ".c")
