"""Tells of most names that the ledger cannot know, without a lookup in the database.

A first sync asks for every name whether anything is known of it, and the answer is nearly always no.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

_SLOTS = 1 << 20
"""One byte each. With 100,000 names in it, one of ten that were never noted looks as if it were."""


class Marks:
    """Names that were noted, by their hashes alone: it forgets none, and takes some for noted that were not."""

    def __init__(self) -> None:
        self._slots = bytearray(_SLOTS)

    def note(self, names: Iterable[Hashable]) -> None:
        """Note names."""
        slots = self._slots
        for name in names:
            slots[hash(name) % _SLOTS] = 1

    def maybe(self, names: Sequence[T]) -> list[T]:
        """Return the names that may have been noted, in the order given."""
        slots = self._slots
        return [name for name in names if slots[hash(name) % _SLOTS]]
