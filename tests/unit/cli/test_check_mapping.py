"""``stageport check --mapping`` on mappings that are broken on purpose: what their author reads.

The snapshots are the point: each message should be such that one could mend the mapping without any documentation.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from syrupy.assertion import SnapshotAssertion

from stageport.cli.entity_input import InputError
from stageport.cli.mapping_check import CheckRequest, run_check
from stageport.mapping.defaults import default_mapping
from stageport.model.errors import MappingError
from stageport.model.exits import Exit

HERE = Path(__file__).parent
BROKEN = sorted(path.name for path in (HERE / "broken").glob("*.yaml"))
REFERENCE = HERE.parents[2] / "docs" / "reference"
SCHEMA = Draft202012Validator(json.loads((REFERENCE / "check-mapping.schema.json").read_text(encoding="utf-8")))
OFFICIAL = HERE.parents[2] / ".." / "shared" / "conformance" / "official" / "port-app-config.yml"
DEFAULT = HERE.parents[2] / "src" / "stageport" / "mapping" / "defaults" / "mapping.yaml"


def check(capsys: pytest.CaptureFixture[str], name: str, **more: Any) -> tuple[Exit, str]:
    code = run_check(CheckRequest(mapping=Path(name), **more))
    printed = capsys.readouterr().out
    if more.get("output") == "json":
        SCHEMA.validate(json.loads(printed))
    return code, printed


@pytest.mark.parametrize("name", BROKEN)
def test_broken_mappings(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    monkeypatch.chdir(HERE / "broken")
    code, printed = check(capsys, name)
    assert (code is Exit.MAPPING) == (": error: " in printed)
    assert printed == snapshot


@pytest.mark.parametrize("name", BROKEN)
def test_broken_mappings_as_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, printed = check(capsys, str(HERE / "broken" / name), output="json")
    document = json.loads(printed)
    assert document["errors"] + document["warnings"] == len(document["problems"]) > 0


def test_there_are_at_least_ten_broken_mappings() -> None:
    assert len(BROKEN) >= 10


def test_the_default_mapping_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = check(capsys, str(DEFAULT), strict=True)
    assert code is Exit.OK
    assert "is in order: 8 resources" in printed


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official mapping lies outside of the project")
def test_the_known_faults_of_the_official_mapping_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = check(capsys, str(OFFICIAL), output="json")
    found = {(one["code"], one["resource"], one["field"]) for one in json.loads(printed)["problems"]}
    assert code is Exit.OK
    assert found == {
        *(("links", index, "properties.links") for index in range(7)),
        *(("null-joined", index, "relations.system") for index in (0, 1, 4)),
        *(("relation-arity", 0, f"relations.{name}") for name in ("providesApis", "consumesApis")),
        *(
            ("relation-arity", index, f"relations.dependsOn{name}")
            for index in (0, 4)
            for name in ("Component", "Resource")
        ),
        ("relation-arity", 2, "relations.members"),
    }


def test_json_has_every_problem_with_its_place(capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion) -> None:
    code, printed = check(capsys, str(HERE / "broken" / "04-unclosed-bracket.yaml"), output="json")
    document = json.loads(printed)
    assert code is Exit.MAPPING
    assert {**document, "file": "…"} == snapshot


def test_a_single_resource_is_told_of_without_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resource = default_mapping()["resources"][0]
    resource["port"]["entity"]["mappings"] |= {"title": "oops(", "blueprint": '"usr"', "colour": "red"}
    (tmp_path / "one.json").write_text(json.dumps(resource), encoding="utf-8")
    _, printed = check(capsys, str(tmp_path / "one.json"))
    assert "error: title: does not compile: this '(' is never closed" in printed
    assert "warning: blueprint: usr is none of the default blueprints" in printed
    assert "warning: port.entity.mappings: colour is no known key" in printed
    assert "resource 0" not in printed


def mapping_file(folder: Path, **mappings: Any) -> Path:
    resource = {
        "kind": "component",
        "selector": {"query": "true"},
        "port": {"entity": {"mappings": {"identifier": ".metadata.identifier", "blueprint": '"service"', **mappings}}},
    }
    path = folder / "mapping.json"
    path.write_text(json.dumps({"resources": [resource]}, indent=1), encoding="utf-8")
    return path


BLUEPRINT = {
    "identifier": "service",
    "title": "Service",
    "schema": {"properties": {"tier": {"type": "string"}, "port": {"type": "number"}}, "required": ["tier"]},
    "relations": {"parts": {"target": "component", "many": True}, "whole": {"target": "system", "many": False}},
    "calculationProperties": {"age": {"calculation": "1", "type": "number"}},
}


def test_given_blueprints_are_certain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "blueprints.json").write_text(json.dumps({"ok": True, "blueprints": [BLUEPRINT]}), encoding="utf-8")
    relations = {"parts": ".relations[] | .targetRef", "whole": "[.relations[] | .targetRef]", "hole": "null"}
    path = mapping_file(tmp_path, properties={"port": '"80"', "tire": ".spec.tier", "age": "1"}, relations=relations)
    code, printed = check(capsys, str(path), blueprints=tmp_path / "blueprints.json", output="json")
    errors = [one for one in json.loads(printed)["problems"] if one["level"] == "error"]
    assert code is Exit.MAPPING
    assert {(one["code"], one["field"], one["hint"]) for one in errors} == {
        ("property-type", "properties.port", ""),
        ("no-property", "properties.tire", "Did you mean tier?"),
        ("computed-property", "properties.age", ""),
        (
            "relation-arity",
            "relations.parts",
            "Only the first output counts; put brackets around it to give a list: [.relations[] | .targetRef]",
        ),
        ("relation-arity", "relations.whole", "Take one of them: [ … ][0]"),
        ("no-relation", "relations.hole", "Did you mean whole?"),
        ("required-unmapped", "properties", "Port refuses an entity without it."),
    }


def test_a_blueprint_that_nobody_has_is_an_error_only_when_all_are_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = mapping_file(tmp_path)
    assert check(capsys, str(path), strict=True)[0] is Exit.OK
    (tmp_path / "blueprints.yaml").write_text(json.dumps([{**BLUEPRINT, "identifier": "other"}]), encoding="utf-8")
    code, printed = check(capsys, str(path), blueprints=tmp_path / "blueprints.yaml")
    assert code is Exit.MAPPING
    assert "there is no blueprint service" in printed


def test_strict_makes_warnings_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = mapping_file(tmp_path, title="env.TITLE")
    assert check(capsys, str(path))[0] is Exit.OK
    assert check(capsys, str(path), strict=True)[0] is Exit.MAPPING


@pytest.mark.parametrize("text", ["", "{}", "# nothing\n"])
def test_an_empty_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(MappingError, match="the mapping document is empty"):
        run_check(CheckRequest(mapping=tmp_path / "m.yaml"))


def test_a_mapping_without_resources_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.yaml").write_text("resources: []\n", encoding="utf-8")
    assert "the mapping has no resources" in check(capsys, str(tmp_path / "m.yaml"))[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), (b"\xff\xfe", "is no UTF-8")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "m.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        run_check(CheckRequest(mapping=path))
    with pytest.raises(InputError, match=words):
        run_check(CheckRequest(mapping=mapping_file(tmp_path), blueprints=path if content else tmp_path / "x"))


@pytest.mark.parametrize("text", ["[]", "7", "- title: x", "a: ["])
def test_files_that_hold_no_blueprints(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"b\.yaml"):
        run_check(CheckRequest(mapping=mapping_file(tmp_path), blueprints=tmp_path / "b.yaml"))
