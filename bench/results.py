"""What a benchmark leaves behind: every run as it was measured, and what the repeats come to."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bench.truth import Verdict

FORMAT = 1
Tool = Literal["stageport", "ocean"]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What one stand-in saw of a run. Bytes are those on the wire, headers and all, seen from the client."""

    requests: int
    sent: int
    received: int
    connections: int
    statuses: dict[str, int] = {}
    routes: dict[str, int] = {}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One command, measured.

    ``cpu`` is user plus system time of the whole tree, ``sampled_cpu`` the cross-check,
    ``sampled_parent`` the share of the command's own process in it; ``yardstick`` the seconds that
    the fixed work took for one entity right before. ``pass_`` is which pass the command says it ran.
    """

    tool: Tool
    scenario: str
    entities: int
    latency_ms: int
    limit: str
    repeat: int
    exit: int
    wall: float
    cpu: float
    user: float
    system: float
    sampled_cpu: float
    sampled_parent: float
    peak_pss: int
    processes: int
    first_request: float | None
    yardstick: float
    pass_: str | None = None
    counts: dict[str, int] = {}
    prepared: dict[str, int] = {}
    backstage: Side
    port: Side
    verdict: Verdict

    @property
    def key(self) -> "Key":
        """What the repeats of one measurement share."""
        return Key(self.tool, self.scenario, self.entities, self.latency_ms, self.limit)

    @property
    def cpu_per_entity(self) -> float:
        """CPU seconds for each source entity that the mapping covers."""
        return self.cpu / max(1, self.verdict.mapped)

    @property
    def ratio(self) -> float:
        """CPU per entity in yardsticks."""
        return self.cpu_per_entity / self.yardstick


class Key(msgspec.Struct, frozen=True, order=True):
    """One cell of the matrix."""

    tool: Tool
    scenario: str
    entities: int
    latency_ms: int
    limit: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The medians of one cell of the matrix; ``right`` only if every single run was."""

    key: Key
    repeats: int
    wall: float
    cpu: float
    cpu_per_entity: float
    floor: float | None
    peak_pss: int
    processes: int
    first_request: float | None
    ratio: float
    backstage_requests: float
    backstage_bytes: float
    port_requests: float
    port_bytes: float
    throttled: int
    right: bool
    pass_: str | None
    exits: tuple[int, ...]

    @property
    def net_per_entity(self) -> float | None:
        """CPU seconds for each entity beyond what the same command takes on a tiny catalog."""
        return None if self.floor is None else (self.cpu - self.floor) / (self.cpu / self.cpu_per_entity)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured. ``load`` is the load average at the start: what else went on."""

    cpu: str
    cpus: int
    memory: int
    system: str
    load: float
    python: str
    versions: dict[str, str]


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation weighs, and what the command line takes to say hello; CPU and wall seconds."""

    packages: int
    bytes: int
    help_cpu: float
    help_wall: float
    first_request: float | None


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark: the file in ``bench/results``."""

    format: int = FORMAT
    measured: str
    machine: Machine
    workers: int
    footprint: Footprint
    floors: dict[str, float]
    runs: list[Run]
    notes: list[str] = []

    def summaries(self) -> list[Summary]:
        """Return the medians of every cell, in order of measurement."""
        cells: dict[Key, list[Run]] = {}
        for run in self.runs:
            cells.setdefault(run.key, []).append(run)
        return [_summarize(key, runs, self.floors.get(f"{key.tool} {key.scenario}")) for key, runs in cells.items()]


def _summarize(key: Key, runs: Sequence[Run], floor: float | None) -> Summary:
    def median(value: Callable[[Run], float]) -> float:
        return statistics.median(map(value, runs))

    firsts = [run.first_request for run in runs if run.first_request is not None]
    return Summary(
        key=key,
        repeats=len(runs),
        wall=median(lambda run: run.wall),
        cpu=median(lambda run: run.cpu),
        cpu_per_entity=median(lambda run: run.cpu_per_entity),
        floor=floor,
        peak_pss=int(median(lambda run: run.peak_pss)),
        processes=max(run.processes for run in runs),
        first_request=statistics.median(firsts) if firsts else None,
        ratio=median(lambda run: run.ratio),
        backstage_requests=median(lambda run: run.backstage.requests),
        backstage_bytes=median(lambda run: run.backstage.sent + run.backstage.received),
        port_requests=median(lambda run: run.port.requests),
        port_bytes=median(lambda run: run.port.sent + run.port.received),
        throttled=max(run.port.statuses.get("429", 0) for run in runs),
        right=all(run.verdict.right for run in runs),
        pass_=runs[-1].pass_,
        exits=tuple(sorted({run.exit for run in runs})),
    )


def merge(parts: Sequence[Results]) -> Results:
    """Put parts of a benchmark together that were measured one after the other on one machine.

    Raises:
        ValueError: the machines differ, or the numbers of workers.
    """
    first = parts[0]
    for part in parts[1:]:
        if (part.machine.cpu, part.machine.python, part.workers) != (
            first.machine.cpu,
            first.machine.python,
            first.workers,
        ):
            raise ValueError("these results were measured on different machines, or with different workers")
    return msgspec.structs.replace(
        first,
        measured=max(part.measured for part in parts),
        floors={name: seconds for part in reversed(parts) for name, seconds in part.floors.items()},
        runs=[run for part in parts for run in part.runs],
        notes=[note for part in parts for note in part.notes],
    )


def write_results(results: Results, file: Path) -> None:
    """Write a results file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def read_results(file: Path) -> Results:
    """Read a results file.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return msgspec.json.decode(file.read_bytes(), type=Results)


def schema() -> bytes:
    """Return the JSON Schema of a results file."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Results)), indent=1) + b"\n"
