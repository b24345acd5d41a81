"""by-query: pages by keyset, over uids or over the values of one field and then uids."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stageport.model.entities import Json
from stageport.sandbox.backstage.catalog import Catalog, FinalEntity
from stageport.sandbox.backstage.cursors import Cursor, FullTextFilter, OrderField
from stageport.sandbox.backstage.selection import Selection, like

DEFAULT_LIMIT = 200

_Key = str | tuple[str, str]
"""What a row is sorted by: its uid, or a value and its uid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitiesQuery:
    """What a by-query request asks; with a ``cursor``, only ``limit`` counts beside it."""

    limit: int | None = None
    offset: int | None = None
    predicate: Json = None
    order_fields: tuple[OrderField, ...] = ()
    full_text: FullTextFilter | None = None
    counted: bool = True
    cursor: Cursor | None = None

    def start(self) -> Cursor:
        """Return the cursor to go on from: the one given, or one that stands before the first row."""
        if self.cursor is not None:
            return self.cursor
        return Cursor(order_fields=self.order_fields, query=self.predicate, full_text_filter=self.full_text)


@dataclass(frozen=True, slots=True)
class EntitiesPage:
    """One page of results, with the cursors of its neighbours."""

    entities: Sequence[FinalEntity] = ()
    total: float = 0
    next_cursor: Cursor | None = None
    previous_cursor: Cursor | None = None


class EntitiesReader:
    """Answers by-query from a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._selection = Selection(catalog)

    @property
    def selection(self) -> Selection:
        """The entities that predicates select."""
        return self._selection

    def read(self, query: EntitiesQuery) -> EntitiesPage:
        """Return the page that a request asks for.

        Raises:
            InputError: the query is none that the catalog can answer.
        """
        cursor = query.start()
        limit = DEFAULT_LIMIT if query.limit is None else max(query.limit, 0)
        backwards = bool(cursor.is_previous)
        keys = self._keys(cursor)
        rows = _cut(keys, cursor, offset=query.offset or 0, limit=limit if backwards else limit + 1) if limit else []
        more = limit > 0 and (backwards or len(rows) > limit)
        rows = rows[:limit]
        if backwards:
            rows.reverse()
        return self._page(rows, cursor, total=_total(query, cursor, keys), more=more)

    def behind(self, cursor: Cursor, count: int) -> list[FinalEntity]:
        """Return the last entities before the place of a cursor, in their order."""
        keys = self._keys(cursor)
        start, _ = _span(keys, cursor.order_field_values, downwards=False)
        found = (self._catalog.by_uid(_uid(key)) for key in keys[max(0, start - count) : start])
        return [entity for entity in found if entity is not None]

    def _keys(self, cursor: Cursor) -> Sequence[_Key]:
        """Return what every result is sorted by, ascending."""
        if not cursor.order_fields:
            uids = self._selection.uids(cursor.query)
            return self._with_text(uids, cursor, default_field="metadata.uid")
        key = cursor.order_fields[0].field.lower()
        return self._with_text(self._selection.sorted_values(cursor.query, key), cursor, default_field=key)

    def _with_text(self, keys: Sequence[_Key], cursor: Cursor, *, default_field: str) -> Sequence[_Key]:
        text = cursor.full_text_filter
        term = text.term.strip().lower() if text else ""
        if text is None or not term:
            return keys
        fields = [default_field] if text.fields is None else text.fields
        if cursor.order_fields and fields == [default_field]:
            pattern = like(term)
            return [key for key in keys if pattern.search(key[0])]
        return [key for key in keys if self._selection.has_text(_uid(key), fields, term)]

    def _page(self, rows: Sequence[_Key], cursor: Cursor, *, total: float, more: bool) -> EntitiesPage:
        entities = [entity for row in rows if (entity := self._catalog.by_uid(_uid(row))) is not None]
        known_first = cursor.first_sort_field_values
        if not rows:
            return EntitiesPage(entities=entities, total=total)
        first, last = _sort_values(rows[0]), _sort_values(rows[-1])
        following = before = None
        if more:
            following = _moved(cursor, at=last, first=known_first or first, back=False, total=total)
        if known_first is not None and first != known_first:
            before = _moved(cursor, at=first, first=known_first, back=True, total=total)
        return EntitiesPage(entities=entities, total=total, next_cursor=following, previous_cursor=before)


def _total(query: EntitiesQuery, cursor: Cursor, keys: Sequence[_Key]) -> float:
    """Count the results; a later page repeats what the first one counted, however stale."""
    if cursor.total_items is not None:
        return cursor.total_items
    if query.cursor is not None or not query.counted:
        return 0
    return len({_uid(key) for key in keys}) if cursor.order_fields else len(keys)


def _cut(keys: Sequence[_Key], cursor: Cursor, *, offset: int, limit: int) -> list[_Key]:
    """Cut the wanted rows out of the keys, in the direction of travel."""
    descending = bool(cursor.order_fields) and cursor.order_fields[0].order == "desc"
    downwards = descending is not bool(cursor.is_previous)
    start, end = _span(keys, cursor.order_field_values, downwards=downwards)
    if downwards:
        end = max(start, end - offset)
        return list(reversed(keys[max(start, end - limit) : end]))
    return list(keys[start + offset : min(end, start + offset + limit)])


def _span(keys: Sequence[Any], values: Sequence[str | None] | None, *, downwards: bool) -> tuple[int, int]:
    """Return which part of the keys lies ahead of the cursor."""
    if not values:
        return 0, len(keys)
    if None in values:
        return 0, 0  # SQL compares nothing with null
    edge = tuple(values) if len(values) > 1 else values[0]
    if downwards:
        return 0, bisect_left(keys, edge)
    return bisect_right(keys, edge), len(keys)


def _uid(key: _Key) -> str:
    return key if isinstance(key, str) else key[1]


def _sort_values(key: _Key) -> list[str | None]:
    return [key] if isinstance(key, str) else [*key]


def _moved(cursor: Cursor, *, at: list[str | None], first: list[str | None], back: bool, total: float) -> Cursor:
    return Cursor(
        order_fields=cursor.order_fields,
        is_previous=back,
        query=cursor.query,
        full_text_filter=cursor.full_text_filter,
        order_field_values=at,
        first_sort_field_values=first,
        total_items=total,
    )
