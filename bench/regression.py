"""Guards the figures: measures a small matrix in yardsticks and holds it against ``bench/reference.json``.

A yardstick is the CPU time of a fixed piece of work on the same pages in the same run, so a slower machine makes both
larger. What is compared is the smallest ratio of the repeats: noise only ever adds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.matrix import Cell, Manner, Say, measure_cell, plan_program
from bench.results import Run
from bench.scenarios import BY_NAME

REFERENCE = Path(__file__).with_name("reference.json")
TOLERANCE = 0.25
CELL = Cell(entities=2_000, latency_ms=0)
MANNER = Manner(repeats=3, workers=2, interval=0.25)
WATCHED = ("first", "verify", "resync", "delta", "changed")


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The ratios that a change may not make much worse, and where they were measured."""

    entities: int
    measured: str
    python: str
    cpu: str
    ratios: dict[str, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """One scenario against its reference."""

    scenario: str
    ratio: float
    reference: float | None
    right: bool

    @property
    def change(self) -> float:
        """By how much the ratio is worse, as a share; negative when it is better."""
        return self.ratio / self.reference - 1 if self.reference else 0.0

    @property
    def fails(self) -> bool:
        """True when it is too much worse, or wrong."""
        return not self.right or self.change > TOLERANCE

    @property
    def line(self) -> str:
        """Say it in one line."""
        if self.reference is None:
            compared = "no reference yet"
        else:
            compared = f"reference {self.reference:.1f}, {self.change:+.0%}"
        verdict = "WRONG CONTENT" if not self.right else "TOO SLOW" if self.fails else "fine"
        return f"{verdict:<13} {BY_NAME[self.scenario].title:<34} {self.ratio:6.1f} yardsticks, {compared}"


def measure(say: Say) -> list[Run]:
    """Measure the small matrix."""
    program = plan_program((BY_NAME[name] for name in WATCHED), say)
    return list(measure_cell(CELL, program, MANNER, say))


def ratios_of(runs: Iterable[Run]) -> dict[str, float]:
    """Return the best ratio of each scenario."""
    best: dict[str, float] = {}
    for run in runs:
        best[run.scenario] = min(run.ratio, best.get(run.scenario, float("inf")))
    return best


def findings_of(runs: Sequence[Run], reference: Mapping[str, float]) -> list[Finding]:
    """Hold runs against the reference; a scenario that the reference does not know is only shown."""
    right = {run.scenario: True for run in runs}
    for run in runs:
        right[run.scenario] &= run.verdict.right and run.exit == 0
    return [
        Finding(scenario, ratio, reference.get(scenario), right[scenario])
        for scenario, ratio in ratios_of(runs).items()
    ]


def read_reference(file: Path = REFERENCE) -> Reference:
    """Return the reference.

    Raises:
        FileNotFoundError: there is none yet.
    """
    return msgspec.json.decode(file.read_bytes(), type=Reference)


def write_reference(reference: Reference, file: Path = REFERENCE) -> None:
    """Write the reference."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(reference), indent=2) + b"\n")
