"""GET /entities and POST /entities/by-refs."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec
from aiohttp import web

from stageport.model.entities import Json
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.answers import InputError, json_answer
from stageport.sandbox.backstage.catalog import FinalEntity
from stageport.sandbox.backstage.parameters import ENTITIES, FILTER, Field, check_body, read_body, read_parameters
from stageport.sandbox.backstage.predicates import checked_predicate, matcher, parse_filters
from stageport.sandbox.backstage.projection import parse_fields
from stageport.sandbox.backstage.search import Searchable
from stageport.sandbox.backstage.selection import Selection
from stageport.sandbox.backstage.view import CatalogView, routed_url

_REFS_BODY = MappingProxyType(
    {"entityRefs": Field("array", required=True), "fields": Field("array"), "query": Field("object")}
)
_UNTYPED_BODY = (
    "Malformed request body (did you remember to specify an application/json content type?), "
    'Validation error: Required at "entityRefs"'
)
_ORDER = re.compile(r"(asc|desc):(.+)")


class _Window(NamedTuple):
    limit: int | None = None
    offset: int | None = None


class _Order(NamedTuple):
    direction: str
    field: str


async def get_entities(view: CatalogView, request: web.Request, access: Access) -> web.Response:
    """Answer with all that match, by uid; or with a window of them by ref, and a Link to the next one."""
    given = read_parameters(request, ENTITIES)
    predicate = parse_filters(given.get("filter"))
    fields = parse_fields(given.get("fields"))
    order, window = _parse_order(given.get("order")), _parse_window(given)
    if access is Access.BLIND:
        return json_answer(request, b"[]")
    entities = _ordered(view.reader.selection, predicate, order, windowed=window is not None)
    if window is None:
        bodies = view.encoded(entities, fields)
        # Never one document: even projected entities are streamed here. Only nothing at all is.
        return view.answer_list(request, bodies, ()) if bodies else json_answer(request, b"[]")
    start = window.offset or 0
    end = len(entities) if window.limit is None else start + window.limit
    answer = view.answer_list(request, view.encoded(entities[start:end], fields), fields)
    if end < len(entities):
        answer.headers["Link"] = _next_link(routed_url(request), _Window(window.limit, end))
    return answer


def _ordered(
    selection: Selection, predicate: Json, order: Sequence[_Order], *, windowed: bool
) -> Sequence[FinalEntity]:
    """Sort as the database does: with an order, those that lack the field come last, or not at all when streamed."""
    entities = selection.entities(predicate)
    if not order:
        return sorted(entities, key=lambda entity: entity.ref) if windowed else entities
    if windowed and len(order) > 1:
        return _ordered_by_all(entities, order)
    by_uid = {entity.uid: entity for entity in entities}
    first = order[0]
    rows = list(selection.sorted_values(predicate, first.field.lower()))
    if first.direction == "desc":
        # A window breaks ties by ascending uid, a stream by the direction of the field.
        rows.sort(key=lambda row: row[1], reverse=not windowed)
        rows.sort(key=lambda row: row[0], reverse=True)
    with_field = [by_uid[uid] for _, uid in rows]
    if not windowed:
        return with_field
    placed = {uid for _, uid in rows}
    return [*with_field, *(entity for entity in entities if entity.uid not in placed)]


def _ordered_by_all(entities: Sequence[FinalEntity], order: Sequence[_Order]) -> Sequence[FinalEntity]:
    """Sort by several fields, of which each counts with its first value; what lacks one comes last."""
    found = list(entities)
    for direction, field in reversed(order):
        values = {entity.uid: next(iter(Searchable(entity).values(field.lower())), None) for entity in found}
        found.sort(key=lambda entity: values[entity.uid] or "", reverse=direction == "desc")
        found.sort(key=lambda entity: values[entity.uid] is None)
    return found


def _parse_order(texts: Sequence[str] | None) -> list[_Order]:
    found = []
    for text in texts or ():
        matched = _ORDER.fullmatch(text)
        if matched is None:
            raise InputError(f'Invalid order parameter "{text}", expected "<asc or desc>:<field name>"')
        found.append(_Order(*matched.groups()))
    return found


def _parse_window(given: Mapping[str, Json]) -> _Window | None:
    if not {"limit", "offset", "after"} & given.keys():
        return None
    if given.get("limit") == 0:
        raise InputError("Invalid limit, must be greater than zero")
    if "after" not in given:
        return _Window(given.get("limit"), given.get("offset"))
    try:
        place = msgspec.json.decode(base64.b64decode(given["after"] + "=="))
    except (binascii.Error, ValueError) as error:
        raise InputError("Malformed after cursor, could not be parsed") from error
    for name in ("limit", "offset"):
        if name in place and not isinstance(place[name], int):
            article = "an" if name == "limit" else "a"  # so it stands in Backstage
            raise InputError(f"Malformed after cursor, {name} was not {article} number")
    return _Window(place.get("limit", given.get("limit")), place.get("offset", given.get("offset")))


def _next_link(url: str, window: _Window) -> str:
    path, _, query = url.partition("?")
    place = {"offset": window.offset} if window.limit is None else {"limit": window.limit, "offset": window.offset}
    after = ("after", base64.b64encode(msgspec.json.encode(place)).decode())
    given = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "offset"]
    # URLSearchParams.set replaces where there is one, and appends where there is none.
    replaced = [after if name == "after" else (name, value) for name, value in given]
    pairs = replaced if after in replaced else [*replaced, after]
    return f'<{path}?{urlencode(pairs, safe="*")}>; rel="next"'


async def post_by_refs(view: CatalogView, request: web.Request, access: Access) -> web.Response:
    """Answer with one entity, or null, for each ref; refs are compared as they stand."""
    given = read_parameters(request, FILTER)
    body = await read_body(request)
    if "Content-Type" not in request.headers:
        raise InputError(_UNTYPED_BODY)
    check_body(body, _REFS_BODY)
    fields = parse_fields(body.get("fields"))
    predicates = (parse_filters(given.get("filter")), checked_predicate(body.get("query")))
    matches = [matcher(predicate) for predicate in predicates if predicate is not None]
    refs = body["entityRefs"]
    if access is Access.BLIND:
        return json_answer(request, msgspec.json.encode({"items": [None] * len(refs)}))

    def admitted(entity: FinalEntity | None) -> FinalEntity | None:
        return entity if entity is not None and all(match(Searchable(entity)) for match in matches) else None

    found = (admitted(view.catalog.find(ref)) for ref in refs)
    return view.answer_list(request, view.encoded(found, fields), fields, head=b'{"items":', tail=b"}")
