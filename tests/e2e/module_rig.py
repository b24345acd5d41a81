"""One database, one receiver, and fresh Backstages with the module that share them."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.events import EventReceiver, Told
from tests.e2e.harness import Entity, RealBackstage
from tests.e2e.installing import FreshBackend
from tests.e2e.postgres import PostgresServer

FULL = os.environ.get("STAGEPORT_E2E_MODULE") == "full"
"""Whether troubles last, and changes are as many, as in life."""

PATIENCE = 90.0

SOON = {"minutes": 0, "seconds": 20}
"""What Backstage had picked for processing when it was killed, or its database went, it processes after this only."""

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

    def backend(self, *, config: str | None = None, settings: dict[str, Any] | None = None) -> RealBackstage:
        """Return another backend on this database, not started.

        `config` is the YAML that is added to its configuration, by default the README's; `settings` are further ones.
        """
        home = self._home / f"backend-{len(self._backends)}"
        home.mkdir()
        further = home / "app-config.stageport.yaml"
        further.write_text(self.fresh.config(self.receiver.url) if config is None else config)
        backend = RealBackstage(
            home,
            backend=self.fresh.folder,
            config={
                "backend": {"database": self._database()},
                "catalog": {"processingInterval": SOON},
                **(settings or {}),
            },
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
        if self.database == "postgres-schema":  # one database for all plugins, with a schema for each
            connection = self.postgres.connection(database=f"{self.prefix}shared")
            return {"client": "pg", "pluginDivisionMode": "schema", "connection": connection}
        return {"client": "pg", "prefix": self.prefix, "connection": self.postgres.connection(database="postgres")}

    @property
    def prefix(self) -> str:
        return f"e2e_{self._home.name}_".replace("-", "_")[-40:].lower()

    def describe(self) -> Any:
        """Return what the catalog's database consists of."""
        knex: dict[str, Any] = {"client": "better-sqlite3", "useNullAsDefault": True}
        knex["connection"] = {"filename": str(self._home / "database" / "catalog.sqlite")}
        schema = "catalog" if self.database == "postgres-schema" else "public"
        if self.postgres is not None:
            database = self.prefix + ("shared" if self.database == "postgres-schema" else "catalog")
            knex = {"client": "pg", "connection": self.postgres.connection(database=database)}
        return json.loads(self.fresh.node(DESCRIBE.replace("'public'", f"'{schema}'"), json.dumps(knex)))

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
