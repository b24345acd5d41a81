"""The Backstage module, packed and installed into a fresh real Backstage, on SQLite and on PostgreSQL.

`STAGEPORT_E2E_MODULE=full` makes the troubles last as long as in life: a receiver that is away for a minute.
"""

import time

import pytest
from tests.e2e.installing import FreshBackend
from tests.e2e.module_rig import FULL, Rig, component, group, until

AWAY = 60.0 if FULL else 4.0
MANY = 100


def names(number: int = MANY) -> list[str]:
    return [f"e2e-{place}" for place in range(number)]


def test_it_tells_of_creates_updates_and_deletes_and_leaves_nothing_when_removed(rig: Rig) -> None:
    # A backend that was there before, without the module's section: the module does nothing.
    backend = rig.backend(config="{}")
    backend.start()
    backend.apply([group("one"), group("two"), *(component(name, "one") for name in names())])
    backend.stop()
    before = rig.describe()

    rig.reconfigure(backend, rig.fresh.config(rig.receiver.url))
    backend.start()
    until(lambda: rig.receiver.overflows == 1, what="it asks for everything when it is installed")
    log = backend.log_since(0)
    assert "Changes of the catalog are told to Stageport at" in log
    assert "The table and the triggers that note changes of the catalog were made" in log
    assert rig.fresh.secret not in log

    backend.apply_delta(added=[component(f"new-{name}", "one") for name in names()])
    rig.receiver.told.clear()
    backend.apply_delta(added=[component(name, "two") for name in names()])
    until(lambda: len(rig.receiver.last()) >= MANY + 2, what=lambda: f"updates: {len(rig.receiver.last())}")
    # The groups did not change themselves: the other ends of their relations did.
    assert {"group:default/one", "group:default/two"} <= rig.receiver.last().keys()
    backend.apply_delta(removed=[f"component:default/new-{name}" for name in names()])
    until(
        lambda: sum(one.operation == "delete" for one in rig.receiver.last().values()) == MANY,
        what="every delete is told",
    )
    assert rig.receiver.overtaken() == []
    assert rig.receiver.overflows == 1

    # Removal, by the README.
    backend.stop()
    rig.reconfigure(backend, rig.fresh.removing_config(rig.receiver.url))
    backend.start()
    until(lambda: "Stageport's table and triggers were removed" in backend.log_since(0), what="it is removed")
    backend.stop()
    assert rig.describe() == before
    rig.reconfigure(backend, "{}")
    told = len(rig.receiver.told)
    backend.start()
    backend.apply_delta(removed=["component:default/e2e-1"])
    assert backend.entity("component:default/e2e-1") is None
    assert len(rig.receiver.told) == told


def test_nothing_is_lost_and_nothing_overtakes_whoever_is_away(rig: Rig) -> None:
    backend = rig.backend()
    backend.start()
    backend.apply([group("one"), group("two"), *(component(name, "one") for name in names(40))])
    rig.wait_until_told(backend)

    # The receiver is away, and things change: some twice, some go, one goes and comes back.
    rig.receiver.stop()
    gone_at = time.monotonic()
    backend.apply_delta(added=[component(name, "two") for name in names(20)])
    backend.delete("component:default/e2e-30", "component:default/e2e-31")
    backend.apply_delta(added=[component(name, "one", lifecycle="experimental") for name in names(10)])
    backend.apply_delta(added=[component("e2e-30", "two")])
    # Backstage restarts meanwhile, once in good order and once not.
    backend.restart()
    backend.apply_delta(added=[component(name, "two") for name in names(5)])
    backend.kill()
    backend.start()
    # Processing a change shows that it is up: a Backstage whose database goes while it starts processes nothing after.
    backend.apply_delta(added=[component("e2e-33", "two")])
    if rig.postgres is not None:
        rig.postgres.restart()
        until(lambda: backend.request("GET", "/api/catalog/entities/by-query?limit=0").status == 200, what="Backstage")
    backend.delete("component:default/e2e-32")
    time.sleep(max(0.0, AWAY - (time.monotonic() - gone_at)))
    rig.receiver.start()
    rig.wait_until_told(backend)
    assert "Changes of the catalog do not reach Stageport" in backend.log_since(0)

    # It answers, but with troubles.
    rig.receiver.status = 503
    backend.apply_delta(added=[component(name, "two", lifecycle="deprecated") for name in names(10)])
    rig.receiver.status = 202
    rig.wait_until_told(backend)
    if rig.postgres is not None:
        rig.postgres.restart()
        until(lambda: backend.request("GET", "/api/catalog/entities/by-query?limit=0").status == 200, what="Backstage")
        backend.apply_delta(added=[component(name, "one") for name in names(10)])
        rig.wait_until_told(backend)


def test_two_replicas_share_the_work_and_survive_each_other(postgres_rig: Rig) -> None:
    rig = postgres_rig
    one, other = rig.backend(), rig.backend()
    one.start()
    other.start()
    one.apply([group("one"), group("two"), *(component(name, "one") for name in names(40))])
    rig.wait_until_told(one)
    assert rig.receiver.overflows == 1

    # Each request takes a while, so that there is always one under way when the next change comes.
    rig.receiver.delay = 0.1
    for turn in range(6):
        owner = "two" if turn % 2 == 0 else "one"
        one.apply_delta(added=[component(name, owner, lifecycle=f"turn-{turn}") for name in names(20)], wait=False)
        time.sleep(0.3)
    one.wait_until_settled()
    rig.wait_until_told(one)

    # One of them dies with changes under way; the other one tells them.
    rig.receiver.delay = 0.5
    one.apply_delta(added=[component(name, "two", lifecycle="last") for name in names(20)])
    one.kill()
    rig.receiver.delay = 0.0
    rig.wait_until_told(other)
    one.start()
    one.delete("component:default/e2e-39")
    rig.wait_until_told(other)
    assert rig.receiver.overflows == 1


@pytest.mark.skipif(not FULL, reason="the whole way over the event bus is in test_real_time.py")
def test_on_the_event_bus_a_subscriber_with_a_token_finds_every_change(rig: Rig, fresh_with_bus: FreshBackend) -> None:
    rig.fresh = fresh_with_bus
    backend = rig.backend(config=fresh_with_bus.bus_config, settings={"events": {"useEventBus": "auto"}})
    backend.start()
    subscription = "/api/events/bus/v1/subscriptions/stageport-e2e"
    answer = backend.request("PUT", subscription, body={"topics": ["stageport.catalog.changed"]})
    assert answer.status == 201, answer

    backend.apply([group("one"), *(component(name, "one") for name in names(30))])
    backend.delete("component:default/e2e-3")
    last: dict[str, str] = {}

    def fetch() -> None:
        answer = backend.request("GET", f"{subscription}/events")
        assert answer.status in (200, 202), answer  # 202: nothing yet; its body has ended because something came
        for event in answer.json["events"] if answer.status == 200 else ():
            assert event["topic"] == "stageport.catalog.changed"
            last.update({one["entityRef"]: one["operation"] for one in event["payload"].get("changes", ())})

    wanted = {f"component:default/{name}": "upsert" for name in names(30)} | {"group:default/one": "upsert"}
    wanted["component:default/e2e-3"] = "delete"
    deadline = time.monotonic() + 60
    while not wanted.items() <= last.items():
        assert time.monotonic() < deadline, wanted.items() - last.items()
        fetch()
    restricted = backend.request("GET", f"{subscription}/events", token=backend.restricted_token)
    assert restricted.status == 403
