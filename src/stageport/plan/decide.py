"""The decision table: what becomes of one target entity.

Three things are compared, as ``kubectl apply`` does: what is wanted now, what Port last acknowledged, and what Port
holds. Port may normalise what it stores, so "wanted is acknowledged, and what is stored has not moved since" means
unchanged, however the two differ.
"""

from enum import StrEnum
from typing import assert_never

from stageport.model.ledger import UNKNOWN, Fingerprint


class Sight(StrEnum):
    """What this pass has seen of a target entity at Port."""

    UNSEEN = "unseen"
    """Nobody looked; what the ledger says is all there is."""
    ABSENT = "absent"
    """Port does not have it."""
    EQUAL = "equal"
    """Every field that the mapping names is as wanted."""
    BARE = "bare"
    """There as an empty stub, which Port made because something relates to it: nothing is lost by writing it."""
    UNMOVED = "unmoved"
    """Its content has not changed since it was last seen."""
    MOVED = "moved"
    """It differs from what is wanted, and nobody can say that it did so before."""


class Decision(StrEnum):
    """What to do."""

    NOTHING = "nothing"
    RECORD = "record"
    """No write: Port has it already, and the ledger is told."""
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    """If the rules of safety allow it."""
    FORGET = "forget"
    """Gone from Port: the ledger is told."""
    LEAVE = "leave"
    """Not ours: nobody's business."""


def decide(*, wanted: Fingerprint | None, acknowledged: Fingerprint, sight: Sight, ours: bool = True) -> Decision:
    """Decide on one target entity.

    ``wanted`` is None when no source entity wants it, and ``UNKNOWN`` when one does but could not say what (its
    mapping failed). ``acknowledged`` is ``UNKNOWN`` when Port never took it from us.
    """
    if wanted is None:
        return _unwanted(sight, ours=ours)
    if wanted == UNKNOWN:
        return Decision.NOTHING  # rule 4: what a failed mapping stands for is neither written nor deleted
    return _wanted(sight, settled=wanted == acknowledged, taken=acknowledged != UNKNOWN)


def _wanted(sight: Sight, *, settled: bool, taken: bool) -> Decision:
    match sight:
        case Sight.ABSENT:
            decision = Decision.CREATE  # somebody deleted it at Port, or it never was there
        case Sight.EQUAL:
            decision = Decision.NOTHING if settled else Decision.RECORD
        case Sight.BARE:
            decision = Decision.UPDATE
        case Sight.UNMOVED:
            decision = Decision.NOTHING if settled else Decision.UPDATE
        case Sight.MOVED:
            decision = Decision.UPDATE  # drift, or a change of ours
        case Sight.UNSEEN if not taken:
            decision = Decision.CREATE
        case Sight.UNSEEN:
            decision = Decision.NOTHING if settled else Decision.UPDATE
        case _:
            assert_never(sight)
    return decision


def _unwanted(sight: Sight, *, ours: bool) -> Decision:
    if not ours:
        return Decision.LEAVE
    return Decision.FORGET if sight is Sight.ABSENT else Decision.DELETE
