"""The yardstick: a fixed piece of work on the very pages that a run reads, to compare machines and moments by.

``python -m bench.yardstick FILE`` parses and hashes pages (one a line) with the standard library alone, in a process
of its own, and prints the CPU seconds that one entity takes. Speeds of two machines, or of one machine in two moods,
differ by as much here as they do in a run; a run measured in yardsticks can be held against a figure in a file.
"""

import hashlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

PAGE = 500
FEW = 8 * PAGE
LEAST_SECONDS = 0.6
LEAST_ROUNDS = 5


def write_pages(entities: Iterable[bytes], file: Path) -> None:
    """Write entities to a file as pages, one a line."""
    with file.open("wb") as out:
        for page in _pages(entity.strip() for entity in entities):
            out.write(b"[" + b",".join(page) + b"]\n")


def _pages(entities: Iterator[bytes]) -> Iterator[list[bytes]]:
    while page := list(islice(entities, PAGE)):
        yield page


def measure(file: Path) -> float:
    """Return the CPU seconds that the fixed work takes for one entity, measured now."""
    command = [sys.executable, "-I", __file__, str(file)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def work(pages: Sequence[bytes]) -> int:
    """Do the fixed work once; return how many entities there were."""
    entities = 0
    for page in pages:
        hashlib.blake2b(page, digest_size=16).digest()
        entities += len(json.loads(page))
    return entities


def main() -> None:
    """Do the work again and again for a while; print the median of the rounds."""
    pages = Path(sys.argv[1]).read_bytes().splitlines()
    rounds: list[float] = []
    while len(rounds) < LEAST_ROUNDS or sum(rounds) < LEAST_SECONDS:
        began = time.process_time()
        entities = work(pages)
        rounds.append(time.process_time() - began)
    print(statistics.median(rounds) / entities)


if __name__ == "__main__":
    main()
