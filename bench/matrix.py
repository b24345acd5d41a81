"""Walks the matrix: for each size, latency and limit, so many repeats of all scenarios."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.results import Run
from bench.scenarios import PLAIN, Change, Scenario
from bench.standins import UNLIMITED, Limit
from bench.world import FailedRunError, Setting, World, errors_of, open_world, set_up, sync

Say = Callable[[str], None]
FLOOR_REPEATS = 3
TINY = 20
"""An empty catalog would not do: passes treat it as suspicious."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One size, latency and limit."""

    entities: int
    latency_ms: int
    limit: Limit = UNLIMITED

    def __str__(self) -> str:
        limited = "" if self.limit == UNLIMITED else f", limit {self.limit}"
        return f"{self.entities:,} entities, {self.latency_ms} ms{limited}"


@dataclass(frozen=True, slots=True)
class Manner:
    """How to measure: repeats, worker processes, seconds between two samples of memory."""

    repeats: int = 5
    workers: int = 2
    interval: float = 0.1


Program = Sequence[tuple[Scenario, tuple[str, ...]]]
"""Scenarios, each with the options that this version of the command has for it."""


def plan_program(scenarios: Iterable[Scenario], say: Say) -> Program:
    """Return the scenarios that can be run with the command as it is, and say which cannot."""
    known = known_options()
    program = []
    for scenario in scenarios:
        if known.issuperset(scenario.options):
            program.append((scenario, scenario.options))
        elif scenario.name in PLAIN:
            program.append((scenario, ()))
        else:
            say(f"left out: {scenario.title} (`stageport sync` has no {' '.join(scenario.options)} yet)")
    return program


def known_options() -> frozenset[str]:
    """Return the options that ``stageport sync --help`` names."""
    command = [sys.executable, "-m", "stageport", "sync", "--help"]
    shown = subprocess.run(command, env={"COLUMNS": "200"}, capture_output=True, text=True, check=True).stdout
    return frozenset(re.findall(r"--[a-z-]+", shown))


def measure_cell(cell: Cell, program: Program, manner: Manner, say: Say) -> Iterator[Run]:
    """Yield the runs of one cell."""
    setting = Setting(cell.entities, cell.latency_ms, cell.limit, manner.workers, manner.interval)
    with open_world(setting) as world:
        for repeat in range(manner.repeats):
            yield from _repeat(world, program, repeat, say)


def _repeat(world: World, program: Program, repeat: int, say: Say) -> Iterator[Run]:
    if program[0][0].change is not Change.START_OVER:
        world.start_over()
        set_up(world)
    for scenario, options in program:
        run = sync(world, scenario, options, repeat=repeat)
        say(line_of(run))
        _stop_if_failed(run, world)
        yield run


def _stop_if_failed(run: Run, world: World) -> None:
    """End the benchmark when a command did not do its work: what follows would measure nothing."""
    if run.exit:
        raise FailedRunError(f"{run.scenario} ended with exit code {run.exit}:\n{errors_of(world)}")
    if not run.verdict.right:
        raise FailedRunError(f"{run.scenario} left Port wrong:\n" + "\n".join(run.verdict.examples))


def measure_floors(program: Program, manner: Manner, say: Say) -> dict[str, float]:
    """Return the CPU seconds of each scenario on a tiny catalog: start, sign in, look, end."""
    cpu: dict[str, list[float]] = {}
    say(f"{TINY} entities, for what every command costs before the first one")
    manner = Manner(repeats=min(FLOOR_REPEATS, manner.repeats), workers=manner.workers, interval=manner.interval)
    for run in measure_cell(Cell(TINY, 0), program, manner, lambda _: None):
        cpu.setdefault(f"{run.tool} {run.scenario}", []).append(run.cpu)
    return {name: sorted(figures)[len(figures) // 2] for name, figures in cpu.items()}


def line_of(run: Run) -> str:
    """Say in one line what came of a run."""
    verdict = run.verdict
    truth = "right" if verdict.right else f"{verdict.missing} missing, {verdict.extra} extra, {verdict.wrong} wrong"
    return (
        f"  {run.tool} {run.scenario:<15} #{run.repeat + 1} {run.wall:8.2f} s wall {run.cpu:8.2f} s CPU"
        f" {run.cpu_per_entity * 1000:7.3f} ms/entity {run.ratio:6.2f} yardsticks {run.peak_pss / 1e6:6.0f} MB"
        f" {run.backstage.requests:5} + {run.port.requests:5} requests  exit {run.exit}, {truth}"
    )
