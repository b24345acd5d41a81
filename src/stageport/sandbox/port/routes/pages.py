"""The pages for people, and their style sheet."""

from importlib.resources import files

from aiohttp import web

from stageport.sandbox.port.gate import STATE
from stageport.sandbox.port.pages.details import blueprint_page, entity_page
from stageport.sandbox.port.pages.overview import not_there, overview

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add_page_routes(router: web.UrlDispatcher) -> None:
    """Add the pages."""
    router.add_get("/", show_overview)
    router.add_get("/blueprints/{blueprint}", show_blueprint)
    router.add_get("/blueprints/{blueprint}/entities/{entity}", show_entity)
    router.add_get("/_sandbox/style.css", show_style)


def _html(text: str, *, status: int = 200) -> web.Response:
    # The pages show data of others and need no script at all: none can run.
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=_HEADERS)


async def show_overview(request: web.Request) -> web.Response:
    """Show what arrived."""
    return _html(overview(request.app[STATE], live=request.query.get("live") == "1"))


async def show_blueprint(request: web.Request) -> web.Response:
    """Show the entities of a blueprint."""
    state = request.app[STATE]
    identifier = request.match_info["blueprint"]
    blueprint = state.catalog.find(identifier)
    if blueprint is None:
        return _html(not_there(state, f"There is no blueprint {identifier}."), status=404)
    words, after = request.query.get("q", ""), request.query.get("from")
    return _html(blueprint_page(state, blueprint, words=words, after=after))


async def show_entity(request: web.Request) -> web.Response:
    """Show an entity."""
    state = request.app[STATE]
    identifier = request.match_info["entity"]
    blueprint = state.catalog.find(request.match_info["blueprint"])
    entity = state.store.entity(request.match_info["blueprint"], identifier)
    if blueprint is None or entity is None:
        return _html(not_there(state, f"There is no entity {identifier}."), status=404)
    return _html(entity_page(state, blueprint, entity))


async def show_style(_request: web.Request) -> web.Response:
    """Serve the style sheet."""
    text = files("stageport.sandbox.port.pages").joinpath("style.css").read_text("utf-8")
    return web.Response(text=text, content_type="text/css", headers={"Cache-Control": "max-age=3600"})
