"""What the ledger is trusted with, and what is looked at again although nothing seems to have changed."""

from collections.abc import Iterator

import pytest

from stageport.ledger.sqlite import SqliteLedger
from stageport.mapping.defaults import default_mapping
from stageport.mapping.document import parse_mapping
from stageport.model.entities import Json
from stageport.model.fingerprint import key_hash
from stageport.model.ledger import UNKNOWN, UNTRUSTED, SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.sync.trust import (
    distrust_after_others,
    distrust_relations,
    distrust_targets,
    is_verified,
    note_reported,
    note_verified,
)

DOCUMENT = parse_mapping(default_mapping())
STARTED = "2026-05-01T12:30:00.000Z"
TAKEN, STORED = b"t" * 16, b"s" * 16
PAY, CART, TEAM = TargetKey("service", "pay"), TargetKey("service", "cart"), TargetKey("team", "crew")


@pytest.fixture
def ledger() -> Iterator[SqliteLedger]:
    made = SqliteLedger.in_memory()
    note_verified(made, DOCUMENT, now=STARTED)
    note_reported(made, STARTED)
    yield made
    made.close()


@pytest.mark.parametrize(
    "started",
    [
        STARTED,
        "2026-05-01T12:30:00Z",
        "2026-05-01T12:30:00+00:00",
        "2026-05-01T14:30:00.000+02:00",
    ],
)
def test_the_same_moment_is_the_same_however_it_is_written(ledger: SqliteLedger, started: str) -> None:
    distrust_after_others(ledger, {"resyncState": {"lastResyncStart": started}})
    assert is_verified(ledger, DOCUMENT)


@pytest.mark.parametrize("record", [None, {}, {"resyncState": None}, {"resyncState": {}}])
def test_where_port_tells_of_no_resync_the_ledger_is_believed(ledger: SqliteLedger, record: Json) -> None:
    distrust_after_others(ledger, record)
    assert is_verified(ledger, DOCUMENT)


@pytest.mark.parametrize("started", ["2026-05-01T12:30:00.001Z", "2026-05-01T12:29:59Z", "some day"])
def test_a_resync_that_somebody_else_told_of_has_everything_compared(ledger: SqliteLedger, started: str) -> None:
    distrust_after_others(ledger, {"resyncState": {"lastResyncStart": started}})
    assert not is_verified(ledger, DOCUMENT)


def test_what_port_took_and_may_have_changed_is_written_again(ledger: SqliteLedger) -> None:
    ledger.acknowledge([TargetRecord(PAY, TAKEN, STORED), TargetRecord(CART, UNKNOWN, STORED)])
    for _ in range(2):
        distrust_targets(ledger, [PAY, CART, TEAM])
        assert ledger.targets([PAY, CART, TEAM]) == {
            PAY: TargetRecord(PAY, UNTRUSTED, STORED),
            CART: TargetRecord(CART, UNKNOWN, STORED),
        }


def test_what_relates_to_something_that_goes_is_mapped_and_written_again(ledger: SqliteLedger) -> None:
    refs = {key: SourceRef(f"component:default/{key.identifier}") for key in (PAY, CART)}
    records = {key: SourceRecord(ref, "uid", "etag", TAKEN) for key, ref in refs.items()}
    related = {PAY: key_hash(TEAM), CART: b""}
    ledger.open_sources(
        [(records[key], [WantRecord(ref, key, (0,), TAKEN, related[key])]) for key, ref in refs.items()], number=1
    )
    ledger.settle_sources(list(records.values()), number=1)
    ledger.acknowledge([TargetRecord(key, TAKEN, STORED) for key in refs])
    assert distrust_relations(ledger, []) == set()
    assert distrust_relations(ledger, [TEAM]) == {refs[PAY]}
    assert {key: ledger.targets([key])[key].acknowledged for key in refs} == {PAY: UNTRUSTED, CART: TAKEN}
    assert {key: ledger.sources([ref])[ref].digest for key, ref in refs.items()} == {PAY: UNKNOWN, CART: TAKEN}
