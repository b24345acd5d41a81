"""The receiver over real sockets: whoever may not send hints gets the right status, and nothing of it is kept."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.live_rig import KEYS, OVERFLOW, PATH, Sender, changed

from stageport.ledger.sqlite import SqliteLedger
from stageport.model.errors import LedgerError
from stageport.model.hints import OVERFLOW as EVERYTHING
from stageport.model.signing import parse_keys
from stageport.telemetry.metrics import HINT_REFUSALS, Metrics
from stageport.web.receiver import Admission, Bucket, Receiver
from stageport.web.server import Patience, serve_web
from stageport.web.watched import Readiness

OTHER_KEYS = parse_keys("whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=")
KNOWN = Admission(keys=KEYS)


@dataclass
class Service:
    """What stands behind the receiver."""

    ready: Readiness = field(default_factory=lambda: Readiness(ok=True))

    def is_alive(self) -> bool:
        return True

    def readiness(self) -> Readiness:
        return self.ready

    def status(self) -> Any:
        return {}

    async def request_resync(self, reason: str) -> None:
        """Nobody asks here."""


@dataclass
class Rig:
    """A receiver that serves, and what it took and refused."""

    sender: Sender
    ledger: SqliteLedger
    service: Service
    taken: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def queued(self) -> list[str]:
        return sorted(hint.ref for hint in self.ledger.hints.take(limit=1_000, now=time.time()))

    def is_untouched(self) -> bool:
        return self.ledger.hints.backlog().waiting == 0 and not self.taken

    async def raw(self, data: bytes, *, pause: float = 0) -> bytes:
        """Send bytes as they are, and return the answer's first line and head; ``pause`` keeps the connection open."""
        parts = urlsplit(self.sender.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(data)
            await writer.drain()
            return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), pause or 10)
        finally:
            writer.close()


@asynccontextmanager
async def receiving(
    admission: Admission = KNOWN, *, patience: Patience | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Rig]:
    ledger, service = SqliteLedger.in_memory(), Service()
    taken: list[int] = []
    refused: list[str] = []
    receiver = Receiver(ledger.hints, admission, taken=taken.append, refused=refused.append)
    metrics = Metrics(version="1.2.3")
    web = serve_web(
        service,
        host=host,
        port=0,
        metrics=metrics,
        version="1.2.3",
        path_prefix="/stageport",
        receiver=receiver,
        patience=patience,
    )
    try:
        async with web as running, aiohttp.ClientSession() as session:
            yield Rig(Sender(running.url, session), ledger, service, taken, refused)
            assert set(refused) <= set(HINT_REFUSALS), "every reason has its series from the start"
    finally:
        ledger.close()


def head_of(headers: Mapping[str, str], *, length: str) -> bytes:
    lines = [f"POST {PATH} HTTP/1.1", "Host: x", length, *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# What is taken


@pytest.mark.parametrize("path", [PATH, "/backstage/events", "/stageport/integration/webhook", f"{PATH}/"])
async def test_signed_changes_are_taken(path: str) -> None:
    async with receiving() as rig:
        answer = await rig.sender.post(changed("component:default/pay", "Group:default/Team-A"), path=path)
        assert (answer.status, answer.json) == (202, {"accepted": 2})
        assert rig.queued() == ["component:default/pay", "group:default/team-a"]
        assert (rig.taken, rig.refused) == ([2], [])


async def test_a_whole_delta_may_be_asked_for() -> None:
    async with receiving() as rig:
        assert (await rig.sender.post(OVERFLOW)).json == {"accepted": 1}
        assert rig.queued() == [EVERYTHING]


async def test_a_script_may_say_look_at_these() -> None:
    async with receiving() as rig:
        assert (await rig.sender.post({"entityRefs": ["component:pay", "component:default/pay"]})).json == {
            "accepted": 1
        }


async def test_an_event_that_names_nothing_is_no_mistake() -> None:
    async with receiving() as rig:
        answer = await rig.sender.post({"topic": "github.push", "eventPayload": {"ref": "main"}})
        assert (answer.status, answer.json) == (202, {"accepted": 0})
        assert rig.queued() == []


async def test_the_old_secret_is_taken_beside_the_new_one() -> None:
    async with receiving(Admission(keys=(*OTHER_KEYS, *KEYS))) as rig:
        for keys in (KEYS, OTHER_KEYS):
            rig.sender.keys = keys
            assert (await rig.sender.tell("component:default/pay")).status == 202


async def test_the_largest_message_is_taken() -> None:
    async with receiving() as rig:
        body = json.dumps(changed(*(f"component:default/c{number}" for number in range(500)))).encode()
        padded = body + b" " * (256 * 1024 - len(body))
        assert (await rig.sender.post(padded)).json == {"accepted": 500}


# Who may not send


async def refused(rig: Rig, status: int, reason: str, body: Any, headers: Mapping[str, str] | None = None) -> None:
    answer = await rig.sender.post(body, headers)
    assert (answer.status, rig.refused.pop()) == (status, reason), answer.body
    assert answer.json["ok"] is False
    assert len(answer.json["error"]) > 10
    assert rig.is_untouched()


async def test_forged_stale_and_nameless_messages_are_refused() -> None:
    body = json.dumps(changed("component:default/pay")).encode()
    now = time.time()
    async with receiving() as rig:
        signed = rig.sender.signed(body)
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            await refused(rig, 401, "headers", body, {key: value for key, value in signed.items() if key != name})
        await refused(rig, 401, "headers", body, {**signed, "webhook-timestamp": "yesterday"})
        await refused(rig, 401, "headers", body, {**signed, "webhook-id": "a.b"})
        await refused(rig, 401, "signature", body, {**signed, "webhook-id": "msg_other"})
        await refused(rig, 401, "signature", body, {**signed, "webhook-timestamp": str(int(now) + 1)})
        await refused(rig, 401, "signature", body, {**signed, "webhook-signature": "v1,"})
        await refused(rig, 401, "signature", body + b" ", signed)
        await refused(rig, 401, "stale", body, rig.sender.signed(body, at=now - 302))
        await refused(rig, 401, "stale", body, rig.sender.signed(body, at=now + 302))
        rig.sender.keys = OTHER_KEYS
        await refused(rig, 401, "signature", body)


async def test_a_header_twice_is_refused() -> None:
    body = b"{}"
    async with receiving() as rig:
        head = head_of(rig.sender.signed(body), length="Content-Length: 2").replace(
            b"\r\n\r\n", b"\r\nwebhook-id: msg_2\r\n\r\n"
        )
        assert (await rig.raw(head + body)).startswith(b"HTTP/1.1 401")
        assert rig.is_untouched()


async def test_a_message_counts_once() -> None:
    body = json.dumps(changed("component:default/pay")).encode()
    async with receiving() as rig:
        signed = rig.sender.signed(body)
        answers = await asyncio.gather(*(rig.sender.post(body, signed) for _ in range(10)))
        assert sorted(answer.status for answer in answers) == [202] + [409] * 9
        rig.ledger.hints.settle(rig.ledger.hints.take(limit=10, now=time.time()))
        assert (
            await rig.sender.post(body, rig.sender.signed(body, message_id=signed["webhook-id"], at=time.time() + 3))
        ).status == 409
        assert rig.queued() == []
        assert set(rig.refused) == {"replayed"}


async def test_a_refused_message_may_come_again_under_its_id() -> None:
    async with receiving() as rig:
        await refused(rig, 400, "malformed", b"{", rig.sender.signed(b"{", message_id="msg_1"))
        body = json.dumps(changed("component:default/pay")).encode()
        assert (await rig.sender.post(body, rig.sender.signed(body, message_id="msg_1"))).status == 202


async def test_messages_that_are_malformed() -> None:
    async with receiving() as rig:
        for body in (b"", b"{", b"[]", b"{}", b'{"entityRefs":["nameless"]}', b'{"type":"other"}', b"[" * 100_000):
            await refused(rig, 400, "malformed", body)


async def test_messages_of_another_type() -> None:
    async with receiving() as rig:
        body = json.dumps(changed("component:default/pay")).encode()
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json+x", ""):
            await refused(rig, 415, "media_type", body, {**rig.sender.signed(body), "content-type": kind})
        squeezed = gzip.compress(body)
        await refused(rig, 415, "media_type", squeezed, {**rig.sender.signed(squeezed), "content-encoding": "gzip"})


async def test_messages_that_are_too_large() -> None:
    async with receiving() as rig:
        await refused(rig, 413, "too_large", {"entityRefs": [f"component:default/c{number}" for number in range(501)]})
        await refused(rig, 413, "too_large", b" " * (256 * 1024 + 1))


async def test_a_size_is_refused_before_its_bytes_come() -> None:
    async with receiving() as rig:
        head = head_of(rig.sender.signed(b""), length="Content-Length: 99999999999")
        answer = await rig.raw(head)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"Connection: close" in answer
        assert rig.is_untouched()


async def test_a_body_without_a_size_is_read_no_further_than_it_may_be_long() -> None:
    async with receiving() as rig:
        chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        answer = await rig.raw(head_of(rig.sender.signed(b""), length="Transfer-Encoding: chunked") + chunk * 9)
        assert answer.startswith(b"HTTP/1.1 413")
        assert rig.is_untouched()


async def test_a_slow_body_is_cut_off() -> None:
    async with receiving(Admission(keys=KEYS, patience=0.1)) as rig:
        answer = await rig.raw(head_of(rig.sender.signed(b"{}"), length="Content-Length: 2") + b"{")
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"Connection: close" in answer
        assert (rig.refused, rig.is_untouched()) == (["slow"], True)


async def test_many_slow_bodies_keep_nobody_else_waiting_for_ever() -> None:
    async with receiving(Admission(keys=KEYS, reading=2, patience=0.5)) as rig:
        head = head_of(rig.sender.signed(b"{}"), length="Content-Length: 2") + b"{"
        slow = [asyncio.create_task(rig.raw(head)) for _ in range(2)]
        await asyncio.sleep(0.1)
        answer = await rig.sender.tell("component:default/pay")
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert all(answer.startswith(b"HTTP/1.1 408") for answer in await asyncio.gather(*slow))
        assert (await rig.sender.tell("component:default/pay")).status == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_methods_but_post_are_not_allowed(method: str) -> None:
    async with receiving() as rig, rig.sender.session.request(method, rig.sender.url + PATH) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_too_many_messages_are_told_when_to_come_again() -> None:
    async with receiving(Admission(keys=KEYS, rate=0.5, burst=3)) as rig:
        body = json.dumps(changed("component:default/pay")).encode()
        answers = [
            await rig.sender.post(body, rig.sender.signed(body, message_id=f"msg_{number}")) for number in range(4)
        ]
        assert [answer.status for answer in answers] == [202, 202, 202, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 2
        rig.sender.keys = OTHER_KEYS
        assert (await rig.sender.post(body)).status == 401, "who knows no secret learns nothing of the rate"


def test_a_bucket_fills_again() -> None:
    now = 0.0
    bucket = Bucket(rate=2, burst=1, clock=lambda: now)
    assert bucket.wait() == 0
    assert bucket.wait() == 0.5
    now = 0.5
    assert bucket.wait() == 0


async def test_a_service_that_is_being_stopped_says_so() -> None:
    async with receiving() as rig:
        rig.service.ready = Readiness(ok=False, reason="the service is being stopped")
        answer = await rig.sender.tell("component:default/pay")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert rig.is_untouched()


async def test_a_ledger_that_fails_is_no_202(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as rig:

        def fail(*_: object, **__: object) -> bool:
            raise LedgerError("the disk is full")

        monkeypatch.setattr(rig.ledger.hints, "put", fail)
        answer = await rig.sender.tell("component:default/pay")
        assert (answer.status, answer.headers["Retry-After"], rig.refused) == (503, "5", ["ledger"])


# Without a secret


async def test_without_a_secret_this_machine_may_send() -> None:
    async with receiving(Admission()) as rig:
        plain = {"content-type": "application/json"}
        assert (await rig.sender.post({"entityRefs": ["component:pay"]}, plain)).status == 202
        for header in ("X-Forwarded-For", "Forwarded", "Via"):
            answer = await rig.sender.post({"entityRefs": ["component:pay"]}, {**plain, header: "for=203.0.113.7"})
            assert answer.status == 403, "a proxy on this machine speaks for others"
        assert rig.refused == ["peer"] * 3


async def test_without_a_secret_nobody_else_may_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stageport.web.receiver._is_loopback", lambda _: False)
    async with receiving(Admission()) as rig:
        assert (await rig.sender.tell("component:default/pay")).status == 403
        assert rig.is_untouched()
    async with receiving(Admission(open=True)) as rig:
        assert (
            await rig.sender.post({"entityRefs": ["component:pay"]}, {"content-type": "application/json"})
        ).status == 202


@pytest.mark.parametrize(
    ("remote", "ours"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%lo", False),
        ("", False),
        (None, False),
        ("localhost", False),
    ],
)
def test_which_addresses_are_this_machine(remote: str | None, ours: bool) -> None:
    from stageport.web.receiver import _is_loopback

    assert _is_loopback(remote) is ours


# Fuzz

GOOD = json.dumps(changed("component:default/pay")).encode()
HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"]
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
STAMPS = st.integers(0, 10**13).map(str) | st.floats().map(str) | VALUES


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, dict[str, str | None]]:
    """Draw a body and what to change of the headers that sign another one."""
    body = draw(st.sampled_from([GOOD, GOOD[:-1], b"", b"null"]) | st.binary(max_size=200))
    names = draw(st.sets(st.sampled_from(HEADERS), min_size=0 if body != GOOD else 1))
    changes = {name: draw(st.none() | (STAMPS if name == "webhook-timestamp" else VALUES)) for name in sorted(names)}
    return body, changes


async def test_no_request_that_is_not_signed_reaches_the_queue() -> None:
    """Whatever is sent and however it is signed, with another's signature it is refused, and nothing is kept."""
    async with receiving() as rig:
        genuine = rig.sender.signed(GOOD + b"\n")
        loop = asyncio.get_running_loop()

        async def send(body: bytes, changes: dict[str, str | None]) -> int:
            given_headers = {**genuine, **changes}
            answer = await rig.sender.post(
                body, {name: value for name, value in given_headers.items() if value is not None}
            )
            return answer.status

        @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck), database=None)
        @given(requests())
        def run(request: tuple[bytes, dict[str, str | None]]) -> None:
            status = asyncio.run_coroutine_threadsafe(send(*request), loop).result()
            assert status in (401, 415)
            assert rig.is_untouched()

        await asyncio.to_thread(run)
        assert {"headers", "signature", "media_type"} <= set(rig.refused)
        assert rig.taken == []


async def test_no_signed_nonsense_reaches_the_queue() -> None:
    """A sender that knows the secret and has gone mad: refused as malformed, never a fault of ours."""
    known = st.sampled_from(["type", "changes", "entityRef", "entityRefs", "topic", "event", "events", "eventPayload"])
    texts = known | st.text(max_size=8)
    documents = st.recursive(
        st.none() | st.booleans() | st.integers() | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    )
    async with receiving(Admission(keys=KEYS, rate=1e9, burst=1e9)) as rig:
        loop = asyncio.get_running_loop()

        @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck), database=None)
        @given(documents)
        def run(document: Any) -> None:
            answer = asyncio.run_coroutine_threadsafe(rig.sender.post(document), loop).result()
            assert answer.status == 400 or answer.json == {"accepted": 0}
            assert rig.queued() == []

        await asyncio.to_thread(run)
