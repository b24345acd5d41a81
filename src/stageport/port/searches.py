"""Reads target entities: those that are ours, those of given names, and those that a query finds.

The content of entities comes from the published, paged search of a blueprint. Which entities are ours comes from
``datasource-entities``, which is not published but used by Port's own integrations. Both fall back on the published
search over all blueprints where an account does not have them.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import urlencode

import msgspec

from stageport.http.messages import Response
from stageport.http.names import cut_names
from stageport.model.entities import Json
from stageport.model.errors import TargetAnswerError
from stageport.model.refs import TargetKey
from stageport.port.answers import decode_answer, read_complaint
from stageport.port.blueprints import blueprint_exists, missing_blueprint
from stageport.port.paths import blueprint_path
from stageport.port.session import PortSession

OWNED_PAGE: Final = 2_000
"""Port answers with whole entities, of some 1.5 kB each."""
SEARCH_PAGE: Final = 1_000
IDENTIFIERS_PER_SEARCH: Final = 500
IDENTIFIER_BYTES: Final = 256 * 1024
DATASOURCE_PATH: Final = "/v1/blueprints/entities/datasource-entities"


class _OwnedRow(msgspec.Struct):
    identifier: str
    blueprint: str


class _OwnedPage(msgspec.Struct):
    entities: list[_OwnedRow]
    next: str | None = None


class _FoundPage(msgspec.Struct):
    entities: list[dict[str, Json]]
    next: str | None = None


Page = TypeVar("Page", _OwnedPage, _FoundPage)

_owned_pages = msgspec.json.Decoder(_OwnedPage)
_found_pages = msgspec.json.Decoder(_FoundPage)


class _MissingRouteError(Exception):
    """This Port does not have the route."""


class PortSearches:
    """The reading half of Port's catalog."""

    def __init__(self, session: PortSession) -> None:
        self._session = session
        self._paged = True

    async def read_owned(self) -> AsyncGenerator[Sequence[TargetKey], None]:
        """Yield the key of every entity whose ``$datasource`` is ours, over all blueprints, page by page."""
        cursor: str | None = None
        while True:
            try:
                page = await self._read_owned_page(cursor)
            except _MissingRouteError:
                page = await self._search_owned()
            if page.entities:
                yield [TargetKey(row.blueprint, row.identifier) for row in page.entities]
            cursor = _next_cursor(page.next, cursor, doing="listing our entities")
            if not cursor:
                return

    async def still_owned(self, keys: Sequence[TargetKey]) -> set[TargetKey]:
        """Return those keys that Port has and whose ``$datasource`` is ours."""
        found: set[TargetKey] = set()
        for blueprint in dict.fromkeys(key.blueprint for key in keys):
            for chunk in _cut([key.identifier for key in keys if key.blueprint == blueprint]):
                rules = [
                    {"property": "$blueprint", "operator": "=", "value": blueprint},
                    {"property": "$identifier", "operator": "in", "value": chunk},
                    *self._owned_rules(),
                ]
                query = {"combinator": "and", "rules": rules}
                names = ("blueprint", "identifier")
                page = await self._search_unpaged(query, names, decoder=_owned_pages, doing="looking whose they are")
                found.update(TargetKey(row.blueprint, row.identifier) for row in page.entities)
        return found

    async def read_entities(
        self, blueprint: str, identifiers: Sequence[str], *, fields: Sequence[str]
    ) -> Mapping[str, Json]:
        """Return the named entities that exist, by identifier, whoever owns them."""
        found: dict[str, Json] = {}
        for chunk in _cut(identifiers):
            query = {"combinator": "and", "rules": [{"property": "$identifier", "operator": "in", "value": chunk}]}
            for entity in await self._search(blueprint, query, fields=fields, most=len(chunk)):
                found[str(entity["identifier"])] = entity
        return found

    async def find_entities(self, blueprint: str, query: Json, *, fields: Sequence[str]) -> Sequence[Json]:
        """Return the entities of a blueprint that a search query matches, at most 2 (one is the point)."""
        return await self._search(blueprint, query, fields=fields, most=2)

    async def _search(self, blueprint: str, query: Json, *, fields: Sequence[str], most: int) -> list[Json]:
        include = ["identifier", *(field for field in fields if field != "identifier")]
        if self._paged:
            try:
                return await self._search_blueprint(blueprint, query, include, most)
            except _MissingRouteError:
                self._paged = False
        return await self._search_everywhere(blueprint, query, include, most)

    async def _search_blueprint(self, blueprint: str, query: Json, include: Sequence[str], most: int) -> list[Json]:
        """Ask the published search of a blueprint; ``include`` keeps calculated properties out of the answer."""
        doing = f"searching blueprint {blueprint}"
        path = f"{blueprint_path(blueprint)}/entities/search"
        body: dict[str, Json] = {"query": query, "include": include, "limit": min(most, SEARCH_PAGE)}
        found: list[Json] = []
        while True:
            response = await self._session.call_json("POST", path, body, exporter=True)
            await self._check_search(response, blueprint, doing=doing)
            page = decode_answer(_found_pages, response, doing=doing)
            found += page.entities
            cursor = _next_cursor(page.next, body.get("from"), doing=doing)
            if not cursor or len(found) >= most:
                return found[:most]
            body["from"] = cursor

    async def _check_search(self, response: Response, blueprint: str, *, doing: str) -> None:
        if response.ok:
            return
        if response.status not in (404, 405):
            raise self._session.explain(response, doing=doing)
        named = read_complaint(response).error == "not_found"
        if named and not await blueprint_exists(self._session, blueprint):
            raise missing_blueprint(blueprint)
        raise _MissingRouteError

    async def _search_everywhere(self, blueprint: str, query: Json, include: Sequence[str], most: int) -> list[Json]:
        """Ask the search over all blueprints, which knows no pages."""
        rules = [{"property": "$blueprint", "operator": "=", "value": blueprint}, query]
        page = await self._search_unpaged(
            {"combinator": "and", "rules": rules}, include, decoder=_found_pages, doing=f"searching {blueprint}"
        )
        return list(page.entities[:most])

    async def _read_owned_page(self, cursor: str | None) -> _OwnedPage:
        identity = self._session.identity
        body: dict[str, Json] = {
            "datasource_prefix": identity.datasource_prefix,
            "datasource_suffix": identity.datasource_suffix,
            "limit": OWNED_PAGE,
        }
        if cursor:
            body["from"] = cursor
        response = await self._session.call_json("POST", DATASOURCE_PATH, body, exporter=True)
        if response.status in (404, 405) and not cursor:
            raise _MissingRouteError
        if not response.ok:
            raise self._session.explain(response, doing="listing our entities")
        return decode_answer(_owned_pages, response, doing="listing our entities")

    async def _search_owned(self) -> _OwnedPage:
        return await self._search_unpaged(
            {"combinator": "and", "rules": self._owned_rules()}, (), decoder=_owned_pages, doing="listing our entities"
        )

    def _owned_rules(self) -> list[Json]:
        identity = self._session.identity
        return [
            {"property": "$datasource", "operator": "contains", "value": part}
            for part in (identity.datasource_prefix, identity.datasource_suffix)
        ]

    async def _search_unpaged(
        self, query: Json, include: Sequence[str], *, decoder: msgspec.json.Decoder[Page], doing: str
    ) -> Page:
        parameters = [("exclude_calculated_properties", "true"), *(("include", name) for name in include)]
        path = f"/v1/entities/search?{urlencode(parameters)}"
        response = await self._session.call_json("POST", path, query, exporter=True)
        if not response.ok:
            raise self._session.explain(response, doing=doing)
        return decode_answer(decoder, response, doing=doing)


def _cut(identifiers: Sequence[str]) -> Iterator[list[str]]:
    return cut_names(identifiers, most=IDENTIFIERS_PER_SEARCH, most_bytes=IDENTIFIER_BYTES)


def _next_cursor(cursor: str | None, previous: str | None, *, doing: str) -> str | None:
    """Return the next page's cursor; one that leads nowhere new would be followed for ever."""
    if cursor and cursor == previous:
        raise TargetAnswerError(
            f"Port's pages do not move on while {doing}: two of them name the same next page",
            status=200,
            hint="Run again; is there a cache between here and Port?",
        )
    return cursor or None
