"""Taking over from Port's own integration: what it leaves at Port, then the steps of the page, as they are written.

The official mapping and blueprints are third-party data beside this checkout; where they are not, a mapping with the
same faults (of our own writing) stands in for them.
"""

import copy
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import jq
import pytest
import yaml
from tests.contract.command import Result
from tests.contract.harness import FOREIGN, IDENTIFIER, Config, World, component, described, group, ref, serve_world
from tests.contract.pages import run_block
from tests.expectation import Key
from tests.shell_blocks import ROOT, Block, shell_blocks

from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.model.exits import Exit
from stageport.sandbox.port.options import Leniency, PortOptions
from stageport.sandbox.port.problems import PortProblem
from stageport.sandbox.port.upsert import WriteMode

PAGE = ROOT / "docs" / "how-to" / "move-from-ports-integration.md"
OFFICIAL = ROOT / ".." / "shared" / "conformance" / "official"
ITS_AGENT = f"port-ocean/backstage/0.2.57/{IDENTIFIER}/exporter"
GHOST: Key = ("system", "system:default/")
BY_HAND: Key = ("component", "component:default/by-hand")
LONG_GONE = component("long-gone")

SOURCES = [
    component(
        "shop", system="store", providesApis=["pay", "ship"], dependsOn=["resource:default/db", "component:tool"]
    ),
    component("tool"),
    component("linked"),
    described("API", "pay", type="openapi", lifecycle="production", owner="team-a", definition='{"openapi": "3.0.0"}'),
    described("API", "ship", type="grpc", lifecycle="production", owner="team-a", definition="service Ship {}"),
    described("Resource", "db", type="database", owner="team-a"),
    described("System", "store", owner="team-a"),
    group("team-a", profile={"email": "team-a@example.com"}),
    described("User", "ann", memberOf=["team-a"], profile={"email": "ann@example.com"}),
    described("User", "ben", memberOf=["team-a"]),
    {
        **described("Template", "new-service", type="service", owner="team-a", steps=[], parameters=[]),
        "apiVersion": "scaffolder.backstage.io/v1beta3",
    },
]


# What the other integration leaves behind


def with_its_faults(config: Config) -> Config:
    """Break our default mapping as the official one is broken."""
    faulty = copy.deepcopy(config)
    faulty["resources"] = [one for one in faulty["resources"] if one["kind"].lower() != "template"]
    for resource in faulty["resources"]:
        mappings = resource["port"]["entity"]["mappings"]
        properties, relations = mappings["properties"], mappings.get("relations", {})
        properties["links"] = ".metadata.links"
        for name in properties.keys() & {"email"}:
            properties[name] = ".metadata.email"
        if "system" in relations:
            relations["system"] = '"system:" + (.metadata.namespace // "default") + "/" + .spec.system'
        for name, kind in (("providesApis", "providesApi"), ("members", "hasMember")):
            if name in relations:
                relations[name] = f'.relations[] | select(.type == "{kind}") | .targetRef'
    return faulty


def official() -> tuple[Config, list[Config]]:
    mapping = yaml.safe_load((OFFICIAL / "port-app-config.yml").read_text(encoding="utf-8"))
    return mapping, json.loads((OFFICIAL / "blueprints.json").read_text(encoding="utf-8"))


def faulty() -> tuple[Config, list[Config]]:
    blueprints = [one for one in default_blueprints() if one["identifier"] != "template"]
    return with_its_faults(default_mapping()), blueprints


def first_output(expression: str, entity: Config) -> Any:
    """Evaluate as Ocean does: the first output counts, and null where there is none."""
    with suppress(ValueError, StopIteration):
        return jq.compile(expression).input_value(entity).first()
    return None


def as_ocean_maps(config: Config, sources: list[Config]) -> Iterator[tuple[str, Config]]:
    """Yield what Ocean makes of source entities: the blueprint, and the body that it sends."""
    for resource in config["resources"]:
        mappings = resource["port"]["entity"]["mappings"]
        for source in (one for one in sources if one["kind"].lower() == resource["kind"].lower()):
            space = source["metadata"].get("namespace", "default")
            identifier = f"{source['kind']}:{space}/{source['metadata']['name']}".lower()
            entity = {**source, "metadata": {**source["metadata"], "identifier": identifier}}
            groups = {
                part: {name: first_output(str(words), entity) for name, words in mappings[part].items()}
                for part in ("properties", "relations")
                if part in mappings
            }
            title = first_output(mappings["title"], entity)
            yield first_output(mappings["blueprint"], entity), {"identifier": identifier, "title": title, **groups}


def write_as_the_other(world: World, config: Config, sources: list[Config]) -> None:
    """Write what Port takes of it; what Port refuses is lost without a word."""
    mode = WriteMode(datasource=ITS_AGENT, merge=True, create_missing=True, actor="it", now=world.state.now())
    for blueprint, body in as_ocean_maps(config, sources):
        request = world.state.reader.read(body)
        with suppress(PortProblem):
            world.state.writer(mode).write(world.state.catalog.get(blueprint), request)
    world.state.store.commit()


@dataclass
class Takeover:
    """A world that the other integration left, and what the steps of the page printed."""

    world: World
    before: dict[Key, Config]
    folder: str
    results: dict[str, Result] = field(default_factory=dict)

    async def follow(self, *, until: str = "") -> None:
        """Run the blocks of the page in order, up to the one whose last line begins so."""
        for block in shell_blocks(PAGE):
            assert not block.needs
            if self._last(block) not in self.results:
                # The doctor ends with the code of the mapping's faults, as the page says.
                codes = (0, Exit.MAPPING) if self._last(block) == "stageport check" else (0,)
                self.results[self._last(block)] = await run_block(self.world, block, folder=self.folder, codes=codes)
            if until and self._last(block).startswith(until):
                return

    @staticmethod
    def _last(block: Block) -> str:
        return block.text.splitlines()[-1]


@asynccontextmanager
async def left_behind(config: Config, blueprints: list[Config]) -> AsyncIterator[Takeover]:
    sources = copy.deepcopy(SOURCES)
    sources[2]["metadata"]["links"] = [{"url": "https://example.com/runbook", "title": "Runbook"}]
    port = PortOptions(leniency=Leniency(string_for_many=True))
    async with serve_world(sources, port=port) as world:
        world.install(config, blueprints=blueprints)
        served = world.sources()
        write_as_the_other(world, config, [*served, {**LONG_GONE, "relations": []}])
        world.write_as(FOREIGN, "component", {"identifier": BY_HAND[1], "title": "Made by hand"})
        with tempfile.TemporaryDirectory(prefix="stageport-test-") as folder:
            before = world.held()
            world.forget()
            yield Takeover(world, before, folder)


LEFT = pytest.mark.parametrize(
    "left",
    [
        pytest.param(faulty, id="a mapping with the same faults"),
        pytest.param(
            official,
            id="the official mapping",
            marks=pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official mapping is not beside this checkout"),
        ),
    ],
)


@LEFT
async def test_it_is_taken_over_by_following_the_page(left: Any) -> None:
    async with left_behind(*left()) as taken:
        world, before = taken.world, taken.before
        assert GHOST in before
        assert ("component", ref("component", "linked")) not in before, "the other one loses entities with links"
        assert before["component", ref("component", "shop")]["relations"]["providesApis"] == [ref("api", "pay")]

        await taken.follow(until="stageport check")
        found = taken.results["stageport check"]
        assert found.code == Exit.MAPPING
        assert "gives objects with url and title" in found.out
        assert "has relation providesApis to many, but the mapping gives one" in found.out

        await taken.follow(until="stageport plan --mapping")
        assert world.held() == before, "looking changes nothing"
        await taken.follow(until="stageport mapping store")
        assert world.held() == before, "storing a mapping touches no entity"
        assert world.state.catalog.exists("template")

        world.forget()
        await taken.follow()
        after, arrived = world.held(), world.arrived()
        stale: Key = ("component", ref("component", "long-gone"))
        assert before.keys() - after.keys() == {GHOST, stale}
        assert arrived["deleted"] == {GHOST, stale}

        # What is wrong is repaired.
        shop = after["component", ref("component", "shop")]
        assert sorted(shop["relations"]["providesApis"]) == [ref("api", "pay"), ref("api", "ship")]
        assert shop["relations"]["system"] == ref("system", "store")
        assert after["component", ref("component", "tool")]["relations"]["system"] is None
        linked = after["component", ref("component", "linked")]
        assert linked["properties"]["links"] == ["https://example.com/runbook"]
        assert after["group", ref("group", "team-a")]["properties"]["email"] == "team-a@example.com"
        assert ("template", ref("template", "new-service")) in after

        # What is right is untouched, and what others wrote is theirs.
        assert after[BY_HAND] == before[BY_HAND]
        ben: Key = ("user", ref("user", "ben"))
        assert filled(after[ben]) == filled(before[ben])
        assert not arrived.get("refused")

        back = Block(PAGE, 0, "stageport mapping store mapping-before.yaml", "")
        await run_block(world, back, folder=taken.folder)
        assert (world.state.integrations.find(IDENTIFIER) or {})["config"] == left()[0]


def filled(entity: Config) -> Config:
    """Return what an entity says, without what it leaves empty."""
    kept = {name: value for name, value in entity["properties"].items() if value not in (None, [], {})}
    return {"title": entity["title"], "createdAt": entity["createdAt"], "properties": kept}


@LEFT
async def test_its_own_mapping_changes_nothing_that_is_right(left: Any) -> None:
    """Whoever keeps the mapping keeps the catalog; only what left Backstage goes, for ghosts are still related to."""
    async with left_behind(*left()) as taken:
        world, before = taken.world, taken.before
        outcome = await world.sync()
        after = world.held()
        assert before.keys() - after.keys() == {("component", ref("component", "long-gone"))}
        assert {key: one for key, one in after.items() if key in before} == {
            key: before[key] for key in before.keys() & after.keys()
        }
        assert outcome.applied.updated == 0
        assert GHOST in after
