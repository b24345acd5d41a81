"""How many CPUs this process may use: affinity and the container's quota, whichever is smaller."""

import os
from math import ceil
from pathlib import Path

MOST_WORKERS = 4
CGROUP_ROOT = Path("/sys/fs/cgroup")


def default_workers(*, cgroup: Path = CGROUP_ROOT) -> int:
    """Return one worker per available CPU, at least 1 and at most 4."""
    return max(1, min(MOST_WORKERS, available_cpus(cgroup=cgroup)))


def available_cpus(*, cgroup: Path = CGROUP_ROOT) -> int:
    """Return the CPUs of the affinity mask, or fewer where a cgroup quota allows less."""
    quota = _quota(cgroup)
    return _affinity() if quota is None else min(_affinity(), ceil(quota))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(cgroup: Path) -> float | None:
    """Return the CPU quota in CPUs: ``cpu.max`` of cgroup v2, ``cpu.cfs_*_us`` of v1, None without a limit."""
    words = _words(cgroup / "cpu.max")
    if not words:
        words = _words(cgroup / "cpu" / "cpu.cfs_quota_us") + _words(cgroup / "cpu" / "cpu.cfs_period_us")
    try:
        quota, period = (int(word) for word in words)
    except ValueError:  # "max 100000": no limit; or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []
