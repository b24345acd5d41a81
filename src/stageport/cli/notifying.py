"""Sending a signed message to a running service: what ``stageport notify`` does."""

import asyncio
import time
from collections.abc import Sequence
from uuid import uuid4

import msgspec

from stageport.http.messages import NoAnswerError, Request, Response
from stageport.http.retry import RetryPolicy
from stageport.http.sender import Sender
from stageport.http.transport import Transport
from stageport.model.announcements import LOST_TRACK, MOST_REFS, read_announcement
from stageport.model.entities import Json
from stageport.model.errors import StageportError, UsageError, excerpt
from stageport.model.signing import parse_keys, sign
from stageport.settings import Settings
from stageport.web.receiver import ID, SIGNATURE, TIMESTAMP

PATH = "/integration/webhook"
PATIENCE = RetryPolicy(attempts=5, seconds=60, unreachable_seconds=5)
TAKEN = (202, 409)
"""409: an answer was lost on the way, and the message had been taken before it was sent again."""


def notify_service(settings: Settings, *, refs: Sequence[str], url: str | None) -> int:
    """Tell a service to look at entities, or at everything where none are named; return how many were taken.

    Raises:
        UsageError: one of them is no ref.
        StageportError: the service could not be told.
    """
    bodies = [_body(refs[start : start + MOST_REFS]) for start in range(0, max(1, len(refs)), MOST_REFS)]
    root = url or settings.base_url or f"http://127.0.0.1:{settings.http_port}"
    secret = settings.live_events_secret
    # Of several secrets the first one is the newest.
    key = parse_keys(secret.get_secret_value())[0] if secret else None
    return asyncio.run(_send_all(root.rstrip("/") + PATH, bodies, key))


def _body(refs: Sequence[str]) -> bytes:
    document: Json = {"entityRefs": list(refs)} if refs else {"type": LOST_TRACK, "source": "notify"}
    body = msgspec.json.encode(document)
    try:
        read_announcement(body)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return body


async def _send_all(url: str, bodies: Sequence[bytes], key: bytes | None) -> int:
    async with Transport(timeout=30) as transport:
        sender = Sender(transport, side="Stageport", policy=PATIENCE)
        return sum([await _send(sender, url, body, key) for body in bodies])


async def _send(sender: Sender, url: str, body: bytes, key: bytes | None) -> int:
    request = Request("POST", url, {"Content-Type": "application/json", **_signed(body, key)}, body)
    try:
        answer = await sender.send(request, final=lambda found: found.status in TAKEN)
    except NoAnswerError as error:
        raise StageportError(
            f"The service at {url} was not told: {error.reason}", hint="Is `stageport run` up? Its address is --url."
        ) from error
    if answer.status not in TAKEN:
        raise StageportError(f"The service at {url} answered {answer.status}: {_words(answer)}", hint=_hint(answer))
    return int(msgspec.json.decode(answer.body)["accepted"]) if answer.ok else 0


def _signed(body: bytes, key: bytes | None) -> dict[str, str]:
    if key is None:
        return {}
    message_id, timestamp = f"msg_{uuid4().hex}", str(int(time.time()))
    signature = sign(key, message_id=message_id, timestamp=timestamp, body=body)
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: signature}


def _words(answer: Response) -> str:
    try:
        return excerpt(str(msgspec.json.decode(answer.body)["error"]))
    except (msgspec.DecodeError, KeyError, TypeError):
        return excerpt(answer.body)


def _hint(answer: Response) -> str:
    if answer.status in (401, 403):
        return "STAGEPORT_LIVE_EVENTS_SECRET has to be the service's, and this machine's clock right."
    return "Is this the address of `stageport run`?" if answer.status in (404, 405) else ""
