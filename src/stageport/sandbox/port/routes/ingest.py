"""The addresses to which integrations ship logs, metrics and heartbeats. All of it is kept, none of it judged much."""

from aiohttp import web

from stageport.sandbox.port.gate import STATE, answer, read_object
from stageport.sandbox.port.problems import not_found
from stageport.sandbox.port.shapes import need_list, need_object, need_text

_BASE = "/ingest/{ingest}"


def add_ingest_routes(router: web.UrlDispatcher) -> None:
    """Add the routes of telemetry."""
    router.add_post(f"{_BASE}/logs", take_logs)
    router.add_post(f"{_BASE}/metrics/syncMetrics", take_metrics)
    router.add_put(f"{_BASE}/metrics/syncMetrics/resync/{{event}}/kind/{{kind}}", take_kind_metrics)
    router.add_post(f"{_BASE}/metrics/heartbeat", take_heartbeat)


def _check(request: web.Request) -> None:
    ingest = request.match_info["ingest"]
    if request.app[STATE].integrations.find(ingest, by_log_id=True) is None:
        raise not_found("Integration", field="logIngestId", value=ingest)


async def take_logs(request: web.Request) -> web.Response:
    """Keep log records."""
    _check(request)
    records = need_list((await read_object(request)).get("logs"), "logs")
    for record in records:
        need_text(need_object(record, "logs").get("message"), "message")
    request.app[STATE].journal.logs.extend(records)
    return answer({})


async def take_metrics(request: web.Request) -> web.Response:
    """Keep the metrics of several kinds."""
    _check(request)
    given = need_list((await read_object(request)).get("syncKindsMetrics"), "syncKindsMetrics")
    request.app[STATE].journal.metrics.extend(need_object(one, "syncKindsMetrics") for one in given)
    return answer({})


async def take_kind_metrics(request: web.Request) -> web.Response:
    """Keep the metrics of one kind."""
    _check(request)
    given = need_object((await read_object(request)).get("syncKindMetrics"), "syncKindMetrics")
    request.app[STATE].journal.metrics.append(given)
    return answer({})


async def take_heartbeat(request: web.Request) -> web.Response:
    """Keep a sign of life."""
    _check(request)
    given = await read_object(request)
    request.app[STATE].journal.heartbeats.append({**given, "at": request.app[STATE].now()})
    return answer({})
