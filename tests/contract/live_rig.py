"""A running service between both stand-ins, with its receiver on a real socket, and a sender of signed messages."""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from tests.contract.harness import HURRIED, World, until

from stageport.cli.live import receiver_of, work_of
from stageport.cli.watch import ServiceWatch
from stageport.model.events import PassEnded
from stageport.model.signing import parse_keys, sign
from stageport.sync.always import Always, Rhythm
from stageport.telemetry.fan_out import fan_out
from stageport.telemetry.metrics import Metrics
from stageport.web.receiver import Admission
from stageport.web.server import Patience, serve_web
from stageport.wiring import open_surroundings, pass_options

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
KEYS = parse_keys(SECRET)
PATH = "/integration/webhook"


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Sender:
    """Sends messages to a receiver as Backstage's module does."""

    url: str
    session: aiohttp.ClientSession
    keys: Sequence[bytes] = KEYS

    def signed(self, body: bytes, *, message_id: str | None = None, at: float | None = None) -> dict[str, str]:
        message_id, stamp = message_id or f"msg_{uuid.uuid4().hex}", str(int(time.time() if at is None else at))
        signatures = [sign(key, message_id=message_id, timestamp=stamp, body=body) for key in self.keys]
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": " ".join(signatures),
        }

    async def post(self, body: Any, headers: Mapping[str, str] | None = None, *, path: str = PATH) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = self.signed(raw) if headers is None else headers
        async with self.session.post(self.url + path, data=raw, headers=given) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def tell(self, *refs: str) -> Answer:
        """Say that these changed."""
        return await self.post(changed(*refs))


def changed(*refs: str, operation: str = "upsert") -> dict[str, Any]:
    changes = [
        {"entityRef": ref, "operation": operation, "uid": None, "etag": None, "sequence": number}
        for number, ref in enumerate(refs, start=1)
    ]
    return {"type": "stageport.catalog.changed", "source": "http://backstage", "changes": changes}


OVERFLOW = {"type": "stageport.catalog.overflow", "source": "http://backstage"}


@dataclass
class Live:
    """The running service."""

    world: World
    always: Always
    sender: Sender
    metrics: Metrics
    watch: ServiceWatch
    waits: list[float] = field(default_factory=list)

    def waiting(self) -> int:
        return self.always.around.ledger.hints.backlog().waiting

    async def settled(self) -> None:
        """Wait until every hint was dealt with."""
        await until(lambda: not self.waiting())

    def ended(self, kind: str, state: str = "completed") -> int:
        return sum(
            1 for one in self.world.heard if isinstance(one, PassEnded) and (one.kind, one.state) == (kind, state)
        )


@asynccontextmanager
async def live(
    world: World,
    *,
    admission: Admission | None = None,
    rhythm: Rhythm | None = None,
    patience: Patience | None = None,
    first: bool = True,
) -> AsyncIterator[Live]:
    """Run the service, by default without live deltas; with ``first``, its first pass is through."""
    metrics = Metrics(version="1.2.3")
    async with open_surroundings(world.settings, fan_out(world.heard.append, metrics), policy=HURRIED) as around:
        always = Always(
            around, pass_options(world.settings), rhythm or Rhythm(delta=0), hints=work_of(around, expected=True)
        )
        watch = ServiceWatch(always)
        web = serve_web(
            watch,
            host="127.0.0.1",
            port=0,
            metrics=metrics,
            version="1.2.3",
            receiver=receiver_of(always, admission or Admission(keys=KEYS)),
            patience=patience,
        )
        async with web as running, aiohttp.ClientSession() as session:
            task = asyncio.create_task(always.run())
            service = Live(world, always, Sender(running.url, session), metrics, watch)
            try:
                if first:
                    await until(lambda: always.standing.passes >= 1)
                    world.forget()
                yield service
                if task.done():
                    task.result()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    assert world.state.journal.crashes == []
