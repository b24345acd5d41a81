"""Two stand-ins and a place to run commands in: what one cell of the matrix is measured in."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import child, truth, yardstick
from bench.results import Run, Side, Tool
from bench.scenarios import EVERY, Change, Scenario
from bench.standin_process import BACKSTAGE_TOKEN
from bench.standins import Limit, StandIn, start

IDENTIFIER = "bench"


class FailedRunError(Exception):
    """A command failed, or left the wrong content at Port."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What does not change within a cell of the matrix."""

    entities: int
    latency_ms: int
    limit: Limit
    workers: int
    interval: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What one command took, what each side saw of it, and what the yardstick was right before."""

    usage: child.Usage
    backstage: Side
    port: Side
    first_request: float | None
    yardstick: float


@dataclass(slots=True)
class World:
    """The stand-ins, and a folder with the ledger and what commands print."""

    setting: Setting
    backstage: StandIn
    port: StandIn
    folder: Path
    turn: int = 0
    title: str | None = None
    prepared: dict[str, int] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a command: no setting of whoever runs the benchmark counts."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "BACKSTAGE_URL": self.backstage.url,
            "BACKSTAGE_TOKEN": BACKSTAGE_TOKEN,
            "PORT_BASE_URL": self.port.url,
            "PORT_CLIENT_ID": "sandbox-client",
            "PORT_CLIENT_SECRET": "sandbox-secret",
            "STAGEPORT_INTEGRATION_IDENTIFIER": IDENTIFIER,
            "STAGEPORT_WORKERS": str(self.setting.workers),
            "STAGEPORT_LEDGER": str(self.folder / "ledger.sqlite"),
        }

    def start_over(self, *, keep_mapping: bool = False) -> None:
        """Go back to the catalog of the beginning, an empty Port, and no memory of earlier passes."""
        self.backstage.order("/restore")
        self.port.order("/empty" if keep_mapping else "/reset")
        # A reset of the Port stand-in forgets its faults too, and the latency is one.
        self.port.delay(self.setting.latency_ms)
        self.title = None
        for file in self.folder.glob("ledger*"):
            file.unlink()

    def prepare(self, change: Change, *, keep_mapping: bool = False) -> None:
        """Bring about what a scenario starts from."""
        self.turn += 1
        self.prepared = {}
        match change:
            case Change.START_OVER:
                self.start_over(keep_mapping=keep_mapping)
            case Change.SHARE:
                self.prepared = self.backstage.order("/change", every=EVERY, turn=self.turn)
            case Change.MAPPING:
                self.title = f" edition {self.turn}"
                self.port.order("/retitle", integration=IDENTIFIER, title=f'.metadata.name + "{self.title}"')
            case Change.NOTHING:
                pass

    def measure(self, command: list[str], env: dict[str, str], *, folder: Path | None = None) -> Measured:
        """Run a command, in its own folder or the world's, and tell what it took and what each side saw of it."""
        fixed_work = yardstick.measure(self.folder / "pages")
        self.backstage.forget()
        self.port.forget()
        usage = child.run(
            command,
            env=env,
            folder=folder or self.folder,
            output=self.folder / "output.json",
            interval=self.setting.interval,
        )
        (backstage, first), (port, second) = _side(self.backstage), _side(self.port)
        firsts = [moment for moment in (first, second) if moment is not None]
        return Measured(usage, backstage, port, min(firsts) - usage.began if firsts else None, fixed_work)

    def judge(self) -> truth.Verdict:
        """Compare what Port holds now with what it should hold."""
        suffix = self.title
        return truth.compare(
            self.backstage.lines("/entities"),
            self.port.lines("/entities"),
            title=None if suffix is None else lambda name: name + suffix,
        )


def sync_command(options: tuple[str, ...]) -> list[str]:
    """Return the command that a person would type, with a result that can be read."""
    return [sys.executable, "-m", "stageport", "sync", "--quiet", "--output", "json", *options]


def set_up(world: World) -> None:
    """Run a first sync that is not measured.

    Raises:
        FailedRunError: it failed.
    """
    if world.measure(sync_command(()), world.environment).usage.exit:
        raise FailedRunError(f"a first sync failed:\n{errors_of(world)}")


def sync(world: World, scenario: Scenario, options: tuple[str, ...], *, repeat: int) -> Run:
    """Carry out one scenario with ``stageport sync`` and measure it."""
    world.prepare(scenario.change)
    measured = world.measure(sync_command(options), world.environment)
    return record(world, scenario, measured, tool="stageport", repeat=repeat, printed=_printed(world))


def record(
    world: World,
    scenario: Scenario,
    measured: Measured,
    *,
    tool: Tool,
    repeat: int,
    printed: Mapping[str, Any],
) -> Run:
    """Put together what is kept of a run; Port's content is judged now."""
    usage, setting = measured.usage, world.setting
    return Run(
        tool=tool,
        scenario=scenario.name,
        entities=setting.entities,
        latency_ms=setting.latency_ms,
        limit=str(setting.limit),
        repeat=repeat,
        exit=usage.exit,
        wall=usage.wall,
        cpu=usage.cpu,
        user=usage.user,
        system=usage.system,
        sampled_cpu=usage.sampled_cpu,
        sampled_parent=usage.sampled_parent,
        peak_pss=usage.peak_pss,
        processes=usage.processes,
        first_request=measured.first_request,
        yardstick=measured.yardstick,
        pass_=printed.get("pass"),
        counts={name: count for name, count in printed.get("counts", {}).items() if isinstance(count, int)},
        prepared=world.prepared,
        backstage=measured.backstage,
        port=measured.port,
        verdict=world.judge(),
    )


def errors_of(world: World) -> str:
    """Return the last lines that the last command wrote to standard error."""
    text = (world.folder / "output.err").read_text(errors="replace")
    return "\n".join(text.splitlines()[-8:])


def _printed(world: World) -> Mapping[str, Any]:
    try:
        printed = json.loads((world.folder / "output.json").read_bytes())
    except ValueError:
        return {}
    return printed if isinstance(printed, dict) else {}


def _side(one: StandIn) -> tuple[Side, float | None]:
    traffic = one.read("/traffic")
    seen = one.read("/requests")
    side = Side(
        requests=sum(seen["routes"].values()),
        sent=traffic["received"],
        received=traffic["sent"],
        connections=traffic["connections"],
        statuses=seen["statuses"],
        routes=seen["routes"],
    )
    return side, traffic["first_at"]


@contextmanager
def open_world(setting: Setting, *, lenient: bool = False) -> Iterator[World]:
    """Start both stand-ins for one cell of the matrix; they end with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="stageport-bench-")))
        backstage = stack.enter_context(start("backstage", entities=setting.entities))
        limit = setting.limit
        port = stack.enter_context(start("port", limit=limit.requests, period=limit.seconds, lenient=lenient))
        yardstick.write_pages(backstage.lines(f"/entities?first={yardstick.FEW}"), folder / "pages")
        for one in (backstage, port):
            one.delay(setting.latency_ms)
        yield World(setting, backstage, port, folder)
