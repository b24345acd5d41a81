"""The server of a running service, over real sockets: what probes, scrapers, Port and ill-behaved clients get."""

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from structlog.testing import capture_logs

from stageport.model.errors import SettingsError
from stageport.model.events import PageRead, PassEnded
from stageport.model.runs import EntityProblem, HeldDelete, KindFailure, RefusedEntity, Run
from stageport.telemetry.metrics import Metrics
from stageport.web.server import Patience, RunningWeb, Webhook, serve_web
from stageport.web.watched import Readiness

VERSION = "1.2.3"
SECRET = "a-shared-secret"


@dataclass
class Service:
    """A service whose state a test sets."""

    alive: bool = True
    ready: Readiness = field(default_factory=lambda: Readiness(ok=True))
    shown: dict[str, Any] = field(default_factory=lambda: {"doing": "waiting"})
    noted: list[Run] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    stuck: asyncio.Event | None = None
    show: Callable[[], dict[str, Any]] | None = None

    def is_alive(self) -> bool:
        return self.alive

    def readiness(self) -> Readiness:
        return self.ready

    def status(self) -> dict[str, Any]:
        return self.show() if self.show else self.shown

    def runs(self, *, limit: int) -> list[Run]:
        return self.noted[:limit]

    async def request_resync(self, reason: str) -> None:
        self.asked.append(reason)
        if self.stuck is not None:
            await self.stuck.wait()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def serve(service: Service, **options: Any) -> AbstractAsyncContextManager[RunningWeb]:
    given = {"host": "127.0.0.1", "port": 0, "metrics": Metrics(version=VERSION), "version": VERSION, **options}
    return serve_web(service, **given)


async def ask(running: RunningWeb, path: str, method: str = "GET", **options: Any) -> Answer:
    async with aiohttp.ClientSession() as session, session.request(method, running.url + path, **options) as answer:
        return Answer(answer.status, dict(answer.headers), await answer.read())


async def talk(running: RunningWeb, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(running.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(sent)
    return reader, writer


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def running(service: Service) -> AsyncIterator[RunningWeb]:
    async with serve(service) as running:
        yield running


# Probes


@pytest.mark.parametrize(
    ("path", "check"), [("/livez", "live"), ("/readyz", "ready"), ("/health/live", "live"), ("/health/ready", "ready")]
)
async def test_probes_are_answered_in_the_shape_that_ocean_has(running: RunningWeb, path: str, check: str) -> None:
    answer = await ask(running, path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"status": "healthy", "check": check, "core_version": VERSION}
    assert (await ask(running, f"{path}/")).body == answer.body


@pytest.mark.parametrize("path", ["/livez", "/health/live"])
async def test_a_loop_that_stands_still_is_not_alive(running: RunningWeb, service: Service, path: str) -> None:
    service.alive = False
    answer = await ask(running, path)
    assert (answer.status, answer.json()["status"]) == (503, "unhealthy")
    assert (await ask(running, "/readyz")).status == 200


@pytest.mark.parametrize("path", ["/readyz", "/health/ready"])
async def test_who_is_not_ready_says_why_and_stays_alive(running: RunningWeb, service: Service, path: str) -> None:
    service.ready = Readiness(ok=False, reason="it is about to stop")
    answer = await ask(running, path)
    assert (answer.status, answer.json()["reason"]) == (503, "it is about to stop")
    assert (await ask(running, "/livez")).status == 200


async def test_a_probe_may_ask_for_the_head_alone(running: RunningWeb) -> None:
    answer = await ask(running, "/docs", "HEAD")
    assert (answer.status, answer.body) == (200, b"")


async def test_nothing_is_kept_by_caches_and_the_server_tells_little(running: RunningWeb) -> None:
    for path in ("/livez", "/docs", "/metrics", "/nowhere"):
        headers = (await ask(running, path)).headers
        assert (headers["Cache-Control"], headers["Server"]) == ("no-store", "stageport"), path


# Status, metrics


async def test_the_status_is_what_the_service_says(running: RunningWeb, service: Service) -> None:
    service.shown = {"doing": "resync: the schedule", "last": {"resync": "completed"}}
    assert (await ask(running, "/status")).json() == service.shown


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
async def test_metrics_are_those_of_the_moment(service: Service, path: str) -> None:
    metrics = Metrics(version=VERSION)
    async with serve(service, metrics=metrics) as running:
        metrics(PassEnded("delta", "completed", 0.1, written=1, refused=0, held=0))
        answer = await ask(running, path)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'\nstageport_passes_total{pass="delta",state="completed"} 1.0\n' in answer.body


def ask_from_a_thread(address: str) -> tuple[int, float]:
    """Return the status, and the seconds it took; for loops that stand still meanwhile."""
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            answer.read()
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
    return status, time.perf_counter() - began


async def test_a_scrape_in_the_middle_of_a_pass_takes_a_moment(service: Service) -> None:
    """A pass keeps its loop to itself for a tenth of a second now and then; nobody who scrapes notices."""
    metrics = Metrics(version=VERSION)
    async with serve(service, metrics=metrics) as running:
        took = []
        for _ in range(5):
            asked = asyncio.create_task(asyncio.to_thread(ask_from_a_thread, f"{running.url}/metrics"))
            await asyncio.sleep(0)
            end = time.perf_counter() + 0.2
            while time.perf_counter() < end:
                metrics(PageRead("component", 1, 1))
            took.append((await asked)[1])
    assert sorted(took)[2] < 0.1


async def test_a_loop_that_stands_still_is_told_from_a_server_that_is_gone(service: Service) -> None:
    async with serve(service) as running:
        service.alive = False
        asked = asyncio.create_task(asyncio.to_thread(ask_from_a_thread, f"{running.url}/livez"))
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 -- nothing else on this loop gets a turn
        assert asked_within(await asked, seconds=0.4) == 503


def asked_within(answer: tuple[int, float], *, seconds: float) -> int:
    assert answer[1] < seconds
    return answer[0]


async def test_status_is_read_on_the_loop_of_the_service(running: RunningWeb, service: Service) -> None:
    threads: list[int] = []

    class Watching(dict[str, Any]):
        def __init__(self) -> None:
            threads.append(threading.get_ident())
            super().__init__(doing="waiting")

    service.show = Watching
    assert (await ask(running, "/status")).json() == {"doing": "waiting"}
    assert threads == [threading.get_ident()]


# What there is


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.codes: list[str] = []
        self._in_code = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._in_code = tag == "code"

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.codes.append(data)
            self._in_code = False


@pytest.mark.parametrize("webhook", [None, Webhook(), Webhook(SECRET)])
async def test_the_page_and_the_document_list_what_is_served(service: Service, webhook: Webhook | None) -> None:
    async with serve(service, webhook=webhook) as running:
        page = await ask(running, "/docs")
        document = (await ask(running, "/openapi.json")).json()
        cells = Cells()
        cells.feed(page.body.decode())
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert cells.codes == list(document["paths"])
        assert ("/resync" in cells.codes) == (webhook is not None)
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                answer = await ask(running, path, method.upper())
                expected = "401" if webhook and webhook.secret and path == "/resync" else "200"
                assert str(answer.status) == expected
                declared = operation["responses"][expected]["content"]
                assert answer.headers["Content-Type"].partition(";")[0] in declared


@pytest.mark.parametrize(
    ("prefix", "path", "location"),
    [
        ("", "/", "docs"),
        ("tools/stageport", "/", "docs"),
        ("tools/stageport", "/tools/stageport/", "docs"),
        ("tools/stageport", "/tools/stageport", "/tools/stageport/docs"),
    ],
)
async def test_whoever_knocks_is_led_to_the_page(service: Service, prefix: str, path: str, location: str) -> None:
    async with serve(service, path_prefix=prefix) as running:
        answer = await ask(running, path, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, location)
        page = await ask(running, path)
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def a_run(number: int, kind: str = "resync", **more: Any) -> Run:
    return Run(id=f"{number:08}-more", trigger="the schedule", started="2026-01-02T12:00:00.000Z", kind=kind, **more)


class Tables(HTMLParser):
    """The tables of a page, cell by cell, and its text outside of them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.words: list[str] = []
        self._in_cell = False
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[-1][-1][-1] += data
        elif data.strip():
            self.words.append(data.strip())


async def test_the_page_tells_what_the_service_does_and_did(running: RunningWeb, service: Service) -> None:
    service.shown = {
        "doing": "delta: live",
        "failures": 2,
        "lastError": "Port is away",
        "passes": 7,
        "waiting": True,
        "hints": {"waiting": 3, "oldestSeconds": 1.5},
    }
    service.noted = [
        a_run(3, kind="delta", state="running"),
        a_run(2, kind="delta", state="failed", error="Port is away", hint="Wait."),
        a_run(
            1,
            state="completed",
            seconds=2.0,
            counts={"create": 1, "update": 2, "delete": 3, "refused": 2, "blocked": 1},
            holds={"threshold": 4, "of a later version": 1},
            failures=(KindFailure("api", "404"),),
            refused=tuple(RefusedEntity("service", f"secret-name-{n}", None, 422, "invalid", "No.") for n in range(2)),
            problems=(EntityProblem("component:default/secret-name", 1, "properties.x", "null"),),
            held=(HeldDelete("service", "secret-name-3", None, "threshold"),),
        ),
        a_run(0, state="failed", error="Long over."),
    ]
    answer = await ask(running, "/docs")
    page = Tables(answer.body)
    for words in (
        "Delta: live.",
        "The last 2 passes failed; it is tried again. Port is away.",
        "Passes since the start: 7. Another pass is asked for. Live events that wait: 3, the oldest for 1.5 s.",
    ):
        assert words in page.words
    runs, troubles, addresses = page.tables
    assert [row[2] for row in runs] == ["pass", "delta", "delta", "resync", "resync"]
    assert runs[3] == ["00000001", "2026-01-02 12:00:00 UTC", "resync", "the schedule", "2.0 s", "completed", *"12335"]
    assert [row[2:] for row in troubles[1:]] == [
        ["the pass failed", "", "Port is away. Wait."],
        ["kind api was not read", "", "404"],
        ["deletes held back", "4", "more would be deleted than entityDeletionThreshold allows"],
        ["deletes held back", "1", "of a later version"],
        ["refused by Port: service", "2", "422 invalid"],
        ["expression failed: resources[1] properties.x", "1", "`stageport runs show` says on which entities"],
    ]
    assert addresses[-1][1] == "/openapi.json"
    assert b"secret-name" not in answer.body, "whoever reaches the port may read it"


async def test_a_page_of_a_service_that_just_began(running: RunningWeb) -> None:
    page = Tables((await ask(running, "/docs")).body)
    assert "No pass has been noted yet." in page.words
    assert "Nothing." in page.words


async def test_nothing_on_the_page_is_markup_of_others(running: RunningWeb, service: Service) -> None:
    evil = "<script>alert('x')</script>{body}&amp;"
    service.shown = {"doing": evil, "failures": 1, "lastError": evil, "last": {evil: evil}}
    service.noted = [
        a_run(
            1,
            kind=evil,
            state=evil,
            error=evil,
            hint=evil,
            holds={evil: 1},
            failures=(KindFailure(evil, evil),),
            refused=(RefusedEntity(evil, evil, evil, 400, evil, evil),),
            problems=(EntityProblem(evil, 0, evil, evil),),
        )
    ]
    answer = await ask(running, "/docs")
    assert b"<script" not in answer.body
    assert any(evil in cell for table in Tables(answer.body).tables for row in table for cell in row)
    assert "script" not in answer.headers["Content-Security-Policy"]


async def test_a_page_does_not_wait_for_a_loop_that_stands_still(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Load balancers probe it."""
    monkeypatch.setattr("stageport.web.pages.PAGE_PATIENCE", 0.1)
    async with serve(service) as running:
        asked = asyncio.create_task(asyncio.to_thread(ask_from_a_thread, f"{running.url}/docs"))
        await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251 -- nothing else on this loop gets a turn
        assert asked_within(await asked, seconds=0.5) == 200


async def test_the_document_holds_no_secret(service: Service) -> None:
    async with serve(service, webhook=Webhook(SECRET)) as running:
        for path in ("/docs", "/openapi.json", "/status", "/metrics"):
            assert SECRET.encode() not in (await ask(running, path)).body


@pytest.mark.parametrize("path", ["/isHealthy", "/integration/webhook", "/metrics/deeper", "/resync"])
async def test_what_there_is_not(running: RunningWeb, path: str) -> None:
    answer = await ask(running, path, "POST" if path == "/resync" else "GET")
    assert (answer.status, answer.json()) == (404, {"ok": False, "error": "Not Found"})


async def test_a_method_that_is_none_of_ours(running: RunningWeb) -> None:
    answer = await ask(running, "/livez", "DELETE")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")
    assert answer.json()["ok"] is False


@pytest.mark.parametrize("prefix", ["tools/stageport", "/tools/stageport/"])
async def test_a_prefix_is_for_a_shared_load_balancer_and_probes_do_without(service: Service, prefix: str) -> None:
    async with serve(service, path_prefix=prefix, webhook=Webhook()) as running:
        for path in ("/docs", "/tools/stageport/docs", "/tools/stageport/health/live/", "/health/live"):
            assert (await ask(running, path)).status == 200, path
        assert (await ask(running, "/tools/stageport/resync", "POST")).status == 200
        assert (await ask(running, "/tools/docs")).status == 404
        assert (await ask(running, "/openapi.json")).json()["servers"] == [{"url": "/tools/stageport"}]
    assert service.asked == ["the webhook"]


# The webhook


async def test_the_webhook_asks_for_a_resync_and_minds_no_body(service: Service) -> None:
    async with serve(service, webhook=Webhook()) as running:
        for body in (b"", b"{}", b"\xff not json", b"x" * 60_000):
            assert (await ask(running, "/resync", "POST", data=body)).json() == {"ok": True}
        assert (await ask(running, "/resync")).status == 405
    assert service.asked == ["the webhook"] * 4


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"X-Stageport-Secret": SECRET}, "", 200),
        ({}, f"?secret={SECRET}", 200),
        ({}, "", 401),
        ({"X-Stageport-Secret": SECRET[:-1]}, "", 401),
        ({"X-Stageport-Secret": SECRET + "x"}, f"?secret={SECRET}", 401),
        ({}, "?secret=", 401),
        ({}, "?secret=%C3%A4%ED%B2%80", 401),
        ({"X-Stageport-Secret": "\udcff"}, "", 401),
    ],
)
async def test_a_secret_is_asked_of_everybody(
    service: Service, headers: dict[str, str], query: str, status: int
) -> None:
    async with serve(service, webhook=Webhook(SECRET)) as running:
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = f"POST /resync{query} HTTP/1.0\r\n{''.join(lines)}\r\n".encode("utf-8", "surrogateescape")
        reader, writer = await talk(running, head)
        answer = await reader.read()
        writer.close()
    assert answer.startswith(f"HTTP/1.0 {status} ".encode())
    assert service.asked == (["the webhook"] if status == 200 else [])
    assert SECRET.encode() not in answer


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_not_read(service: Service, chunked: bool) -> None:
    async with serve(service, webhook=Webhook(), patience=Patience(body=1000)) as running:
        framing = b"Transfer-Encoding: chunked\r\n\r\n7d0\r\n" if chunked else b"Content-Length: 100000000\r\n\r\n"
        reader, writer = await talk(running, b"POST /resync HTTP/1.1\r\nHost: x\r\n" + framing + b"x" * 2000)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert service.asked == []


async def test_a_service_that_does_not_answer_costs_a_503(service: Service) -> None:
    service.stuck = asyncio.Event()
    async with serve(service, webhook=Webhook(), patience=Patience(request=0.05)) as running:
        assert (await ask(running, "/resync", "POST")).status == 503
        assert (await ask(running, "/livez")).status == 200


# Clients that behave badly


@pytest.mark.parametrize("head", [b"", b"GET /livez HTTP/1.1\r\nHost:"])
async def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(service: Service, head: bytes) -> None:
    async with serve(service, patience=Patience(idle=0.1)) as running:
        reader, writer = await talk(running, head)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_body_that_does_not_come_to_its_end_is_not_waited_for(service: Service) -> None:
    async with serve(service, webhook=Webhook(), patience=Patience(request=0.1)) as running:
        reader, writer = await talk(running, b"POST /resync HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert service.asked == []


async def test_a_client_that_takes_no_answer_is_let_go(service: Service) -> None:
    service.shown = {"doing": "x" * 20_000_000}
    async with serve(service, patience=Patience(request=0.1)) as running:
        reader, writer = await talk(running, b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.3)
        with suppress(ConnectionError):
            assert len(await asyncio.wait_for(reader.read(), 5)) < 20_000_000
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["garbage", "long header", "long line", "TLS"],
)
async def test_what_is_no_request_is_refused_without_a_word_in_the_log(
    running: RunningWeb, sent: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = await talk(running, sent)
    with suppress(ConnectionError):
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.0 400 ")
    writer.close()
    assert (await ask(running, "/livez")).status == 200
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


async def test_a_fault_of_ours_is_logged_and_costs_that_answer_only(
    running: RunningWeb, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.shown = {"doing": object()}
    with capture_logs() as lines:
        answer = await ask(running, "/status")
    assert (answer.status, answer.json()["error"]) == (500, "Internal Server Error")
    assert [(line["event"], line["path"]) for line in lines] == [("a request could not be answered", "/status")]
    assert (await ask(running, "/livez")).status == 200


# Beginning and end


async def test_whoever_is_cancelled_while_it_begins_leaves_nothing_behind(service: Service) -> None:
    before = threading.active_count()

    async def begin() -> None:
        async with serve(service):
            raise AssertionError("it was cancelled before")

    beginning = asyncio.create_task(begin())
    await asyncio.sleep(0)
    beginning.cancel()
    with suppress(asyncio.CancelledError):
        await beginning
    await asyncio.get_running_loop().shutdown_default_executor()
    assert threading.active_count() <= before


async def test_it_ends_within_a_second_whatever_is_under_way(service: Service) -> None:
    service.stuck = asyncio.Event()
    async with serve(service, webhook=Webhook()) as running:
        connections = [
            await talk(running, sent)
            for sent in (
                b"",
                b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /livez HTTP/1.1\r\nHos",
                b"POST /resync HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
                b"POST /resync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
            )
        ]
        while not service.asked:
            await asyncio.sleep(0.001)
        began = time.perf_counter()
    assert time.perf_counter() - began < 1
    for reader, writer in connections:
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 1)
        writer.close()


async def test_a_request_under_way_is_answered_before_the_end(service: Service) -> None:
    service.stuck = asyncio.Event()
    async with serve(service, webhook=Webhook()) as running:
        asked = asyncio.create_task(ask(running, "/resync", "POST"))
        while not service.asked:
            await asyncio.sleep(0.001)
        asyncio.get_running_loop().call_later(0.05, service.stuck.set)
    assert (await asked).json() == {"ok": True}


async def test_a_port_that_is_taken_is_a_setting_to_mend(service: Service) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port}") as caught:
            async with serve(service, port=port):
                pass
    assert "APPLICATION__PORT" in caught.value.hint


async def test_the_same_port_can_be_used_again_at_once(service: Service) -> None:
    async with serve(service) as first:
        assert (await ask(first, "/livez")).status == 200
        port = urlsplit(first.url).port
    async with serve(service, port=port) as second:
        assert second.url == first.url
        assert (await ask(second, "/livez")).status == 200


@pytest.mark.parametrize("host", ["", "0.0.0.0", "localhost"])
async def test_its_address_can_be_reached_whatever_it_listens_on(service: Service, host: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with serve(service, host=host, port=port) as running:
        assert running.url == f"http://127.0.0.1:{port}"
        assert (await ask(running, "/livez")).status == 200
