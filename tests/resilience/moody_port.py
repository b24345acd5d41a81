"""A Port whose database is in trouble: it refuses some items of what it is sent, each in its own answer."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.contract.harness import World

from stageport.sandbox.port.catalog import CompiledBlueprint
from stageport.sandbox.port.entity_request import EntityRequest
from stageport.sandbox.port.problems import PortProblem
from stageport.sandbox.port.upsert import EntityWriter, Outcome, WriteMode

REFUSED = 0.2
STATUSES = [409, 422, 429, 500, 503]


class MoodyWriter:
    """A writer that refuses some items."""

    def __init__(self, writer: EntityWriter, chance: random.Random) -> None:
        self._writer = writer
        self._chance = chance

    def write(self, blueprint: CompiledBlueprint, request: EntityRequest) -> Outcome:
        if self._chance.random() < REFUSED:
            status = self._chance.choice(STATUSES)
            raise PortProblem(status, f"trouble_{status}", "try again")
        return self._writer.write(blueprint, request)


@contextmanager
def refuse_items(world: World, seed: int) -> Iterator[None]:
    """Have this Port refuse a fifth of all items, by seed."""
    chance, write = random.Random(seed), world.state.writer

    def writer(mode: WriteMode) -> Any:
        return MoodyWriter(write(mode), chance)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.state, "writer", writer)
        yield
