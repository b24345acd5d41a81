"""The benchmark's side of the stand-ins: starts their processes, and drives them over HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Limit:
    """Requests that Port takes in so many seconds; 35,000 in 300 are the last ones it published."""

    requests: int
    seconds: int

    @property
    def pace(self) -> float:
        """How many requests a second the limit allows in the long run."""
        return self.requests / self.seconds

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds}"


UNLIMITED = Limit(1_000_000_000, 300)


@dataclass(frozen=True, slots=True)
class StandIn:
    """A stand-in that runs in a process of its own: ``url`` is its front door, ``control`` its back door."""

    url: str
    control: str

    def read(self, path: str) -> Any:
        """Return what the control answers."""
        return json.loads(ask("GET", self.control + path).read())

    def lines(self, path: str) -> Iterator[bytes]:
        """Yield the lines of a long answer."""
        yield from ask("GET", self.control + path)

    def order(self, path: str, **payload: Any) -> Any:
        """Have the control do something."""
        return json.loads(ask("POST", self.control + path, payload).read())

    def delay(self, milliseconds: int) -> None:
        """Answer every request so much later."""
        ask("DELETE", self.url + "/_sandbox/faults").read()
        if milliseconds:
            ask("POST", self.url + "/_sandbox/faults", {"kind": "latency", "delay_ms": milliseconds}).read()

    def forget(self) -> None:
        """Start counting anew."""
        self.order("/forget")
        self.order("/traffic/forget")


@contextmanager
def start(role: str, **options: Any) -> Iterator[StandIn]:
    """Run a stand-in while the block lasts."""
    command = [sys.executable, "-m", "bench.standin_process", role, json.dumps(options)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                raise RuntimeError(f"the {role} stand-in did not start")
            yield StandIn(**json.loads(ready))
        finally:
            process.kill()


def ask(method: str, url: str, payload: Any = None) -> HTTPResponse:
    """Send one request on a connection of its own, and return the answer, yet to be read.

    Raises:
        RuntimeError: it is no 200.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=PATIENCE)
    body = None if payload is None else json.dumps(payload)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection.request(method, target, body, {"Connection": "close", "Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"{method} {url} was answered with {response.status}: {response.read(500)!r}")
    return response
