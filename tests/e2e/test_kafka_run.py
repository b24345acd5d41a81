"""The KAFKA listener by real processes: one works, one stands by, and takes over when the first is killed."""

import json
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

from tests.e2e.harness import RealBackstage, first_of_each_ref
from tests.e2e.port import Stageport, port_in_thread
from tests.e2e.test_run import free_port, until
from tests.kafka_cluster import kafka_cluster

from stageport.sandbox.backstage.descriptors import sample_descriptors
from stageport.sandbox.port.options import PortOptions

TOPIC = "org_sandbox.change.log"
IDENTIFIER = "my-backstage-integration"
REQUEST = {"action": "RESYNC", "context": {"integrationId": IDENTIFIER}}


def status(number: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{number}/status", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def is_up(number: int) -> bool:
    try:
        status(number)
    except OSError:
        return False
    return True


def drained(process: "Popen[str]") -> Callable[[], str]:
    """Read a process's log while it runs, so that it never waits for a reader."""
    lines: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()

    def log() -> str:
        reader.join(10)
        return "".join(lines)

    return log


def test_an_instance_that_is_killed_is_replaced_by_the_one_that_stands_by(
    backstage: RealBackstage, tmp_path: Path
) -> None:
    backstage.apply(first_of_each_ref(sample_descriptors()))
    options = PortOptions(kafka_credentials={"username": "one", "password": "kafka-secret"})
    with kafka_cluster() as cluster, port_in_thread(options) as port:
        cluster.make_topic(TOPIC)
        stageport = Stageport(backstage_url=backstage.url, token=backstage.token, port=port, folder=tmp_path)
        numbers = [free_port(), free_port()]
        environments = [
            {
                "XDG_STATE_HOME": str(tmp_path / f"state-{place}"),
                "STAGEPORT_HTTP_PORT": str(number),
                "STAGEPORT_HTTP_HOST": "127.0.0.1",
                "STAGEPORT_DELTA_INTERVAL": "1",
                "OCEAN__EVENT_LISTENER": json.dumps(
                    {"type": "KAFKA", "brokers": cluster.servers, "kafkaSecurityEnabled": False}
                ),
            }
            for place, number in enumerate(numbers)
        ]
        with stageport.running("run", **environments[0]) as first:
            first_log = drained(first)
            until(lambda: is_up(numbers[0]) and status(numbers[0])["passes"] > 0, what="the first pass")
            with stageport.running("run", **environments[1]) as second:
                second_log = drained(second)
                until(lambda: is_up(numbers[1]), what="the second instance")
                until(
                    lambda: [status(one)["doing"] for one in numbers].count("standing by") == 1,
                    what="one that stands by",
                )
                idle = next(place for place, one in enumerate(numbers) if status(one)["doing"] == "standing by")
                passes = status(numbers[idle])["passes"]
                time.sleep(3)
                assert status(numbers[idle])["passes"] == passes, "one that stands by does nothing"
                works = [first, second][1 - idle]
                works.send_signal(signal.SIGKILL)
                works.wait(10)
                until(lambda: status(numbers[idle])["passes"] > passes, what="taking over")
                before = status(numbers[idle])["last"]
                assert before
                passes = status(numbers[idle])["passes"]
                cluster.send(TOPIC, REQUEST)
                until(lambda: status(numbers[idle])["passes"] > passes, what="a pass that was asked for")
                left = [first, second][idle]
                left.send_signal(signal.SIGTERM)
                assert left.wait(10) == 0
            logs = first_log() + second_log()
    assert "stands by" in logs
    assert "Traceback" not in logs
    assert "kafka-secret" not in logs
