"""A target catalog in memory that keeps the protocol of ``sync.seams`` and answers when it is told to."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from stageport.model.changes import Change, Operation, Refusal, WriteOptions, Written
from stageport.model.entities import Json
from stageport.model.fingerprint import digest_of
from stageport.model.ledger import SourceRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.sync.spool import Upsert

MISSING = Refusal(404, "not_found", "there is no such entity")
MISMATCH = Refusal(422, "blueprint_schema_mismatch", "no such property")
Judge = Callable[[Json], Refusal | None]


class ScriptedTarget:
    """Holds bodies by key. ``judge`` refuses; with ``gated``, answers wait until ``answer`` is called.

    A write takes effect when it is answered, so that two that overtake each other show in what is held.
    """

    def __init__(self, judge: Judge = lambda _: None, *, gated: bool = False) -> None:
        self.held: dict[TargetKey, Json] = {}
        self.sent: list[list[Json]] = []
        self.deleted: list[tuple[list[TargetKey], bool]] = []
        self.dependents: dict[TargetKey, set[TargetKey]] = {}
        self.waiting: deque[asyncio.Event] = deque()
        self.judge = judge
        self.gated = gated

    async def upsert(self, blueprint: str, bodies: Sequence[bytes], *, options: WriteOptions) -> Sequence[Written]:
        documents = [msgspec.json.decode(body) for body in bodies]
        self.sent.append(documents)
        if self.gated:
            gate = asyncio.Event()
            self.waiting.append(gate)
            await gate.wait()
        answers = []
        for document in documents:
            refusal = self.judge(document)
            key = TargetKey(blueprint, document["identifier"])
            if refusal is None:
                self.held[key] = document
            answers.append(Written(key.identifier, refusal=refusal))
        return answers

    async def delete(
        self, blueprint: str, identifiers: Sequence[str], *, options: WriteOptions
    ) -> Mapping[str, Written]:
        keys = [TargetKey(blueprint, identifier) for identifier in identifiers]
        self.deleted.append((keys, options.delete_dependents))
        return {key.identifier: self._delete(key, cascade=options.delete_dependents) for key in keys}

    def _delete(self, key: TargetKey, *, cascade: bool) -> Written:
        dependents = {one for one in self.dependents.get(key, ()) if one in self.held}
        if dependents and not cascade:
            return Written(key.identifier, refusal=Refusal(403, "has_dependents", "required by others"))
        self.held.pop(key, None)
        for one in dependents:
            self._delete(one, cascade=True)
        return Written(key.identifier)

    async def answer(self) -> None:
        """Let the oldest request that waits have its answer."""
        self.waiting.popleft().set()
        await settle()

    def values(self) -> list[list[object]]:
        """Return what was sent, request by request, by the property ``v`` alone."""
        return [[document["properties"]["v"] for document in documents] for documents in self.sent]


async def settle() -> None:
    """Let everybody who can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


def key(identifier: str, blueprint: str = "service") -> TargetKey:
    return TargetKey(blueprint, identifier)


def upsert(
    identifier: str,
    value: object = 1,
    *,
    blueprint: str = "service",
    operation: Operation = Operation.UPDATE,
    relations: Json = None,
) -> Upsert:
    """Make an upsert of one property, ``v``."""
    document = {"identifier": identifier, "properties": {"v": value}, "relations": relations or {}}
    body = msgspec.json.encode(document)
    return Upsert(Change(operation, blueprint, identifier, body=body), digest_of(body))


def source(name: str) -> SourceRecord:
    """Make the record of a source entity."""
    return SourceRecord(SourceRef(f"component:default/{name}"), f"uid-{name}", f"etag-{name}", digest_of(name.encode()))


def want(record: SourceRecord, target: TargetKey) -> WantRecord:
    return WantRecord(record.ref, target, (0, 0), b"f" * 16)
