"""What the ledger may be trusted with, and what has to be looked at again although nothing seems to have changed.

The ledger says what Port took. What Port has made of it since is seen by a verify only; so where a pass knows, or
brings about itself, that Port holds something else by now, it notes that here, before it does so.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from stageport.mapping.document import MappingDocument
from stageport.model.entities import Json
from stageport.model.fingerprint import digest_of
from stageport.model.ledger import UNKNOWN, UNTRUSTED, Fingerprint, TargetRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.sync.seams import Ledger

VERIFIED_MAPPING = "verified-mapping"
VERIFIED_AT = "verified-at"
REPORTED_START = "reported-start"
"""When the resync began that Port was told of last by whoever had this ledger."""


def mapping_fingerprint(document: MappingDocument) -> Fingerprint:
    """Hash a mapping document: another one makes everything be mapped again."""
    return digest_of(msgspec.json.encode(document.to_config(), order="sorted"))


def is_verified(ledger: Ledger, document: MappingDocument) -> bool:
    """Tell whether a verify went through with this mapping, so that the ledger knows what everybody wants."""
    return ledger.read_fact(VERIFIED_MAPPING) == mapping_fingerprint(document).hex()


def note_verified(ledger: Ledger, document: MappingDocument, *, now: str) -> None:
    """Note that a verify went through."""
    # In this order: after a crash in between, the next pass is a verify again.
    ledger.write_fact(VERIFIED_AT, now)
    ledger.write_fact(VERIFIED_MAPPING, mapping_fingerprint(document).hex())


def note_reported(ledger: Ledger, started: str) -> None:
    """Note that Port was told of a resync that began then."""
    ledger.write_fact(REPORTED_START, started)


def distrust_after_others(ledger: Ledger, record: Json) -> None:
    """Have the next pass verify where Port was told of a resync last by somebody who had not this ledger.

    Such as a run whose disk was read-only, one elsewhere with a ledger of its own, or one whose copy this ledger is:
    what they wrote, it does not know. ``record`` is the integration's record at Port.
    """
    last = str(((record or {}).get("resyncState") or {}).get("lastResyncStart") or "")
    if last and _moment(last) != _moment(ledger.read_fact(REPORTED_START)):
        ledger.write_fact(VERIFIED_MAPPING, "")


def _moment(stamp: str) -> datetime | str:
    """Read a time, however it is written down; what is no time stands for itself."""
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        return stamp


def distrust_targets(ledger: Ledger, keys: Iterable[TargetKey]) -> None:
    """Note that Port may hold something else of these than it last took: once wanted, they are written again."""
    known = ledger.targets(sorted(keys))
    ledger.acknowledge(
        [one._replace(acknowledged=UNTRUSTED) for one in known.values() if one.acknowledged not in (UNKNOWN, UNTRUSTED)]
    )


def distrust_relations(ledger: Ledger, gone: Sequence[TargetKey]) -> set[SourceRef]:
    """Have all that relates to these written again, and return by whom it is wanted, by name in the ledger.

    Port drops every relation to what is deleted, and does not bring it back when that comes back.
    """
    found = ledger.relating_to(gone) if gone else []
    names = {name for name, _ in found}
    distrust_targets(ledger, {key for _, key in found})
    ledger.unsettle_sources(sorted(names))
    return names


def restore_targets(ledger: Ledger, keys: Sequence[TargetKey], before: Mapping[TargetKey, TargetRecord]) -> None:
    """Note that nothing came of a write: Port holds of these what it held before."""
    ledger.acknowledge([before[key] for key in keys if key in before])
    ledger.drop_targets([key for key in keys if key not in before])
