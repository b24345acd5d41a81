"""The benchmark's command line: ``python -m bench``, from the root of the repository."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import footprint, machine, regression
from bench.matrix import Cell, Manner, measure_cell, measure_floors, plan_program
from bench.ocean import Ocean, measure_ocean
from bench.picture import draw
from bench.report import page_of, text_of
from bench.results import Results, Run, merge, read_results, schema, write_results
from bench.scenarios import BY_NAME, SCENARIOS
from bench.standins import Limit
from bench.world import FailedRunError

FOLDER = Path(__file__).with_name("results")
PUBLISHED = Path(__file__).parents[1] / "docs" / "reference"
SIZES = (1_000, 5_000, 20_000, 100_000)
LATENCIES = (0, 50)
LIMITED = (Cell(100_000, 0, Limit(35_000, 300)), Cell(20_000, 0, Limit(350, 3)))
"""The limit that Port published last, and the same pace in windows so short that a first sync meets them."""

MORE = """parts that measure one room each:
  python -m bench.mapping     what mapping one source entity costs
  python -m bench.ledger      what the ledger costs, row by row

Everything else on the machine disturbs wall times; CPU times less so. Linux only.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(
        "python -m bench",
        description="Measures `stageport sync` against local stand-ins for Backstage and Port.",
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="walk the matrix and print, save and draw what comes out")
    _add_run_options(run)
    check = commands.add_parser("check", help="fail when a scenario got slower than bench/reference.json by over 25 %%")
    check.add_argument("--update", action="store_true", help="make what is measured now the reference")
    show = commands.add_parser("show", help="print a results file")
    show.add_argument("file", type=Path)
    publishing = commands.add_parser("publish", help="put results files, put together, into docs/reference")
    publishing.add_argument("file", type=Path, nargs="+")
    drawing = commands.add_parser("draw", help="draw a results file as SVG")
    drawing.add_argument("file", type=Path)
    drawing.add_argument("picture", type=Path)
    commands.add_parser("schema", help="print the JSON Schema of results files")
    return whole


def _add_run_options(run: argparse.ArgumentParser) -> None:
    run.add_argument("--entities", type=_numbers, default=SIZES, metavar="N,N", help="sizes of the catalog")
    run.add_argument("--latency", type=_numbers, default=LATENCIES, metavar="MS,MS", help="how late both sides answer")
    run.add_argument("--scenarios", type=_names, default=tuple(BY_NAME), metavar="NAME,NAME", help=", ".join(BY_NAME))
    run.add_argument("--repeats", type=int, default=5, metavar="K", help="medians of so many (default 5)")
    run.add_argument("--workers", type=int, default=2, metavar="K", help="worker processes of stageport (default 2)")
    run.add_argument("--no-limits", action="store_true", help="leave out the first syncs under a rate limit")
    run.add_argument("--name", default="latest", help="results are saved as bench/results/NAME.json and .svg")
    run.add_argument(
        "--against-ocean",
        nargs=2,
        type=Path,
        metavar=("PYTHON", "FOLDER"),
        help="also run Port's own integration: a Python with port-ocean, and the integration's folder",
    )
    run.add_argument("--ocean-entities", type=_numbers, default=(1_000, 5_000), metavar="N,N", help="sizes for it")
    run.add_argument("--ocean-repeats", type=int, default=1, metavar="K", help="repeats for it (default 1)")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such scenario: {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    return names


def say(words: str) -> None:
    """Tell how far it has come, on standard error."""
    print(words, file=sys.stderr, flush=True)


def run_matrix(options: argparse.Namespace) -> Results:
    """Measure everything that was asked for."""
    manner = Manner(repeats=options.repeats, workers=options.workers)
    described = machine.describe()
    program = plan_program((one for one in SCENARIOS if one.name in options.scenarios), say)
    floors = measure_floors(program, manner, say)
    runs: list[Run] = []
    for cell in _cells(options):
        say(str(cell))
        runs += measure_cell(cell, program, manner, say)
    if not options.no_limits:
        first = [(scenario, words) for scenario, words in program if scenario.name == "first"]
        for cell in LIMITED if first else ():
            say(str(cell))
            runs += measure_cell(cell, first, Manner(repeats=1, workers=options.workers), say)
    if options.against_ocean:
        runs += _run_ocean(options)
    return Results(
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=described,
        workers=options.workers,
        footprint=footprint.measure(_first_request(runs)),
        floors=floors,
        runs=runs,
    )


def _cells(options: argparse.Namespace) -> list[Cell]:
    return [Cell(entities, latency) for entities in options.entities for latency in options.latency]


def _run_ocean(options: argparse.Namespace) -> list[Run]:
    ocean = Ocean(*options.against_ocean)
    manner = Manner(repeats=options.ocean_repeats, workers=options.workers)
    runs: list[Run] = []
    for cell in (Cell(entities, latency) for entities in options.ocean_entities for latency in options.latency):
        say(f"Port's own integration: {cell}")
        runs += measure_ocean(ocean, cell, manner, say)
    return runs


def _first_request(runs: Sequence[Run]) -> float | None:
    found = [one.first_request for one in runs if one.tool == "stageport" and one.first_request is not None]
    return sorted(found)[len(found) // 2] if found else None


def check(*, update: bool) -> int:
    """Hold the small matrix against the reference, or make it the reference."""
    reference = {} if update else regression.read_reference().ratios
    measured = regression.measure(say, reference=reference)
    if update:
        described = machine.describe()
        reference = {name: round(ratio, 3) for name, ratio in measured.ratios.items()}
        regression.write_reference(
            regression.Reference(
                entities=regression.CELL.entities,
                measured=datetime.now(UTC).isoformat(timespec="seconds"),
                python=described.python,
                cpu=described.cpu,
                ratios=reference,
            )
        )
    findings = regression.findings_of(measured, reference)
    print("\n".join(finding.line for finding in findings))
    return int(any(finding.fails for finding in findings))


def publish(files: Sequence[Path]) -> None:
    """Put results into the documentation: the figures, the picture, and the table with machine and versions."""
    results = merge([read_results(file) for file in files])
    write_results(results, PUBLISHED / "benchmark.json")
    (PUBLISHED / "benchmark.svg").write_text(draw(results))
    (PUBLISHED / "benchmark.md").write_text(page_of(results))


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    options = parser().parse_args()
    match options.command:
        case "run":
            results = run_matrix(options)
            write_results(results, FOLDER / f"{options.name}.json")
            (FOLDER / f"{options.name}.svg").write_text(draw(results))
            print(text_of(results))
            return int(any(not run.verdict.right for run in results.runs if run.tool == "stageport"))
        case "check":
            return check(update=options.update)
        case "show":
            print(text_of(read_results(options.file)))
        case "publish":
            publish(options.file)
        case "draw":
            options.picture.write_text(draw(read_results(options.file)))
        case _:
            print(schema().decode(), end="")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FailedRunError as error:
        sys.exit(f"Stopped: {error}")
