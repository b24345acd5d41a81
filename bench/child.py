"""Runs one command and measures its whole tree of processes. Linux only: it reads ``/proc``.

CPU comes from ``wait4``: the command's own time and that of every descendant it waited for, to the microsecond. Memory
is the largest sum of PSS (``smaps_rollup``) over the tree that any sample saw: pages shared by several processes are
counted once. The samples also add up CPU times, as a cross-check: they see less (each process' last moments go
unseen), but never more, unless a descendant was not waited for.
"""

import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
KILOBYTE = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run of a command took. ``began`` is its monotonic start time."""

    began: float
    wall: float
    user: float
    system: float
    sampled_cpu: float
    sampled_parent: float
    peak_pss: int
    processes: int
    exit: int

    @property
    def cpu(self) -> float:
        """CPU seconds of the whole tree."""
        return self.user + self.system


@dataclass(slots=True)
class Watch:
    """What the samples of one tree come to."""

    root: int
    peak_pss: int = 0
    processes: int = 0
    cpu_by_pid: dict[int, float] = field(default_factory=dict)

    def sample(self) -> None:
        """Look at every process of the tree once."""
        pids = tree(self.root)
        self.peak_pss = max(self.peak_pss, sum(map(pss, pids)))
        self.processes = max(self.processes, len(pids))
        for pid in pids:
            self.cpu_by_pid[pid] = max(self.cpu_by_pid.get(pid, 0.0), cpu_seconds(pid))


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path,
    output: Path,
    interval: float = 0.1,
    timeout: float = 3600.0,
) -> Usage:
    """Run a command to its end; what it prints goes to ``output``, its errors beside it (``.err``).

    Raises:
        TimeoutError: it did not end in time, and was killed with all its descendants.
    """
    with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
        began = time.monotonic()
        process = subprocess.Popen(command, env=env, cwd=folder, stdout=out, stderr=err, start_new_session=True)
        watch = Watch(process.pid)
        status, usage = _await_end(process.pid, watch, interval=interval, deadline=began + timeout)
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(
        began=began,
        wall=wall,
        user=usage.ru_utime,
        system=usage.ru_stime,
        sampled_cpu=sum(watch.cpu_by_pid.values()),
        sampled_parent=watch.cpu_by_pid.get(process.pid, 0.0),
        peak_pss=watch.peak_pss,
        processes=watch.processes,
        exit=process.returncode,
    )


def _await_end(pid: int, watch: Watch, *, interval: float, deadline: float) -> tuple[int, resource.struct_rusage]:
    descriptor = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        while not poller.poll(interval * 1000):
            watch.sample()
            if time.monotonic() > deadline:
                os.killpg(pid, signal.SIGKILL)
                os.wait4(pid, 0)
                raise TimeoutError(f"process {pid} did not end in time")
    finally:
        os.close(descriptor)
    _, status, usage = os.wait4(pid, 0)
    return status, usage


def tree(root: int) -> list[int]:
    """Return a process and all its descendants, as far as they still live."""
    found, ahead = [], [root]
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        ahead += children(pid)
    return found


def children(pid: int) -> list[int]:
    """Return the children of a process; any of its threads may have them."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    return [int(child) for task in tasks for child in _read(f"{task}/children").split()]


def pss(pid: int) -> int:
    """Return the bytes of a process' memory, shared pages in proportion; 0 when it is gone."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * KILOBYTE
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process alone, without its children."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK if len(fields) > 12 else 0.0


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
