"""Memory stays flat: five times the catalog takes hardly more of it, in every pass.

Measured is the process tree of ``stageport sync`` alone, what its processes share counted once (PSS), by looking
every few hundredths of a second. The stand-ins are processes of their own, and so not in it.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tests.resilience.processes import shared_bytes, tree
from tests.resilience.sizes import LARGE, SMALL

MOST_GROWTH = 1.3
LOOK_SECONDS = 0.03
MIB = 1024 * 1024


class Used(NamedTuple):
    """What one run took, and what it said."""

    peak: int
    said: Mapping[str, Any]


@contextmanager
def stand_in(*words: str) -> Iterator[str]:
    """Run a stand-in as a process of its own; the address it listens on."""
    command = [sys.executable, "-u", "-m", "stageport", "sandbox", *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\d.:]+", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


@contextmanager
def scene(count: int, folder: Path) -> Iterator[Mapping[str, str]]:
    """Run a Backstage of so many entities and an empty Port; the environment to sync them in."""
    with ExitStack() as stack:
        backstage = stack.enter_context(stand_in("backstage", "--entities", str(count), "--token", "a-token"))
        port = stack.enter_context(stand_in("port", "--client-id", "id", "--client-secret", "secret"))
        yield {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "BACKSTAGE_URL": backstage,
            "BACKSTAGE_TOKEN": "a-token",
            "PORT_BASE_URL": port,
            "PORT_CLIENT_ID": "id",
            "PORT_CLIENT_SECRET": "secret",
            "STAGEPORT_LEDGER": str(folder / "ledger.sqlite3"),
            "STAGEPORT_WORKERS": "2",
        }


def sync(environment: Mapping[str, str], *words: str) -> Used:
    """Run one sync under observation."""
    command = [sys.executable, "-m", "stageport", "sync", "--quiet", "--output", "json", *words]
    folder = Path(environment["HOME"])
    peak = 0
    with (folder / "out").open("w+") as out:
        with subprocess.Popen(command, env=environment, cwd=folder, stdout=out) as process:
            try:
                while process.poll() is None:
                    peak = max(peak, shared_bytes(tree(process.pid)))
                    time.sleep(LOOK_SECONDS)
            finally:
                process.kill()
        assert process.returncode == 0
        out.seek(0)
        return Used(peak, json.load(out))


def retitle(environment: Mapping[str, str]) -> None:
    """Edit the mapping at Port so that every target entity is to be written anew."""
    command = [sys.executable, "-m", "stageport", "mapping"]
    file = Path(environment["HOME"]) / "mapping.yaml"
    mapping = yaml.safe_load(subprocess.check_output([*command, "show"], env=environment))
    for resource in mapping["resources"]:
        resource["port"]["entity"]["mappings"]["title"] = '"The " + .metadata.name'
    file.write_text(yaml.safe_dump(mapping))
    subprocess.check_call([*command, "store", str(file)], env=environment, stdout=subprocess.DEVNULL)


def measure(count: int, folder: Path) -> dict[str, Used]:
    """Run every pass over a catalog of one size: from nothing, with nothing changed, with Port compared, all anew."""
    folder.mkdir()
    with scene(count, folder) as environment:
        used = {
            "first sync": sync(environment),
            "resync": sync(environment, "--since-ledger"),
            "delta": sync(environment, "--delta"),
            "verify": sync(environment, "--verify"),
        }
        ledger_lost = {**environment, "STAGEPORT_LEDGER": str(folder / "another.sqlite3")}
        used["without ledger"] = sync(ledger_lost)
        retitle(environment)
        used["mapping edited"] = sync(environment)
    assert used["mapping edited"].said["counts"]["update"] > count * 0.9
    counts = used["first sync"].said["counts"]
    assert counts["create"] + counts["update"] > count * 0.9
    for name in ("resync", "delta", "verify", "without ledger"):
        assert used[name].said["counts"]["create"] == used[name].said["counts"]["update"] == 0
    return used


@pytest.mark.timeout(120 + (SMALL + LARGE) // 25)
def test_memory_hardly_grows_with_the_catalog(tmp_path: Path) -> None:
    small, large = (measure(count, tmp_path / str(count)) for count in (SMALL, LARGE))
    growth = {name: large[name].peak / small[name].peak for name in small}
    print()
    for name in small:
        print(f"{name}: {small[name].peak / MIB:.0f} MiB with {SMALL}, {large[name].peak / MIB:.0f} with {LARGE}")
    assert {name: round(by, 2) for name, by in growth.items() if by >= MOST_GROWTH} == {}
