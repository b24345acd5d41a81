"""A server on a loopback socket that answers what a test scripts, byte by byte, and a clock that nobody waits for."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stageport.http.sender import Sender
from stageport.http.transport import Transport
from stageport.model.events import Event, Waiting


@dataclass
class FakeClock:
    """Time that passes only by sleeping."""

    now: float = 1000.0
    epoch_offset: float = 1_700_000_000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def epoch(self) -> float:
        return self.now + self.epoch_offset

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to answer. ``cut`` bytes of the body are sent, then the connection ends; ``reset`` sends nothing at all."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    chunked: bool = False
    reset: bool = False
    delay: float = 0.0


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


def as_html(status: int = 200) -> Answer:
    return Answer(status, b"<!doctype html><html><title>Sign in</title></html>", {"Content-Type": "text/html"})


Script = Callable[[Seen], Answer]


class ScriptedServer:
    """Answers with a script, and remembers what was asked."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[Seen] = []
        self.url = ""
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.readexactly(1)
        if not first.isalpha():  # TLS to a plain port: Node answers like this
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return False
        line = (first + await reader.readuntil(b"\r\n")).decode().split()
        headers = {}
        while (text := (await reader.readuntil(b"\r\n")).decode().strip()) != "":
            name, _, value = text.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        seen = Seen(line[0], line[1], headers, body)
        self.seen.append(seen)
        answer = self.script(seen)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.reset:
            return False
        return await self._write(writer, answer)

    async def _write(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        headers = dict(answer.headers)
        headers["Transfer-Encoding" if answer.chunked else "Content-Length"] = (
            "chunked" if answer.chunked else str(len(answer.body))
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        sent = answer.body if answer.cut is None else answer.body[: answer.cut]
        if answer.chunked:
            sent = b"%x\r\n%s\r\n" % (len(sent), sent) + (b"0\r\n\r\n" if answer.cut is None else b"")
        writer.write(f"HTTP/1.1 {answer.status} Scripted\r\n{head}\r\n".encode() + sent)
        await writer.drain()
        return answer.cut is None


@asynccontextmanager
async def scripted(
    script: Script, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(script)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", port, ssl=tls)
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for writer in list(server.open):
            writer.transport.abort()
        await listening.wait_closed()


def in_turn(*answers: Answer) -> Script:
    """Answer one after the other; the last one stays."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@dataclass
class Client:
    """A sender with a fake clock, and what it said."""

    sender: Sender
    clock: FakeClock
    events: list[Event]

    @property
    def waits(self) -> list[Waiting]:
        return [event for event in self.events if isinstance(event, Waiting)]


@asynccontextmanager
async def client(
    *, side: str = "Backstage", within: float = 5.0, clock: FakeClock | None = None, **options: Any
) -> AsyncIterator[Client]:
    """A client without proxies, whatever the environment of the test run says."""
    clock, events = clock or FakeClock(), list[Event]()
    async with Transport(timeout=within, environment={}) as transport:
        yield Client(
            Sender(transport, side=side, clock=clock, listen=events.append, draw=lambda: 0.5, **options), clock, events
        )
    # aiohttp closes its sockets on the next turn of the loop; pytest would call them leaks.
    await asyncio.sleep(0)
