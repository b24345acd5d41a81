"""Reads a query page by page, the next page under way while the caller works on this one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from stageport.backstage.answers import QueryPage, read_page
from stageport.backstage.connection import CatalogConnection, MissingRouteError
from stageport.backstage.filters import filter_predicate, filter_query
from stageport.http.messages import Response
from stageport.model.entities import Json
from stageport.model.errors import SourceAnswerError

LONGEST_GET: Final = 8_000
"""Node refuses a request head of 16 KB with 431, and the cursor of a page repeats the filter, a third longer."""

LARGE_PAGE: Final = 8 * 1024 * 1024
SMALL_PAGE: Final = LARGE_PAGE // 4
FEWEST_ITEMS: Final = 10

BY_QUERY: Final = "/entities/by-query"


@dataclass(frozen=True, slots=True)
class Query:
    """What to read: filter alternatives, and the fields to be served (none: the whole entity)."""

    alternatives: Sequence[str]
    fields: Sequence[str] = ()

    @property
    def fits_url(self) -> bool:
        """Whether the query can be asked with GET."""
        return len(filter_query(self.alternatives)) <= LONGEST_GET

    def path(self, *, limit: int, cursor: str | None = None) -> str:
        """Return the path to GET. A cursor holds the filter, but neither limit nor fields."""
        parts = [f"cursor={quote(cursor, safe='')}"] if cursor else [filter_query(self.alternatives)]
        parts.append(f"limit={limit}")
        if self.fields:
            parts.append(f"fields={quote(','.join(self.fields), safe=',')}")
        return f"{BY_QUERY}?{'&'.join(parts)}"

    def body(self, *, limit: int, cursor: str | None = None) -> Json:
        """Return the body to POST."""
        selection = {"cursor": cursor} if cursor else {"query": filter_predicate(self.alternatives)}
        return {**selection, "limit": limit, **({"fields": list(self.fields)} if self.fields else {})}


class PageReader:
    """Asks for the pages of one query.

    ``page_size`` is the most entities on a page; fewer are asked for as long as pages weigh more than 8 MiB (API
    definitions can be large), so that memory stays flat.
    """

    def __init__(self, connection: CatalogConnection, query: Query, *, page_size: int) -> None:
        self._connection = connection
        self._query = query
        self._most = page_size
        self._limit = page_size

    async def read(self) -> AsyncGenerator[QueryPage, None]:
        """Yield all pages. Closing the iterator (``aclosing``) cancels the page that is under way."""
        under_way: asyncio.Task[QueryPage] | None = asyncio.create_task(self._fetch(None))
        try:
            cursor = None
            while under_way is not None:
                page = await under_way
                cursor = _next_cursor(page, cursor)
                under_way = asyncio.create_task(self._fetch(cursor)) if cursor else None
                yield page
        finally:
            if under_way is not None:
                under_way.cancel()
                await asyncio.gather(under_way, return_exceptions=True)

    async def count(self) -> int:
        """Return how many entities the query has right now; no entity is sent for that."""
        return (await self._ask(0, None))[0].total_items

    async def _fetch(self, cursor: str | None) -> QueryPage:
        page, size = await self._ask(self._limit, cursor)
        if size > LARGE_PAGE:
            self._limit = max(min(FEWEST_ITEMS, self._most), self._limit // 2)
        elif size < SMALL_PAGE:
            self._limit = min(self._most, self._limit * 2)
        return page

    async def _ask(self, limit: int, cursor: str | None) -> tuple[QueryPage, int]:
        if self._query.fits_url:
            return await self._connection.get(self._query.path(limit=limit, cursor=cursor), read=_read_sized)
        try:
            return await self._connection.post_newer(
                BY_QUERY, self._query.body(limit=limit, cursor=cursor), read=_read_sized, probe=self._probe
            )
        except MissingRouteError as error:
            raise SourceAnswerError(
                "The filters of the mapping are too long for this Backstage",
                hint="Use fewer or shorter filters, or a Backstage with catalog-backend 3.5 or later.",
            ) from error

    async def _probe(self) -> None:
        await self._connection.get(f"{BY_QUERY}?limit=0", read=_read_sized)


def _read_sized(response: Response) -> tuple[QueryPage, int]:
    return read_page(response), len(response.body)


def _next_cursor(page: QueryPage, previous: str | None) -> str | None:
    """Return the next page's cursor; one that leads nowhere new would be followed for ever."""
    if page.next_cursor is not None and page.next_cursor == previous:
        raise SourceAnswerError(
            "Backstage's pages do not move on: two of them name the same next page",
            hint="Does a cache before Backstage serve an old answer? The catalog API must not be cached.",
        )
    return page.next_cursor
