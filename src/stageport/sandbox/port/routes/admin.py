"""``/_sandbox/``: the stand-in's own routes, which the real Port has not. No token is asked for."""

from aiohttp import web

from stageport.sandbox.port.gate import STATE, answer


def add_admin_routes(router: web.UrlDispatcher) -> None:
    """Add the routes that look into the stand-in and drive it."""
    router.add_get("/_sandbox/state", export)
    router.add_get("/_sandbox/stats", stats)
    router.add_post("/_sandbox/reset", reset)
    router.add_post("/_sandbox/expire-tokens", expire_tokens)
    router.add_post("/_sandbox/integration/{integration}/resync", request_resync)


async def export(request: web.Request) -> web.Response:
    """Return everything that is stored, each entity with its ``$datasource``."""
    return answer(request.app[STATE].export())


async def stats(request: web.Request) -> web.Response:
    """Return the counts of requests, entities, refusals and faults."""
    return answer(request.app[STATE].stats())


async def reset(request: web.Request) -> web.Response:
    """Forget everything."""
    request.app[STATE].reset()
    return answer({})


async def expire_tokens(request: web.Request) -> web.Response:
    """Let the access token expire now."""
    request.app[STATE].expire_tokens()
    return answer({})


async def request_resync(request: web.Request) -> web.Response:
    """Ask an integration for a resync, as the button in Port does."""
    return answer({"request": request.app[STATE].integrations.request_resync(request.match_info["integration"])})
