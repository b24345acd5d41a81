"""The decision table, row by row, and as a whole: no combination of inputs is left without a decision."""

import itertools

import pytest

from stageport.model.ledger import UNKNOWN, UNTRUSTED, Fingerprint
from stageport.plan.decide import Decision, Sight, decide

NEW, OLD = b"n" * 16, b"o" * 16
FAILED = UNKNOWN
"""Wanted by a source entity that could not say what: its mapping failed."""
NEVER = UNKNOWN
"""Acknowledged: Port never took it from us."""

WANTED = [
    # Port was not asked: the ledger's word counts.
    (NEVER, Sight.UNSEEN, Decision.CREATE),
    (OLD, Sight.UNSEEN, Decision.UPDATE),
    (UNTRUSTED, Sight.UNSEEN, Decision.UPDATE),
    (NEW, Sight.UNSEEN, Decision.NOTHING),
    # Not at Port, whatever the ledger says.
    (NEVER, Sight.ABSENT, Decision.CREATE),
    (OLD, Sight.ABSENT, Decision.CREATE),
    (UNTRUSTED, Sight.ABSENT, Decision.CREATE),
    (NEW, Sight.ABSENT, Decision.CREATE),
    # At Port just so: nothing is written, but the ledger has to know.
    (NEVER, Sight.EQUAL, Decision.RECORD),
    (OLD, Sight.EQUAL, Decision.RECORD),
    (UNTRUSTED, Sight.EQUAL, Decision.RECORD),
    (NEW, Sight.EQUAL, Decision.NOTHING),
    # At Port as an empty stub.
    (NEVER, Sight.BARE, Decision.UPDATE),
    (OLD, Sight.BARE, Decision.UPDATE),
    (UNTRUSTED, Sight.BARE, Decision.UPDATE),
    (NEW, Sight.BARE, Decision.UPDATE),
    # At Port as it was last seen: what differs is Port's way of storing it, if this is what Port took.
    (NEVER, Sight.UNMOVED, Decision.UPDATE),
    (OLD, Sight.UNMOVED, Decision.UPDATE),
    (UNTRUSTED, Sight.UNMOVED, Decision.UPDATE),
    (NEW, Sight.UNMOVED, Decision.NOTHING),
    # Changed at Port: drift, or a change of ours on top of it.
    (NEVER, Sight.MOVED, Decision.UPDATE),
    (OLD, Sight.MOVED, Decision.UPDATE),
    (UNTRUSTED, Sight.MOVED, Decision.UPDATE),
    (NEW, Sight.MOVED, Decision.UPDATE),
]
UNWANTED = [
    # Ours: it goes if it is there, or may be.
    (Sight.UNSEEN, True, Decision.DELETE),
    (Sight.EQUAL, True, Decision.DELETE),
    (Sight.BARE, True, Decision.DELETE),
    (Sight.UNMOVED, True, Decision.DELETE),
    (Sight.MOVED, True, Decision.DELETE),
    (Sight.ABSENT, True, Decision.FORGET),
    # Not ours: nobody's business.
    *((sight, False, Decision.LEAVE) for sight in Sight),
]
Row = tuple[Fingerprint | None, Fingerprint, Sight, bool, Decision]
ROWS: list[Row] = [
    # Writing makes it ours: of what is wanted it does not count whose it is.
    *((NEW, known, sight, ours, decision) for known, sight, decision in WANTED for ours in (True, False)),
    # Of what is unwanted it does not count what was acknowledged: it may be there all the same.
    *((None, known, sight, ours, decision) for known in (NEVER, OLD, UNTRUSTED) for sight, ours, decision in UNWANTED),
    # A failed mapping: neither written nor deleted, whoever it belongs to.
    *(
        (FAILED, known, sight, ours, Decision.NOTHING)
        for known, sight, ours in itertools.product((NEVER, OLD, UNTRUSTED), Sight, (True, False))
    ),
]


@pytest.mark.parametrize(("wanted", "acknowledged", "sight", "ours", "expected"), ROWS)
def test_each_row_of_the_table_is_decided_as_it_says(
    wanted: Fingerprint | None, acknowledged: Fingerprint, sight: Sight, ours: bool, expected: Decision
) -> None:
    assert decide(wanted=wanted, acknowledged=acknowledged, sight=sight, ours=ours) is expected


def test_every_combination_of_inputs_has_exactly_one_row() -> None:
    every = [
        *itertools.product([NEW], [NEVER, OLD, UNTRUSTED, NEW], Sight, [True, False]),
        *itertools.product([None, FAILED], [NEVER, OLD, UNTRUSTED], Sight, [True, False]),
    ]
    assert sorted(map(repr, every)) == sorted(repr(row[:-1]) for row in ROWS)


def test_an_entity_is_ours_unless_somebody_says_otherwise() -> None:
    assert decide(wanted=None, acknowledged=OLD, sight=Sight.UNSEEN) is Decision.DELETE
