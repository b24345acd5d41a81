"""Results as text: a table of medians, and how they stand against the goals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.results import Machine, Results, Summary
from bench.scenarios import BY_NAME
from bench.standins import UNLIMITED

MS = 1000
MEGA = 1_000_000
BATCH = 20
"""Entities in one request to Port, at most."""
HEAD = (
    "tool", "scenario", "entities", "latency", "limit", "wall s", "CPU s", "CPU ms/entity", "beyond start-up",
    "yardsticks", "PSS MB", "requests B + P", "MB B + P", "429", "exit", "content",
)  # fmt: skip

PAGE = """<!-- Written by `python -m bench publish`; do not edit. -->
# Benchmark

![CPU, wall time and memory of a sync](benchmark.svg)

Measured {measured} with `python -m bench run`, {workers} worker processes: {machine}.
[What it means and where the time goes](../explanation/performance.md); all runs one by one:
[benchmark.json](benchmark.json).
Medians of {repeats}; "B + P" is Backstage and Port; memory is the PSS of all processes together.

{table}

{more}

## Goals

{goals}
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to be reached: ``value`` is below ``most``."""

    words: str
    most: float
    value: float | None
    unit: str

    @property
    def line(self) -> str:
        """Say how the figure stands."""
        if self.value is None:
            return f"  not measured  {self.words}: under {self.most:g} {self.unit}"
        mark = "reached" if self.value < self.most else "MISSED"
        return f"  {mark:<12}  {self.words}: {self.value:.3g} {self.unit}, goal under {self.most:g}"


def text_of(results: Results) -> str:
    """Return everything about a benchmark that a person wants to read."""
    parts = [
        machine_line(results.machine),
        table_of(results.summaries()),
        _floors(results),
        footprint_line(results),
        "Goals:",
        *(goal.line for goal in goals_of(results)),
        *limit_lines(results),
        *pair_lines(results.summaries()),
        *(f"Note: {note}" for note in results.notes),
    ]
    return "\n".join(parts)


def page_of(results: Results) -> str:
    """Return the page of the documentation that holds the figures."""
    goals = "\n".join(f"- {goal.line.strip()}" for goal in goals_of(results))
    more = "\n".join(
        [_floors(results), "", footprint_line(results), *limit_lines(results), *pair_lines(results.summaries())]
    )
    return PAGE.format(
        machine=machine_line(results.machine).replace("\n", "; "),
        measured=results.measured[:10],
        workers=results.workers,
        repeats=max((one.repeats for one in results.summaries()), default=0),
        table=table_of(results.summaries()),
        more=more.replace("\n  ", "\n- "),
        goals=goals,
    )


def machine_line(machine: Machine) -> str:
    """Say where it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    memory = machine.memory / 2**30
    return (
        f"{machine.cpu}, {machine.cpus} CPUs, {memory:.0f} GiB, {machine.system}, load {machine.load} at the start\n"
        f"{machine.python}, {versions}"
    )


def footprint_line(results: Results) -> str:
    """Say what an installation weighs and how quickly it starts."""
    one = results.footprint
    first = "not seen" if one.first_request is None else f"{one.first_request:.2f} s"
    return (
        f"Footprint: {one.packages} packages, {one.bytes / MEGA:.0f} MB; --help {one.help_cpu:.2f} s CPU; "
        f"start-up to first request {first}"
    )


def table_of(summaries: Iterable[Summary]) -> str:
    """Return a Markdown table, aligned for reading as it is."""
    rows = [HEAD, *(_row(one) for one in summaries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines)


def _row(one: Summary) -> tuple[str, ...]:
    key, net = one.key, one.net_per_entity
    return (
        key.tool,
        key.scenario,
        f"{key.entities:,}",
        f"{key.latency_ms} ms",
        "-" if key.limit == str(UNLIMITED) else key.limit,
        f"{one.wall:.2f}",
        f"{one.cpu:.2f}",
        f"{one.cpu_per_entity * MS:.3f}",
        "-" if net is None else f"{net * MS:.3f}",
        f"{one.ratio:.2f}",
        f"{one.peak_pss / MEGA:.0f}",
        f"{one.backstage_requests:.0f} + {one.port_requests:.0f}",
        f"{one.backstage_bytes / MEGA:.1f} + {one.port_bytes / MEGA:.1f}",
        str(one.throttled),
        ",".join(map(str, one.exits)),
        "right" if one.right else "WRONG",
    )


def _floors(results: Results) -> str:
    figures = ", ".join(f"{name} {seconds:.2f}" for name, seconds in results.floors.items())
    return f"CPU seconds on a tiny catalog (start-up): {figures}" if figures else "Start-up alone was not measured."


def pair_lines(summaries: Sequence[Summary]) -> list[str]:
    """Say pair by pair how Port's own integration compares, where both were measured in the same cell."""
    ours = {_cell(one): one for one in summaries if one.key.tool == "stageport"}
    lines = []
    for other in summaries:
        mine = ours.get(_cell(other))
        if other.key.tool == "ocean" and mine is not None:
            title = BY_NAME[other.key.scenario].title
            lines.append(
                f"  {other.key.entities:,} entities, {other.key.latency_ms} ms, {title}: "
                f"wall {other.wall / mine.wall:.1f} times, CPU {other.cpu / mine.cpu:.1f} times, "
                f"memory {other.peak_pss / mine.peak_pss:.1f} times"
            )
    return ["Port's own integration against Stageport:", *lines] if lines else []


def _cell(one: Summary) -> tuple[str, int, int]:
    return one.key.scenario, one.key.entities, one.key.latency_ms


def goals_of(results: Results) -> list[Goal]:
    """Return the goals of the project with the figures that were measured for them."""
    summaries = {(one.key.scenario, one.key.entities, one.key.latency_ms): one for one in _ours(results)}

    def cpu(scenario: str, entities: int) -> float | None:
        found = summaries.get((scenario, entities, 0))
        return None if found is None else found.cpu_per_entity * MS

    def net(scenario: str, entities: int) -> float | None:
        found = summaries.get((scenario, entities, 0))
        return None if found is None or found.net_per_entity is None else found.net_per_entity * MS

    def wall(scenario: str) -> float | None:
        found = summaries.get((scenario, 5_000, 50))
        return None if found is None else found.wall

    large = [one.peak_pss / MEGA for one in _ours(results) if one.key.entities == 100_000]
    one = results.footprint
    sizes = (20_000, 100_000)
    return [
        *(Goal(f"first sync at {size:,}", 0.25, cpu("first", size), "ms CPU an entity") for size in sizes),
        *(Goal(f"unchanged verify at {size:,}", 0.12, cpu("verify", size), "ms CPU an entity") for size in sizes),
        *(Goal(f"unchanged resync at {size:,}", 0.03, cpu("resync", size), "ms CPU an entity") for size in sizes),
        *(
            Goal(f"unchanged delta at {size:,}, beyond start-up", 0.01, net("delta", size), "ms CPU an entity")
            for size in sizes
        ),
        Goal("first sync of 5,000 at 50 ms", 2.5, wall("first"), "s"),
        Goal("unchanged resync of 5,000 at 50 ms", 1.0, wall("resync"), "s"),
        Goal("unchanged verify of 5,000 at 50 ms", 1.0, wall("verify"), "s"),
        Goal("peak memory at 100,000", 150.0, max(large, default=None), "MB"),
        Goal("start-up to first request", 0.8, one.first_request, "s"),
        Goal("--help", 0.3, one.help_cpu, "s CPU"),
        Goal("installed packages", 36, one.packages, "packages"),
        Goal("runs with wrong content", 1, _wrong(results), "runs"),
    ]


def _ours(results: Results) -> list[Summary]:
    plain = str(UNLIMITED)
    return [one for one in results.summaries() if one.key.tool == "stageport" and one.key.limit == plain]


def _wrong(results: Results) -> float:
    return sum(not run.verdict.right for run in results.runs if run.tool == "stageport")


def limit_lines(results: Results) -> list[str]:
    """Say how near a first sync under a rate limit came to it, in requests and in entities a second."""
    lines = []
    for one in results.summaries():
        if one.key.limit == str(UNLIMITED) or one.key.scenario != "first":
            continue
        requests, _, seconds = one.key.limit.partition("/")
        ceiling = int(requests) / int(seconds)
        pace = one.cpu / one.cpu_per_entity / one.wall
        taken = (one.port_requests - one.throttled) / one.wall
        lines.append(
            f"  limit {one.key.limit}: {taken:,.0f} requests taken a second, {taken / ceiling:.0%} of the limit; "
            f"{pace:,.0f} entities a second, {pace / ceiling / BATCH:.0%} of the {ceiling * BATCH:,.0f} that "
            f"{BATCH} a request come to; {one.throttled} answers of 429"
        )
    return ["First sync under a rate limit:", *lines] if lines else []
