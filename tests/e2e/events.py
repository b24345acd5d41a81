"""A receiver of change events for tests, with its own reading of the contract in docs/reference/events.md."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Told(NamedTuple):
    """One change as it was told, and when (seconds of the wall clock)."""

    ref: str
    operation: str
    uid: str | None
    etag: str | None
    sequence: int
    at: float


class EventReceiver:
    """Takes signed events on a loopback port that stays the same over `stop` and `start`.

    It refuses, with 401 and on `forged`, whatever is not signed as Standard Webhooks says.
    """

    def __init__(self, secret: str) -> None:
        self.told: list[Told] = []
        self.overflows = 0
        self.ids: list[str] = []
        self.forged: list[str] = []
        self.status = 202
        self.delay = 0.0
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                time.sleep(receiver.delay)
                status = receiver.take(self.path, dict(self.headers.items()), body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        headers = {name.lower(): value for name, value in headers.items()}
        if path != "/integration/webhook" or not self._is_signed(headers, body):
            self.forged.append(f"{path} {headers}")
            return 401
        if self._server is None or self.status >= 300:
            return self.status if self.status >= 300 else 503
        assert headers["content-type"] == "application/json"
        assert len(body) <= 256 * 1024
        self.ids.append(headers["webhook-id"])
        self._note(json.loads(body))
        return self.status

    def _note(self, event: dict[str, Any]) -> None:
        at = time.time()
        if event["type"] == "stageport.catalog.overflow":
            assert event.keys() == {"type", "source"}
            self.overflows += 1
            return
        assert event["type"] == "stageport.catalog.changed"
        assert 0 < len(event["changes"]) <= 500
        for change in event["changes"]:
            assert change.keys() == {"entityRef", "operation", "uid", "etag", "sequence"}
            self.told.append(
                Told(change["entityRef"], change["operation"], change["uid"], change["etag"], change["sequence"], at)
            )

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        signed = f"{message_id}.{timestamp}.".encode() + body
        expected = base64.b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode()
        is_fresh = timestamp.isdigit() and abs(int(timestamp) - time.time()) < 300
        return is_fresh and headers.get("webhook-signature") == f"v1,{expected}"

    def last(self) -> dict[str, Told]:
        """Return what was told last of each ref."""
        return {one.ref: one for one in list(self.told)}

    def overtaken(self) -> list[str]:
        """Return the refs of which an earlier change came after a later one."""
        found = []
        highest: dict[str, int] = {}
        for one in list(self.told):
            if one.sequence < highest.get(one.ref, 0):
                found.append(one.ref)
            highest[one.ref] = max(one.sequence, highest.get(one.ref, 0))
        return found
