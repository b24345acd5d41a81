"""Writes target entities in bulk, and finds the culprit when Port refuses a whole request."""

from collections.abc import Sequence

import msgspec

from stageport.http.messages import Response
from stageport.model.changes import Refusal, WriteOptions, Written
from stageport.model.errors import excerpt
from stageport.port.answers import BLAMEABLE, concerns_everything, decode_answer, read_complaint, read_refusal
from stageport.port.batches import LARGEST_BODY, cut_batches, join_bodies
from stageport.port.blueprints import blueprint_exists, missing_blueprint
from stageport.port.paths import upsert_path
from stageport.port.session import PortSession


class _Taken(msgspec.Struct):
    identifier: str | None = None
    index: int = -1
    created: bool = False


class _Refused(msgspec.Struct, rename="camel"):
    index: int = -1
    identifier: str | None = None
    status_code: int = 0
    error: str = ""
    message: str = ""


class _BulkAnswer(msgspec.Struct):
    entities: list[_Taken] = []
    errors: list[_Refused] = []


_bulk_answers = msgspec.json.Decoder(_BulkAnswer)


class Upserter:
    """Upserts entities of one blueprint under one set of options."""

    def __init__(self, session: PortSession, blueprint: str, options: WriteOptions) -> None:
        self._session = session
        self._blueprint = blueprint
        self._path = upsert_path(blueprint, options)

    async def write(self, bodies: Sequence[bytes]) -> list[Written]:
        """Write any number of entities, batch after batch; one answer for each, in order."""
        answers: list[Written] = []
        for batch in cut_batches(bodies):
            answers += await self._write_batch(bodies[batch.start : batch.stop])
        return answers

    async def _write_batch(self, bodies: Sequence[bytes]) -> list[Written]:
        """Write what fits into one request; split it as long as Port refuses it whole."""
        if len(bodies) == 1 and len(bodies[0]) > LARGEST_BODY:
            return [Written(None, refusal=_too_large(len(bodies[0])))]
        response = await self._send(bodies)
        if response.ok:
            return _read_written(response, len(bodies))
        if response.status == 500:
            return await self._isolate_fault(bodies, response)
        await self._check_blame(response)
        if len(bodies) == 1:
            return [Written(None, refusal=read_refusal(response))]
        middle = len(bodies) // 2
        return [*await self._write_batch(bodies[:middle]), *await self._write_batch(bodies[middle:])]

    async def _isolate_fault(self, bodies: Sequence[bytes], fault: Response) -> list[Written]:
        """Send one by one what Port answered with 500 time and again; if all fail, it is Port and not an entity."""
        if len(bodies) == 1:
            return [Written(None, refusal=read_refusal(fault))]
        answers = [await self._write_alone(body) for body in bodies]
        if all(answer.refusal is not None and answer.refusal.status == 500 for answer in answers):
            raise self._session.explain(fault, doing=self._doing)
        return answers

    async def _write_alone(self, body: bytes) -> Written:
        response = await self._send([body], retryable=False)
        if response.status == 500:
            return Written(None, refusal=read_refusal(response))
        if response.ok:
            return _read_written(response, 1)[0]
        return (await self._write_batch([body]))[0]

    async def _check_blame(self, response: Response) -> None:
        """Raise when the refusal is not about entities."""
        if concerns_everything(response) or response.status not in BLAMEABLE:
            raise self._session.explain(response, doing=self._doing)
        if response.status != 404:
            return
        if not read_complaint(response).error:
            raise self._session.explain(response, doing=self._doing)
        if not await blueprint_exists(self._session, self._blueprint):
            raise missing_blueprint(self._blueprint)

    async def _send(self, bodies: Sequence[bytes], *, retryable: bool = True) -> Response:
        return await self._session.call(
            "POST", self._path, body=join_bodies(bodies), exporter=True, retryable=retryable
        )

    @property
    def _doing(self) -> str:
        return f"writing entities of blueprint {self._blueprint}"


def _read_written(response: Response, count: int) -> list[Written]:
    """Match the answer with the request by index; Port does not promise an order, nor that all are answered."""
    answer = decode_answer(_bulk_answers, response, doing="writing entities")
    unanswered = Refusal(response.status, "unanswered", "Port's answer does not mention this entity")
    written = [Written(None, refusal=unanswered)] * count
    for taken in answer.entities:
        if 0 <= taken.index < count:
            written[taken.index] = Written(taken.identifier, created=taken.created)
    for refused in answer.errors:
        if 0 <= refused.index < count:
            written[refused.index] = _read_refused(refused)
    return written


def _read_refused(refused: _Refused) -> Written:
    # Port calls the identifier "unknown" when it was a search query.
    identifier = None if refused.identifier == "unknown" else refused.identifier
    refusal = Refusal(refused.status_code, refused.error, excerpt(refused.message))
    return Written(identifier, refusal=refusal)


def _too_large(size: int) -> Refusal:
    return Refusal(413, "too_large", f"the entity has {size} bytes, Port takes {LARGEST_BODY} at most")
