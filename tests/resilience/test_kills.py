"""Killed at random moments, again and again, a first sync comes to the same end, and hardly anything is sent twice.

The moments are spread evenly over the requests of an undisturbed sync, so that a busy machine does not move them.
"""

import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from tests.e2e.port import Stageport, in_thread, port_in_thread
from tests.expectation import differences, expected_catalog, expected_stubs
from tests.resilience.processes import kill, wait_for
from tests.resilience.sizes import KILLED_ENTITIES, KILLS, SEED, STOPS

from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, serve_backstage
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sandbox.port.options import PortOptions

OK, INTERRUPTED = 0, 130
SENT_TWICE = 0.02
STOP_SECONDS = 5.0
SYNC = ("sync", "--quiet", "--output", "json")
TOKEN = "a-static-token"


@dataclass(frozen=True)
class Scene:
    """A Backstage that stays, an empty Port, and a home for the ledger."""

    backstage: RunningBackstage
    stageport: Stageport
    folder: Path

    @property
    def requests(self) -> int:
        """How many requests both sides have seen."""
        return self.stageport.port.state.journal.routes.total() + len(self.backstage.requests)

    @property
    def sent(self) -> int:
        """How many entities were sent, as far as Port took them."""
        return self.stageport.port.state.journal.entity_writes

    @property
    def expected(self) -> dict[tuple[str, str], dict[str, object]]:
        return expected_catalog(one.decoded() for one in self.backstage.catalog)

    def wrong(self) -> list[str]:
        expected = self.expected
        stubs = expected_stubs(expected)
        held = self.stageport.held()
        lost = [f"missing stub {key}" for key in sorted(stubs - held.keys())]
        return lost + differences(expected, {key: one for key, one in held.items() if key not in stubs})

    def after(self, requests: int) -> Callable[[], bool]:
        """Return a moment: so many requests from now."""
        reached = self.requests + requests
        return lambda: self.requests >= reached

    def resync_state(self) -> str | None:
        records = self.stageport.port.state.integrations.all()
        return records[0].get("resyncState", {}).get("status") if records else None

    def acknowledged(self) -> set[tuple[str, str]]:
        """Read from the ledger what Port has taken, and check that the file is sound."""
        (place,) = self.folder.rglob("*.sqlite3")
        database = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
        try:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return set(database.execute("SELECT blueprint, identifier FROM targets WHERE acknowledged <> x''"))
        finally:
            database.close()


@pytest.fixture(scope="module")
def backstage() -> Iterator[RunningBackstage]:
    options = BackstageOptions(entities=KILLED_ENTITIES, token=TOKEN)
    with in_thread(lambda: serve_backstage(options)) as running:
        yield running


@pytest.fixture
def scenes(backstage: RunningBackstage, tmp_path: Path) -> Iterator[Iterator[Scene]]:
    """Scenes, each with a Port and a ledger of its own; the last one ends when the next begins."""

    def make() -> Iterator[Scene]:
        for number in count():
            folder = tmp_path / str(number)
            folder.mkdir()
            backstage.requests.clear()
            with port_in_thread(PortOptions()) as port:
                stageport = Stageport(backstage_url=backstage.url, token=TOKEN, port=port, folder=folder)
                yield Scene(backstage, stageport, folder)

    made = make()
    yield made
    made.close()


@pytest.fixture(scope="module")
def undisturbed(backstage: RunningBackstage, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many requests a first sync makes that nobody kills."""
    backstage.requests.clear()
    with port_in_thread(PortOptions()) as port:
        folder = tmp_path_factory.mktemp("undisturbed")
        scene = Scene(backstage, Stageport(backstage_url=backstage.url, token=TOKEN, port=port, folder=folder), folder)
        assert scene.stageport.sync().code == OK
        assert scene.wrong() == []
        assert scene.sent == len(scene.expected), "nothing is sent twice where nothing happens"
        return scene.requests


@pytest.mark.timeout(60 + KILLS * 30)
def test_a_first_sync_killed_again_and_again_comes_to_the_same_end(
    scenes: Iterator[Scene], undisturbed: int, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(SEED)
    killed, twice = 0, []
    while killed < KILLS:
        scene = next(scenes)
        while killed_once(scene, undisturbed, chance, kills=killed < KILLS):
            killed += 1
        assert scene.wrong() == []
        twice.append(scene.sent - len(scene.expected))
        assert twice[-1] < SENT_TWICE * KILLED_ENTITIES
        scene.stageport.writes()
        assert scene.stageport.sync().code == OK
        assert scene.stageport.writes() == {}, "a pass after the one that came through has nothing to write"
        print(f"{killed} kills, {len(twice)} first syncs, sent twice in the last: {twice[-1]}", flush=True)
    record_property("kills", killed)
    record_property("sent twice, in each first sync", twice)
    print(f"\n{killed} kills in {len(twice)} first syncs; sent twice: {twice}")


@pytest.mark.timeout(60 + STOPS * 60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_sync_in_good_order(scenes: Iterator[Scene], undisturbed: int, number: signal.Signals) -> None:
    chance = random.Random(SEED + number)
    waited = []
    for _ in range(STOPS):
        scene = next(scenes)
        moment = scene.after(chance.randint(0, undisturbed * 9 // 10))
        with scene.stageport.running(*SYNC) as process:
            # Before a pass is reported as running there is nothing to end.
            assert wait_for(lambda moment=moment, scene=scene: moment() and scene.resync_state() == "running", process)
            waited.append(stop(process, number, scene))
        ours = scene.stageport.held().keys()
        stubs = scene.stageport.port.state.journal.entities["stub"]
        acknowledged = scene.acknowledged()
        assert acknowledged <= ours
        assert len(acknowledged) == scene.sent, "what was in flight came to its end, and is remembered"
        assert len(ours) <= len(acknowledged) + stubs
        assert scene.stageport.sync().code == OK
        assert scene.wrong() == []
        assert scene.sent == len(scene.expected), "nothing is sent twice"
    print(f"\n{number.name}: ended after {', '.join(f'{seconds:.2f}' for seconds in waited)} s")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.LATENCY, path="/entities/bulk", delay_ms=9_000),
        Fault(kind=FaultKind.LATENCY, path="/", skip=40, delay_ms=9_000),
        Fault(kind=FaultKind.STATUS, status=503, path="/", skip=40),
        Fault(kind=FaultKind.STATUS, status=429, path="/", skip=40, retry_after=60),
    ],
    ids=["writes hang", "Port hangs", "Port is down", "Port asks to wait a minute"],
)
def test_a_signal_is_not_kept_waiting_by_a_port_that_does_not_answer(scenes: Iterator[Scene], fault: Fault) -> None:
    scene = next(scenes)
    faults = scene.stageport.port.faults
    faults.add(fault)
    with scene.stageport.running(*SYNC) as process:
        assert wait_for(lambda: faults.injected.total() >= 1, process)
        time.sleep(0.3)
        stop(process, signal.SIGTERM, scene, told=fault.path != "/")
    assert scene.acknowledged() <= scene.stageport.held().keys()
    faults.clear()
    assert scene.stageport.sync().code == OK
    assert scene.wrong() == []


def killed_once(scene: Scene, undisturbed: int, chance: random.Random, *, kills: bool) -> bool:
    """Run a sync and kill it at some moment; return whether it was, or came to its end before."""
    with scene.stageport.running(*SYNC) as process:
        if kills and wait_for(scene.after(chance.randint(0, undisturbed)), process):
            kill(process, chance)
            return True
        out, err = process.communicate()
        assert process.returncode == OK, out + err
    return False


def stop(process: "subprocess.Popen[str]", number: signal.Signals, scene: Scene, *, told: bool = True) -> float:
    """Send a signal once, and return how long the process then took to end."""
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    seconds = time.monotonic() - began
    assert process.returncode == INTERRUPTED, out + err
    assert "Traceback" not in err
    assert seconds < STOP_SECONDS
    # A pass that was over when the signal came has said so, and then nothing is left to be written.
    over = scene.resync_state() == "completed" and scene.wrong() == []
    assert not told or over or scene.resync_state() == "aborted"
    return seconds
