"""What an installation weighs, and what the command line takes before it does anything."""

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench import child
from bench.results import Footprint

HELLO = 5


def measure(first_request: float | None) -> Footprint:
    """Measure the environment that this runs in; ``first_request`` was seen when something was synced."""
    installed = list(closure("stageport"))
    helps = [_help() for _ in range(HELLO)]
    return Footprint(
        packages=len(installed),
        bytes=sum(_size(one) for one in installed),
        help_cpu=statistics.median(usage.cpu for usage in helps),
        help_wall=statistics.median(usage.wall for usage in helps),
        first_request=first_request,
    )


def closure(name: str) -> Iterator[Distribution]:
    """Yield a distribution and all that a default installation of it brings along."""
    seen: set[str] = set()
    ahead = [Requirement(name)]
    while ahead:
        wanted = ahead.pop()
        key = f"{canonicalize_name(wanted.name)}{sorted(wanted.extras)}"
        if key in seen:
            continue
        seen.add(key)
        try:
            found = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        if canonicalize_name(wanted.name) not in seen:
            seen.add(canonicalize_name(wanted.name))
            yield found
        ahead += [one for one in map(Requirement, found.requires or ()) if _applies(one, wanted.extras)]


def _applies(wanted: Requirement, extras: set[str]) -> bool:
    marker = wanted.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, ""))


def _size(found: Distribution) -> int:
    files = [Path(str(file.locate())) for file in found.files or ()]
    return sum(file.stat().st_size for file in files if file.is_file())


def _help() -> child.Usage:
    command = [sys.executable, "-m", "stageport", "--help"]
    with tempfile.TemporaryDirectory() as folder:
        env = {"PATH": os.environ.get("PATH", ""), "HOME": folder}
        return child.run(command, env=env, folder=Path(folder), output=Path(folder, "help"))
