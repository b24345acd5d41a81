"""The ledger: ``sync.seams.Ledger`` on SQLite, on a file or in memory.

Lookups ask for some hundreds of names at once; walks fetch a thousand rows, and go on after the last of them, so that
the caller may write in between and memory stays flat.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from operator import attrgetter
from typing import Any

from stageport.ledger.database import Database
from stageport.ledger.hints import HintTable
from stageport.ledger.marks import Marks
from stageport.ledger.rows import asked_at_once, hashed_keys, packed_rank, source_record, target_record, want_record
from stageport.ledger.runs import RunTable
from stageport.ledger.schema import migrate
from stageport.model.ledger import UNKNOWN, Fingerprint, SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey, by_blueprint

_WALKED = 1000
"""Rows fetched at once by a walk."""

_SOURCE = "SELECT ref, uid, etag, digest, failed FROM sources"
_WANT = "SELECT ref, blueprint, identifier, rank, fingerprint, related FROM wants"
_TARGET = "SELECT blueprint, identifier, acknowledged, stored FROM targets"
_PUT_SOURCE = """
INSERT INTO sources (ref, uid, etag, digest, failed, seen) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (ref) DO UPDATE SET
    uid = excluded.uid, etag = excluded.etag, digest = excluded.digest, failed = excluded.failed, seen = excluded.seen
"""
_PUT_WANT = """
INSERT INTO wants (ref, place, blueprint, identifier, rank, fingerprint, related) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_PUT_TARGET = """
INSERT INTO targets (blueprint, identifier, acknowledged, stored) VALUES (?, ?, ?, ?)
ON CONFLICT (blueprint, identifier) DO UPDATE SET acknowledged = excluded.acknowledged, stored = excluded.stored
"""
_PUT_STORED = "UPDATE targets SET stored = ? WHERE blueprint = ? AND identifier = ?"
_PUT_DOUBT = """
INSERT OR IGNORE INTO targets (blueprint, identifier, acknowledged, stored)
SELECT blueprint, identifier, x'', x'' FROM sources JOIN wants USING (ref) WHERE ref IN (?*) AND digest = x''
"""
_PUT_OWNED = """
INSERT INTO owned (blueprint, identifier, number) VALUES (?, ?, ?)
ON CONFLICT (blueprint, identifier) DO UPDATE SET number = excluded.number
"""
_WANTED = "EXISTS (SELECT 1 FROM wants WHERE blueprint = known.blueprint AND identifier = known.identifier)"
_LISTED = """
EXISTS (SELECT 1 FROM owned WHERE blueprint = known.blueprint AND identifier = known.identifier AND number = ?)
"""
_KEYS_OF = """
SELECT blueprint, identifier FROM {table} AS known WHERE (blueprint, identifier) > (?, ?) AND {condition}
ORDER BY blueprint, identifier LIMIT ?
"""


class SqliteLedger:
    """What is remembered between passes; see ``sync.seams.Ledger`` for what each call means."""

    def __init__(
        self,
        database: Database,
        *,
        release: Callable[[], None] = lambda: None,
        open_hints: Callable[[], HintTable] = HintTable.in_memory,
    ) -> None:
        self._database = database
        self._release = release
        self._listing = 0
        self._touched = _Touched()
        self._news: _News | None = None
        self._runs = RunTable(database)
        self._open_hints = open_hints
        self._hints: HintTable | None = None

    @classmethod
    def in_memory(cls) -> "SqliteLedger":
        """Return an empty ledger that is gone once closed."""
        database = Database(None)
        migrate(database)
        return cls(database, release=database.close)

    @property
    def runs(self) -> RunTable:
        """The history of passes."""
        return self._runs

    @property
    def hints(self) -> HintTable:
        """The queue of hints, opened when it is first asked for."""
        if self._hints is None:
            self._hints = self._open_hints()
        return self._hints

    def size_bytes(self) -> int:
        """Return how many bytes the ledger takes, once its write-ahead log is folded in."""
        return self._database.size()

    def together(self) -> AbstractContextManager[None]:
        """Make one transaction of all calls inside, or none; never wait for anything inside."""
        return self._database.together()

    def gathered(self) -> AbstractContextManager[None]:
        """Note what is told inside for good when told to ``keep`` it, and at the end."""
        return self._database.gathered()

    def keep(self) -> None:
        """Note for good what has been gathered so far."""
        self._database.keep()

    def begin_pass(self, *, mapping: Fingerprint) -> int:
        """Open a pass and return its number."""
        self._news = _News() if self.is_empty else None
        with self.together():
            if self._database.value("SELECT mapping FROM ledger") != mapping:
                self._database.run("UPDATE sources SET digest = x'' WHERE digest <> x''")
            self._database.run("UPDATE ledger SET mapping = ?, number = number + 1", (mapping,))
            return int(self._database.value("SELECT number FROM ledger"))

    @property
    def is_empty(self) -> bool:
        """True when neither a source entity nor a target entity is known."""
        return not self._database.value("SELECT EXISTS (SELECT 1 FROM sources) OR EXISTS (SELECT 1 FROM targets)")

    def read_fact(self, name: str) -> str:
        """Return a remembered fact, an empty string when there is none."""
        return self._database.value("SELECT value FROM facts WHERE name = ?", (name,)) or ""

    def write_fact(self, name: str, value: str) -> None:
        """Remember a fact."""
        with self.together():
            self._database.run("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))

    def sources(self, refs: Sequence[SourceRef]) -> Mapping[SourceRef, SourceRecord]:
        """Look source entities up."""
        asked = self._heard_of(refs)
        return {row[0]: source_record(row) for row in self._named(f"{_SOURCE} WHERE ref IN (?*)", asked)}

    def kind_refs(self, kind: str) -> Iterator[SourceRef]:
        """Yield the ref of every known source entity of a kind, in order."""
        lowered = kind.lower()
        # ";" follows ":": everything in between begins with the kind and its colon.
        statement = "SELECT ref FROM sources WHERE ref > ? AND ref < ? ORDER BY ref LIMIT ?"
        for (ref,) in self._walk(statement, (f"{lowered};",), start=(f"{lowered}:",)):
            yield ref

    def touch(self, refs: Sequence[SourceRef], *, number: int) -> None:
        """Note that these were seen in a pass."""
        self._touched.add(refs, number=number)

    def unseen(self, *, number: int) -> Iterator[SourceRef]:
        """Yield the known source entities that the pass has not touched or recorded."""
        if self._database.value("SELECT count(*) FROM sources WHERE seen < ?", (number,)) == 0:
            return
        statement = "SELECT ref FROM sources WHERE ref > ? AND seen < ? ORDER BY ref LIMIT ?"
        touched = self._touched.hashes(number=number)
        for (ref,) in self._walk(statement, (number,), start=("",)):
            if hash(ref) not in touched:
                yield ref

    def open_sources(self, entries: Sequence[tuple[SourceRecord, Sequence[WantRecord]]], *, number: int) -> None:
        """Replace what source entities want, before any of it is written."""
        latest = {record.ref: (record, wants) for record, wants in entries}
        with self.together():
            self._drop_wants(self._heard_of(list(latest)))
            if self._news:
                self._news.note(latest.values())
            self._database.run_each(
                _PUT_SOURCE, ((*record._replace(digest=UNKNOWN), number) for record, _ in latest.values())
            )
            self._database.run_each(_PUT_WANT, _want_rows(latest.values()))

    def settle_sources(self, records: Sequence[SourceRecord], *, number: int) -> None:
        """Note that all these source entities want has been acknowledged."""
        if self._news:
            self._news.sources.note(record.ref for record in records)
        self._database.run_each(_PUT_SOURCE, ((*record, number) for record in records))

    def unsettle_sources(self, refs: Sequence[SourceRef]) -> None:
        """Forget that these were settled: the next pass that sees them maps them again."""
        with self.together():
            self._run_named("UPDATE sources SET digest = x'' WHERE ref IN (?*)", refs)

    def failed_sources(self) -> Iterator[SourceRef]:
        """Yield the source entities whose mapping failed, or of which Port refused something."""
        for (ref,) in self._walk(
            "SELECT ref FROM sources WHERE ref > ? AND failed ORDER BY ref LIMIT ?", (), start=("",)
        ):
            yield ref

    def drop_sources(self, refs: Sequence[SourceRef]) -> None:
        """Forget source entities and what they wanted; the target entities stay known."""
        with self.together():
            self._drop_wants(refs)
            self._run_named("DELETE FROM sources WHERE ref IN (?*)", refs)

    def wants_of(self, refs: Sequence[SourceRef]) -> Mapping[SourceRef, Sequence[WantRecord]]:
        """Return what source entities want, by ref, in order of rank; those that want nothing are not in it."""
        rows = self._named(f"{_WANT} WHERE ref IN (?*) ORDER BY ref, place", self._heard_of(refs))
        return {ref: [*wants] for ref, wants in groupby(map(want_record, rows), key=attrgetter("ref"))}

    def wanters_of(
        self, keys: Sequence[TargetKey], *, mine: Sequence[WantRecord] = ()
    ) -> Mapping[TargetKey, Sequence[WantRecord]]:
        """Return who wants target entities, in order of rank, then of ref; unwanted ones are not in it."""
        found: dict[TargetKey, list[WantRecord]] = {}
        if self._news:
            alone = {want.key: want for want in mine if want.key not in self._news.shared}
            found = {key: [alone[key]] for key in keys if key in alone}
            keys = [key for key in keys if key not in alone]
        order = "ORDER BY identifier, rank, ref, place"
        for want in map(want_record, self._keyed(f"{_WANT} WHERE blueprint = ? AND identifier IN (?*) {order}", keys)):
            found.setdefault(want.key, []).append(want)
        return found

    def related_among(self, keys: Sequence[TargetKey], *, without: Sequence[SourceRef] = ()) -> set[TargetKey]:
        """Return those keys that some want relates to, wants of the source entities ``without`` left aside."""
        hashed = hashed_keys(keys)
        aside = set(without)
        found: set[int] = set()
        for rows in self._database.pages("SELECT ref, related FROM wants WHERE related <> x''", size=_WALKED):
            blobs = b"".join(blob for ref, blob in rows if ref not in aside)
            found.update(hashed.keys() & memoryview(blobs).cast("Q"))
        return {hashed[number] for number in found}

    def relating_to(self, keys: Sequence[TargetKey]) -> Sequence[tuple[SourceRef, TargetKey]]:
        """Return who wants a target entity that relates to one of these, and which."""
        hashed = hashed_keys(keys).keys()
        statement = "SELECT ref, blueprint, identifier, related FROM wants WHERE related <> x''"
        return [
            (ref, TargetKey(blueprint, identifier))
            for rows in self._database.pages(statement, size=_WALKED)
            for ref, blueprint, identifier, related in rows
            if not hashed.isdisjoint(memoryview(related).cast("Q"))
        ]

    def targets(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, TargetRecord]:
        """Look target entities up."""
        asked = self._news.targets.maybe(keys) if self._news else keys
        rows = self._keyed(f"{_TARGET} WHERE blueprint = ? AND identifier IN (?*)", asked)
        return {record.key: record for record in map(target_record, rows)}

    def acknowledge(self, records: Sequence[TargetRecord]) -> None:
        """Note what Port took, or was seen to hold."""
        if self._news:
            self._news.targets.note(record.key for record in records)
        self._database.run_each(_PUT_TARGET, ((*key, acknowledged, stored) for key, acknowledged, stored in records))

    def note_stored(self, stored: Mapping[TargetKey, Fingerprint]) -> None:
        """Note what Port was seen to hold of target entities; those that are not known stay so."""
        self._database.run_each(_PUT_STORED, ((fingerprint, *key) for key, fingerprint in stored.items()))

    def drop_targets(self, keys: Sequence[TargetKey]) -> None:
        """Forget target entities: they are gone from Port."""
        self._database.run_each("DELETE FROM targets WHERE blueprint = ? AND identifier = ?", keys)

    def count_wanted(self) -> int:
        """Count the target entities that somebody wants."""
        return int(self._database.value("SELECT count(*) FROM (SELECT DISTINCT blueprint, identifier FROM wants)"))

    def count_targets(self) -> int:
        """Count the target entities known to be at Port."""
        return int(self._database.value("SELECT count(*) FROM targets"))

    def note_owned(self, keys: Sequence[TargetKey], *, number: int) -> None:
        """Note that Port lists these as ours in this pass. Listings of earlier passes are forgotten."""
        with self.together():
            if number != self._listing:
                self._database.run("DELETE FROM owned WHERE number <> ?", (number,))
            self._database.run_each(_PUT_OWNED, ((*key, number) for key in keys))
        self._listing = number

    def count_owned(self, *, number: int) -> int:
        """Count what Port listed as ours in this pass."""
        return int(self._database.value("SELECT count(*) FROM owned WHERE number = ?", (number,)))

    def owned_among(self, keys: Sequence[TargetKey], *, number: int) -> set[TargetKey]:
        """Return those keys that Port listed as ours in this pass."""
        statement = "SELECT blueprint, identifier, number FROM owned WHERE blueprint = ? AND identifier IN (?*)"
        return {TargetKey(row[0], row[1]) for row in self._keyed(statement, keys) if row[2] == number}

    def unowned(self, *, number: int) -> Iterator[TargetKey]:
        """Yield target entities that were acknowledged and are wanted, but that Port did not list in this pass."""
        return self._keys_of("targets", f"acknowledged <> x'' AND {_WANTED} AND NOT {_LISTED}", (number,))

    def unwanted_owned(self, *, number: int) -> Iterator[TargetKey]:
        """Yield what Port listed as ours in this pass and nobody wants."""
        return self._keys_of("owned", f"number = ? AND NOT {_WANTED}", (number,))

    def unwanted_targets(self) -> Iterator[TargetKey]:
        """Yield known target entities that nobody wants."""
        return self._keys_of("targets", f"NOT {_WANTED}")

    def scratch(self) -> "SqliteLedger":
        """Return a copy that may be changed without changing this one; close it when done."""
        copy = self._database.copy()
        scratch = SqliteLedger(copy, release=copy.close)
        scratch._touched = self._touched.copy()
        return scratch

    def close(self) -> None:
        """Close the ledger and let go of its lock."""
        if self._hints is not None:
            self._hints.close()
        self._release()

    def _named(self, statement: str, names: Sequence[str]) -> Iterator[Any]:
        for asked, part in asked_at_once(statement, names):
            yield from self._database.rows(asked, part)

    def _keyed(self, statement: str, keys: Sequence[TargetKey]) -> Iterator[Any]:
        # A list of identifiers under one blueprint is a walk along the index.
        for blueprint, identifiers in by_blueprint(keys).items():
            for asked, part in asked_at_once(statement, identifiers):
                yield from self._database.rows(asked, (blueprint, *part))

    def _heard_of(self, refs: Sequence[SourceRef]) -> Sequence[SourceRef]:
        """Leave out source entities of which a ledger that was empty cannot know yet."""
        return self._news.sources.maybe(refs) if self._news else refs

    def _drop_wants(self, refs: Sequence[SourceRef]) -> None:
        """Forget what source entities wanted; of those that are not settled, it may be at Port already."""
        if refs and self._news:
            self._news.note_dropped(want.key for wants in self.wants_of(refs).values() for want in wants)
        self._run_named(_PUT_DOUBT, refs)
        self._run_named("DELETE FROM wants WHERE ref IN (?*)", refs)

    def _run_named(self, statement: str, names: Sequence[str]) -> None:
        for asked, part in asked_at_once(statement, names):
            self._database.run(asked, part)

    def _keys_of(self, table: str, condition: str, parameters: Sequence[Any] = ()) -> Iterator[TargetKey]:
        statement = _KEYS_OF.format(table=table, condition=condition)
        return (TargetKey(*row) for row in self._walk(statement, parameters, start=("", "")))

    def _walk(self, statement: str, parameters: Sequence[Any], *, start: tuple[str, ...]) -> Iterator[Any]:
        """Yield rows after ``start``, which is compared with their first columns."""
        rows = self._database.rows(statement, (*start, *parameters, _WALKED))
        while rows:
            yield from rows
            rows = self._database.rows(statement, (*rows[-1][: len(start)], *parameters, _WALKED))


class _News:
    """What came into a ledger that was empty when the pass began: of the rest, there is nothing to look up."""

    def __init__(self) -> None:
        self.sources = Marks()
        self.targets = Marks()
        self.shared: set[TargetKey] = set()
        self._wanted = Marks()

    def note(self, entries: Iterable[tuple[SourceRecord, Sequence[WantRecord]]]) -> None:
        """Note source entities and what they want; ``shared`` is what may have been wanted before."""
        for record, wants in entries:
            keys = [want.key for want in wants]
            self.sources.note((record.ref,))
            self.shared.update(self._wanted.maybe(keys))
            self._wanted.note(keys)

    def note_dropped(self, keys: Iterable[TargetKey]) -> None:
        """Note what is no longer wanted by one that wanted it: who else does has to be looked up."""
        dropped = list(keys)
        self.targets.note(dropped)
        self.shared.update(dropped)


class _Touched:
    """What the present pass has seen and left as it is, as hashes: nearly everything, and only of use to this pass.

    They are kept in a row, 8 bytes each, and become a set of ten times the size only when the pass has let go of what
    it read. Two names with one hash (one chance in a thousand million for 100,000 of them) would let a source entity
    that is gone stay until the next pass.
    """

    def __init__(self, number: int = 0, hashes: Iterable[int] = ()) -> None:
        self._number = number
        self._hashes = array("q", hashes)

    def add(self, refs: Iterable[SourceRef], *, number: int) -> None:
        if number > self._number:
            self._number, self._hashes = number, array("q")
        self._hashes.extend(map(hash, refs))

    def hashes(self, *, number: int) -> set[int]:
        return set(self._hashes) if number <= self._number else set()

    def copy(self) -> "_Touched":
        return _Touched(self._number, self._hashes)


def _want_rows(entries: Iterable[tuple[SourceRecord, Sequence[WantRecord]]]) -> Iterator[Sequence[Any]]:
    for record, wants in entries:
        for place, want in enumerate(sorted(wants, key=attrgetter("rank"))):
            yield record.ref, place, *want.key, packed_rank(want.rank), want.fingerprint, want.related
