"""Which stale target entities may be deleted. Each rule here has a test that bears its name.

A stale target entity is one of ours at Port (``$datasource``) that the mapping no longer produces. The rules, by the
numbers of docs/explanation/safety.md:

1. Nothing is deleted after an incomplete read.
2. A source that looks empty, or a kind that lost everything, holds all deletes until a person releases them.
3. Only what is ours is deleted, and never a larger share of all that is ours than ``entityDeletionThreshold``.
   ``sync.holds`` remembers both holds, so that neither ends because of what Backstage shows, or we write, meanwhile.
4. A source entity whose mapping failed protects its own target entities.
5. A stale target entity whose source turns out to exist is not deleted: ``sync.conclude`` asks Backstage once more
   before it calls anything stale, because a scan by cursor can miss an entity that was recreated while it ran.
6. A stale target entity that desired ones still relate to is kept while Port would recreate it as an empty stub
   (``createMissingRelatedEntities``), or would delete them along with it (``deleteDependentEntities``).

Rules 7 and 8 (crashes, hostile expressions) are kept by ``sync`` and ``mapping``.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from stageport.model.changes import Change, Hold, Operation
from stageport.model.refs import SourceRef, TargetKey


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the rules need to know of a pass.

    ``emptied`` names the mapped kinds that a key may come from and of which Backstage shows nothing, or showed nothing
    when a hold began. ``is_protected`` tells whether a source entity with a failed mapping may own a key,
    ``is_related`` whether a desired target entity relates to it. ``released`` is a person's word that held deletes may
    happen. ``gone_before`` counts the deletes of earlier narrowed passes: together they may delete no more than one
    whole pass. ``asked_of`` says in words what ``sources`` counts.
    """

    stale: Sequence[TargetKey]
    owned: int
    sources: int
    threshold: float
    complete: bool
    emptied: Callable[[TargetKey], Collection[str]] = lambda _: ()
    is_protected: Callable[[TargetKey], bool] = lambda _: False
    is_related: Callable[[TargetKey], bool] = lambda _: False
    released: bool = False
    gone_before: int = 0
    asked_of: str = "at all, of whatever kind"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be deleted and what is kept; ``notes`` say why in words, with the way out.

    ``hold`` is the rule of 1 to 3 that holds everything which the others would let go.
    """

    deletes: tuple[Change, ...]
    kept: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    hold: Hold | None = None


def judge_stale(evidence: Evidence) -> Verdict:
    """Apply the rules to every stale target entity."""
    single = [(key, _hold_one(key, evidence)) for key in evidence.stale]
    # What rules 4 and 6 keep anyway is no reason to hold the rest: a stub for an owner of whom Backstage knows nothing
    # is stale in every pass, and all of its kind is "gone" although it never was there.
    doomed = [key for key, reason in single if reason is None]
    hold, note = _hold_all(doomed, evidence) if doomed else (None, "")
    kept = tuple(Change(Operation.KEEP, *key, hold=reason or hold) for key, reason in single if reason or hold)
    deletes = () if hold else tuple(map(_delete, doomed))
    return Verdict(deletes, kept, (note,) if note else (), hold)


def _delete(key: TargetKey) -> Change:
    return Change(Operation.DELETE, *key, source=_guess(key))


def _hold_all(doomed: Sequence[TargetKey], evidence: Evidence) -> tuple[Hold | None, str]:
    """Rules 1 to 3, which hold everything or nothing of what the others would let go."""
    count = len(doomed)
    if not evidence.complete:
        return Hold.INCOMPLETE_READ, f"{count} stale entities are kept: Backstage was not read completely."
    if evidence.released:
        return None, ""
    if evidence.sources == 0:
        return Hold.EMPTY_SOURCE, (
            f"{count} stale entities are kept: Backstage shows no entity {evidence.asked_of}. {RELEASE_HINT}"
        )
    emptied = sorted({kind for key in doomed for kind in evidence.emptied(key)})
    if emptied:
        return Hold.EMPTY_KIND, (
            f"{count} stale entities are kept: Backstage shows no entity of kind {', '.join(emptied)}, or showed "
            f"none when this hold began. {RELEASE_HINT}"
        )
    total, whole = count + evidence.gone_before, evidence.owned + evidence.gone_before
    share = total / whole if whole else 0.0
    if share > evidence.threshold or evidence.threshold == 0:
        return Hold.THRESHOLD, (
            f"{total} of {whole} entities ({share:.0%}) would be deleted; entityDeletionThreshold allows "
            f"{evidence.threshold:.0%}. {RELEASE_HINT}"
        )
    return None, ""


def _hold_one(key: TargetKey, evidence: Evidence) -> Hold | None:
    """Rules 4 and 6, which look at one target entity; after an incomplete read nobody can tell, and rule 1 holds it."""
    if not evidence.complete:
        return None
    if evidence.is_protected(key):
        return Hold.MAPPING_FAILED
    if evidence.is_related(key):
        return Hold.STILL_RELATED
    return None


def _guess(key: TargetKey) -> SourceRef | None:
    """Name the source where the identifier tells it, as it does in the default mapping."""
    return SourceRef(key.identifier) if ":" in key.identifier and "/" in key.identifier else None


RELEASE_HINT = "If that is right, release them once with `stageport sync --release-deletes`."
