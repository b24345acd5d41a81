"""Guards the figures: measures a small matrix and holds it against ``bench/reference.json``.

What is compared is a ratio: the CPU time of a scenario in that of a fixed piece of work in the same run (starting a
Python that imports a good part of the standard library, then parsing and hashing the same pages). A slower machine
makes both larger. Noise only ever adds, so the least of all repeats counts on both sides, and what looks too slow is
measured again before it is called so.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import child
from bench.matrix import Cell, Manner, Say, measure_cell, plan_program
from bench.results import Run
from bench.scenarios import BY_NAME

REFERENCE = Path(__file__).with_name("reference.json")
TOLERANCE = 0.25
CELL = Cell(entities=2_000, latency_ms=0)
MANNER = Manner(repeats=2, workers=2, interval=0.25)
ROUNDS = 4
"""How often it is measured at most, as long as something looks too slow."""
STARTS = 5
STARTING = "import asyncio, ctypes, decimal, email.message, http.client, sqlite3, ssl, unittest.mock, xml.dom.minidom"
"""Work like that of a command before it does anything: it hangs on the disk's cache and on memory, not on parsing."""
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
            compared = f"reference {self.reference:.2f}, {self.change:+.0%}"
        verdict = "WRONG CONTENT" if not self.right else "TOO SLOW" if self.fails else "fine"
        return f"{verdict:<13} {BY_NAME[self.scenario].title:<34} {self.ratio:6.2f} times the fixed work, {compared}"


@dataclass(frozen=True, slots=True)
class Measured:
    """The runs of a check, and the CPU seconds that starting takes."""

    runs: Sequence[Run]
    start: float

    @property
    def ratios(self) -> dict[str, float]:
        """Each scenario's least CPU time in that of the fixed work."""
        yardstick = min(run.yardstick for run in self.runs)
        best: dict[str, float] = {}
        for run in self.runs:
            ratio = run.cpu / (self.start + run.verdict.mapped * yardstick)
            best[run.scenario] = min(ratio, best.get(run.scenario, float("inf")))
        return best


def measure(say: Say, *, reference: Mapping[str, float]) -> Measured:
    """Measure the small matrix, again and again while something looks too slow."""
    program = plan_program((BY_NAME[name] for name in WATCHED), say)
    runs: list[Run] = []
    start = float("inf")
    for _ in range(ROUNDS):
        start = min(start, *(_start_seconds() for _ in range(STARTS)))
        runs += measure_cell(CELL, program, MANNER, say)
        measured = Measured(runs, start)
        if not any(finding.fails for finding in findings_of(measured, reference)):
            break
    return Measured(runs, start)


def _start_seconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        env = {"PATH": os.environ.get("PATH", ""), "HOME": folder}
        command = [sys.executable, "-I", "-c", STARTING]
        return child.run(command, env=env, folder=Path(folder), output=Path(folder, "nothing")).cpu


def findings_of(measured: Measured, reference: Mapping[str, float]) -> list[Finding]:
    """Hold what was measured against the reference; a scenario that the reference does not know is only shown."""
    right = {run.scenario: True for run in measured.runs}
    for run in measured.runs:
        right[run.scenario] &= run.verdict.right and run.exit == 0
    return [
        Finding(scenario, ratio, reference.get(scenario), right[scenario])
        for scenario, ratio in measured.ratios.items()
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
