"""What loads and runs and is regretted: each rule, where it speaks and where it is silent."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stageport.mapping.defaults import default_mapping
from stageport.mapping.document import parse_mapping
from stageport.mapping.lint import lint_keys, lint_resource, nearest
from stageport.mapping.repair import repair_resource
from stageport.model.errors import MappingError

CASES = json.loads((Path(__file__).parents[2] / "conformance" / "mapping-cases.json").read_text(encoding="utf-8"))


def config(*, kind: str = "component", query: Any = "true", port: Any = None, **mappings: Any) -> dict[str, Any]:
    fields = {"identifier": ".metadata.identifier", "blueprint": '"component"', **mappings}
    return {"kind": kind, "selector": {"query": query}, "port": {"entity": {"mappings": fields}, **(port or {})}}


def codes(entry: Any, **more: Any) -> list[str]:
    (resource,) = parse_mapping({"resources": [entry]}).resources
    return [one.code for one in lint_resource(resource, index=0, **more)]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (config(), []),
        (config(query=".spec.enabled"), ["selector-no-boolean"]),
        (config(query='"true"'), ["selector-no-boolean"]),
        (config(query='.spec.type == "x"'), []),
        (config(query='.metadata.labels | has("x")'), []),
        (config(query=".item.enabled"), []),
        (config(identifier=".spec.id"), ["identifier-may-be-null"]),
        (config(identifier=".spec.id // .metadata.identifier"), []),
        (config(identifier='"x"'), ["identifier-constant"]),
        (config(blueprint=".spec.type"), ["blueprint-may-be-null"]),
        (config(blueprint='.spec.type // "component"'), []),
        (config(title="env.X"), ["environment"]),
        (config(title="$ENV.X"), ["environment"]),
        (config(title=".env"), []),
        (config(title="{env: 1}"), []),
        (config(title='"env"'), []),
        (config(title='"x" + .spec.y'), ["null-joined"]),
        (config(title='"\\(.spec.y)"'), ["null-joined"]),
        (config(query='("x" + .spec.y) == "xy"'), []),
        (config(properties={"a": ".metadata.tags[]"}), ["stream"]),
        (config(properties={"a": "[.metadata.tags[]]"}), []),
        (config(relations={"a": ".relations[] | .targetRef"}), []),
        (config(title=".metdata.name"), ["misspelt-path"]),
        (config(title=".metadata.anotations.x"), ["misspelt-path"]),
        (config(title=".relations[] | .typ"), []),
        (config(title=".custom.name"), []),
        (config(title=".itm.x", port={"itemsToParse": ".spec.items", "itemsToParseName": "itm"}), []),
        (config(port={"itemsToParse": "[.metadata.links[]]"}), ["items-no-path"]),
        (config(port={"itemsToParse": ".metadata.links // []"}), []),
        (config(port={"itemsToParse": "[.a[]]", "itemsToParseTopLevelTransform": False}), []),
        (config(title="'.metadata.name'"), ["quoted"]),
        (config(title="'Bug'"), []),
        (config(kind="Componet"), ["no-such-kind"]),
        (config(kind="Spaceship"), []),
        (config(kind="API"), []),
    ],
    ids=str,
)
def test_each_rule_is_found_where_it_is_broken_and_nowhere_else(entry: Any, expected: list[str]) -> None:
    assert codes(entry) == expected


def test_kinds_of_the_catalog_count_when_they_are_known() -> None:
    assert codes(config(kind="spaceship"), kinds=["Component", "Spaceship"]) == []
    assert codes(config(kind="template"), kinds=["Component", "Spaceship"]) == ["no-such-kind"]


def test_keys_and_yaml_booleans() -> None:
    entry = config(query=True, titel=".x", properties={"a": False, "b": 1})
    entry["selector"]["Query"] = "x"
    found = {(one.code, one.path[-1], one.hint) for one in lint_keys({"resources": [entry], "ressources": []})}
    assert found == {
        ("yaml-boolean", "query", 'Write "true", with the quotes.'),
        ("yaml-boolean", "a", 'Write "false", with the quotes.'),
        ("unknown-key", "titel", "Did you mean title?"),
        ("unknown-key", "Query", "Did you mean query?"),
        ("unknown-key", "ressources", "Did you mean resources?"),
    }


def test_the_default_mapping_has_nothing_to_regret() -> None:
    document = default_mapping(sets=("location",))
    assert list(lint_keys(document)) == []
    assert [one for index, resource in enumerate(document["resources"]) for one in codes(resource)] == []


def test_every_conformance_mapping_can_be_judged() -> None:
    judged = 0
    for case in CASES:
        list(lint_keys({"resources": [case["mapping"]]}))
        try:
            codes(case["mapping"])
        except MappingError:
            continue
        judged += 1
    assert judged > 400


@given(st.text(alphabet=st.sampled_from("""ab.$[](){}|,;:+-*/%"'\\ \n#=<>!?0"""), max_size=30))
def test_no_expression_is_too_strange(text: str) -> None:
    for remark in _remarks(config(query=text, identifier=text, title=text, relations={"a": text})):
        if remark.span is not None:
            assert 0 <= remark.span[0] < remark.span[1] <= len(text)


def _remarks(entry: Any) -> list[Any]:
    (resource,) = parse_mapping({"resources": [entry]}).resources
    return list(lint_resource(resource, index=0))


@pytest.mark.parametrize(
    ("word", "near"),
    [("Identifer", "identifier"), ("items_to_parse", "itemsToParse"), ("owninggroup", "owningGroup"), ("xyz", "")],
)
def test_the_nearest_known_word_is_named_if_it_is_near(word: str, near: str) -> None:
    assert nearest(word, ["identifier", "itemsToParse", "owningGroup"]) == near


def test_a_resource_is_repaired_by_leaving_out_what_is_wrong() -> None:
    entry = config(properties={"a": ".a", "b": None, "c": [1]}, relations={"r": {"combinator": '"and"'}})
    del entry["port"]["entity"]["mappings"]["blueprint"]
    repaired = repair_resource(entry)
    assert repaired is not None
    assert repaired.mappings.properties == {"a": ".a"}
    assert repaired.mappings.relations == {}
    assert repaired.mappings.identifier == ".metadata.identifier"
    assert entry["port"]["entity"]["mappings"]["properties"]["c"] == [1]
    assert repair_resource(7) is None
