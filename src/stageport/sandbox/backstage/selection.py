"""Which entities a predicate selects, remembered until the catalog changes."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from stageport.model.entities import Json
from stageport.sandbox.backstage.catalog import Catalog, FinalEntity
from stageport.sandbox.backstage.predicates import is_only_kind, kinds_of, matcher
from stageport.sandbox.backstage.search import Searchable

_REMEMBERED = 32


class Selection:
    """Selects from one catalog. A scan asks the same question for each of its pages; it is answered once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._version = catalog.version
        self._uids: dict[bytes, Sequence[str]] = {}
        self._sorted: dict[bytes, Sequence[tuple[str, str]]] = {}

    def uids(self, predicate: Json) -> Sequence[str]:
        """Return the uids of the entities that match, ascending; None matches all.

        Raises:
            InputError: the predicate is none that the catalog can answer.
        """
        if predicate is None:
            return self._catalog.order.all()
        matches = matcher(predicate)
        kinds = kinds_of(predicate)
        if kinds is not None and len(kinds) == 1 and is_only_kind(predicate):
            return self._catalog.order.of_kind(next(iter(kinds)))
        self._forget_what_is_old()
        key = msgspec.json.encode(predicate)
        if key not in self._uids:
            self._uids[key] = [
                uid for uid in self._candidates(kinds) if matches(Searchable(_known(self._catalog.by_uid(uid))))
            ]
        return self._uids[key]

    def entities(self, predicate: Json) -> list[FinalEntity]:
        """Return the entities that match, by uid."""
        return [_known(self._catalog.by_uid(uid)) for uid in self.uids(predicate)]

    def sorted_values(self, predicate: Json, key: str) -> Sequence[tuple[str, str]]:
        """Return (value under the key, uid) of the matching entities that have a value there, ascending."""
        self._forget_what_is_old()
        name = msgspec.json.encode([key, predicate])
        if name not in self._sorted:
            self._sorted[name] = sorted(
                (value, uid)
                for uid in self.uids(predicate)
                for value in Searchable(_known(self._catalog.by_uid(uid))).values(key)
                if value is not None
            )
        return self._sorted[name]

    def has_text(self, uid: str, fields: Iterable[str], term: str) -> bool:
        """Tell whether a field of an entity holds the term."""
        searchable = Searchable(_known(self._catalog.by_uid(uid)))
        pattern = like(term)
        return any(
            value is not None and pattern.search(value) is not None
            for field in fields
            for value in searchable.values(field)
        )

    def _candidates(self, kinds: set[str] | None) -> Iterable[str]:
        if kinds is None:
            return self._catalog.order.all()
        return sorted(uid for kind in kinds for uid in self._catalog.order.of_kind(kind))

    def _forget_what_is_old(self) -> None:
        if self._version != self._catalog.version or len(self._uids) + len(self._sorted) > _REMEMBERED:
            self._uids, self._sorted, self._version = {}, {}, self._catalog.version


def like(term: str) -> re.Pattern[str]:
    """Compile SQL's LIKE of a term that may stand anywhere; ``%`` and ``_`` are wildcards, as nobody escapes them."""
    return re.compile("".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in term), re.DOTALL)


def _known(entity: FinalEntity | None) -> FinalEntity:
    if entity is None:
        raise LookupError("a uid of the order that the catalog does not know")
    return entity
