"""The Backstage stand-in at its doors and in its bad moments: tokens, limits, start-up, traps and faults."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest
from tests.visitor import DESCRIPTORS, TOKEN, Visitor, visit

from stageport.model.entities import Json
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, run_backstage_sandbox
from stageport.sandbox.backstage.traps import Phase, RateLimit, Stage
from stageport.sandbox.faults import Fault, FaultKind


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    async with visit() as one:
        yield one


# -- who may read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "status", "message"),
    [
        (None, 401, "AuthenticationError: Missing credentials"),
        ("Basic abc", 401, "AuthenticationError: Missing credentials"),
        (TOKEN, 401, "AuthenticationError: Missing credentials"),
        (f"Bearer {TOKEN} more", 401, "AuthenticationError: Missing credentials"),
        ("Bearer wrong-token", 401, "AuthenticationError: Illegal token"),
        ("Bearer other", 403, "NotAllowedError: This token's access is restricted to plugin(s) 'scaffolder'"),
        ("Bearer expired", 500, 'JWTExpired: "exp" claim timestamp check failed'),
    ],
)
@pytest.mark.parametrize("path", ["/entities/by-query?bogus=1", "/nope"])
async def test_who_is_turned_away(header: str | None, status: int, message: str, path: str) -> None:
    async with visit(tokens={"other": Access.OTHER_PLUGIN, "expired": Access.EXPIRED}) as visitor:
        answer = await visitor.get(path, token=None, headers={"Authorization": header} if header else {})

    assert (answer.status, answer.message) == (status, message)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
async def test_the_scheme_is_bearer_in_any_casing(visitor: Visitor, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}

    assert (await visitor.get("/entities/by-query?limit=0", token=None, headers=headers)).status == 200


async def test_without_tokens_everybody_may_read_but_a_token_must_be_known() -> None:
    async with visit(token=None) as visitor:
        assert (await visitor.get("/entities/by-query?limit=0", token=None)).status == 200
        assert (await visitor.get("/entities/by-query?limit=0", token="anything")).status == 401


async def test_a_token_without_permission_sees_an_empty_catalog_not_an_error() -> None:
    async with visit(tokens={"blind": Access.BLIND}) as visitor:
        get = [
            await visitor.get(path, token="blind")
            for path in ("/entities/by-query", "/entities", "/entities?limit=3", "/entity-facets?facet=kind")
        ]
        refs = await visitor.post("/entities/by-refs", {"entityRefs": ["group:default/team"]}, token="blind")
        name = await visitor.get("/entities/by-name/group/default/team", token="blind")
        delete = await visitor.ask("DELETE", "/entities/by-uid/x", token="blind")

    assert [answer.status for answer in get] == [200] * 4
    assert [answer.json for answer in get] == [
        {"items": [], "totalItems": 0, "pageInfo": {}},
        [],
        [],
        {"facets": {"kind": []}},
    ]
    assert refs.json == {"items": [None]}
    assert name.status == 404
    assert (delete.status, delete.message) == (403, "NotAllowedError: ")


# -- limits, start-up, traps --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "status"), [(15_500, 200), (16_500, 431)])
async def test_a_head_of_more_than_16_kb_is_refused_before_anything_else(length: int, status: int) -> None:
    async with visit(token=None) as visitor:
        answer = await visitor.get(f"/entities/by-query?limit=1&filter=metadata.name={'a' * length}", token=None)

    assert answer.status == status
    assert status == 200 or answer.body == b""


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate", "gzip"), ("identity", None), ("gzip;q=0", None)],
)
async def test_an_answer_is_compressed_as_the_client_asks(
    visitor: Visitor, accepted: str, expected: str | None
) -> None:
    answer = await visitor.get("/entities/by-query?limit=20", headers={"Accept-Encoding": accepted})

    assert answer.headers.get("Content-Encoding") == expected
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert len(answer.json["items"]) == 20


async def test_compression_can_be_left_out() -> None:
    async with visit(compress=False) as visitor:
        answer = await visitor.get("/entities/by-query?limit=20", headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in answer.headers


async def test_too_many_requests() -> None:
    async with visit(rate_limit=RateLimit(requests=1, seconds=30)) as visitor:
        first, second = await visitor.get("/entity-facets?facet=kind"), await visitor.get("/entity-facets?facet=kind")

    assert (first.status, first.headers["X-RateLimit-Remaining"]) == (200, "0")
    assert second.status == 429
    assert 1 <= int(second.headers["Retry-After"]) <= 30
    assert second.json["error"]["message"] == "Too many requests, please try again later"


async def test_starting_up() -> None:
    phases = [Phase(Stage.SILENT, requests=1), Phase(Stage.WAITING, requests=1), Phase(Stage.EMPTY, requests=1)]
    async with visit(startup=phases) as visitor:
        answers = [await visitor.get("/entities/by-query?limit=0") for _ in range(4)]
        visitor.running.restart([Phase(Stage.SILENT, requests=1)], renew_uids=True)
        again = await visitor.get("/entities/by-query?limit=0")

    assert [answer.status for answer in answers] == [404, 503, 200, 200]
    assert answers[0].body == again.body == b""
    assert answers[1].message == "ServiceUnavailableError: Service has not started up yet"
    assert [answer.json["totalItems"] for answer in answers[2:]] == [0, 26]


async def test_a_count_that_does_not_add_up(visitor: Visitor) -> None:
    visitor.running.traps.count_off_by = 3

    page = (await visitor.get("/entities/by-query?limit=500")).json

    assert (len(page["items"]), page["totalItems"]) == (26, 29)


@pytest.mark.parametrize(
    ("trap", "missing", "doubled"),
    [({"overlap": 2}, 0, 4), ({"lose": 2}, 6, 0), ({"reversed_pages": True}, 0, 0)],
)
async def test_pages_that_deceive(visitor: Visitor, trap: Mapping[str, Json], missing: int, doubled: int) -> None:
    for name, value in trap.items():
        setattr(visitor.running.traps, name, value)

    names = await visitor.scan("limit=10")

    assert len(set(names)) == 26 - missing
    assert len(names) - len(set(names)) == doubled
    in_order = [entity.decoded()["metadata"]["name"] for entity in sorted(visitor.catalog, key=lambda one: one.uid)]
    assert names != in_order


async def test_a_catalog_that_changes_while_it_is_read(visitor: Visitor) -> None:
    def change(page: int) -> None:
        if page == 2:
            gone = max(visitor.catalog, key=lambda entity: entity.uid)
            visitor.catalog.delete(gone.ref)

    visitor.running.traps.before_page = change

    assert len(await visitor.scan("limit=10")) == 25


async def test_a_stream_that_breaks_in_good_order(visitor: Visitor) -> None:
    visitor.running.traps.broken_json = True

    answer = await visitor.get("/entities/by-query?limit=5")

    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)


async def test_faults_of_the_network() -> None:
    faults = [Fault(kind=FaultKind.HTML, path="by-query", times=1), Fault(kind=FaultKind.CUT_CHUNKED, times=1)]
    async with visit(faults=faults) as visitor:
        html = await visitor.get("/entities/by-query?limit=5")
        with pytest.raises(aiohttp.ClientPayloadError):
            await visitor.get("/entities/by-query?limit=5")
        fine = await visitor.get("/entities/by-query?limit=5")

    assert html.headers["Content-Type"].startswith("text/html")
    assert fine.status == 200


async def test_requests_are_remembered(visitor: Visitor) -> None:
    await visitor.get("/entities/by-query?limit=1")

    assert visitor.running.requests == ["GET /api/catalog/entities/by-query?limit=1"]


async def test_the_sample_is_served_when_nothing_else_is_asked_for() -> None:
    async with visit(descriptors=None) as visitor:
        kinds = (await visitor.get("/entity-facets?facet=kind")).json["facets"]["kind"]

    assert {"value": "Environment", "count": 3} in kinds


async def test_synthetic_entities_by_number() -> None:
    async with visit(descriptors=None, entities=120) as visitor:
        assert (await visitor.get("/entities/by-query?limit=0")).json["totalItems"] == 120


async def test_the_sandbox_command_tells_when_it_is_ready_and_runs_until_cancelled() -> None:
    ready = asyncio.get_running_loop().create_future()
    options = BackstageOptions(descriptors=DESCRIPTORS)
    task = asyncio.create_task(run_backstage_sandbox(options, host="127.0.0.1", port=0, ready=ready.set_result))
    running: RunningBackstage = await ready

    async with aiohttp.ClientSession() as session, session.get(f"{running.url}/api/catalog/entities") as answer:
        assert answer.status == 200
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
