"""Between values and rows: how a rank is stored, and how many rows are asked for at once."""

import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stageport.model.fingerprint import key_hash
from stageport.model.ledger import SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import TargetKey

_SIZES = (1, 16, 128, 512)
"""How many names one statement asks for. A few sizes only, so that each is prepared once and then reused."""


def asked_at_once(statement: str, names: Sequence[str]) -> Iterator[tuple[str, list[str | None]]]:
    """Fill a statement's ``(?*)`` with names, some hundreds at a time; NULL, equal to nothing, fills the last up."""
    for start in range(0, len(names), _SIZES[-1]):
        part: list[str | None] = list(names[start : start + _SIZES[-1]])
        size = next(size for size in _SIZES if size >= len(part))
        yield statement.replace("?*", ",".join("?" * size)), part + [None] * (size - len(part))


def hashed_keys(keys: Iterable[TargetKey]) -> dict[int, TargetKey]:
    """Return keys by their hash, read in the machine's own byte order, as the blobs of relations are."""
    return {int.from_bytes(key_hash(key), sys.byteorder): key for key in keys}


def packed_rank(rank: tuple[int, ...]) -> bytes:
    """Write a rank so that bytes compare as ranks do: big-endian, a prefix before what it begins."""
    return struct.pack(f">{len(rank)}I", *rank)


def unpacked_rank(packed: bytes) -> tuple[int, ...]:
    """Read a rank back."""
    return struct.unpack(f">{len(packed) // 4}I", packed)


def source_record(row: Sequence[Any]) -> SourceRecord:
    """Read ``ref, uid, etag, digest, failed``."""
    ref, uid, etag, digest, failed = row
    return SourceRecord(ref, uid, etag, digest, failed != 0)


def want_record(row: Sequence[Any]) -> WantRecord:
    """Read ``ref, blueprint, identifier, rank, fingerprint, related``."""
    ref, blueprint, identifier, rank, fingerprint, related = row
    return WantRecord(ref, TargetKey(blueprint, identifier), unpacked_rank(rank), fingerprint, related)


def target_record(row: Sequence[Any]) -> TargetRecord:
    """Read ``blueprint, identifier, acknowledged, stored``."""
    blueprint, identifier, acknowledged, stored = row
    return TargetRecord(TargetKey(blueprint, identifier), acknowledged, stored)
