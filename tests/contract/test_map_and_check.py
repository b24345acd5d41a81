"""``stageport map REF`` and ``check`` between a Backstage and a Port: what they read there, and what they say."""

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.harness import World, serve_world

from stageport.cli.doctor import examine
from stageport.cli.map_request import MapRequest
from stageport.cli.mapping_check import CheckRequest, check_file
from stageport.cli.mapping_run import map_and_print
from stageport.cli.starter import write_files
from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.model.errors import SourceError
from stageport.model.exits import Exit


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    async with serve_world() as world:
        yield world


def some_ref(world: World, kind: str = "Component") -> str:
    one = next(one for one in world.sources() if one["kind"] == kind)
    return f"{one['kind']}:{one['metadata']['namespace']}/{one['metadata']['name']}"


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def writes(world: World) -> list[str]:
    """Name the requests to Port that are neither reading nor signing in."""
    return [seen.route for seen in world.requests() if not seen.route.startswith(("GET ", "POST /v1/auth/"))]


async def test_a_ref_is_read_from_backstage_and_mapped_as_port_says(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.install(default_mapping(), blueprints=default_blueprints())
    ref = some_ref(world)
    code = await map_and_print(MapRequest(what=ref, given=world.given, output="json"))
    document = json.loads(capsys.readouterr().out)
    assert code is Exit.OK
    assert [one["identifier"] for one in document["entities"]] == [ref.lower()]
    assert document["objections"] == []
    assert writes(world) == []
    await map_and_print(MapRequest(what=ref.partition(":")[2], kind="component", given=world.given))
    printed = capsys.readouterr().out
    assert printed.startswith(f"{ref.lower()}\n")
    assert "Port would take it, by the blueprints at Port." in printed


async def test_before_first_start_it_is_the_default_mapping(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    await map_and_print(MapRequest(what=some_ref(world, "System"), given=world.given))
    assert "Port would take it, by the blueprints at Port." in capsys.readouterr().out
    assert writes(world) == []


async def test_with_a_mapping_file_port_is_left_alone(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = written(tmp_path / "m.json", default_mapping()["resources"][6])
    await map_and_print(MapRequest(what=some_ref(world), mapping=mapping, given=world.given))
    assert "Port would take it, by the default blueprints." in capsys.readouterr().out
    assert list(world.requests()) == []


async def test_a_filter_that_keeps_the_entity_away_is_told(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = default_mapping()["resources"][6]
    narrowed, other = copy.deepcopy(resource), copy.deepcopy(resource)
    ref = some_ref(world)
    narrowed["selector"]["filter"] = ["spec.type=nothing-of-the-kind"]
    other["selector"]["filter"] = ["spec.type=nothing-of-the-kind", f"metadata.name={ref.partition('/')[2]}"]
    mapping = written(tmp_path / "m.json", {"resources": [narrowed, other]})
    await map_and_print(MapRequest(what=ref, mapping=mapping, given=world.given))
    printed = capsys.readouterr().out
    assert "not read: selector.filter keeps it away" in printed
    assert printed.count("target entity of blueprint") == 1


async def test_a_ref_that_backstage_does_not_know(world: World, tmp_path: Path) -> None:
    mapping = written(tmp_path / "m.json", default_mapping())
    with pytest.raises(SourceError, match="has no entity component:default/no-such-thing"):
        await map_and_print(MapRequest(what="component:no-such-thing", mapping=mapping, given=world.given))


async def test_a_mapping_is_checked_against_both_sides(world: World, tmp_path: Path) -> None:
    own = {
        "identifier": "service",
        "title": "S",
        "schema": {"properties": {"type": {"type": "string"}}, "required": []},
    }
    world.add_blueprints(own)
    resource = copy.deepcopy(default_mapping()["resources"][6])
    resource["kind"] = "Spaceship"
    resource["port"]["entity"]["mappings"] = {
        "identifier": ".metadata.identifier",
        "blueprint": '"service"',
        "properties": {"typ": ".spec.type"},
    }
    mapping = written(tmp_path / "m.json", {"resources": [resource]})
    alone = await check_file(CheckRequest(mapping=mapping, given=world.given))
    assert alone.problems == ()
    assert list(world.requests()) == []
    both = CheckRequest(mapping=mapping, against_port=True, against_backstage=True, given=world.given)
    problems = {(one.level.value, one.code, one.hint) for one in (await check_file(both)).problems}
    assert problems == {("warning", "no-such-kind", ""), ("error", "no-property", "Did you mean type?")}


async def test_the_doctor_says_the_same_of_the_mapping_at_port(world: World) -> None:
    config = default_mapping()
    mappings = config["resources"][0]["port"]["entity"]["mappings"]
    mappings["title"] = ".metadata.name | lower"
    mappings["properties"]["type"] = "env.TYPE"
    config["resources"][1]["kind"] = "Gruop"
    world.install(config, blueprints=default_blueprints())
    findings = (await examine(world.given, config=None)).findings
    said = {(one.level.value, one.message.partition(";")[0]): one for one in findings if one.subject == "mapping"}
    place = "title of resource 0 (user), line 1, column 18"
    assert ("error", f"{place}: does not compile: jq has no function lower") in said
    assert ("warning", "kind of resource 1 (Gruop): Backstage shows no entity of kind Gruop") in said
    assert any("reads the environment" in message for _, message in said)
    assert next(one.exit for one in findings if one.level.value == "error") is Exit.MAPPING


async def test_the_doctor_has_nothing_against_the_default_mapping(world: World) -> None:
    findings = (await examine(world.given, config=None)).findings
    assert [one for one in findings if one.level.value != "ok"] == []


async def test_first_start_takes_the_files_that_init_wrote(world: World, tmp_path: Path) -> None:
    write_files(tmp_path, force=False)
    mapping, blueprints = (tmp_path / ".port/resources" / name for name in ("port-app-config.yaml", "blueprints.yaml"))
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(text.replace("title: .spec.profile.displayName //", "title: '\"mine\"' #"), encoding="utf-8")
    text = blueprints.read_text(encoding="utf-8")
    blueprints.write_text(text.replace("title: User\n", "title: Somebody\n"), encoding="utf-8")
    outcome = await world.sync(resources_path=str(mapping.parent))
    assert outcome.exit is Exit.OK
    assert {one["title"] for key, one in world.held().items() if key[0] == "user"} == {"mine"}
    assert world.state.catalog.get("user").document["title"] == "Somebody"
