"""What nothing, and what one change, costs in a large catalog: counted in requests, on both sides.

Counted is a pass itself. A ``stageport sync`` also signs in at Port, reads the mapping and the blueprints, and tells
the state of the resync; that is counted apart.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.harness import IDENTIFIER, TOKEN, World, serve_world
from tests.resilience.sizes import UNCHANGED

from stageport.model.changes import WriteOptions
from stageport.model.events import PageMapped
from stageport.model.exits import Exit
from stageport.sync.ground import expected_ground, find_ground
from stageport.sync.passes import Conducted, PassKind, Scope, conduct
from stageport.sync.surroundings import Ground, Surroundings
from stageport.wiring import open_surroundings

MOST_BACKSTAGE_REQUESTS = 25


@dataclass(frozen=True)
class Scene:
    """A world in which a first sync is done, and what a pass in it stands on."""

    world: World
    around: Surroundings
    ground: Ground

    async def run(self, kind: PassKind) -> Conducted:
        """Run one pass, as ``run_pass`` does between its reports; what was counted before is forgotten."""
        self.world.forget()
        document = self.ground.document
        options = WriteOptions(
            merge=document.merge,
            create_missing_related=document.create_missing_related,
            delete_dependents=document.delete_dependents,
            pass_id=f"counted-{kind}",
        )
        around = self.around
        return await conduct(around, self.ground, around.ledger, Scope(kind), options=options, now="2030-01-01T00:00Z")

    @property
    def asked_of_port(self) -> dict[str, int]:
        return dict(self.world.state.journal.routes)

    @property
    def asked_of_backstage(self) -> Counter[str]:
        return Counter(
            request.split("?")[0].removeprefix("POST /api/catalog") for request in self.world.backstage.requests
        )

    @property
    def asked(self) -> str:
        return f"Backstage {text(self.asked_of_backstage)}; Port {text(self.asked_of_port)}; mapped {self.mapped}"

    @property
    def mapped(self) -> int:
        return sum(event.sources for event in self.world.heard if isinstance(event, PageMapped))


@asynccontextmanager
async def synced(folder: Path) -> AsyncIterator[Scene]:
    async with serve_world(entities=UNCHANGED, ledger=str(folder / "ledger.sqlite3"), workers=2) as world:
        assert (await world.sync()).exit is Exit.OK
        async with open_surroundings(world.settings, world.heard.append) as around:
            found = await find_ground(around.integration, around.blueprints, initialize=False)
            yield Scene(world, around, expected_ground(found))


def text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {route}" for route, count in counts.items()) or "none"


@pytest.mark.timeout(900)
async def test_nothing_costs_next_to_nothing_and_one_change_costs_itself(tmp_path: Path) -> None:
    async with synced(tmp_path) as scene:
        world = scene.world
        conducted = await scene.run(PassKind.DELTA)
        print(f"\ndelta, nothing changed: {scene.asked}")
        assert conducted.plan.counts.sources == await mapped_kinds(scene)
        assert scene.asked_of_port == {}
        assert scene.asked_of_backstage.total() < MOST_BACKSTAGE_REQUESTS
        assert scene.mapped == 0

        conducted = await scene.run(PassKind.RESYNC)
        print(f"resync, nothing changed: {scene.asked}")
        assert conducted.plan.counts.sources == await mapped_kinds(scene)
        assert scene.mapped == 0
        assert conducted.applied.written == 0
        assert not [route for route in scene.asked_of_port if "entities/bulk" in route]

        changed = next(one.ref for one in world.catalog if one.kind == "Component")
        world.catalog.update(changed, lambda entity: entity["metadata"].update(title="Another title"))
        conducted = await scene.run(PassKind.DELTA)
        print(f"delta, one changed: {scene.asked}")
        assert scene.asked_of_backstage["/entities/by-refs"] == 1
        assert scene.asked_of_backstage.total() < MOST_BACKSTAGE_REQUESTS
        assert scene.asked_of_port == {"POST /v1/blueprints/{blueprint}/entities/bulk": 1}
        assert (scene.mapped, conducted.applied.updated, conducted.applied.written) == (1, 1, 1)
        assert world.entity("component", changed)["title"] == "Another title"
        assert world.wrong() == []


async def mapped_kinds(scene: Scene) -> int:
    kinds = {resource.kind.lower() for resource in scene.ground.document.resources}
    return sum(1 for one in scene.world.catalog if one.kind.lower() in kinds)


@pytest.mark.timeout(120)
async def test_what_the_command_adds_to_a_delta_is_the_same_however_large_the_catalog(tmp_path: Path) -> None:
    """The command signs in, reads the mapping and the blueprints, and says that it runs and that it has ended."""
    async with serve_world(entities=500, ledger=str(tmp_path / "ledger.sqlite3")) as world:
        assert (await world.sync()).exit is Exit.OK
        world.forget()
        environment = {
            "PATH": os.environ["PATH"],
            "BACKSTAGE_URL": world.backstage.url,
            "BACKSTAGE_TOKEN": TOKEN,
            "PORT_BASE_URL": world.port.url,
            "PORT_CLIENT_ID": world.state.options.client_id,
            "PORT_CLIENT_SECRET": world.state.options.client_secret,
            "OCEAN__INTEGRATION__IDENTIFIER": IDENTIFIER,
            "STAGEPORT_LEDGER": str(tmp_path / "ledger.sqlite3"),
        }
        command = (sys.executable, "-m", "stageport", "sync", "--delta", "--quiet")
        process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=tmp_path)
        assert await process.wait() == 0
        print(f"\nstageport sync --delta: {text(world.state.journal.routes)}")
        assert not [route for route in world.state.journal.routes if "entities" in route]
        assert world.state.journal.routes.total() <= 6
