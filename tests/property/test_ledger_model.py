"""Whatever is asked of a ledger, in whatever order, dictionaries answer the same."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stageport.ledger.sqlite import SqliteLedger
from stageport.model.fingerprint import key_hash
from stageport.model.ledger import UNKNOWN, SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.sync.seams import Ledger

REFS = [SourceRef(f"{kind}:default/{name}") for kind in ("api", "component") for name in ("a", "b", "c")]
KEYS = [TargetKey(blueprint, identifier) for blueprint in ("service", "Service") for identifier in ("x", "y", "é")]

refs = st.sampled_from(REFS)
keys = st.sampled_from(KEYS)
prints = st.sampled_from([UNKNOWN, b"1" * 16, b"2" * 16])
ref_lists = st.lists(refs, max_size=4)
key_lists = st.lists(keys, max_size=4)
ranks = st.lists(st.integers(0, 300), max_size=3).map(tuple)
records = st.builds(SourceRecord, refs, st.sampled_from("uv"), st.sampled_from("ef"), prints, st.booleans())
targets = st.builds(TargetRecord, keys, prints, prints)
drafts = st.lists(st.tuples(keys, ranks, prints, key_lists), max_size=3)


@dataclass
class Model:
    """A ledger in plain dictionaries."""

    number: int = 0
    mapping: bytes = b""
    facts: dict[str, str] = field(default_factory=dict)
    sources: dict[SourceRef, SourceRecord] = field(default_factory=dict)
    seen: dict[SourceRef, int] = field(default_factory=dict)
    wants: dict[SourceRef, list[WantRecord]] = field(default_factory=dict)
    relations: dict[SourceRef, set[TargetKey]] = field(default_factory=dict)
    targets: dict[TargetKey, TargetRecord] = field(default_factory=dict)
    owned: set[TargetKey] = field(default_factory=set)
    listing: int = 0

    def wanters(self, key: TargetKey) -> list[WantRecord]:
        found = [want for ref in sorted(self.wants) for want in self.wants[ref] if want.key == key]
        return sorted(found, key=lambda want: want.rank)

    def relating_to(self, keys: Collection[TargetKey]) -> list[tuple[SourceRef, TargetKey]]:
        hashed = {key_hash(key) for key in keys}
        size = len(key_hash(KEYS[0]))
        return [
            (want.ref, want.key)
            for wants in self.wants.values()
            for want in wants
            if any(want.related[at : at + size] in hashed for at in range(0, len(want.related), size))
        ]

    def wanted(self) -> set[TargetKey]:
        return {want.key for wants in self.wants.values() for want in wants}


class LedgerMachine(RuleBasedStateMachine):
    ledger: Ledger

    @initialize()
    def begin(self) -> None:
        self.ledger = SqliteLedger.in_memory()
        self.model = Model()
        self.begin_pass(b"m" * 16)

    def teardown(self) -> None:
        self.ledger.close()

    @rule(mapping=st.sampled_from([b"m" * 16, b"n" * 16]))
    def begin_pass(self, mapping: bytes) -> None:
        model = self.model
        model.number += 1
        if mapping != model.mapping:
            model.sources = {ref: record._replace(digest=UNKNOWN) for ref, record in model.sources.items()}
        model.mapping = mapping
        assert self.ledger.begin_pass(mapping=mapping) == model.number

    @rule(name=st.sampled_from("ab"), value=st.text(max_size=3))
    def write_fact(self, name: str, value: str) -> None:
        self.ledger.write_fact(name, value)
        self.model.facts[name] = value

    @rule(seen=ref_lists)
    def touch(self, seen: list[SourceRef]) -> None:
        self.ledger.touch(seen, number=self.model.number)
        self.model.seen |= {ref: self.model.number for ref in seen if ref in self.model.sources}

    @rule(opened=st.lists(st.tuples(records, drafts), max_size=3))
    def open_sources(
        self,
        opened: Sequence[tuple[SourceRecord, Sequence[tuple[TargetKey, tuple[int, ...], bytes, list[TargetKey]]]]],
    ) -> None:
        entries = []
        self.doubt({record.ref for record, _ in opened})
        for record, drafted in opened:
            wants = [
                WantRecord(record.ref, key, rank, fingerprint, b"".join(map(key_hash, ends)))
                for key, rank, fingerprint, ends in drafted
            ]
            entries.append((record, wants))
            self.record(record._replace(digest=UNKNOWN))
            self.model.wants[record.ref] = sorted(wants, key=lambda want: want.rank)
            self.model.relations[record.ref] = {end for *_, ends in drafted for end in ends}
        self.ledger.open_sources(entries, number=self.model.number)

    @rule(settled=st.lists(records, max_size=3))
    def settle_sources(self, settled: list[SourceRecord]) -> None:
        self.ledger.settle_sources(settled, number=self.model.number)
        for record in settled:
            self.record(record)

    def record(self, record: SourceRecord) -> None:
        self.model.sources[record.ref] = record
        self.model.seen[record.ref] = self.model.number

    def doubt(self, refs: Collection[SourceRef]) -> None:
        """What unsettled source entities wanted may have been written."""
        for ref in refs:
            record = self.model.sources.get(ref)
            if record is not None and record.digest == UNKNOWN:
                for want in self.model.wants.get(ref, ()):
                    self.model.targets.setdefault(want.key, TargetRecord(want.key, UNKNOWN))

    @rule(dropped=ref_lists)
    def drop_sources(self, dropped: list[SourceRef]) -> None:
        self.ledger.drop_sources(dropped)
        self.doubt(dropped)
        for ref in dropped:
            for known in (self.model.sources, self.model.seen, self.model.wants, self.model.relations):
                known.pop(ref, None)

    @rule(taken=st.lists(targets, max_size=4))
    def acknowledge(self, taken: list[TargetRecord]) -> None:
        self.ledger.acknowledge(taken)
        self.model.targets |= {record.key: record for record in taken}

    @rule(stored=st.dictionaries(keys, prints, max_size=4))
    def note_stored(self, stored: dict[TargetKey, bytes]) -> None:
        self.ledger.note_stored(stored)
        for key in stored.keys() & self.model.targets.keys():
            self.model.targets[key] = self.model.targets[key]._replace(stored=stored[key])

    @rule(dropped=key_lists)
    def drop_targets(self, dropped: list[TargetKey]) -> None:
        self.ledger.drop_targets(dropped)
        for key in dropped:
            self.model.targets.pop(key, None)

    @rule(listed=key_lists)
    def note_owned(self, listed: list[TargetKey]) -> None:
        self.ledger.note_owned(listed, number=self.model.number)
        if self.model.listing != self.model.number:
            self.model.owned, self.model.listing = set(), self.model.number
        self.model.owned |= set(listed)

    @rule(dropped=ref_lists, taken=st.lists(targets, max_size=4))
    def try_out(self, dropped: list[SourceRef], taken: list[TargetRecord]) -> None:
        scratch = self.ledger.scratch()
        scratch.begin_pass(mapping=b"o" * 16)
        scratch.drop_sources(dropped)
        scratch.acknowledge(taken)
        scratch.note_owned([record.key for record in taken], number=self.model.number + 1)
        scratch.close()

    @rule()
    def go_on_in_a_copy(self) -> None:
        copy = self.ledger.scratch()
        self.ledger.close()
        self.ledger = copy

    @rule(asked=ref_lists, keyed=key_lists)
    def look_up(self, asked: list[SourceRef], keyed: list[TargetKey]) -> None:
        ledger, model = self.ledger, self.model
        assert ledger.sources(asked) == {ref: model.sources[ref] for ref in asked if ref in model.sources}
        assert ledger.wants_of(asked) == {ref: model.wants[ref] for ref in asked if model.wants.get(ref)}
        assert ledger.wanters_of(keyed) == {key: model.wanters(key) for key in keyed if model.wanters(key)}
        assert ledger.targets(keyed) == {key: model.targets[key] for key in keyed if key in model.targets}
        related = {end for ref, ends in model.relations.items() if ref not in asked for end in ends}
        assert ledger.related_among(keyed, without=asked) == related & set(keyed)
        assert sorted(ledger.relating_to(keyed)) == sorted(model.relating_to(keyed))

    @invariant()
    def walks_and_counts_agree(self) -> None:
        ledger, model = self.ledger, self.model
        number = model.number
        owned = model.owned if model.listing == number else set()
        acknowledged = {key for key, record in model.targets.items() if record.acknowledged != UNKNOWN}
        assert ledger.is_empty == (not model.sources and not model.targets)
        assert {name: ledger.read_fact(name) for name in "ab"} == {name: model.facts.get(name, "") for name in "ab"}
        for kind in ("api", "component"):
            known = [model.sources[ref] for ref in sorted(model.sources) if ref.startswith(f"{kind}:")]
            assert list(ledger.kind_refs(kind)) == [one.ref for one in known]
        assert list(ledger.unseen(number=number)) == sorted(ref for ref, seen in model.seen.items() if seen < number)
        assert (ledger.count_targets(), ledger.count_wanted()) == (len(model.targets), len(model.wanted()))
        assert ledger.count_owned(number=number) == len(owned)
        assert ledger.owned_among(KEYS, number=number) == owned
        assert list(ledger.unowned(number=number)) == sorted((acknowledged & model.wanted()) - owned)
        assert list(ledger.unwanted_owned(number=number)) == sorted(owned - model.wanted())
        assert list(ledger.unwanted_targets()) == sorted(model.targets.keys() - model.wanted())


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
