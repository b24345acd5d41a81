"""What a source entity is called in the ledger.

By its ref; except that a kind which is read several times, with different filters, may show the same entity to more
than one read, and each of them wants target entities of its own: there the number of the read is added. ``#`` is in
no ref, because Backstage allows it in no name.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from stageport.mapping.static import Read
from stageport.model.refs import SourceRef

Place = tuple[int, Read]
"""A read, and its number in the order of the mapping."""


class LedgerNames:
    """Translates between refs and names in the ledger, for one mapping document."""

    def __init__(self, reads: Sequence[Read]) -> None:
        self.places: list[Place] = list(enumerate(reads))
        counts = Counter(read.kind.lower() for read in reads)
        self._several = {kind for kind, count in counts.items() if count > 1}
        self._by_name = {self._parts(number, read): (number, read) for number, read in self.places}

    def name(self, ref: SourceRef, number: int) -> SourceRef:
        """Return what a source entity seen by a read is called in the ledger."""
        return SourceRef(f"{ref}#{number}") if ref.partition(":")[0] in self._several else ref

    def ref(self, name: SourceRef) -> SourceRef:
        """Return the ref that a name stands for."""
        return SourceRef(name.partition("#")[0])

    def place(self, name: SourceRef) -> Place | None:
        """Return the read that a name belongs to; None when the mapping has no such read any more."""
        ref, _, number = name.partition("#")
        return self._by_name.get((ref.partition(":")[0], number))

    def _parts(self, number: int, read: Read) -> tuple[str, str]:
        kind = read.kind.lower()
        return kind, str(number) if kind in self._several else ""

    def by_place(self, names: Iterable[SourceRef]) -> dict[Place, list[SourceRef]]:
        """Sort names by the read they belong to; names that belong to none are left out."""
        groups: dict[Place, list[SourceRef]] = {}
        for name in names:
            place = self.place(name)
            if place is not None:
                groups.setdefault(place, []).append(name)
        return groups
