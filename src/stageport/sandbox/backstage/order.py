"""The order in which the catalog is paged: by uid, over all entities and within each kind."""

from bisect import bisect_left, insort
from collections.abc import Sequence


class _SortedUids:
    """Uids in order; many additions in a row cost one sort."""

    def __init__(self) -> None:
        self._uids: list[str] = []
        self._pending: list[str] = []

    def add(self, uid: str) -> None:
        self._pending.append(uid)

    def remove(self, uid: str) -> None:
        uids = self.sorted()
        del uids[bisect_left(uids, uid)]

    def sorted(self) -> list[str]:
        if len(self._pending) < 16:
            for uid in self._pending:
                insort(self._uids, uid)
        else:
            self._uids.extend(self._pending)
            self._uids.sort()
        self._pending.clear()
        return self._uids


class UidOrder:
    """The uids of a catalog, sorted."""

    def __init__(self) -> None:
        self._all = _SortedUids()
        self._kinds: dict[str, _SortedUids] = {}

    def add(self, kind: str, uid: str) -> None:
        """Take in the uid of a new entity."""
        self._all.add(uid)
        self._kinds.setdefault(kind.lower(), _SortedUids()).add(uid)

    def remove(self, kind: str, uid: str) -> None:
        """Forget the uid of an entity that is gone."""
        self._all.remove(uid)
        self._kinds[kind.lower()].remove(uid)

    def all(self) -> Sequence[str]:
        """Return every uid; the list is the index itself, so do not keep it beyond the request."""
        return self._all.sorted()

    def of_kind(self, kind: str) -> Sequence[str]:
        """Return the uids of one kind, however it is written."""
        known = self._kinds.get(kind.lower())
        return known.sorted() if known else ()
