"""A day in a few minutes: a real Backstage, `stageport run` and the Port stand-in, and everything that happens to them.

A minute by default; ``STAGEPORT_DAY_SECONDS=300`` for the whole of it. Entities are created, changed and deleted at
random; meanwhile Backstage restarts twice, Port answers 503 for a while, the token expires, the mapping is edited and
edited back, and somebody presses Resync. At the end the catalogs are equal, what was reported is true, memory stayed
flat, and every warning has one of these causes.
"""

import copy
import json
import os
import random
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.agreement import disagreement
from tests.e2e.harness import RealBackstage, first_of_each_ref
from tests.e2e.port import Stageport, port_in_thread
from tests.e2e.test_run import free_port, until

from stageport.sandbox.backstage.descriptors import sample_descriptors
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sandbox.port.options import PortOptions

DAY = float(os.environ.get("STAGEPORT_DAY_SECONDS", "60"))
IDENTIFIER = "my-backstage-integration"
MORE_MEMORY = 1.35
EXPLAINED = re.compile(
    r"503|50[0-9]|Backstage|connection|refused|reset|closed|disconnected|answer|starting|401|"
    r"Port cannot be asked|not told|held back|does not take our",
    re.IGNORECASE,
)


@dataclass
class Day:
    """What happens, and when: shares of the day."""

    backstage: RealBackstage
    stageport: Stageport
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    names: list[str] = field(default_factory=list)
    made: int = 0
    mapping: Any = None

    def events(self) -> Iterator[tuple[float, Callable[[], None]]]:
        yield 0.15, self.backstage.restart
        yield 0.3, self.port_goes_away
        yield 0.4, self.stageport.port.state.expire_tokens
        yield 0.5, self.edit_mapping
        yield 0.6, self.press_resync
        yield 0.7, self.edit_mapping_back
        yield 0.8, self.backstage.restart

    def live(self) -> None:
        """Spend the day."""
        began = time.monotonic()
        coming = list(self.events())
        while (share := (time.monotonic() - began) / DAY) < 1:
            while coming and coming[0][0] <= share:
                coming.pop(0)[1]()
            self.change_something()
            time.sleep(self.chance.uniform(0.2, 1.0))
        for _, event in coming:
            event()

    def change_something(self) -> None:
        act = self.chance.choice(("create", "create", "change", "delete"))
        if act == "create" or not self.names:
            self.made += 1
            self.names.append(f"day-{self.made}")
            self.backstage.apply_delta(added=[component(self.names[-1], "New")], wait=False)
        elif act == "change":
            name = self.chance.choice(self.names)
            self.backstage.apply_delta(added=[component(name, f"Title {self.chance.random()}")], wait=False)
        else:
            name = self.names.pop(self.chance.randrange(len(self.names)))
            self.backstage.apply_delta(removed=[f"component:default/{name}"], wait=False)

    def port_goes_away(self) -> None:
        self.stageport.port.faults.add(Fault(kind=FaultKind.STATUS, status=503))
        threading.Timer(DAY / 20, self.stageport.port.faults.clear).start()

    def edit_mapping(self) -> None:
        integrations = self.stageport.port.state.integrations
        self.mapping = copy.deepcopy(integrations.get(IDENTIFIER)["config"])
        edited = copy.deepcopy(self.mapping)
        for resource in edited["resources"]:
            resource["port"]["entity"]["mappings"]["title"] = '"Edited"'
        integrations.patch(IDENTIFIER, {"config": edited}, skip_resync=True)

    def edit_mapping_back(self) -> None:
        self.stageport.port.state.integrations.patch(IDENTIFIER, {"config": self.mapping}, skip_resync=False)

    def press_resync(self) -> None:
        self.stageport.port.state.integrations.request_resync(IDENTIFIER)


def component(name: str, title: str) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, "title": title},
        "spec": {"type": "service", "lifecycle": "production", "owner": "user:default/nobody"},
    }


def memory(number: int) -> int:
    """Return the private memory of a process in kB."""
    text = Path(f"/proc/{number}/smaps_rollup").read_text("utf-8")
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


@pytest.mark.timeout(DAY * 2 + 240)
def test_a_day(backstage: RealBackstage, tmp_path: Path, tell: Callable[[str], None]) -> None:
    backstage.apply(first_of_each_ref(sample_descriptors()))
    number = free_port()
    environment = {
        "STAGEPORT_HTTP_PORT": str(number),
        "STAGEPORT_HTTP_HOST": "127.0.0.1",
        "STAGEPORT_DELTA_INTERVAL": "1",
        "STAGEPORT_UNREACHABLE_TIMEOUT": "5",
        "STAGEPORT_LOG_FORMAT": "json",
        "OCEAN__EVENT_LISTENER": '{"type": "POLLING", "interval": 1}',
    }

    def status() -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{number}/status", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            return {"passes": 0}

    with port_in_thread(PortOptions()) as port:
        stageport = Stageport(backstage_url=backstage.url, token=backstage.token, port=port, folder=tmp_path)
        with stageport.running("run", **environment) as service:
            lines: list[str] = []
            assert service.stderr is not None
            reader = threading.Thread(target=lambda: [lines.append(line) for line in service.stderr], daemon=True)
            reader.start()
            until(lambda: status()["passes"] > 2, what="the first passes")
            early = memory(service.pid)
            day = Day(backstage, stageport)
            day.live()
            backstage.wait_until_settled()
            until(lambda: not disagreement(backstage, stageport), what="equal catalogs at the end")
            late = memory(service.pid)
            day.press_resync()
            passes = status()["last"].get("resync"), status()["passes"]
            until(lambda: status()["passes"] > passes[1] and status()["failures"] == 0, what="one more pass")
            state = port.state.integrations.get(IDENTIFIER)["resyncState"]["status"]
            service.send_signal(signal.SIGTERM)
            assert service.wait(15) == 0
            reader.join(10)
        runs = stageport.run("runs", "--output", "json", "--limit", "200").json["runs"]
        again = stageport.sync()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    loud = [one for one in told if one["level"] in ("warning", "error", "critical")]
    unexplained = [one for one in loud if not EXPLAINED.search(json.dumps(one))]
    tell(
        f"a day of {DAY:.0f} s: {day.made} entities made, {len(runs)} passes noted, {len(told)} log lines, "
        f"{len(loud)} of them warnings, memory {early / 1024:.1f} to {late / 1024:.1f} MB, last state {state}"
    )
    assert len(told) > len(runs), "the log has a line for every pass, and more"
    assert unexplained == []
    assert "Traceback" not in "".join(lines)
    assert backstage.token not in "".join(lines)
    assert state in ("completed", "running")
    assert all(run["state"] == "completed" or run["error"] or run["failures"] for run in runs if run["exit"] != 130)
    assert {"Port requested it", "the mapping was changed at Port"} & {run["trigger"] for run in runs}
    assert late < early * MORE_MEMORY, "memory grew"
    assert again.code == 0
    assert (again.json["counts"]["create"], again.json["counts"]["delete"]) == (0, 0)
    assert port.state.journal.crashes == []
