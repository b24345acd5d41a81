"""The store of a stand-in that outlives its process: SQLite behind a :class:`MemoryStore`."""

import sqlite3
from pathlib import Path

import msgspec

from stageport.model.entities import Json
from stageport.model.errors import UsageError
from stageport.sandbox.port.records import EntityKey, StoredEntity
from stageport.sandbox.port.store import MemoryStore

_TABLES = """
BEGIN;
CREATE TABLE IF NOT EXISTS blueprints (identifier TEXT PRIMARY KEY, document BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS entities (
    blueprint TEXT NOT NULL, identifier TEXT NOT NULL, entity BLOB NOT NULL, PRIMARY KEY (blueprint, identifier)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, identifier TEXT NOT NULL, document BLOB NOT NULL, PRIMARY KEY (kind, identifier)
) WITHOUT ROWID;
COMMIT;
"""
_OURS = frozenset({"blueprints", "entities", "records"})


class SqliteStore(MemoryStore):
    """A store that writes each change through to a file; what a request wrote is committed at its end.

    Raises:
        UsageError: the file cannot be used, or holds something else; it is left as it is.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._encode = msgspec.msgpack.Encoder().encode
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from None
        try:
            self._open()
        except (sqlite3.Error, msgspec.MsgspecError, TypeError) as error:
            self._connection.close()
            raise _unusable(path, error) from None

    def _open(self) -> None:
        # Looked at before anything is written: it may be another program's.
        tables = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables not in (set(), _OURS):
            raise sqlite3.DatabaseError("it is another program's database")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_TABLES)
        self._load()

    def _load(self) -> None:
        decode_entity = msgspec.msgpack.Decoder(StoredEntity).decode
        decode = msgspec.msgpack.decode
        for (document,) in self._connection.execute("SELECT document FROM blueprints ORDER BY rowid"):
            super().put_blueprint(decode(document))
        for (entity,) in self._connection.execute("SELECT entity FROM entities"):
            super().put_entity(decode_entity(entity))
        for kind, identifier, document in self._connection.execute("SELECT kind, identifier, document FROM records"):
            super().put_record(kind, identifier, decode(document))

    def put_blueprint(self, document: Json) -> None:
        """Create or replace a blueprint; replacing keeps its place."""
        super().put_blueprint(document)
        self._connection.execute(
            "INSERT INTO blueprints VALUES (?, ?) ON CONFLICT (identifier) DO UPDATE SET document = excluded.document",
            (document["identifier"], self._encode(document)),
        )

    def drop_blueprint(self, identifier: str) -> None:
        """Delete a blueprint and its entities."""
        super().drop_blueprint(identifier)
        self._connection.execute("DELETE FROM blueprints WHERE identifier = ?", (identifier,))

    def put_entity(self, entity: StoredEntity) -> None:
        """Create or replace an entity."""
        super().put_entity(entity)
        self._connection.execute(
            "INSERT OR REPLACE INTO entities VALUES (?, ?, ?)", (*entity.key, self._encode(entity))
        )

    def drop_entity(self, key: EntityKey) -> None:
        """Delete an entity, if it is there."""
        super().drop_entity(key)
        self._connection.execute("DELETE FROM entities WHERE blueprint = ? AND identifier = ?", key)

    def put_record(self, kind: str, identifier: str, document: Json) -> None:
        """Create or replace a record."""
        super().put_record(kind, identifier, document)
        self._connection.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, identifier, self._encode(document))
        )

    def drop_record(self, kind: str, identifier: str) -> None:
        """Delete a record, if it is there."""
        super().drop_record(kind, identifier)
        self._connection.execute("DELETE FROM records WHERE kind = ? AND identifier = ?", (kind, identifier))

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        for table in ("blueprints", "entities", "records"):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - the names stand in the line above

    def commit(self) -> None:
        """Make what was written since the last commit durable."""
        self._connection.commit()

    def close(self) -> None:
        """Commit and close the file."""
        self._connection.commit()
        self._connection.close()


def _unusable(path: Path, error: Exception) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return UsageError(
        f"The state cannot be kept in {path}: {reason}",
        hint="Name a file that a stand-in wrote before, or one that does not exist yet.",
    )
