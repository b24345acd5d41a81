"""Finding entities: across blueprints, page by page in one, and by their datasource."""

from collections.abc import Iterator

from aiohttp import web

from stageport.model.entities import Json
from stageport.sandbox.port.gate import STATE, answer, read_object
from stageport.sandbox.port.paging import candidates, list_page
from stageport.sandbox.port.parameters import fields
from stageport.sandbox.port.problems import invalid
from stageport.sandbox.port.projection import Fields
from stageport.sandbox.port.query import Query
from stageport.sandbox.port.records import StoredEntity, read_time
from stageport.sandbox.port.shapes import need_keys, need_list, need_text, only_keys
from stageport.sandbox.port.state import PortState

DATASOURCE_ROUTE = "/v1/blueprints/entities/datasource-entities"
MAX_PAGE = 1000
DEFAULT_PAGE = 200
DEFAULT_LISTING = 1000
MAX_LISTING = 10_000
_DATASOURCE_KEYS = ("datasource_prefix", "datasource_suffix", "limit", "before", "from")


def add_search_routes(router: web.UrlDispatcher, *, datasource_listing: bool) -> None:
    """Add the routes of searching. They go before those of entities: ``search`` is no identifier."""
    if datasource_listing:
        router.add_post(DATASOURCE_ROUTE, list_by_datasource)
    router.add_post("/v1/entities/search", search_everywhere)
    router.add_post("/v1/blueprints/{blueprint}/entities/search", search_blueprint)


async def search_everywhere(request: web.Request) -> web.Response:
    """Return all matches in all blueprints."""
    state = request.app[STATE]
    query = state.queries().compile(await read_object(request))
    found = list(_matches(state, query))
    matching = list(dict.fromkeys(entity.blueprint for entity in found))
    shown = state.projector(fields(request)).show_all(found)
    return answer({"entities": shown, "matchingBlueprints": matching})


def _matches(state: PortState, query: Query) -> Iterator[StoredEntity]:
    for document in state.store.blueprints():
        identifier = document["identifier"]
        if query.blueprints is None or identifier in query.blueprints:
            yield from filter(query.matches, candidates(state.store, query)(identifier))


async def search_blueprint(request: web.Request) -> web.Response:
    """Return a page of the matches in one blueprint."""
    state = request.app[STATE]
    blueprint = state.catalog.get(request.match_info["blueprint"]).identifier
    given = await read_object(request, empty=True)
    only_keys(given, ("query", "include", "exclude", "limit", "from"))
    limit = _whole(given.get("limit", DEFAULT_PAGE), "limit", most=MAX_PAGE)
    query = state.queries().compile(given.get("query", {"combinator": "and", "rules": []}))
    page = list_page(
        candidates(state.store, query), [blueprint], after=_cursor(given), limit=limit, accepts=query.matches
    )
    projector = state.projector(Fields(include=_names(given, "include"), exclude=_names(given, "exclude")))
    return answer({"entities": projector.show_all(page.entities), **({"next": page.next} if page.next else {})})


def _whole(value: Json, name: str, *, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise invalid(f'"{name}" must be number')
    if not 1 <= value <= most:
        raise invalid(f'"{name}" must be >= 1 and <= {most}')
    return int(value)


def _names(given: dict[str, Json], key: str) -> frozenset[str]:
    return frozenset(need_text(one, key) for one in need_list(given.get(key, []), key))


def _cursor(given: dict[str, Json]) -> str | None:
    return None if given.get("from") is None else need_text(given["from"], "from")


async def list_by_datasource(request: web.Request) -> web.Response:
    """Return a page of the entities whose last writer called itself so: an unpublished route that Ocean relies on."""
    state = request.app[STATE]
    given = await read_object(request)
    only_keys(given, _DATASOURCE_KEYS)
    need_keys(given, "body", required=("datasource_prefix", "datasource_suffix"))
    prefix = need_text(given["datasource_prefix"], "datasource_prefix")
    suffix = need_text(given["datasource_suffix"], "datasource_suffix")
    before = _before(given)

    def accepts(entity: StoredEntity) -> bool:
        ours = entity.datasource.startswith(prefix) and entity.datasource.endswith(suffix)
        return ours and (before is None or entity.updated_at < before)

    page = list_page(
        state.store.entities,
        [document["identifier"] for document in state.store.blueprints()],
        after=_cursor(given),
        limit=_whole(given.get("limit", DEFAULT_LISTING), "limit", most=MAX_LISTING),
        accepts=accepts,
    )
    return answer({"entities": state.projector(Fields()).show_all(page.entities), "next": page.next})


def _before(given: dict[str, Json]) -> str | None:
    if given.get("before") is None:
        return None
    try:
        return read_time(need_text(given["before"], "before"))
    except ValueError as error:
        raise invalid('"before" must match format "date-time"') from error
