"""``stageport map`` on one source entity and on several: what its author reads, also of mappings that are broken."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from syrupy.assertion import SnapshotAssertion

from stageport.cli import mapping_run
from stageport.cli.entity_input import InputError
from stageport.cli.map_request import MapRequest
from stageport.cli.mapping_run import run_map
from stageport.mapping.workers import Limits
from stageport.model.errors import MappingError, SettingsError
from stageport.model.exits import Exit

HERE = Path(__file__).parent
BROKEN = sorted(path.name for path in (HERE / "broken").glob("*.yaml"))
PETSTORE = HERE / "petstore.json"
REFERENCE = HERE.parents[2] / "docs" / "reference"
SCHEMA = Draft202012Validator(json.loads((REFERENCE / "map.schema.json").read_text(encoding="utf-8")))


def run(capsys: pytest.CaptureFixture[str], what: Path | str, mapping: Path | str, **more: Any) -> tuple[Exit, str]:
    code = run_map(MapRequest(what=str(what), mapping=Path(mapping), **more))
    printed = capsys.readouterr().out
    if more.get("output") == "json":
        SCHEMA.validate(json.loads(printed))
    return code, printed


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def entity(name: str, kind: str = "Component", **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def resource(kind: str = "component", query: str = "true", **mappings: Any) -> dict[str, Any]:
    fields = {"identifier": ".metadata.identifier", "blueprint": '"component"', **mappings}
    return {"kind": kind, "selector": {"query": query}, "port": {"entity": {"mappings": fields}}}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_mappings_explained(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    monkeypatch.chdir(HERE / "broken")
    try:
        _, printed = run(capsys, PETSTORE, name)
    except MappingError as error:
        printed = f"{error.message}\n{error.hint}"
    assert printed == snapshot


def test_a_broken_mapping_gives_json_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = run(capsys, PETSTORE, HERE / "broken" / "09-wrong-shapes.yaml", output="json")
    document = json.loads(printed)
    assert code is Exit.MAPPING
    assert document["resourceFailed"] is True
    assert document["entities"] == []
    assert {"resource": 1, "field": "selector", "ref": None, "line": 13, "column": 15}.items() <= next(
        one.items() for one in document["problems"] if one["field"] == "selector"
    )


def test_what_cannot_be_loaded_at_all_gives_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("", "a: [", "[]", "7"):
        code, printed = run(capsys, PETSTORE, write(tmp_path / "m.yaml", text), output="json")
        assert code is Exit.MAPPING
        assert json.loads(printed)["problems"][0]["message"]


def test_an_error_at_run_time_is_shown_at_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapping = (
        "kind: component\nselector: {query: 'true'}\nport:\n  entity:\n    mappings:\n"
        "      identifier: .metadata.identifier\n      blueprint: '\"component\"'\n      properties:\n"
        "        type: >-\n          .spec\n          | .owner | ascii_downcase\n          | .name\n"
    )
    _, printed = run(capsys, PETSTORE, write(tmp_path / "m.yaml", mapping))
    assert 'Cannot index string with string ("name")' in printed
    line = next(index for index, one in enumerate(printed.split("\n")) if "ascii_downcase | .name" in one)
    shown = printed.split("\n")[line + 2 : line + 4]
    assert shown[0].strip() == ".spec | .owner | ascii_downcase | .name"
    assert shown[1].endswith(f"^^^^^ {tmp_path / 'm.yaml'}:12:13")
    assert shown[1].index("^") == shown[0].index(".name")


def test_what_had_to_be_stopped_is_told_and_not_looked_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping_run, "LIMITS", Limits(cpu_seconds=0.4))
    _, printed = run(capsys, PETSTORE, write(tmp_path / "m.json", resource(identifier="def f: f; f")))
    assert "failed: an expression that it needs had to be stopped" in printed
    assert "used more than 0.2 s of CPU time\n  blueprint" in printed


def test_items_are_told_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    one = resource(query='.item.title != "Local"', title=".item.title | ltrimstr(1)")
    one["port"]["itemsToParse"] = ".metadata.links"
    _, printed = run(capsys, PETSTORE, write(tmp_path / "m.json", one))
    assert printed.replace(str(tmp_path), "…") == snapshot


def test_what_our_switches_skip_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orphan = entity("a")
    orphan["metadata"]["annotations"] = {"backstage.io/orphan": "true"}
    broken = entity("b") | {"status": {"items": [{"level": "error", "message": "x"}]}}
    skipping = resource()
    skipping["selector"] |= {"orphans": "skip", "broken": "skip"}
    path = write(tmp_path / "m.json", {"resources": [skipping]})
    assert "it is an orphan" in run(capsys, write(tmp_path / "e.json", orphan), path)[1]
    assert "Backstage reports errors for it" in run(capsys, write(tmp_path / "e.json", broken), path)[1]
    skipping["port"]["itemsToParse"] = ".metadata.links"
    write(path, {"resources": [skipping]})
    assert "it is an orphan" in run(capsys, write(tmp_path / "e.json", orphan), path)[1]


def test_several_entities_are_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    monkeypatch.chdir(tmp_path)
    mapping = {
        "resources": [
            resource(query='.spec.type != "library"', properties={"type": ".spec.type", "tags": ".spec.tags[]"}),
            resource(kind="API", blueprint=".spec.blueprint", query=".spec.public"),
        ]
    }
    entities = [
        *(entity("shop", type="service", tags=["a"]), entity("lib", type="library"), entity("bare")),
        *(entity("a", "API", public=True, blueprint="api"), entity("b", "API", public=True), entity("c", "API")),
        *(entity("s", "System"), entity("t", "System")),
    ]
    code, printed = run(capsys, write(tmp_path / "e.json", entities), write(tmp_path / "m.json", mapping).name)
    assert code is Exit.OK
    assert printed == snapshot


def test_strict_tells_by_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = write(tmp_path / "g.json", resource()), write(tmp_path / "b.json", resource(title=".spec | error"))
    assert run(capsys, PETSTORE, good, strict=True)[0] is Exit.OK
    assert run(capsys, PETSTORE, bad, strict=True)[0] is Exit.UNWRITTEN
    assert run(capsys, PETSTORE, bad)[0] is Exit.OK


def test_given_blueprints_judge_the_entities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blueprint = {"identifier": "component", "schema": {"properties": {"type": {"enum": ["website"]}}}}
    path = write(tmp_path / "b.json", [blueprint])
    mapping = write(tmp_path / "m.json", resource(properties={"type": ".spec.type"}))
    code, printed = run(capsys, PETSTORE, mapping, blueprints=path, output="json", strict=True)
    assert code is Exit.UNWRITTEN
    assert json.loads(printed)["objections"] == [
        {
            "blueprint": "component",
            "identifier": "component:default/petstore",
            "path": "properties.type",
            "code": "blueprint_schema_mismatch",
            "message": 'is "service"; it must be one of "website"',
        }
    ]
    assert "Port would refuse it, by " in run(capsys, PETSTORE, mapping, blueprints=path)[1]


def test_a_blueprint_of_your_own_is_not_judged_by_the_default_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = write(tmp_path / "m.json", resource(blueprint='"service"'))
    printed = run(capsys, PETSTORE, mapping)[1]
    assert "Not checked: there is no default blueprint service." in printed


def test_in_a_whole_mapping_each_kind_goes_to_its_resources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [entity("a"), entity("b", "api")]
    path = write(tmp_path / "e.json", both)
    whole = write(tmp_path / "m.json", {"resources": [resource("API"), resource("COMPONENT")]})
    document = json.loads(run(capsys, path, whole, output="json")[1])
    assert [one["identifier"] for one in document["entities"]] == ["api:default/b", "component:default/a"]
    single = write(tmp_path / "s.json", resource("component"))
    document = json.loads(run(capsys, path, single, output="json")[1])
    assert [one["identifier"] for one in document["entities"]] == ["component:default/a", "api:default/b"]
    document = json.loads(run(capsys, path, single, output="json", kind="API")[1])
    assert [one["identifier"] for one in document["entities"]] == ["api:default/b"]


def test_an_entity_that_nothing_maps_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "e.json", entity("a", "System"))
    whole = write(tmp_path / "m.json", {"resources": [resource("API"), resource("component")]})
    assert "No resource maps kind system; the mapping has API, component." in run(capsys, path, whole)[1]


def test_an_entity_that_cannot_be_called_anything_ends_the_resource(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path / "e.json", [entity("a"), {"kind": "Component", "metadata": {}}, {"metadata": {"name": "x"}}, 7]
    )
    whole = write(tmp_path / "m.json", {"resources": [resource()]})
    document = json.loads(run(capsys, path, whole, output="json")[1])
    assert (document["resourceFailed"], document["entities"]) == (True, [])
    assert [(one["resource"], one["message"].partition(":")[0]) for one in document["problems"]] == [
        (0, "the source entity has no metadata.name"),
        (None, "the source entity has no kind"),
        (None, "the source entity has no metadata"),
    ]
    assert "A resource ended early" in run(capsys, path, whole)[1]


YAML_ENTITIES = """\
# two descriptors
---
kind: Component
metadata: {name: a, since: 2024-05-01, on: yes}
spec: {}
--- # the second
kind: API
metadata:
  name: b
  description: |
    --- no document begins here
...
"""


def test_descriptors_are_read_as_backstage_reads_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "catalog-info.yaml", YAML_ENTITIES)
    mapping = write(tmp_path / "m.json", resource(title="[.metadata.since, .metadata.on] | tojson"))
    document = json.loads(run(capsys, path, mapping, output="json")[1])
    assert [(one["identifier"], one["title"]) for one in document["entities"]] == [
        ("component:default/a", '["2024-05-01","yes"]'),
        ("api:default/b", "[null,null]"),
    ]


def test_the_answer_of_backstage_is_taken_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"items": [entity("a"), entity("b")], "totalItems": 2, "pageInfo": {}}
    path = write(tmp_path / "e.json", answer)
    document = json.loads(run(capsys, path, write(tmp_path / "m.json", resource()), output="json")[1])
    assert len(document["entities"]) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[{]", "e.json is no JSON"),
        ("7", "holds no source entity"),
        ("", "holds no source entity"),
        ("- 7", "holds no source entity"),
        ("a: 1\n---\nb: [", r"e\.json:3:5: the text is no YAML"),
    ],
)
def test_input_that_is_no_entity(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path / "e.json", text)
    with pytest.raises(InputError, match=words):
        run_map(MapRequest(what=str(path), mapping=write(tmp_path / "m.json", resource())))


def test_what_is_neither_file_nor_ref(tmp_path: Path) -> None:
    mapping = write(tmp_path / "m.json", resource())
    with pytest.raises(InputError, match=r"There is no file 'petstore\.json', and 'petstore\.json' is no entity ref"):
        run_map(MapRequest(what="petstore.json", mapping=mapping))


def test_nothing_to_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    mapping = write(tmp_path / "m.json", resource())
    monkeypatch.setattr("sys.stdin", Terminal(b""))
    with pytest.raises(InputError, match="There is nothing to map"):
        run_map(MapRequest(what=None, mapping=mapping))
    monkeypatch.setattr("sys.stdin", Piped(json.dumps(entity("a")).encode()))
    run_map(MapRequest(what=None, mapping=mapping, output="json"))
    assert len(json.loads(capsys.readouterr().out)["entities"]) == 1


class Piped:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


class Terminal(Piped):
    def isatty(self) -> bool:
        return True


def test_without_a_mapping_file_ports_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PORT_CLIENT_ID", "PORT_CLIENT_SECRET", "OCEAN__PORT__CLIENT_ID", "STAGEPORT_PORT_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="client_id"):
        run_map(MapRequest(what=str(PETSTORE)))
