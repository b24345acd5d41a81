"""What a figure depends on besides the code: the machine and the versions."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.results import Machine

PACKAGES = ("stageport", "aiohttp", "jq", "msgspec", "pydantic", "typer", "rich", "structlog", "uvloop")


def describe() -> Machine:
    """Describe the machine, and the environment in which the commands are run."""
    return Machine(
        cpu=_cpu_model(),
        cpus=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {kernel_version(platform.release())} {platform.machine()}",
        load=round(os.getloadavg()[0], 2),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions={name: found for name in PACKAGES if (found := _version(name))},
    )


def kernel_version(release: str) -> str:
    """Return the version in a kernel's name; what follows it is the name of somebody's build."""
    found = re.match(r"\d+(\.\d+)*", release)
    return found[0] if found else release


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
