"""Tokens, headers, and what becomes of errors that concern everything."""

import asyncio

import pytest
from tests.scripted import Answer, Seen, as_html, as_json, client, in_turn, scripted
from tests.scripted_port import IDENTITY, SECRET, Port, complain, scripted_port

from stageport.http.retry import RetryPolicy
from stageport.model.errors import SettingsError, TargetAnswerError, TargetRefusedError, TargetUnreachableError
from stageport.port.session import PortSession

FINE = {"GET /v1/blueprints": as_json({"ok": True, "blueprints": []})}


async def test_a_token_is_fetched_once_however_many_need_it() -> None:
    async with scripted_port(FINE) as port:
        await asyncio.gather(*(port.blueprints.read_blueprints() for _ in range(20)))
    assert port.script.tokens == 1
    assert len(port.script.seen) == 20


async def test_headers_of_plain_calls_and_of_calls_that_own_entities() -> None:
    async with scripted_port(FINE) as port:
        await port.session.call("GET", "/v1/blueprints")
        await port.session.call_json("POST", "/v1/x", {}, exporter=True)
    plain, exporter = port.script.seen
    auth = port.server.seen[0]
    assert auth.headers["user-agent"] == plain.headers["user-agent"] == "port-ocean/backstage/1.2.3/my-backstage"
    assert exporter.headers["user-agent"] == "port-ocean/backstage/1.2.3/my-backstage/exporter"
    assert "authorization" not in auth.headers
    assert plain.headers["authorization"] == "Bearer token-1"
    assert exporter.headers["content-type"] == "application/json"


async def test_a_token_is_renewed_before_it_expires() -> None:
    async with scripted_port(FINE) as port:
        port.script.expires_in = 1000
        await port.blueprints.read_blueprints()
        port.client.clock.now += 930
        await port.blueprints.read_blueprints()
        assert port.script.tokens == 1
        port.client.clock.now += 20
        await port.blueprints.read_blueprints()
    assert port.script.tokens == 2


async def test_the_last_minute_of_a_token_takes_few_fetches_though_port_hands_out_the_same_one() -> None:
    async with scripted_port(FINE) as port:
        end = port.client.clock.now + 59
        for second in range(59):
            port.script.expires_in = end - port.client.clock.now
            await port.blueprints.read_blueprints()
            assert port.script.tokens <= 1 + second
            port.client.clock.now += 1
    assert port.script.tokens <= 4


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("retryable", [True, False])
async def test_any_401_renews_the_token_and_sends_again(method: str, retryable: bool) -> None:
    async with scripted_port({f"{method} /v1/x": as_json({})}) as port:
        await port.session.call("GET", "/v1/blueprints")
        port.script.accepted = "another"
        response = await port.session.call(method, "/v1/x", retryable=retryable)
    assert response.status == 200
    assert port.script.tokens == 2


async def test_a_401_of_many_at_once_renews_the_token_once() -> None:
    async with scripted_port(FINE) as port:
        await port.blueprints.read_blueprints()
        port.script.accepted = "another"
        await asyncio.gather(*(port.blueprints.read_blueprints() for _ in range(10)))
    assert port.script.tokens == 2


async def test_a_fresh_token_that_is_refused_ends_it() -> None:
    async with scripted_port({"GET /v1/blueprints": complain(401, "unauthorized")}) as port:
        with pytest.raises(TargetRefusedError) as caught:
            await port.blueprints.read_blueprints()
    assert port.script.tokens == 2
    assert len(port.script.seen) == 2
    assert "token-" not in caught.value.message + caught.value.hint


async def test_wrong_credentials_name_the_regions_and_no_secret() -> None:
    async with scripted_port(secret="hunter2") as port:
        with pytest.raises(TargetRefusedError) as caught:
            await port.blueprints.read_blueprints()
    text = caught.value.message + caught.value.hint
    assert "invalid_credentials" in text
    assert "https://api.us.port.io" in text
    assert "hunter2" not in text
    assert port.server.url in text
    assert len(port.server.seen) == 1


@pytest.mark.parametrize("answer", [Answer(404), as_html(404), complain(422, "invalid_request")])
async def test_an_address_that_is_not_ports_names_the_regions(answer: Answer) -> None:
    async with scripted(in_turn(answer)) as server, client() as one:
        session = PortSession(server.url, client_id="a", client_secret=SECRET, identity=IDENTITY, sender=one.sender)
        with pytest.raises(TargetRefusedError) as caught:
            await session.call("GET", "/v1/blueprints")
    assert "https://api.port.io" in caught.value.hint
    assert SECRET not in caught.value.message


UNROUTED = b'{"message":"Route POST:/v1/auth/access_token not found","error":"Not Found","statusCode":404}'


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (Answer(404), "There is no Port API at this address"),
        (as_html(404), "There is no Port API at this address"),
        (Answer(404, UNROUTED), "There is no Port API at this address"),
        (complain(404, "not_found"), "Compare both with those that Port shows under Credentials"),
    ],
)
async def test_a_404_is_blamed_on_the_credentials_only_where_port_says_so(answer: Answer, hint: str) -> None:
    async with scripted(in_turn(answer)) as server, client() as one:
        session = PortSession(server.url, client_id="a", client_secret=SECRET, identity=IDENTITY, sender=one.sender)
        with pytest.raises(TargetRefusedError) as caught:
            await session.call("GET", "/v1/blueprints")
    assert hint in caught.value.hint


@pytest.mark.parametrize("answer", [as_html(), as_json({"ok": True}), as_json([]), Answer(200, b"{")])
async def test_a_token_answer_that_is_none(answer: Answer) -> None:
    async with scripted(in_turn(answer)) as server, client() as one:
        session = PortSession(server.url, client_id="a", client_secret=SECRET, identity=IDENTITY, sender=one.sender)
        with pytest.raises(TargetAnswerError) as caught:
            await session.call("GET", "/v1/blueprints")
    assert caught.value.hint


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/"])
async def test_the_base_url_may_end_in_v1(base: str) -> None:
    async with scripted_port(FINE, base=base) as port:
        assert await port.blueprints.read_blueprints() == []


@pytest.mark.parametrize("url", ["", "api.port.io", "https://user:hunter2@api.port.io"])
async def test_a_base_url_that_is_none(url: str) -> None:
    async with client() as one:
        with pytest.raises(SettingsError) as caught:
            PortSession(url, client_id="a", client_secret="b", identity=IDENTITY, sender=one.sender)
    assert "hunter2" not in caught.value.message + caught.value.hint


async def test_nobody_listens() -> None:
    async with client() as one:
        session = PortSession(
            "http://127.0.0.1:1", client_id="a", client_secret="b", identity=IDENTITY, sender=one.sender
        )
        with pytest.raises(TargetUnreachableError, match=r"127\.0\.0\.1:1"):
            await session.call("GET", "/v1/blueprints")


async def read_with(port: Port, answer: Answer) -> object:
    port.script.routes["GET /v1/blueprints"] = answer
    return await port.blueprints.read_blueprints()


async def test_an_account_without_permission() -> None:
    async with scripted_port() as port:
        with pytest.raises(TargetRefusedError, match="missing_permissions"):
            await read_with(port, complain(403, "missing_permissions"))


async def test_an_address_that_is_not_on_the_allow_list() -> None:
    async with scripted_port() as port:
        with pytest.raises(TargetRefusedError) as caught:
            await read_with(port, as_html(403))
    assert "IP" in caught.value.hint
    assert "<" not in caught.value.message


@pytest.mark.parametrize("status", [429, 502, 503, 504, 500])
async def test_a_port_that_stays_unwell(status: int) -> None:
    async with scripted_port(policy=RetryPolicy(attempts=3)) as port:
        with pytest.raises(TargetUnreachableError, match=str(status)):
            await read_with(port, complain(status, "internal_error"))
    assert len(port.script.seen) == 3


async def test_a_port_that_is_unwell_for_a_moment() -> None:
    async with scripted_port() as port:
        answers = in_turn(Answer(503), Answer(502), Answer(429, b"", {"x-ratelimit-reset": "9"}))

        def route(seen: Seen) -> Answer:
            return answers(seen) if len(port.script.seen) < 4 else as_json({"blueprints": []})

        port.script.routes["GET /v1/blueprints"] = route
        assert await port.blueprints.read_blueprints() == []
    assert [wait.side for wait in port.client.waits] == ["Port"] * 3
    assert port.client.clock.slept == pytest.approx([0.3, 0.6, 9.45])


async def test_a_redirect_is_told() -> None:
    async with scripted_port() as port:
        with pytest.raises(TargetAnswerError) as caught:
            await read_with(port, Answer(301, b"", {"Location": "https://elsewhere"}))
    assert "redirects" in caught.value.hint
