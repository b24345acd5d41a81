import gzip
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.scripted import Answer, FakeClock, Seen, as_json, client, in_turn, scripted
from tests.tls_relay import make_certificate

from stageport.http.messages import NoAnswerError, Request, Response, Trouble
from stageport.http.pacing import Gate
from stageport.http.retry import RetryPolicy
from stageport.http.transport import Transport
from stageport.model.errors import SettingsError


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_an_answer_comes_back_whole() -> None:
    async with scripted(in_turn(as_json({"a": 1}, 207, X_Trace_Id="t"))) as server, client() as one:
        response = await one.sender.send(Request("POST", f"{server.url}/x%2Fy?q=%2B", {"A": "b"}, b"body"))
    assert (response.status, response.body, response.headers["x-trace-id"]) == (207, b'{"a": 1}', "t")
    assert server.seen[0].target == "/x%2Fy?q=%2B"
    assert server.seen[0].body == b"body"
    assert server.seen[0].headers["a"] == "b"
    assert server.seen[0].headers["accept-encoding"] == "gzip, deflate"


async def test_connections_are_kept() -> None:
    async with scripted(in_turn(as_json({}))) as server, client() as one:
        for _ in range(5):
            await one.sender.send(Request("GET", server.url))
    assert server.connections == 1


async def test_gzip_is_undone() -> None:
    packed = Answer(200, gzip.compress(b"{}" * 5000), {"Content-Encoding": "gzip"})
    async with scripted(in_turn(packed)) as server, client() as one:
        assert (await one.sender.send(Request("GET", server.url))).body == b"{}" * 5000


async def test_redirects_are_not_followed() -> None:
    async with scripted(in_turn(Answer(302, b"", {"Location": "/login"}))) as server, client() as one:
        assert (await one.sender.send(Request("GET", server.url))).status == 302
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "broken",
    [
        Answer(200, b'{"items": []}', cut=5),
        Answer(200, b'{"items": []}', cut=5, chunked=True),
        Answer(200, gzip.compress(b"{}" * 5000)[:-10], {"Content-Encoding": "gzip"}),
        Answer(reset=True),
    ],
    ids=["length", "chunked", "gzip", "reset"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_broken_answer_is_asked_for_again(broken: Answer, method: str) -> None:
    async with scripted(in_turn(broken, as_json({"ok": True}))) as server, client() as one:
        response = await one.sender.send(Request(method, server.url))
    assert response.body == b'{"ok": true}'
    assert len(server.seen) == 2


@pytest.mark.parametrize("cut", [Answer(200, b"0123456789", cut=4), Answer(200, b"0123456789", cut=4, chunked=True)])
async def test_an_answer_that_is_always_cut_short_is_no_answer(cut: Answer) -> None:
    async with scripted(in_turn(cut)) as server, client(policy=RetryPolicy(attempts=3)) as one:
        with pytest.raises(NoAnswerError) as caught:
            await one.sender.send(Request("GET", server.url))
    assert caught.value.trouble is Trouble.CUT_SHORT
    assert len(server.seen) == 3


async def test_what_must_not_be_done_twice_is_not_sent_twice() -> None:
    async with scripted(in_turn(Answer(reset=True))) as server, client() as one:
        with pytest.raises(NoAnswerError):
            await one.sender.send(Request("POST", server.url, retryable=False))
    assert len(server.seen) == 1


async def test_a_slow_answer_is_given_up() -> None:
    slow = in_turn(Answer(200, b"{}", delay=1.0))
    async with scripted(slow) as server, client(within=0.05, policy=RetryPolicy(attempts=2)) as one:
        with pytest.raises(NoAnswerError) as caught:
            await one.sender.send(Request("GET", server.url))
    assert caught.value.trouble is Trouble.TIMEOUT
    assert len(one.waits) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
async def test_an_address_where_nobody_listens_is_given_up_within_its_limit(host: str) -> None:
    async with client() as one:
        with pytest.raises(NoAnswerError) as caught:
            await one.sender.send(Request("GET", f"http://{host}:{free_port()}/", retryable=False))
    assert caught.value.trouble is Trouble.UNREACHABLE
    assert host in caught.value.reason
    assert 0 < sum(one.clock.slept) <= 30


async def test_a_side_that_restarts_is_waited_for_longer_than_one_that_was_never_there() -> None:
    port = free_port()
    async with AsyncExitStack() as later:

        class Restart(FakeClock):
            async def sleep(self, seconds: float) -> None:
                before = self.now
                await super().sleep(seconds)
                if before < 1070 <= self.now:
                    await later.enter_async_context(scripted(in_turn(as_json({"again": True})), port=port))

        async with client(clock=Restart()) as one:
            async with scripted(in_turn(as_json({})), port=port) as server:
                await one.sender.send(Request("GET", server.url))
            response = await one.sender.send(Request("POST", f"http://127.0.0.1:{port}"))
    assert response.body == b'{"again": true}'
    assert 70 <= sum(one.clock.slept) <= 140


async def test_a_client_that_speaks_tls_to_a_plain_server() -> None:
    async with scripted(in_turn(as_json({}))) as server, client(policy=RetryPolicy(attempts=1)) as one:
        with pytest.raises(NoAnswerError, match="TLS connection failed"):
            await one.sender.send(Request("GET", server.url.replace("http:", "https:")))


@pytest.mark.parametrize("url", ["http://", "ftp://host/", "http://[::1"])
async def test_an_address_that_is_none_is_not_tried_again(url: str) -> None:
    async with client() as one:
        with pytest.raises(NoAnswerError) as caught:
            await one.sender.send(Request("GET", url))
    assert caught.value.trouble is Trouble.BAD_URL
    assert one.waits == []


async def test_retry_after_is_kept_and_told() -> None:
    answers = in_turn(Answer(429, b"", {"Retry-After": "7"}), Answer(503, b""), as_json({}))
    async with scripted(answers) as server, client(side="Port") as one:
        assert (await one.sender.send(Request("GET", server.url))).status == 200
    assert one.clock.slept == pytest.approx([7.35, 0.6])
    assert [(wait.side, wait.reason, wait.rate_limited) for wait in one.waits] == [
        ("Port", "answered 429", True),
        ("Port", "answered 503", False),
    ]


async def test_the_last_answer_comes_back_when_patience_ends() -> None:
    async with scripted(in_turn(as_json({"error": "busy"}, 503))) as server, client() as one:
        response = await one.sender.send(Request("GET", server.url))
    assert (response.status, len(server.seen)) == (503, 10)


async def test_an_answer_that_the_caller_deals_with_is_not_retried() -> None:
    def final(response: Response) -> bool:
        return b"expired" in response.body

    async with scripted(in_turn(Answer(500, b"expired"))) as server, client() as one:
        assert (await one.sender.send(Request("GET", server.url), final=final)).status == 500
    assert len(server.seen) == 1


async def test_a_used_up_rate_limit_holds_the_next_request_until_its_reset() -> None:
    used_up = as_json({}, x_ratelimit_remaining="0", x_ratelimit_reset="30")
    clock = FakeClock()
    async with scripted(in_turn(used_up, as_json({}))) as server, client(gate=Gate(clock=clock), clock=clock) as one:
        await one.sender.send(Request("GET", server.url))
        await one.sender.send(Request("GET", server.url))
    assert clock.slept == [30]
    assert [(wait.seconds, wait.rate_limited) for wait in one.waits] == [(30, True)]


async def test_a_proxy_is_used_and_exceptions_are_not() -> None:
    async with scripted(in_turn(as_json({"from": "proxy"}))) as proxy, scripted(in_turn(as_json({}))) as server:
        environment = {"HTTP_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}
        async with Transport(environment=environment) as transport:
            through = await transport.send(Request("GET", "http://backstage.invalid/api"))
            await transport.send(Request("GET", server.url))
    assert through.body == b'{"from": "proxy"}'
    assert proxy.seen[0].target == "http://backstage.invalid/api"
    assert len(server.seen) == 1


async def test_netrc_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))

    def script(seen: Seen) -> Answer:
        return as_json({"authorization": seen.headers.get("authorization")})

    async with scripted(script) as server, client() as one:
        response = await one.sender.send(Request("GET", server.url, {"Authorization": "Bearer t"}))
    assert response.body == b'{"authorization": "Bearer t"}'


async def test_a_certificate_bundle_that_cannot_be_read_is_a_setting_to_mend() -> None:
    async with Transport(environment={"REQUESTS_CA_BUNDLE": "/nonexistent.pem"}) as transport:
        with pytest.raises(SettingsError, match="REQUESTS_CA_BUNDLE"):
            await transport.send(Request("GET", "https://127.0.0.1:1/"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody signed but itself, and its key, in one file."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(tls: ssl.SSLContext) -> None:
    async with scripted(in_turn(as_json({})), tls=tls) as server, client() as one:
        with pytest.raises(NoAnswerError, match="self-signed") as caught:
            await one.sender.send(Request("GET", server.url))
    assert caught.value.trouble is Trouble.CERTIFICATE
    assert one.waits == []


async def test_requests_ca_bundle_vouches_for_it(tls: ssl.SSLContext, certificate: Path) -> None:
    environment = {"REQUESTS_CA_BUNDLE": str(certificate / "cert.pem")}
    async with scripted(in_turn(as_json({})), tls=tls) as server, Transport(environment=environment) as transport:
        assert (await transport.send(Request("GET", server.url))).status == 200


async def test_checking_certificates_can_be_switched_off(tls: ssl.SSLContext) -> None:
    async with (
        scripted(in_turn(as_json({})), tls=tls) as server,
        Transport(environment={}, verify=False) as transport,
    ):
        assert (await transport.send(Request("GET", server.url))).status == 200


@pytest.mark.parametrize("place", ["company.crt", "."], ids=["a file", "a folder"])
async def test_further_authorities_are_trusted(
    tls: ssl.SSLContext, certificate: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "company.crt").write_bytes((certificate / "cert.pem").read_bytes())
    (tmp_path / "README").write_text("no certificate, and not read")
    async with (
        scripted(in_turn(as_json({})), tls=tls) as server,
        Transport(environment={}, authorities=[tmp_path / place]) as transport,
    ):
        assert (await transport.send(Request("GET", server.url))).status == 200


@pytest.mark.parametrize("name", ["missing.crt", "broken.crt"])
async def test_an_authority_that_cannot_be_read_is_a_setting_to_mend(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.crt").write_text("nothing of the kind")
    async with Transport(environment={}, authorities=[tmp_path / name]) as transport:
        with pytest.raises(SettingsError, match=f"ca_certificates.*{name}"):
            await transport.send(Request("GET", "https://127.0.0.1:1/"))
