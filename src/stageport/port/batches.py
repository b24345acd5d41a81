"""Cuts target entities into requests that Port takes: 20 entities, 1 MiB. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

MOST_ENTITIES: Final = 20
MOST_BYTES: Final = 1024 * 1024

_OPEN: Final = b'{"entities":['
_CLOSE: Final = b"]}"
_ENVELOPE: Final = len(_OPEN) + len(_CLOSE)

LARGEST_BODY: Final = MOST_BYTES - _ENVELOPE
"""The longest body of one entity that still fits into a request."""


def cut_batches(bodies: Sequence[bytes], *, most: int = MOST_ENTITIES, most_bytes: int = MOST_BYTES) -> Iterator[range]:
    """Yield the positions of each batch, in order; a body too long for any batch stands alone."""
    start, size = 0, _ENVELOPE
    for position, body in enumerate(bodies):
        weight = len(body) + (position > start)  # the comma
        if position > start and (position - start == most or size + weight > most_bytes):
            yield range(start, position)
            start, size, weight = position, _ENVELOPE, len(body)
        size += weight
    if start < len(bodies):
        yield range(start, len(bodies))


def join_bodies(bodies: Sequence[bytes]) -> bytes:
    """Put encoded entities into one request body, as they are."""
    return _OPEN + b",".join(bodies) + _CLOSE
