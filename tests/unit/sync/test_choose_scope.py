"""How much a pass reads, by what the ledger remembers."""

from datetime import UTC, datetime, timedelta

import pytest

from stageport.ledger.sqlite import SqliteLedger
from stageport.mapping.defaults import default_mapping
from stageport.mapping.document import parse_mapping
from stageport.sync.passes import PassKind
from stageport.sync.service import PassOptions, choose_scope
from stageport.sync.trust import VERIFIED_AT, VERIFIED_MAPPING, mapping_fingerprint

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DOCUMENT = parse_mapping(default_mapping())


def choose(*, verified: datetime | str | None, asked: PassKind | None = None) -> PassKind:
    ledger = SqliteLedger.in_memory()
    try:
        if verified is not None:
            ledger.write_fact(VERIFIED_MAPPING, mapping_fingerprint(DOCUMENT).hex())
            ledger.write_fact(VERIFIED_AT, verified if isinstance(verified, str) else verified.isoformat())
        return choose_scope(ledger, DOCUMENT, PassOptions(kind=asked, now=lambda: NOW)).kind
    finally:
        ledger.close()


@pytest.mark.parametrize("asked", [None, *PassKind])
def test_a_ledger_that_was_never_verified_carries_nothing_less(asked: PassKind | None) -> None:
    assert choose(verified=None, asked=asked) is PassKind.VERIFY


@pytest.mark.parametrize("asked", list(PassKind))
def test_one_that_was_gives_what_is_asked_for(asked: PassKind) -> None:
    assert choose(verified=NOW - timedelta(days=9), asked=asked) is asked


@pytest.mark.parametrize(
    ("age", "kind"),
    [
        (timedelta(0), PassKind.RESYNC),
        (timedelta(hours=23, minutes=59), PassKind.RESYNC),
        (timedelta(days=1), PassKind.VERIFY),
        (timedelta(days=-30), PassKind.VERIFY),
    ],
    ids=["just now", "almost a day ago", "a day ago", "in the future, by a clock that went wrong"],
)
def test_once_a_day_everything_is_compared(age: timedelta, kind: PassKind) -> None:
    assert choose(verified=NOW - age) is kind


@pytest.mark.parametrize("stamp", ["", "yesterday"])
def test_a_verify_of_which_nobody_knows_when_it_was_does_not_count(stamp: str) -> None:
    assert choose(verified=stamp) is PassKind.VERIFY
