"""GET and POST /entity-facets: which values there are under a key, and how many entities have each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
from aiohttp import web

from stageport.model.entities import Json
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.answers import InputError, json_answer
from stageport.sandbox.backstage.parameters import FACETS, NOTHING, Field, check_body, read_body, read_parameters
from stageport.sandbox.backstage.predicates import checked_predicate, parse_filters
from stageport.sandbox.backstage.search import Searchable
from stageport.sandbox.backstage.view import CatalogView

_BODY = MappingProxyType({"facets": Field("array", required=True), "query": Field("object")})


async def get_facets(view: CatalogView, request: web.Request, access: Access) -> web.Response:
    """Answer for facets named as parameters."""
    given = read_parameters(request, FACETS, required=("facet",))
    facets = [facet for facet in given["facet"] if facet]
    if not facets:
        raise InputError("Missing facet parameter")
    return _answer(view, request, access, facets, parse_filters(given.get("filter")))


async def post_facets(view: CatalogView, request: web.Request, access: Access) -> web.Response:
    """Answer for facets named in a body."""
    read_parameters(request, NOTHING)
    body = await read_body(request, required=True)
    check_body(body, _BODY)
    facets = [facet for facet in body["facets"] if facet]
    if not facets:
        raise InputError("Missing or empty facets parameter")
    return _answer(view, request, access, facets, checked_predicate(body.get("query")))


def _answer(
    view: CatalogView, request: web.Request, access: Access, facets: Sequence[str], predicate: Json
) -> web.Response:
    found = {facet: [] for facet in facets} if access is Access.BLIND else _count(view, facets, predicate)
    return json_answer(request, msgspec.json.encode({"facets": found}))


def _count(view: CatalogView, facets: Sequence[str], predicate: Json) -> Mapping[str, Sequence[Json]]:
    counts: dict[str, Counter[str]] = {facet: Counter() for facet in facets}
    for entity in view.reader.selection.entities(predicate):
        searchable = Searchable(entity)
        for facet, counter in counts.items():
            counter.update(value for value in searchable.originals(facet) if value is not None)
    return {
        facet: [{"value": value, "count": counter[value]} for value in sorted(counter)]
        for facet, counter in counts.items()
    }
