"""The whole way of a change: a real Backstage with the module, `stageport run`, and the Port stand-in."""

import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest
from tests.e2e.agreement import disagreement
from tests.e2e.harness import Entity, RealBackstage, first_of_each_ref, free_port, ref_of
from tests.e2e.installing import FreshBackend
from tests.e2e.module_rig import FULL, Rig, component, group, until
from tests.e2e.port import Stageport, port_in_thread

from stageport.sandbox.backstage.descriptors import sample_descriptors
from stageport.sandbox.port.options import PortOptions

CHANGES = 100 if FULL else 12
AWAY = 60.0 if FULL else 3.0
LOOK = 0.01
"""Seconds between two looks at Backstage and at Port, and so how exact the times are."""


def titled(name: str, title: str) -> Entity:
    entity = component(name, "one")
    entity["metadata"]["title"] = title
    return entity


@dataclass
class Change:
    """One change under way: `title` is what shows it, None that the entity is gone."""

    ref: str
    title: str | None
    made: float
    visible: float | None = None
    in_port: float | None = None


@dataclass
class Watch:
    """Notes, from a thread of its own, when changes become visible in Backstage and when they are in Port."""

    backstage: RealBackstage
    stageport: Stageport
    changes: list[Change] = field(default_factory=list)

    def made(self, ref: str, title: str | None) -> None:
        self.changes.append(Change(ref, title, time.monotonic()))

    def done(self) -> bool:
        return all(one.visible is not None and one.in_port is not None for one in self.changes)

    @contextmanager
    def running(self) -> Iterator[None]:
        ended = threading.Event()
        looks = [threading.Thread(target=self._repeat, args=(look, ended)) for look in (self._look, self._look_at_port)]
        for thread in looks:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in looks:
                thread.join()

    def in_words(self) -> str:
        seen = [(one.made, one.visible or 0.0, one.in_port or 0.0) for one in self.changes]
        shown = quantiles("from visible in Backstage to in Port", [port - visible for _, visible, port in seen])
        made = quantiles("from the provider's mutation", [port - made for made, _, port in seen])
        return f"{shown}; {made}"

    def _repeat(self, look: Callable[[], None], ended: threading.Event) -> None:
        while not ended.wait(LOOK):
            look()

    def _look(self) -> None:
        waiting = [one for one in self.changes if one.visible is None]
        if not waiting:
            return
        began = time.monotonic()
        body = {"entityRefs": [one.ref for one in waiting], "fields": ["metadata.title"]}
        items = self.backstage.request("POST", "/api/catalog/entities/by-refs", body=body).json["items"]
        for one, item in zip(waiting, items, strict=True):
            if (item and item.get("metadata", {}).get("title")) == one.title:
                one.visible = began

    def _look_at_port(self) -> None:
        for one in [one for one in self.changes if one.in_port is None]:
            held = self.stageport.port.state.entity("component", one.ref)
            if (held and held.title) == one.title:
                one.in_port = time.monotonic()


def quantiles(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{name}: median {statistics.median(ordered) * 1000:.0f} ms, 95 % under {high * 1000:.0f} ms"


@dataclass(frozen=True)
class Way:
    """A filled Backstage that tells a Stageport, which is started with `settings`, and the Port behind it."""

    backstage: RealBackstage
    stageport: Stageport
    settings: dict[str, str]

    def running(self) -> AbstractContextManager["subprocess.Popen[str]"]:
        return self.stageport.running("run", **self.settings)

    def wait_until_equal(self, what: str) -> None:
        until(lambda: not disagreement(self.backstage, self.stageport), what=f"{what}: no equal catalogs")


@contextmanager
def whole_way(rig: Rig, backstage: RealBackstage, number: int, **settings: str) -> Iterator[Way]:
    """Start a Backstage, fill it, and serve a Port; `number` is the port on which Stageport will listen."""
    backstage.start()
    backstage.apply([group("one"), group("two"), *first_of_each_ref(sample_descriptors())])
    settings |= {
        "STAGEPORT_HTTP_PORT": str(number),
        "STAGEPORT_HTTP_HOST": "127.0.0.1",
        "OCEAN__EVENT_LISTENER": '{"type": "POLLING", "interval": 60}',
        "STAGEPORT_LEDGER": str(backstage.home / "ledger.db"),
    }
    with port_in_thread(PortOptions()) as port:
        stageport = Stageport(backstage_url=backstage.url, token=backstage.token, port=port, folder=backstage.home)
        yield Way(backstage, stageport, settings)
    assert port.state.journal.crashes == []


@contextmanager
def by_webhook(rig: Rig) -> Iterator[Way]:
    number = free_port()
    backstage = rig.backend(config=rig.fresh.config(f"http://127.0.0.1:{number}"))
    with whole_way(rig, backstage, number, STAGEPORT_LIVE_EVENTS_SECRET=rig.fresh.secret) as way:
        yield way


@contextmanager
def by_event_bus(rig: Rig, fresh: FreshBackend) -> Iterator[Way]:
    rig.fresh = fresh
    backstage = rig.backend(config=fresh.bus_config, settings={"events": {"useEventBus": "auto"}})
    with whole_way(rig, backstage, free_port(), STAGEPORT_LIVE_EVENTS_BUS="true") as way:
        yield way


def timed_changes(way: Way, name: str, number: int) -> list[str]:
    """Make so many creates, updates and deletes, one each tenth of a second; return how long they took, in words."""
    watch = Watch(way.backstage, way.stageport)
    lines = []
    with watch.running():
        for verb, title in (("creates", "New"), ("updates", "Newer"), ("deletes", None)):
            watch.changes = []
            for place in range(number):
                entity = titled(f"live-{place}", title or "Gone")
                watch.made(ref_of(entity), title)
                if title:
                    way.backstage.apply_delta(added=[entity], wait=False)
                else:
                    way.backstage.apply_delta(removed=[ref_of(entity)], wait=False)
                time.sleep(0.1)
            until(watch.done, what=lambda: f"{[one for one in watch.changes if one.in_port is None]}")
            lines.append(f"{number} {verb}, {name}: {watch.in_words()}")
    return lines


def follow(way: Way, name: str, number: int) -> list[str]:
    """Have a running Stageport follow changes; return how long they took, in words."""
    with way.running() as service:
        way.wait_until_equal("the first pass")
        way.backstage.apply_delta(added=[titled("first", "First")])
        until(lambda: ("component", "component:default/first") in way.stageport.held(), what="the first event")
        lines = timed_changes(way, name, number)
        way.wait_until_equal("at the end")
        service.send_signal(signal.SIGTERM)
        assert service.wait(10) == 0
    return lines


def test_port_knows_a_moment_after_backstage_shows(rig: Rig, tell: Callable[[str], None]) -> None:
    with by_webhook(rig) as way:
        lines = follow(way, rig.database, CHANGES)
    tell("\n".join(lines))


@pytest.mark.parametrize("rig", ["sqlite", "postgres"] if FULL else ["postgres"], indirect=True)
def test_port_knows_by_the_event_bus_too(rig: Rig, fresh_with_bus: FreshBackend, tell: Callable[[str], None]) -> None:
    with by_event_bus(rig, fresh_with_bus) as way:
        lines = follow(way, f"{rig.database}, event bus", CHANGES)
    tell("\n".join(lines))


@pytest.mark.parametrize("rig", ["sqlite", "postgres"] if FULL else ["postgres"], indirect=True)
def test_a_service_that_was_away_catches_up(rig: Rig) -> None:
    with by_webhook(rig) as way:
        with way.running():
            way.wait_until_equal("the first pass")
            way.backstage.apply_delta(added=[titled(f"c{place}", "One") for place in range(10)])
            way.wait_until_equal("changes")
        # Killed, with no word to anybody; things change meanwhile.
        gone_at = time.monotonic()
        way.backstage.apply_delta(added=[titled(f"c{place}", "Two") for place in range(5)])
        way.backstage.delete("component:default/c9")
        way.backstage.apply_delta(added=[component("c8", "two")])
        way.backstage.restart()
        time.sleep(max(0.0, AWAY - (time.monotonic() - gone_at)))
        with way.running() as service:
            way.wait_until_equal("after the absence")
            way.backstage.apply_delta(added=[titled("c7", "Three")])
            way.wait_until_equal("the next change")
            service.send_signal(signal.SIGTERM)
            assert service.wait(10) == 0
