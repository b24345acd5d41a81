"""The Backstage module, packed and installed into a fresh real Backstage, on SQLite and on PostgreSQL.

`STAGEPORT_E2E_MODULE=full` makes the troubles last as long as in life: a receiver that is away for a minute.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.events import EventReceiver, Told
from tests.e2e.harness import Entity, RealBackstage
from tests.e2e.installing import PACKAGE, FreshBackend
from tests.e2e.postgres import PostgresServer

FULL = os.environ.get("STAGEPORT_E2E_MODULE") == "full"
AWAY = 60.0 if FULL else 4.0
MANY = 100
PATIENCE = 90.0

DESCRIBE = """
const knex = require('knex')(JSON.parse(process.argv[1]));
const lists = knex.client.config.client === 'pg'
  ? ["SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns" +
     " WHERE table_schema = 'public' ORDER BY 1, 2",
     "SELECT tgrelid::regclass::text AS t, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
     "SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public'",
     "SELECT relname, relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace" +
     " WHERE n.nspname = 'public' ORDER BY 1"]
  : ["SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2",
     "SELECT name FROM sqlite_sequence ORDER BY 1"];
(async () => {
  const found = [];
  for (const sql of lists) {
    const answer = await knex.raw(sql);
    found.push(answer.rows ?? answer);
  }
  console.log(JSON.stringify(found));
  await knex.destroy();
})();
"""


def until(true: Callable[[], bool], *, what: Callable[[], str] | str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.05)


def entity(kind: str, name: str, **spec: Any) -> Entity:
    return {"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def component(name: str, owner: str, lifecycle: str = "production") -> Entity:
    return entity("Component", name, type="service", lifecycle=lifecycle, owner=owner)


def group(name: str) -> Entity:
    return entity("Group", name, type="team", children=[])


class Rig:
    """One database, one receiver, and the backends that share them."""

    def __init__(self, database: str, fresh: FreshBackend, postgres: PostgresServer | None, home: Path) -> None:
        self.database = database
        self.fresh = fresh
        self.postgres = postgres
        self.receiver = EventReceiver(fresh.secret)
        self.receiver.start()
        self._home = home
        self._backends: list[RealBackstage] = []

    def backend(self, *, config: str | None = None) -> RealBackstage:
        """Return another backend on this database, not started; `config` is what is added to its configuration."""
        home = self._home / f"backend-{len(self._backends)}"
        home.mkdir()
        further = home / "app-config.stageport.yaml"
        further.write_text(self.fresh.config(self.receiver.url) if config is None else config)
        backend = RealBackstage(
            home,
            backend=self.fresh.folder,
            config={"backend": {"database": self._database()}},
            config_files=[further],
            environment={"STAGEPORT_WEBHOOK_SECRET": self.fresh.secret},
        )
        self._backends.append(backend)
        return backend

    def reconfigure(self, backend: RealBackstage, config: str) -> None:
        backend.config_files[0].write_text(config)

    def _database(self) -> dict[str, Any]:
        if self.postgres is None:
            return {"connection": {"directory": str(self._home / "database")}}
        return {"client": "pg", "prefix": self.prefix, "connection": self.postgres.connection(database="postgres")}

    @property
    def prefix(self) -> str:
        return f"e2e_{self._home.name}_".replace("-", "_")[-40:].lower()

    def describe(self) -> Any:
        """Return what the catalog's database consists of."""
        knex: dict[str, Any] = {"client": "better-sqlite3", "useNullAsDefault": True}
        knex["connection"] = {"filename": str(self._home / "database" / "catalog.sqlite")}
        if self.postgres is not None:
            knex = {"client": "pg", "connection": self.postgres.connection(database=f"{self.prefix}catalog")}
        return json.loads(self.fresh.node(DESCRIBE, json.dumps(knex)))

    def agrees(self, backend: RealBackstage) -> list[str]:
        """Return what the receiver does not know as Backstage shows it: nothing when nothing was lost."""
        last = self.receiver.last()
        shown = {ref_of(one): one["metadata"] for one in backend.entities()}
        wrong = [
            f"{ref} is shown but was told as {last.get(ref)}" for ref in shown if not fits(last.get(ref), shown[ref])
        ]
        gone = [ref for ref, told in last.items() if told.operation == "upsert" and ref not in shown]
        return wrong + [f"{ref} is gone but was told as {last[ref]}" for ref in gone]

    def wait_until_told(self, backend: RealBackstage) -> None:
        until(
            lambda: not self.agrees(backend),
            what=lambda: f"{self.agrees(backend)[:5]}\n{backend.log_since(0)[-3000:]}",
        )
        assert self.receiver.overtaken() == []
        assert self.receiver.forged == []

    def stop(self) -> None:
        for backend in self._backends:
            backend.stop()
        self.receiver.stop()


def ref_of(shown: Entity) -> str:
    metadata = shown["metadata"]
    return f"{shown['kind']}:{metadata['namespace']}/{metadata['name']}".lower()


def fits(told: Told | None, metadata: dict[str, Any]) -> bool:
    return told is not None and (told.operation, told.uid, told.etag) == ("upsert", metadata["uid"], metadata["etag"])


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> FreshBackend:
    if not PACKAGE.exists():
        pytest.skip("the module is not packed: `make build/module.tgz`")
    backend = FreshBackend(tmp_path_factory.mktemp("fresh") / "backend")
    backend.install()
    return backend


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def rig(request: pytest.FixtureRequest, fresh: FreshBackend, tmp_path: Path) -> Iterator[Rig]:
    postgres = request.getfixturevalue("postgres") if request.param == "postgres" else None
    rig = Rig(request.param, fresh, postgres, tmp_path)
    try:
        yield rig
    finally:
        rig.stop()


@pytest.fixture
def postgres_rig(fresh: FreshBackend, postgres: PostgresServer, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig("postgres", fresh, postgres, tmp_path)
    try:
        yield rig
    finally:
        rig.stop()


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
