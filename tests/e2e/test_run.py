"""The always-on service by a real process: a real Backstage, `stageport run`, and the Port stand-in."""

import json
import signal
import socket
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.e2e.agreement import disagreement
from tests.e2e.harness import RealBackstage, first_of_each_ref
from tests.e2e.port import Stageport, port_in_thread

from stageport.sandbox.backstage.descriptors import sample_descriptors
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sandbox.port.options import PortOptions

PATIENCE = 60.0
CHANGES = 10


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def until(true: Callable[[], bool], *, what: str) -> float:
    """Wait until something is so; return after how many seconds."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < PATIENCE, f"{what} did not come about"
        time.sleep(0.02)
    return time.monotonic() - started


def component(name: str, title: str = "A title") -> dict[str, object]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, "title": title},
        "spec": {"type": "service", "lifecycle": "production", "owner": "user:default/nobody"},
    }


@pytest.fixture
def stageport(backstage: RealBackstage, tmp_path: Path) -> Iterator[Stageport]:
    backstage.apply(first_of_each_ref(sample_descriptors()))
    with port_in_thread(PortOptions()) as port:
        yield Stageport(backstage_url=backstage.url, token=backstage.token, port=port, folder=tmp_path)


def test_a_service_follows_changes_sits_out_faults_and_ends_in_good_order(
    backstage: RealBackstage, stageport: Stageport, tell: Callable[[str], None]
) -> None:
    number = free_port()
    environment = {
        "STAGEPORT_HTTP_PORT": str(number),
        "STAGEPORT_HTTP_HOST": "127.0.0.1",
        "STAGEPORT_DELTA_INTERVAL": "1",
        "OCEAN__EVENT_LISTENER": '{"type": "POLLING", "interval": 1}',
    }

    def status() -> dict[str, object]:
        with urllib.request.urlopen(f"http://127.0.0.1:{number}/status", timeout=5) as answer:
            found: dict[str, object] = json.load(answer)
            return found

    with stageport.running("run", **environment) as service:
        until(lambda: ("component", "component:default/deploy-bot") in stageport.held(), what="the first pass")
        until(lambda: status()["passes"] != 0 and not disagreement(backstage, stageport), what="equal catalogs")

        delays = []
        for place in range(CHANGES):
            name = f"e2e-live-{place}"
            backstage.apply_delta(added=[component(name)])
            delays.append(
                until(lambda name=name: ("component", f"component:default/{name}") in stageport.held(), what=name)
            )

        # Port is away for a while, Backstage restarts, the token expires: it goes on by itself.
        stageport.port.faults.add(Fault(kind=FaultKind.STATUS, status=503, times=5))
        stageport.port.state.expire_tokens()
        backstage.restart()
        backstage.apply_delta(added=[component("e2e-live-0", title="After the storm")])
        until(
            lambda: stageport.held()["component", "component:default/e2e-live-0"]["title"] == "After the storm",
            what="the change after the faults",
        )

        backstage.delete("component:default/e2e-live-1")
        until(lambda: ("component", "component:default/e2e-live-1") not in stageport.held(), what="the delete")
        until(lambda: not disagreement(backstage, stageport), what="equal catalogs at the end")

        service.send_signal(signal.SIGTERM)
        assert service.wait(10) == 0
        assert service.stderr is not None
        log = service.stderr.read()
    assert "Traceback" not in log
    assert backstage.token not in log
    words = f"median {statistics.median(delays):.2f} s, most {max(delays):.2f} s"
    tell(f"from visible in Backstage to in Port, interval 1 s, {CHANGES} creates: {words}")
    assert stageport.sync().code == 0
    assert stageport.port.state.journal.crashes == []
