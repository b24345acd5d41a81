"""What a client sees of each fault, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
from aiohttp import web

from stageport.sandbox.faults import Fault, FaultKind, FaultPlan, add_fault_routes, fault_middleware

BODY = b'{"ok":true,"entities":["' + b"x" * 500 + b'"]}'


class Rig:
    """A server of one route behind a fault plan; ``handled`` counts the requests that were carried out."""

    def __init__(self) -> None:
        self.plan = FaultPlan()
        self.handled = 0
        self.slept: list[float] = []
        self.url = ""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def handle(self, request: web.Request) -> web.Response:
        self.handled += 1
        if request.path == "/missing":
            raise web.HTTPNotFound(text="no")
        return web.Response(body=BODY, content_type="application/json")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    app = web.Application(middlewares=[fault_middleware(rig.plan, sleep=rig.sleep)])
    add_fault_routes(app.router, rig.plan)
    app.router.add_route("*", "/{tail:.*}", rig.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    rig.url = f"http://{host}:{port}"
    yield rig
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(client: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    async with client.get(url) as answer:
        return answer.status, await answer.read()


async def test_without_a_fault_the_answer_is_the_handlers(rig: Rig, client: aiohttp.ClientSession) -> None:
    assert await get(client, rig.url) == (200, BODY)
    assert rig.plan.injected == {}


async def test_latency_is_waited_for_and_then_the_answer_comes(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.plan.add(Fault(kind=FaultKind.LATENCY, delay_ms=250, jitter_ms=50))
    assert (await get(client, rig.url))[0] == 200
    assert len(rig.slept) == 1
    assert 0.2 <= rig.slept[0] <= 0.3


async def test_latency_and_another_fault_hit_the_same_request(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.plan.add(Fault(kind=FaultKind.LATENCY, delay_ms=10), Fault(kind=FaultKind.STATUS, status=502))
    assert (await get(client, rig.url))[0] == 502
    assert rig.slept == [0.01]
    assert rig.plan.injected == {FaultKind.LATENCY: 1, FaultKind.STATUS: 1}


@pytest.mark.parametrize(("kind", "handled"), [(FaultKind.RESET_BEFORE, 0), (FaultKind.RESET_AFTER, 1)])
async def test_a_reset_leaves_no_answer(rig: Rig, client: aiohttp.ClientSession, kind: FaultKind, handled: int) -> None:
    rig.plan.add(Fault(kind=kind))
    with pytest.raises((aiohttp.ClientConnectionError, ConnectionResetError)):
        await client.post(rig.url, data=b"{}")
    assert rig.handled == handled


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.CUT_CHUNKED])
async def test_a_cut_body_ends_early(rig: Rig, client: aiohttp.ClientSession, kind: FaultKind) -> None:
    rig.plan.add(Fault(kind=kind, keep=0.5))
    answer = await client.get(rig.url)
    assert answer.status == 200
    assert ("Content-Length" in answer.headers) is (kind is FaultKind.CUT)
    with pytest.raises(aiohttp.ClientPayloadError):
        await answer.read()
    assert rig.handled == 1


async def test_status_stands_before_the_handler(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.plan.add(Fault(kind=FaultKind.STATUS, status=404))
    assert await get(client, rig.url) == (404, b"")
    assert rig.handled == 0


async def test_status_after_the_handler_hides_that_it_was_carried_out(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.plan.add(Fault(kind=FaultKind.STATUS, status=504, after_handler=True, body="late"))
    assert await get(client, f"{rig.url}/missing") == (504, b"late")
    assert rig.handled == 1


async def test_retry_after_in_seconds(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.plan.add(Fault(kind=FaultKind.STATUS, status=429, retry_after=2))
    async with client.get(rig.url) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")


async def test_retry_after_as_a_date(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.plan.add(Fault(kind=FaultKind.STATUS, status=429, retry_after=60, retry_after_as_date=True))
    async with client.get(rig.url) as answer:
        ahead = parsedate_to_datetime(answer.headers["Retry-After"]) - datetime.now(UTC)
    assert 50 < ahead.total_seconds() < 61


async def test_html_with_status_200(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.plan.add(Fault(kind=FaultKind.HTML))
    async with client.get(rig.url) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert b"<" in await answer.read()
    assert rig.handled == 0


async def test_a_slow_drip_arrives_whole(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.plan.add(Fault(kind=FaultKind.DRIP, piece=100, delay_ms=5))
    assert await get(client, rig.url) == (200, BODY)
    assert rig.slept == [0.005] * -(-len(BODY) // 100)


async def test_a_fault_is_aimed_skipped_and_used_up(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.plan.add(Fault(kind=FaultKind.STATUS, method="GET", path=r"^/v1/a", skip=1, times=2))
    statuses = [(await get(client, f"{rig.url}/v1/a?x=1"))[0] for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert (await get(client, f"{rig.url}/v1/b"))[0] == 200


async def test_chance_is_the_same_each_time() -> None:
    def outcomes(seed: int) -> list[bool]:
        plan = FaultPlan([Fault(kind=FaultKind.STATUS, probability=0.3, seed=seed)])
        return [bool(plan.draw(method="GET", path="/")) for _ in range(200)]

    assert outcomes(1) == outcomes(1)
    assert outcomes(1) != outcomes(2)
    assert 30 < sum(outcomes(1)) < 90


async def test_the_plan_is_driven_from_outside(rig: Rig, client: aiohttp.ClientSession) -> None:
    admin = f"{rig.url}/_sandbox/faults"
    async with client.post(admin, json=[{"kind": "status", "status": 500}, {"kind": "html"}]) as answer:
        assert len((await answer.json())["faults"]) == 2
    async with client.post(admin, json={"kind": "drip"}) as answer:
        assert answer.status == 200
    assert (await get(client, rig.url))[0] == 500
    async with client.get(admin) as answer:
        assert (await answer.json())["injected"] == {"status": 1}
    async with client.delete(admin) as answer:
        assert (await answer.json())["faults"] == []
    assert (await get(client, rig.url))[0] == 200


@pytest.mark.parametrize(
    "slip",
    [
        b"no json",
        b'{"kind":"unheard-of"}',
        b'{"kind":"status","pth":"x"}',
        b'{"kind":"status","path":"("}',
        b'{"kind":"status","probability":0}',
        b'{"kind":"cut","keep":1}',
        b'{"kind":"drip","piece":0}',
    ],
)
async def test_a_slip_in_a_fault_is_refused(rig: Rig, client: aiohttp.ClientSession, slip: bytes) -> None:
    async with client.post(f"{rig.url}/_sandbox/faults", data=slip) as answer:
        assert answer.status == 422
        assert (await answer.json())["error"] == "invalid_fault"
    assert (await get(client, rig.url))[0] == 200
