"""``POST /v1/auth/access_token`` and what concerns the organization as a whole."""

from aiohttp import web

from stageport.sandbox.port.gate import AUTH_ROUTE, STATE, answer, read_object
from stageport.sandbox.port.shapes import need_keys, need_text, only_keys


def add_auth_routes(router: web.UrlDispatcher) -> None:
    """Add the routes of authentication and organization."""
    router.add_post(AUTH_ROUTE, access_token)
    router.add_get("/v1/organization", organization)
    router.add_get("/v1/kafka-credentials", kafka_credentials)


async def access_token(request: web.Request) -> web.Response:
    """Exchange credentials for a token."""
    given = await read_object(request)
    need_keys(given, "body", required=("clientId", "clientSecret"))
    only_keys(given, ("clientId", "clientSecret"))
    token, lives = request.app[STATE].tokens.issue(
        need_text(given["clientId"], "clientId"), need_text(given["clientSecret"], "clientSecret")
    )
    return answer({"accessToken": token, "expiresIn": lives, "tokenType": "Bearer"})


async def organization(request: web.Request) -> web.Response:
    """Tell which organization the token belongs to, and its feature flags."""
    options = request.app[STATE].options
    return answer(
        {
            "organization": {
                "id": options.organization_id,
                "name": options.organization_name,
                "featureFlags": list(options.feature_flags),
            }
        }
    )


async def kafka_credentials(request: web.Request) -> web.Response:
    """Hand out the credentials of the change log; null when the organization has none."""
    return answer({"credentials": request.app[STATE].options.kafka_credentials})
