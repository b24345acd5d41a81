"""Takes hints over HTTP: who may send them is checked first, and nothing is answered before they are on the disk.

What is cheap to refuse is refused before the body is read; the body is read no further than it may be long, and no
longer than it may take. docs/reference/events.md describes requests and answers.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from aiohttp import web

from stageport.model.announcements import TooManyRefsError, read_announcement
from stageport.model.errors import LedgerError
from stageport.model.hints import Delivery
from stageport.model.refs import SourceRef
from stageport.model.signing import is_message_id, is_signed, is_timestamp
from stageport.sync.hint_seams import HintQueue
from stageport.web.answers import json_answer, problem_answer

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may send hints, and how much.

    ``keys`` are those of the secrets; without any, only this machine may send, unless it is ``open`` to everybody.
    ``tolerance`` is how many seconds a message's time may be off; ``body`` how many bytes it may have; ``reading`` how
    many bodies are read at once, each for at most ``patience`` seconds. ``rate`` messages a second are taken in the
    long run, ``burst`` at once.
    """

    keys: tuple[bytes, ...] = ()
    open: bool = False
    tolerance: float = 300.0
    body: int = 256 * 1024
    patience: float = 5.0
    reading: int = 64
    rate: float = 50.0
    burst: float = 200.0


class Refusal(Exception):  # noqa: N818 -- an answer, not a fault
    """A request is not taken: ``reason`` is one of a few words, for the metrics."""

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class Bucket:
    """Lets so many through in a second, and some more at once after a quiet time."""

    def __init__(self, *, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._seen = clock()

    def wait(self) -> float:
        """Let one through and return 0, or return the seconds until one may come."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) / self._rate


class Receiver:
    """Answers senders of hints; lives on the loop of the server.

    ``taken`` and ``refused`` are told what came of a request: how many refs, or why not.
    """

    def __init__(
        self,
        queue: HintQueue,
        admission: Admission,
        *,
        taken: Callable[[int], None],
        refused: Callable[[str], None],
        epoch: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._admission = admission
        self._taken = taken
        self._refused = refused
        self._epoch = epoch
        self._bucket = Bucket(rate=admission.rate, burst=admission.burst, clock=clock)
        self._reading = 0

    async def answer(self, request: web.Request, *, stopping: bool) -> web.Response:
        """Take a request, or say why not."""
        try:
            count = await self._take(request, stopping=stopping)
        except Refusal as refusal:
            self._refused(refusal.reason)
            return _problem(refusal, whole=request.content.is_eof())
        self._taken(count)
        return json_answer({"accepted": count}, status=202)

    async def _take(self, request: web.Request, *, stopping: bool) -> int:
        if stopping:
            raise Refusal(503, "stopping", "The service is being stopped; another one will take this.", retry_after=5)
        self._check_peer(request)
        self._check_head(request)
        delivery = self._check_time(request)
        body = await self._read(request)
        self._check_signature(request, delivery, body)
        self._check_rate()
        refs = _parse(body)
        await self._keep(refs, delivery)
        return len(refs)

    # Before the body

    def _check_peer(self, request: web.Request) -> None:
        """Without a secret, only this machine may send; a proxy on it speaks for others."""
        if self._admission.keys or self._admission.open:
            return
        if not _is_loopback(request.remote) or any(name in request.headers for name in FORWARDED):
            raise Refusal(403, "peer", "There is no secret, so hints are taken from this machine only.")

    def _check_head(self, request: web.Request) -> None:
        if request.content_type != "application/json":
            raise Refusal(415, "media_type", "Hints come as application/json.")
        if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise Refusal(415, "media_type", "Hints come uncompressed: the signature is that of the bytes sent.")
        if (request.content_length or 0) > self._admission.body:
            raise self._too_large()

    def _check_time(self, request: web.Request) -> Delivery | None:
        """Return which delivery this is; None for one without headers where none are asked for."""
        values = [request.headers.getall(name, []) for name in (ID, TIMESTAMP, SIGNATURE)]
        if not self._admission.keys and not values[0]:
            return None
        if any(len(value) != 1 for value in (values if self._admission.keys else values[:2])):
            raise Refusal(401, "headers", f"The headers {ID}, {TIMESTAMP} and {SIGNATURE} are needed, each once.")
        message_id, timestamp = values[0][0], values[1][0]
        if not is_message_id(message_id) or not is_timestamp(timestamp):
            raise Refusal(401, "headers", f"{ID} or {TIMESTAMP} is malformed.")
        if abs(self._epoch() - int(timestamp)) > self._admission.tolerance:
            minutes = self._admission.tolerance / 60
            raise Refusal(401, "stale", f"The message's time is more than {minutes:g} minutes off.")
        # As long as its time would pass, it must be known again; its clock may be ahead of ours.
        return Delivery(message_id, int(timestamp) + self._admission.tolerance + 1)

    # The body

    async def _read(self, request: web.Request) -> bytes:
        if self._reading >= self._admission.reading:
            raise Refusal(429, "rate", "Too many messages at once.", retry_after=1)
        self._reading += 1
        try:
            async with asyncio.timeout(self._admission.patience):
                return await self._read_limited(request)
        except TimeoutError:
            raise Refusal(408, "slow", "The body took too long.") from None
        finally:
            self._reading -= 1

    async def _read_limited(self, request: web.Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := await request.content.readany():
            size += len(part)
            if size > self._admission.body:
                raise self._too_large()
            parts.append(part)
        return b"".join(parts)

    def _too_large(self) -> Refusal:
        return Refusal(413, "too_large", f"A message has at most {self._admission.body // 1024} KiB.")

    def _check_signature(self, request: web.Request, delivery: Delivery | None, body: bytes) -> None:
        keys = self._admission.keys
        if not keys or delivery is None:
            return
        given, timestamp = request.headers[SIGNATURE], request.headers[TIMESTAMP]
        if not is_signed(keys, given, message_id=delivery.id, timestamp=timestamp, body=body):
            raise Refusal(401, "signature", "The signature is not that of this message with our secret.")

    def _check_rate(self) -> None:
        seconds = self._bucket.wait()
        if seconds:
            raise Refusal(429, "rate", "Too many messages.", retry_after=seconds)

    async def _keep(self, refs: Sequence[SourceRef], delivery: Delivery | None) -> None:
        """Put the refs on the disk, in a thread: it may have to wait for a pass that is writing."""
        try:
            new = await asyncio.to_thread(self._queue.put, refs, now=self._epoch(), delivery=delivery)
        except LedgerError as error:
            raise Refusal(503, "ledger", "The hints could not be kept.", retry_after=5) from error
        if not new:
            raise Refusal(409, "replayed", "This message was taken before.")


def _parse(body: bytes) -> list[SourceRef]:
    try:
        return read_announcement(body)
    except TooManyRefsError as error:
        raise Refusal(413, "too_large", str(error)) from None
    except ValueError as error:
        raise Refusal(400, "malformed", str(error)) from None


def _problem(refusal: Refusal, *, whole: bool) -> web.Response:
    answer = problem_answer(refusal.status, refusal.message)
    if refusal.retry_after is not None:
        answer.headers["Retry-After"] = str(max(1, ceil(refusal.retry_after)))
    if not whole:
        answer.force_close()
    return answer


def _is_loopback(remote: str | None) -> bool:
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
