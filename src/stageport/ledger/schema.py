"""The tables, and how a file of an earlier version becomes one of this version.

Names and hashes only: no content of an entity, no secret. ``WITHOUT ROWID`` keeps a row in its key's own tree, 40 %
smaller than a table and its index beside each other. A file's version is its ``user_version``: how many of the
migrations it has been through.
"""

from collections.abc import Sequence

from stageport.ledger.database import Database
from stageport.ledger.faults import ForeignDatabaseError, UnusableLedgerError

APPLICATION = 0x53545047
"""``STPG``, SQLite's ``application_id``: tells a ledger from another program's database."""

_FIRST = """
CREATE TABLE ledger (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    identity TEXT NOT NULL,
    engine TEXT NOT NULL,
    mapping BLOB NOT NULL,
    number INTEGER NOT NULL
);
INSERT INTO ledger VALUES (1, '', '', x'', 0);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sources (
    ref TEXT PRIMARY KEY,
    uid TEXT NOT NULL,
    etag TEXT NOT NULL,
    digest BLOB NOT NULL,
    failed INTEGER NOT NULL,
    seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE wants (
    ref TEXT NOT NULL,
    place INTEGER NOT NULL,
    blueprint TEXT NOT NULL,
    identifier TEXT NOT NULL,
    rank BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    related BLOB NOT NULL CHECK (length(related) % 8 = 0),
    PRIMARY KEY (ref, place)
) WITHOUT ROWID;
CREATE INDEX wants_by_key ON wants (blueprint, identifier);
CREATE TABLE targets (
    blueprint TEXT NOT NULL,
    identifier TEXT NOT NULL,
    acknowledged BLOB NOT NULL,
    stored BLOB NOT NULL,
    PRIMARY KEY (blueprint, identifier)
) WITHOUT ROWID;
CREATE TABLE owned (
    blueprint TEXT NOT NULL,
    identifier TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (blueprint, identifier)
) WITHOUT ROWID;
"""

_RUNS = """
CREATE TABLE runs (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, content BLOB NOT NULL);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _RUNS)
"""The n-th makes version n out of version n - 1. What has been released is never edited, only added to."""


def migrate(database: Database, *, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring a database to the present version, each step in one transaction.

    Raises:
        ForeignDatabaseError: it is not a ledger, and not empty.
        UnusableLedgerError: a later version wrote it.
    """
    version = _version(database)
    if version > len(migrations):
        raise UnusableLedgerError(f"a later version wrote it (schema {version}, known is {len(migrations)})")
    database.use_log()
    for reached, script in enumerate(migrations[version:], start=version + 1):
        with database.together():
            for statement in filter(str.strip, script.split(";")):
                database.run(statement)
            database.run(f"PRAGMA application_id = {APPLICATION}")
            database.run(f"PRAGMA user_version = {reached}")


def _version(database: Database) -> int:
    application, version, tables = (
        database.value(question)
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if application != APPLICATION and (application or tables):
        raise ForeignDatabaseError("it is the database of another program")
    return int(version)
