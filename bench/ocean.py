"""Runs Port's own integration in the same worlds, for comparison. It is no part of this repository.

Give the Python of an environment that has ``port-ocean`` and the folder of its Backstage integration. It runs once
(``ocean sail --once``) with the mapping and the blueprints that a first sync of ours left at Port, under the same
identifier, so that both do the same work on the same content. What it keeps of its own for a while goes to the folder
of the run.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.matrix import Cell, Manner, Say, line_of
from bench.results import Run
from bench.scenarios import BY_NAME, OCEAN_SCENARIOS
from bench.standin_process import BACKSTAGE_TOKEN
from bench.world import IDENTIFIER, FailedRunError, Setting, World, errors_of, open_world, record, set_up


@dataclass(frozen=True, slots=True)
class Ocean:
    """Where Port's own integration is."""

    python: Path
    folder: Path

    def command(self) -> list[str]:
        """Return the command that does one resync and ends."""
        return [str(self.python), str(self.python.with_name("ocean")), "sail", str(self.folder), "--once"]

    def environment(self, world: World) -> dict[str, str]:
        """Return its whole environment."""
        return {
            "PATH": f"{self.python.parent}:{world.environment['PATH']}",
            "HOME": str(world.folder),
            "TMPDIR": str(world.folder),
            "OCEAN__PORT__BASE_URL": world.port.url,
            "OCEAN__PORT__CLIENT_ID": "sandbox-client",
            "OCEAN__PORT__CLIENT_SECRET": "sandbox-secret",
            "OCEAN__INTEGRATION__IDENTIFIER": IDENTIFIER,
            "OCEAN__INTEGRATION__TYPE": "backstage",
            "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL": world.backstage.url,
            "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN": BACKSTAGE_TOKEN,
            "OCEAN__EVENT_LISTENER": json.dumps({"type": "ONCE"}),
            "OCEAN__INITIALIZE_PORT_RESOURCES": "false",
            "OCEAN__SEND_RAW_DATA_EXAMPLES": "true",
            "APPLICATION__PORT": "0",
        }


def measure_ocean(ocean: Ocean, cell: Cell, manner: Manner, say: Say) -> Iterator[Run]:
    """Yield the runs of one cell."""
    setting = Setting(cell.entities, cell.latency_ms, cell.limit, manner.workers, manner.interval)
    with open_world(setting, lenient=True) as world:
        set_up(world)
        for repeat in range(manner.repeats):
            for name in OCEAN_SCENARIOS:
                scenario = BY_NAME[name]
                world.prepare(scenario.change, keep_mapping=True)
                measured = world.measure(ocean.command(), ocean.environment(world), folder=ocean.folder)
                run = record(world, scenario, measured, tool="ocean", repeat=repeat, printed={})
                say(line_of(run))
                if run.exit or run.verdict.missing == run.verdict.mapped:
                    raise FailedRunError(f"Port's own integration brought nothing to Port:\n{errors_of(world)}")
                for words in run.verdict.examples:
                    say(f"    {words}")
                yield run
