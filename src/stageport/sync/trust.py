"""What the ledger may be trusted with, and what has to be looked at again although nothing seems to have changed.

The ledger says what Port took. What Port has made of it since is seen by a verify only; so where a pass knows, or
brings about itself, that Port holds something else by now, it notes that here, before it does so.
"""

from collections.abc import Iterable, Sequence

import msgspec

from stageport.mapping.document import MappingDocument
from stageport.model.fingerprint import digest_of
from stageport.model.ledger import UNKNOWN, UNTRUSTED, Fingerprint
from stageport.model.refs import SourceRef, TargetKey
from stageport.sync.seams import Ledger

VERIFIED_MAPPING = "verified-mapping"
VERIFIED_AT = "verified-at"


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
