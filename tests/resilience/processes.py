"""Real processes under observation: killed at a moment of our choosing, and nothing of them left behind."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

GONE_SECONDS = 10.0


def wait_for(moment: Callable[[], bool], process: "subprocess.Popen[str]", *, seconds: float = 120.0) -> bool:
    """Return whether the moment came before the process ended."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if moment():
            return True
        assert time.monotonic() < deadline, "neither did the moment come nor did the process end"
        time.sleep(0.002)
    return False


def kill(process: "subprocess.Popen[str]", chance: random.Random) -> None:
    """Kill a process a little later, without a word, and see to it that its workers go as well."""
    time.sleep(chance.uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + GONE_SECONDS
    while left := list(members(process.pid)):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.01)


def members(session: int) -> Iterator[int]:
    """Yield the processes of a session, which a child of ours began."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                # "pid (name) state parent group session": a name may hold anything, so what follows it counts.
                _, group, found = (folder / "stat").read_text().rpartition(") ")[2].split()[1:4]
                del group
                if int(found) == session and _state(folder) != "Z":
                    yield int(folder.name)


def _state(folder: Path) -> str:
    return (folder / "stat").read_text().rpartition(") ")[2].split()[0]


def tree(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [root]
    for pid in found:
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def shared_bytes(pids: list[int]) -> int:
    """Return the memory of processes, what they share counted once (PSS)."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total
