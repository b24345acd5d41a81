"""What the ledger remembers between passes: names and hashes, never content.

Losing it costs time, never correctness: the next pass reads and compares everything.
"""

from typing import NamedTuple

from stageport.model.refs import SourceRef, TargetKey

Fingerprint = bytes
"""16 bytes that stand for a content; empty bytes stand for "not known"."""

UNKNOWN: Fingerprint = b""
UNTRUSTED: Fingerprint = b"!"
"""Port has it, but may hold something else by now than it last took."""
SEARCHED = b"?"


class SourceRecord(NamedTuple):
    """A source entity as it was when all its target entities had been acknowledged.

    ``digest`` is the hash of the raw bytes; ``UNKNOWN`` while something of it is still to be written, so that a crash
    makes the next pass look again. ``failed``: its mapping failed, or Port refused one of its target entities.
    """

    ref: SourceRef
    uid: str
    etag: str
    digest: Fingerprint
    failed: bool = False


class WantRecord(NamedTuple):
    """One target entity that a source entity stands for.

    ``rank`` is its place in the mapping's order (the higher wins where several want the same). ``fingerprint`` is the
    hash of the body wanted; ``UNKNOWN`` for a want that only protects (the mapping failed). ``related`` are the
    concatenated 8-byte hashes of the keys that the body relates to.
    """

    ref: SourceRef
    key: TargetKey
    rank: tuple[int, ...]
    fingerprint: Fingerprint
    related: bytes = b""


class TargetRecord(NamedTuple):
    """A target entity at Port.

    ``acknowledged`` is the fingerprint of the body that Port last took, ``stored`` that of what Port was last seen to
    hold of it (Port may normalise what it stores); either may be ``UNKNOWN``, the first also ``UNTRUSTED``. ``stored``
    ends in ``SEARCHED`` where Port found some of it by a query.
    """

    key: TargetKey
    acknowledged: Fingerprint
    stored: Fingerprint = UNKNOWN
