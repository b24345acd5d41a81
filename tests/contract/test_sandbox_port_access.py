"""Tokens, headers, limits and envelopes of the Port stand-in."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from tests.contract.port_rig import Rig, open_rig

from stageport.sandbox.faults import Fault, FaultKind
from stageport.sandbox.port import Behaviour, PortOptions, RateLimit, run_port_sandbox


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as rig:
        yield rig


async def test_a_token_is_the_same_until_it_expires(rig: Rig) -> None:
    first = rig.token
    rig.pass_time(100)
    again = await rig.sign_in()
    assert again.body["accessToken"] == first
    assert again.body["expiresIn"] == 3 * 60 * 60 - 100
    assert again.body["tokenType"] == "Bearer"
    rig.pass_time(3 * 60 * 60)
    assert (await rig.call("GET", "/v1/blueprints")).status == 401
    await rig.sign_in()
    assert rig.token != first
    assert (await rig.call("GET", "/v1/blueprints")).status == 200


async def test_a_token_can_be_made_to_expire(rig: Rig) -> None:
    rig.state.expire_tokens()
    assert (await rig.call("GET", "/v1/organization")).status == 401
    await rig.ok("POST", "/_sandbox/expire-tokens")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"clientId": "sandbox-client", "clientSecret": "wrong"}, 401),
        ({"clientId": "wrong", "clientSecret": "sandbox-secret"}, 401),
        ({"clientId": "sandbox-client"}, 422),
        ({"clientId": "sandbox-client", "clientSecret": 1}, 422),
        ({"clientId": "a", "clientSecret": "b", "more": "c"}, 422),
        ([], 422),
    ],
)
async def test_bad_credentials_get_no_token(rig: Rig, body: object, status: int) -> None:
    assert (await rig.call("POST", "/v1/auth/access_token", body)).status == status


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic {token}", "{token}"])
async def test_without_a_good_token_nothing_is_answered(rig: Rig, header: str) -> None:
    sent = {"Authorization": header.format(token=rig.token)}
    reply = await rig.call("GET", "/v1/blueprints", headers=sent)
    assert (reply.status, reply.error) == (401, "unauthorized")
    assert (await rig.call("GET", "/v1/no/such/route", headers=sent)).status == 401


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/nothing"), ("POST", "/v1/organization"), ("DELETE", "/v1/blueprints")]
)
async def test_an_unknown_route_or_method_is_not_found(rig: Rig, method: str, path: str) -> None:
    reply = await rig.call(method, path)
    assert (reply.status, reply.body["ok"], reply.error) == (404, False, "not_found")


async def test_every_answer_has_a_trace_and_the_rate_limit(rig: Rig) -> None:
    first = await rig.call("GET", "/v1/organization")
    second = await rig.call("GET", "/v1/nothing")
    assert first.headers["X-Trace-Id"] != second.headers["X-Trace-Id"]
    assert int(second.headers["x-ratelimit-remaining"]) == int(first.headers["x-ratelimit-remaining"]) - 1
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-period"]) == ("35000", "300")


async def test_a_request_too_many_waits_for_the_period_to_end() -> None:
    async with open_rig(rate_limit=RateLimit(limit=2, period=10)) as rig:
        statuses = [(await rig.call("GET", "/v1/organization")).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        rig.pass_time(4)
        refused = await rig.call("GET", "/v1/organization")
        assert (refused.error, refused.headers["x-ratelimit-reset"]) == ("too_many_requests", "6")
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert "Retry-After" not in refused.headers
        rig.pass_time(6)
        assert (await rig.call("GET", "/v1/organization")).status == 200


async def test_the_reset_can_be_an_epoch_and_come_with_retry_after() -> None:
    behaviour = Behaviour(rate_limit_reset="epoch", sends_retry_after=True)
    async with open_rig(rate_limit=RateLimit(limit=1, period=60), behaviour=behaviour) as rig:
        await rig.call("GET", "/v1/organization")
        refused = await rig.call("GET", "/v1/organization")
        assert (refused.headers["x-ratelimit-reset"], refused.headers["Retry-After"]) == ("1700000060", "60")


async def test_a_body_may_have_one_mebibyte_and_no_more(rig: Rig) -> None:
    await rig.blueprint(properties={"text": {"type": "string"}})
    path = "/v1/blueprints/component/entities?upsert=true"
    frame = b'{"identifier":"a","properties":{"text":"%s"}}'
    room = 1024 * 1024 - len(frame) + 2
    assert (await rig.call("POST", path, raw=frame % (b"x" * room))).status == 201
    reply = await rig.call("POST", path, raw=frame % (b"x" * (room + 1)))
    assert (reply.status, reply.error) == (413, "bad_request")


async def test_a_body_far_too_large_is_refused_all_the_same(rig: Rig) -> None:
    reply = await rig.call("POST", "/v1/blueprints", raw=b"[" + b" " * (33 * 1024 * 1024))
    assert reply.status == 413


async def test_what_is_no_json_is_refused(rig: Rig) -> None:
    assert (await rig.call("POST", "/v1/blueprints", raw=b"{")).status == 400
    assert (await rig.call("POST", "/v1/blueprints", raw=b'"\xff"')).status == 400
    reply = await rig.call("POST", "/v1/blueprints", raw=b"{}", headers={"Content-Type": "text/plain"})
    assert reply.status == 415


async def test_the_organization_has_no_kafka_unless_the_options_say_so(rig: Rig) -> None:
    organization = (await rig.ok("GET", "/v1/organization"))["organization"]
    assert organization == {"id": "org_sandbox", "name": "Sandbox", "featureFlags": []}
    assert (await rig.ok("GET", "/v1/kafka-credentials"))["credentials"] is None


async def test_kafka_credentials_are_those_of_the_options() -> None:
    async with open_rig(kafka_credentials={"username": "u", "password": "p"}, feature_flags=("F",)) as rig:
        assert (await rig.ok("GET", "/v1/kafka-credentials"))["credentials"]["username"] == "u"
        assert (await rig.ok("GET", "/v1/organization"))["organization"]["featureFlags"] == ["F"]


async def test_secrets_do_not_show_in_the_options() -> None:
    shown = repr(PortOptions(client_secret="hush-hush", kafka_credentials={"password": "hush-hush"}))
    assert "hush-hush" not in shown


async def test_faults_reach_the_stand_in(rig: Rig) -> None:
    rig.running.faults.add(Fault(kind=FaultKind.STATUS, status=503, path="/v1/organization", times=1))
    async with rig.session.get(f"{rig.running.url}/v1/organization") as answer:
        assert answer.status == 503
    await rig.ok("GET", "/v1/organization")
    rig.running.faults.add(Fault(kind=FaultKind.RESET_AFTER, method="POST", times=1))
    with pytest.raises((aiohttp.ClientConnectionError, ConnectionResetError)):
        await rig.blueprint("written")
    assert "written" in rig.state.blueprints()


async def test_it_runs_until_it_is_cancelled() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    running = asyncio.create_task(run_port_sandbox(PortOptions(), port=0, ready=told.put_nowait))
    url = await told.get()
    async with aiohttp.ClientSession() as session, session.get(f"{url}/_sandbox/stats") as answer:
        assert answer.status == 200
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
