"""GET and POST /entities/by-query."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
from aiohttp import web

from stageport.model.entities import Json
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.answers import Error, InputError, RangeError, json_answer
from stageport.sandbox.backstage.catalog import FinalEntity
from stageport.sandbox.backstage.cursors import FullTextFilter, OrderField, decode_cursor, encode_cursor
from stageport.sandbox.backstage.parameters import BY_QUERY, NOTHING, Field, check_body, read_body, read_parameters
from stageport.sandbox.backstage.predicates import checked_predicate, parse_filters
from stageport.sandbox.backstage.projection import parse_fields
from stageport.sandbox.backstage.queries import EntitiesPage, EntitiesQuery
from stageport.sandbox.backstage.view import CatalogView, Fields

_BODY = MappingProxyType(
    {
        "cursor": Field("string"),
        "limit": Field("number"),
        "offset": Field("number"),
        "orderBy": Field("array"),
        "fullTextFilter": Field("object"),
        "fields": Field("array"),
        "totalItems": Field("string"),
        "query": Field("object"),
    }
)
_ORDERS = ("asc", "desc")


async def get_by_query(view: CatalogView, request: web.Request, access: Access) -> web.Response:
    """Answer a query made of parameters; beside a cursor, only ``limit`` and ``fields`` count."""
    given = read_parameters(request, BY_QUERY)
    fields = parse_fields(given.get("fields"))
    if "cursor" in given:
        query = EntitiesQuery(limit=given.get("limit"), cursor=decode_cursor(given["cursor"]))
    else:
        query = EntitiesQuery(
            limit=given.get("limit"),
            offset=given.get("offset"),
            predicate=parse_filters(given.get("filter")),
            order_fields=_order_fields(given.get("orderField")),
            full_text=FullTextFilter(given.get("fullTextFilterTerm", ""), given.get("fullTextFilterFields")),
            counted=given.get("totalItems") != "exclude",
        )
    return _answer(view, request, access, query, fields)


async def post_by_query(view: CatalogView, request: web.Request, access: Access) -> web.Response:
    """Answer a query made of a JSON body."""
    read_parameters(request, NOTHING)
    body = await read_body(request)
    check_body(body, _BODY)
    if body.get("totalItems") not in (None, "include", "exclude"):
        raise InputError("request/body/totalItems must be equal to one of the allowed values: include, exclude")
    return _answer(view, request, access, _query_of(body), parse_fields(body.get("fields")))


def _query_of(body: Mapping[str, Json]) -> EntitiesQuery:
    limit = None if "limit" not in body else int(body["limit"])
    if "cursor" in body:
        if not body["cursor"]:
            raise InputError("Cursor cannot be empty")
        return EntitiesQuery(limit=limit, cursor=decode_cursor(body["cursor"]))
    return EntitiesQuery(
        limit=limit,
        offset=None if "offset" not in body else int(body["offset"]),
        predicate=checked_predicate(body.get("query")),
        order_fields=_order_by(body.get("orderBy", [])),
        full_text=_full_text(body.get("fullTextFilter")),
        counted=body.get("totalItems") != "exclude",
    )


def _answer(
    view: CatalogView, request: web.Request, access: Access, query: EntitiesQuery, fields: Fields
) -> web.Response:
    if access is Access.BLIND:
        return json_answer(request, b'{"items":[],"totalItems":0,"pageInfo":{}}')
    _refuse_negatives(query)
    if query.limit != 0:
        view.turn_page()
    page = view.reader.read(query)
    total = page.total + view.traps.count_off_by
    info = _page_info(query, page)
    tail = b',"totalItems":%s,"pageInfo":%s}' % (msgspec.json.encode(total), msgspec.json.encode(info))
    bodies = view.encoded(_deceive(view, query, page), fields)
    return view.answer_list(request, bodies, fields, head=b'{"items":', tail=tail)


def _refuse_negatives(query: EntitiesQuery) -> None:
    """Fail as JavaScript does over what only a body can hold: the check of parameters lets no negative through."""
    if query.limit is not None and query.limit < 0:
        raise RangeError("Invalid array length")
    if query.offset is not None and query.offset < 0:
        raise Error("A non-negative integer must be provided to offset.")


def _deceive(view: CatalogView, query: EntitiesQuery, page: EntitiesPage) -> Sequence[FinalEntity]:
    traps, entities = view.traps, list(page.entities)
    if traps.overlap and query.cursor is not None:
        entities = [*view.reader.behind(query.cursor, traps.overlap), *entities]
    if traps.lose:
        entities = entities[: -traps.lose]
    return entities[::-1] if traps.reversed_pages else entities


def _page_info(query: EntitiesQuery, page: EntitiesPage) -> Mapping[str, str]:
    info, reread = {}, query.cursor is not None
    if page.next_cursor is not None:
        info["nextCursor"] = encode_cursor(page.next_cursor, reread=reread)
    if page.previous_cursor is not None:
        info["prevCursor"] = encode_cursor(page.previous_cursor, reread=reread)
    return info


def _order_fields(texts: Sequence[str] | None) -> tuple[OrderField, ...]:
    return tuple(_order_field(text) for text in texts or ())


def _order_field(text: str) -> OrderField:
    field, *rest = text.split(",")
    if rest and rest[0] not in _ORDERS:
        raise InputError("Invalid order field order, must be asc or desc")
    return OrderField(field, rest[0] if rest else None)


def _order_by(items: Sequence[Json]) -> tuple[OrderField, ...]:
    for index, item in enumerate(items):
        place = f"request/body/orderBy/{index}"
        if not isinstance(item, dict):
            raise InputError(f"{place} must be object")
        for name in ("field", "order"):
            if name not in item:
                raise InputError(f"{place} must have required property '{name}'")
        if not isinstance(item["field"], str):
            raise InputError(f"{place}/field must be string")
        if item["order"] not in _ORDERS:
            raise InputError(f"{place}/order must be equal to one of the allowed values: asc, desc")
    return tuple(OrderField(item["field"], item["order"]) for item in items)


def _full_text(given: Mapping[str, Json] | None) -> FullTextFilter | None:
    if given is None:
        return None
    term, fields = given.get("term", ""), given.get("fields")
    if not isinstance(term, str):
        raise InputError("request/body/fullTextFilter/term must be string")
    if fields is not None and not isinstance(fields, list):
        raise InputError("request/body/fullTextFilter/fields must be array")
    return FullTextFilter(term, fields)
