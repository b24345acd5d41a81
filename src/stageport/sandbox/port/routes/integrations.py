"""``/v1/integration``: registration, mapping, resync state and requests, examples, cursors, what was shipped."""

from aiohttp import web

from stageport.model.entities import Json
from stageport.sandbox.port.gate import STATE, answer, read_object
from stageport.sandbox.port.parameters import flag
from stageport.sandbox.port.problems import invalid

_ONE = "/v1/integration/{integration}"
MAX_LOGS = 300


def add_integration_routes(router: web.UrlDispatcher) -> None:
    """Add the routes of integrations; ``provision-enabled`` is no identifier."""
    router.add_get("/v1/integration", list_integrations)
    router.add_post("/v1/integration", create)
    router.add_get("/v1/integration/provision-enabled", provision_enabled)
    router.add_get(_ONE, get)
    router.add_patch(_ONE, patch)
    router.add_delete(_ONE, delete)
    router.add_patch(f"{_ONE}/config", patch_config)
    router.add_patch(f"{_ONE}/resync-state", patch_state)
    router.add_get(f"{_ONE}/resync-request", resync_request)
    router.add_get(f"{_ONE}/kinds", kinds)
    router.add_post(f"{_ONE}/kinds/{{kind}}/examples", add_examples)
    router.add_get(f"{_ONE}/cursor", get_cursor)
    router.add_put(f"{_ONE}/cursor", put_cursor)
    router.add_post(f"{_ONE}/cursor", put_cursor)
    router.add_get(f"{_ONE}/logs", logs)


def _shown(request: web.Request, integration: Json) -> dict[str, Json]:
    """Return an integration with the addresses for telemetry, which are this stand-in's own."""
    base = f"{request.scheme}://{request.host}/ingest/{integration['logIngestId']}"
    shown = {key: value for key, value in integration.items() if key != "logIngestId"}
    return {
        **shown,
        "logAttributes": {"ingestId": integration["logIngestId"], "ingestUrl": f"{base}/logs"},
        "metricAttributes": {"ingestUrl": f"{base}/metrics"},
        "ingestAttributes": {"ingestUrl": base},
    }


def _name(request: web.Request) -> str:
    return request.match_info["integration"]


async def list_integrations(request: web.Request) -> web.Response:
    """Return all integrations."""
    known = request.app[STATE].integrations.all()
    return answer({"integrations": [_shown(request, one) for one in known]})


async def provision_enabled(request: web.Request) -> web.Response:
    """Return the types of integration whose resources Port itself creates."""
    return answer({"integrations": list(request.app[STATE].options.provision_enabled)})


async def create(request: web.Request) -> web.Response:
    """Register an integration."""
    given = await read_object(request)
    created = request.app[STATE].integrations.create(given, upsert=flag(request, "upsert"))
    return answer({"integration": _shown(request, created)})


async def get(request: web.Request) -> web.Response:
    """Return an integration, by its identifier or by where its logs go."""
    by_field = request.query.get("byField", "installationId")
    if by_field not in {"installationId", "logIngestId"}:
        raise invalid('"byField" must be equal to one of the allowed values')
    flag(request, "isPolling")
    found = request.app[STATE].integrations.get(_name(request), by_log_id=by_field == "logIngestId")
    return answer({"integration": _shown(request, found)})


async def patch(request: web.Request) -> web.Response:
    """Change an integration."""
    given = await read_object(request, empty=True)
    changed = request.app[STATE].integrations.patch(_name(request), given, skip_resync=_skips_resync(request))
    return answer({"integration": _shown(request, changed)})


async def patch_config(request: web.Request) -> web.Response:
    """Change the mapping of an integration."""
    given = await read_object(request)
    if set(given) != {"config"}:
        raise invalid("\"body\" must have the property 'config' and no other")
    changed = request.app[STATE].integrations.patch(_name(request), given, skip_resync=_skips_resync(request))
    return answer({"integration": _shown(request, changed)})


def _skips_resync(request: web.Request) -> bool:
    return request.headers.get("x-skip-resync") == "true"


async def delete(request: web.Request) -> web.Response:
    """Forget an integration."""
    request.app[STATE].integrations.delete(_name(request))
    return answer({})


async def patch_state(request: web.Request) -> web.Response:
    """Report the state of a resync."""
    changed = request.app[STATE].integrations.set_state(_name(request), await read_object(request))
    return answer({"integration": _shown(request, changed)})


async def resync_request(request: web.Request) -> web.Response:
    """Return the latest request for a resync, null when there was none."""
    return answer({"request": request.app[STATE].integrations.resync_request(_name(request))})


async def kinds(request: web.Request) -> web.Response:
    """Return the examples by kind."""
    return answer({"data": request.app[STATE].integrations.examples(_name(request))})


async def add_examples(request: web.Request) -> web.Response:
    """Keep examples of raw data."""
    given = await read_object(request)
    request.app[STATE].integrations.add_examples(_name(request), request.match_info["kind"], given)
    return answer({})


def _watermark(request: web.Request) -> tuple[str, str, str]:
    kind, index = request.query.get("kind"), request.query.get("index")
    if not kind or index is None or not index.isdecimal():
        raise invalid("\"querystring\" must have required property 'kind' and 'index'")
    return _name(request), kind, index


async def get_cursor(request: web.Request) -> web.Response:
    """Return the watermark of an incremental sync."""
    return answer({"cursor": request.app[STATE].integrations.cursor(*_watermark(request))})


async def put_cursor(request: web.Request) -> web.Response:
    """Set the watermark of an incremental sync."""
    given = await read_object(request)
    request.app[STATE].integrations.put_cursor(*_watermark(request), given, create=request.method == "POST")
    return answer({})


async def logs(request: web.Request) -> web.Response:
    """Return what was shipped to the address for logs, the latest last."""
    request.app[STATE].integrations.get(_name(request))
    limit = request.query.get("limit", "100")
    if not limit.isdecimal() or int(limit) > MAX_LOGS:
        raise invalid(f'"limit" must be <= {MAX_LOGS}')
    kept = list(request.app[STATE].journal.logs)
    return answer({"data": kept[len(kept) - int(limit) :] if int(limit) < len(kept) else kept})
