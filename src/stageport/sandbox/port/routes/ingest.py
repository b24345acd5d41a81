"""The addresses to which integrations ship logs, metrics and heartbeats. All of it is kept.

What is sent is judged by the shapes that Port's specification gives for reading it again: closed objects, known words.
"""

from aiohttp import web

from stageport.model.entities import Json
from stageport.sandbox.port.gate import STATE, answer, read_object
from stageport.sandbox.port.problems import invalid, not_found
from stageport.sandbox.port.report_rules import check_log, check_metric
from stageport.sandbox.port.shapes import need_list, need_text, only_keys

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
    records = need_list(_only(await read_object(request), "logs"), "logs")
    for record in records:
        check_log(record)
    request.app[STATE].journal.logs.extend(records)
    return answer({})


async def take_metrics(request: web.Request) -> web.Response:
    """Keep the metrics of several kinds."""
    _check(request)
    given = need_list(_only(await read_object(request), "syncKindsMetrics"), "syncKindsMetrics")
    request.app[STATE].journal.metrics.extend(check_metric(one) for one in given)
    return answer({})


async def take_kind_metrics(request: web.Request) -> web.Response:
    """Keep the metrics of one kind."""
    _check(request)
    given = check_metric(_only(await read_object(request), "syncKindMetrics"))
    for key, part in (("eventId", "event"), ("kindIdentifier", "kind")):
        if given[key] != request.match_info[part]:
            raise invalid(f'"{key}" must be equal to the one in the path')
    request.app[STATE].journal.metrics.append(given)
    return answer({})


def _only(body: Json, key: str) -> Json:
    only_keys(body, (key,))
    return body.get(key)


async def take_heartbeat(request: web.Request) -> web.Response:
    """Keep a sign of life."""
    _check(request)
    given = await read_object(request)
    only_keys(given, ("eventId",))
    need_text(given.get("eventId"), "eventId", shortest=1)
    request.app[STATE].journal.heartbeats.append({**given, "at": request.app[STATE].now()})
    return answer({})
