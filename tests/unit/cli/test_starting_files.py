"""``stageport schema`` and ``stageport init``: what they write is valid, by its own schema and by our own checks."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from stageport.cli.init import init
from stageport.cli.mapping_check import CheckRequest, run_check
from stageport.cli.schema import Subject, schema
from stageport.cli.starter import FilesThereError, starting_files, write_files
from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.model.errors import StageportError
from stageport.model.exits import Exit
from stageport.settings import load_settings

MAPPING = ".port/resources/port-app-config.yaml"
BLUEPRINTS = ".port/resources/blueprints.yaml"


def test_the_mapping_and_the_blueprints_are_the_default_ones(tmp_path: Path) -> None:
    write_files(tmp_path, force=False)
    resources = tmp_path / ".port" / "resources"
    assert default_mapping(folder=resources) == default_mapping()
    assert default_blueprints(folder=resources) == default_blueprints()
    # Read as files of the folder, not because nothing was found there.
    assert yaml.safe_load((tmp_path / MAPPING).read_text(encoding="utf-8")) == default_mapping()


def test_every_file_names_a_schema_that_it_fits(tmp_path: Path) -> None:
    write_files(tmp_path, force=False)
    for name, validator in ((MAPPING, Draft7Validator), ("config.yaml", Draft202012Validator)):
        path = tmp_path / name
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        document = json.loads((path.parent / first.partition("$schema=")[2]).read_text(encoding="utf-8"))
        validator.check_schema(document)
        assert list(validator(document).iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))) == []


def test_the_mapping_fits_its_blueprints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, force=False)
    request = CheckRequest(mapping=tmp_path / MAPPING, blueprints=tmp_path / BLUEPRINTS, strict=True)
    assert run_check(request) is Exit.OK
    assert "is in order" in capsys.readouterr().out


def test_the_settings_load(tmp_path: Path) -> None:
    write_files(tmp_path, force=False)
    variables = {"PORT_CLIENT_ID": "id", "PORT_CLIENT_SECRET": "secret"}
    loaded = load_settings(environ=variables, directory=tmp_path)
    assert (loaded.settings.port.client_id, loaded.settings.resources_path) == ("id", ".port/resources")
    assert loaded.settings.integration.config.backstage_token is None
    assert loaded.ignored == ()


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(FilesThereError, match=r"config\.yaml$"):
        init(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["config.yaml"]
    init(tmp_path, force=True)
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") != "mine"
    assert f"wrote {tmp_path / MAPPING}" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StageportError, match="cannot be written"):
        write_files(tmp_path / "file", force=False)


def test_the_mapping_tells_where_it_lies() -> None:
    text = starting_files()[MAPPING]
    assert f"stageport check --mapping {MAPPING}\n" in text
    assert max(map(len, text.splitlines())) <= 120
    assert "docs/adr" not in text


def test_schemas_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    schema(Subject.MAPPING)
    lenient = json.loads(capsys.readouterr().out)
    schema(Subject.MAPPING, strict=True)
    strict = json.loads(capsys.readouterr().out)
    schema(Subject.CONFIG)
    config = json.loads(capsys.readouterr().out)
    unknown = {"resources": [], "x": 1}
    assert (Draft7Validator(lenient).is_valid(unknown), Draft7Validator(strict).is_valid(unknown)) == (True, False)
    assert "port" in config["properties"]
