"""`stageport mapping show|store` and `plan --mapping`: another mapping is looked at, stored, and can be taken back."""

import copy
from typing import Any

import pytest
import yaml
from tests.contract.command import Result, stageport
from tests.contract.harness import IDENTIFIER, SERVICE, SERVICES, World, component, serve_world

from stageport.model.exits import Exit

SOURCES = [component("pay"), component("bill")]


def renamed() -> dict[str, Any]:
    """Return the mapping with another title, and with a property and a blueprint that Port lacks."""
    config = copy.deepcopy(SERVICES)
    mappings = config["resources"][0]["port"]["entity"]["mappings"]
    mappings["title"] = '"Renamed"'
    mappings["properties"] = {**mappings.get("properties", {}), "nowhere": ".metadata.name"}
    domain = copy.deepcopy(config["resources"][0])
    domain["kind"] = "domain"
    domain["port"]["entity"]["mappings"] = {"identifier": ".metadata.identifier", "blueprint": '"domain"'}
    config["resources"].append(domain)
    return config


def stored(world: World) -> Any:
    return (world.state.integrations.find(IDENTIFIER) or {}).get("config")


async def run(world: World, *words: str, config: Any = None, **environment: str) -> Result:
    files = {"mapping.yaml": config if isinstance(config, str) else yaml.safe_dump(config or renamed())}
    return await stageport(world, *words, files=files, **environment)


async def test_what_is_shown_can_be_stored_again() -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        shown = await run(world, "mapping", "show")
        assert yaml.safe_load(shown.out) == SERVICES
        back = await run(world, "mapping", "store", "mapping.yaml", config=shown.out)
        assert back.code == Exit.OK
        assert stored(world) == SERVICES


async def test_an_expression_is_shown_in_one_piece() -> None:
    config = copy.deepcopy(SERVICES)
    long = 'if .spec.type == "website" then "a website that people look at" else "' + "some long text " * 20 + '" end'
    lines = ".metadata.title //\n  # or what it is called\n  .metadata.name\n"
    properties = {"type": long, "name": lines, "odd": " a\n\tb \n", "size": 5}
    config["resources"][0]["port"]["entity"]["mappings"]["properties"] = properties
    async with serve_world(SOURCES) as world:
        world.install(config, blueprints=[SERVICE])
        shown = (await run(world, "mapping", "show")).out
    assert yaml.safe_load(shown) == config
    assert long in shown
    assert all(line.strip() in shown.splitlines() or f"            {line}" in shown for line in lines.splitlines())


async def test_nothing_to_show_is_said() -> None:
    async with serve_world(SOURCES) as world:
        result = await run(world, "mapping", "show")
    assert result.code == Exit.MAPPING
    assert f"The integration {IDENTIFIER} has no mapping at Port" in result.err


async def test_a_mapping_is_stored_as_it_is_and_what_does_not_fit_is_said() -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        result = await run(world, "mapping", "store", "mapping.yaml")
        assert result.code == Exit.OK
        assert stored(world) == renamed()
        assert "Does not fit: blueprint service has no property nowhere, which the mapping writes." in result.out
        assert "Does not fit: there is no blueprint domain, to which the mapping writes." in result.out
        assert "--fit" in result.out
        assert not world.state.catalog.exists("domain")


@pytest.mark.parametrize("dry", [True, False], ids=["dry run", "stored"])
async def test_fit_creates_the_missing_blueprint_and_leaves_out_what_has_no_place(dry: bool) -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        before = world.state.export()["blueprints"]
        words = ["mapping", "store", "mapping.yaml", "--fit", *(["--dry-run"] if dry else [])]
        result = await run(world, *words)
        assert result.code == Exit.OK, result.err
        assert f"{'Would create' if dry else 'Created'} blueprint domain." in result.out
        assert "Left out: Component: properties.nowhere; the blueprint at Port cannot hold it." in result.out
        if dry:
            assert stored(world) == SERVICES
            assert world.state.export()["blueprints"] == before
            return
        assert "nowhere" not in str(stored(world))
        assert world.state.catalog.exists("domain")
        assert [one for one in world.state.export()["blueprints"] if one["identifier"] == SERVICE["identifier"]] == [
            one for one in before if one["identifier"] == SERVICE["identifier"]
        ], "a blueprint that exists is never changed"


async def test_plan_with_a_file_shows_what_sync_does_once_it_is_stored() -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        words = ("plan", "--quiet", "--output", "json", "--mapping", "mapping.yaml", "--fit")
        planned = (await run(world, *words)).json
        assert planned["counts"]["update"] == 2
        assert planned["firstStart"] == ["store the given mapping", "create blueprint domain"]
        assert stored(world) == SERVICES
        await run(world, "mapping", "store", "mapping.yaml", "--fit")
        synced = (await run(world, "sync", "--quiet", "--output", "json")).json
        assert synced["counts"]["update"] == 2
        assert {one["title"] for one in world.held().values()} == {"Renamed"}


@pytest.mark.parametrize("dry", [True, False], ids=["dry run", "stored"])
async def test_a_new_integration_is_registered_where_that_is_asked_for(dry: bool) -> None:
    async with serve_world(SOURCES) as world:
        words = ("mapping", "store", "mapping.yaml", "--register", *(["--dry-run"] if dry else []))
        result = await run(world, *words, config=SERVICES)
        assert result.code == Exit.OK
        verb = "Would register" if dry else "Registered"
        assert f"{verb} {IDENTIFIER} at Port, as a new integration." in result.out
        assert stored(world) == (None if dry else SERVICES)


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["stored", "dry run"])
async def test_a_misspelt_identifier_registers_nothing(more: tuple[str, ...]) -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        result = await run(world, "mapping", "store", "mapping.yaml", "--identifier", "my-backstgae", "--fit", *more)
        assert result.code == Exit.USAGE
        assert "Port has no integration my-backstgae, so nothing was stored." in result.err
        assert "--register" in result.err
        assert world.state.integrations.find("my-backstgae") is None
        assert not world.state.catalog.exists("domain")


UNQUOTED = """\
resources:
  - kind: Component
    selector:
      query: "true"
    port:
      entity:
        mappings:
          identifier: .metadata.identifier
          blueprint: service
"""


async def test_what_check_calls_an_error_is_not_stored() -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        checked = await run(world, "check", "--mapping", "mapping.yaml", config=UNQUOTED)
        result = await run(world, "mapping", "store", "mapping.yaml", config=UNQUOTED)
        assert result.code == checked.code == Exit.MAPPING
        assert "mapping.yaml:9:22: error: blueprint of resource 0 (Component): does not compile" in result.err
        assert "Nothing was stored: mapping.yaml has 1 error." in result.err
        assert "--force" in result.err
        assert stored(world) == SERVICES

        forced = await run(world, "mapping", "store", "mapping.yaml", "--force", config=UNQUOTED)
        assert forced.code == Exit.OK
        assert "does not compile" in forced.err
        assert stored(world) == yaml.safe_load(UNQUOTED)


async def test_a_warning_of_check_is_printed_and_the_mapping_stored() -> None:
    config = copy.deepcopy(SERVICES)
    config["resources"][0]["port"]["entity"]["mappings"]["identifier"] = '"always-the-same"'
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        result = await run(world, "mapping", "store", "mapping.yaml", config=config)
        assert result.code == Exit.OK
        assert "warning: identifier of resource 0 (Component): gives every entity the same identifier" in result.err
        assert stored(world) == config


@pytest.mark.parametrize(
    ("words", "config", "code", "said"),
    [
        (("mapping", "store", "mapping.yaml"), "resources: [", Exit.MAPPING, "mapping.yaml"),
        (("mapping", "store", "mapping.yaml"), "resources: 5\n", Exit.MAPPING, "mapping.yaml"),
        (("mapping", "store", "other.yaml"), SERVICES, None, "other.yaml"),
        (("plan", "--fit"), SERVICES, Exit.USAGE, "--fit needs --mapping FILE"),
    ],
    ids=str,
)
async def test_what_cannot_be_used_is_said_and_nothing_is_stored(
    words: tuple[str, ...], config: Any, code: Exit | None, said: str
) -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        result = await run(world, *words, config=config)
        assert result.code != Exit.OK if code is None else result.code == code
        assert said in result.err
        assert stored(world) == SERVICES
