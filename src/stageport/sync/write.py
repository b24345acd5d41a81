"""Writes target entities in batches while a pass is still reading, and remembers what Port took.

A source entity is settled, in the ledger, when all it wants has been acknowledged: until then its digest stays
unknown there, so that a crash at any moment makes the next pass look at it again (safety rule 7).
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from stageport.model.blueprints import Blueprint
from stageport.model.changes import Change, Operation, Refusal, WriteOptions
from stageport.model.errors import MissingBlueprintError
from stageport.model.events import ChangeApplied, ChangeRefused, ChangesFound, Listener
from stageport.model.ledger import SourceRecord, TargetRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.plan.order import batches, delete_waves, group_by_blueprint, tied, untie, waves
from stageport.plan.plan import Plan
from stageport.sync.seams import Ledger, TargetCatalog
from stageport.sync.spool import Spool, Upsert
from stageport.sync.tasks import run_limited

UPSERT_BATCH = 20
DELETE_BATCH = 100
REQUESTS_AT_ONCE = 16
TRIES_OF_REFUSED = 3
REPORTED = 1_000
STOP_SECONDS = 3.0
"""How long a pass that ends early waits for what is under way. An orchestrator gives a process 10 s or 30 s to end."""

FINAL_CODES = frozenset(
    {"blueprint_schema_mismatch", "invalid_request", "relation_many_violation", "team_inheritance_enabled", "too_large"}
)
"""What Port says of an entity that no other entity's arrival can mend."""


@dataclass(slots=True)
class Applied:
    """What came of a pass's changes."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    refused: list[tuple[Change, Refusal]] = field(default_factory=list)

    @property
    def written(self) -> int:
        """How many changes Port took."""
        return self.created + self.updated + self.deleted


class Sink(Protocol):
    """Where a pass puts what it wants written."""

    def open_source(self, record: SourceRecord) -> None:
        """Announce a source entity; it is settled when ``close_source`` was called and nothing of it is open."""
        ...

    async def put(self, upsert: Upsert, *, refs: Iterable[SourceRef], late: bool = False) -> None:
        """Take an upsert that these source entities wait for.

        ``late``: not before everything is read, because another source entity may want the same target entity.
        """
        ...

    def cancel(self, key: TargetKey) -> None:
        """Take a late upsert back: together with what came since, it is what Port has already."""
        ...

    def close_sources(self, refs: Iterable[SourceRef]) -> None:
        """Say that nothing more will come for these source entities."""
        ...


@dataclass(slots=True)
class _Waiting:
    record: SourceRecord
    open: int = 1
    failed: bool = False


class Writer:
    """Takes upserts one by one, sends them in batches of one blueprint, and settles source entities.

    Two writes of one target entity never overtake each other: a later body replaces an earlier one that was not sent
    yet, and waits for one that is under way.
    """

    def __init__(
        self, target: TargetCatalog, ledger: Ledger, *, options: WriteOptions, number: int, listener: Listener
    ) -> None:
        self._target = target
        self._ledger = ledger
        self._options = options
        self._number = number
        self._listener = listener
        self._sources: dict[SourceRef, _Waiting] = {}
        self._waiters: dict[TargetKey, list[SourceRef]] = {}
        self._queued: dict[str, dict[TargetKey, Upsert]] = {}
        self._busy: set[TargetKey] = set()
        self._later: dict[TargetKey, Upsert] = {}
        self._held = Spool()
        self._refused: dict[TargetKey, tuple[Upsert, Refusal]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._error: BaseException | None = None
        self.written: list[TargetKey] = []
        self.reported: list[Change] = []
        """The first changes that Port took, without their bodies: what a person may want to see."""
        self.applied = Applied()

    # Source entities

    def open_source(self, record: SourceRecord) -> None:
        """Announce a source entity."""
        self._sources[record.ref] = _Waiting(record)

    def close_sources(self, refs: Iterable[SourceRef]) -> None:
        """Say that nothing more will come for these source entities."""
        self._leave(refs)

    def _leave(self, refs: Iterable[SourceRef], *, failed: bool = False) -> None:
        settled: list[SourceRecord] = []
        for ref in refs:
            waiting = self._sources.get(ref)
            if waiting is None:
                continue
            waiting.open -= 1
            waiting.failed = waiting.failed or failed
            if waiting.open == 0:
                del self._sources[ref]
                settled.append(waiting.record._replace(failed=waiting.record.failed or waiting.failed))
        if settled:
            self._ledger.settle_sources(settled, number=self._number)

    # Upserts

    async def put(self, upsert: Upsert, *, refs: Iterable[SourceRef], late: bool = False) -> None:
        """Queue an upsert; full batches leave at once, late ones when ``finish`` is called.

        Raises:
            TargetError: Port can no longer be used.
        """
        self._raise_error()
        key = upsert.change.key
        for ref in refs:
            if ref in self._sources:
                self._sources[ref].open += 1
                self._waiters.setdefault(key, []).append(ref)
        # Port may refuse a relation to what is not there yet: then order counts, and is known only at the end.
        if late or key in self._held or not self._options.create_missing_related:
            self._held.put(upsert)
        else:
            await self._queue(upsert)

    def cancel(self, key: TargetKey) -> None:
        """Take a late upsert back."""
        if key in self._held:
            self._held.drop(key)
            self._leave(self._waiters.pop(key, ()))

    async def _queue(self, upsert: Upsert) -> None:
        key = upsert.change.key
        if key in self._busy:
            self._later[key] = upsert
            return
        queue = self._queued.setdefault(key.blueprint, {})
        queue[key] = upsert
        if len(queue) >= UPSERT_BATCH:
            await self._send(key.blueprint)

    async def flush(self) -> None:
        """Send what is queued and wait until everything sent is answered.

        Raises:
            TargetError: Port can no longer be used.
        """
        while any(self._queued.values()) or self._tasks:
            for blueprint in list(self._queued):
                await self._send(blueprint)
            if self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self._raise_error()
        self._raise_error()

    async def stop(self) -> None:
        """Let what is under way come to its end, if that is soon, and send nothing more.

        What Port has not answered by then was not acknowledged: the next pass looks at it again.
        """
        self._queued.clear()
        self._later.clear()
        self._held.close()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _send(self, blueprint: str) -> None:
        queue = self._queued.pop(blueprint, {})
        self._busy.update(queue)
        for batch in batches(list(queue.values()), most=UPSERT_BATCH):
            await self._slots.acquire()
            task = asyncio.create_task(self._write(blueprint, batch))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()
        if not task.cancelled() and task.exception() is not None:
            self._error = self._error or task.exception()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    async def _write(self, blueprint: str, batch: Sequence[Upsert]) -> None:
        bodies = [upsert.change.body for upsert in batch]
        try:
            answers = await self._target.upsert(blueprint, bodies, options=self._options)
            refusals = [answer.refusal for answer in answers]
        except MissingBlueprintError as error:
            refusals = [Refusal(404, "not_found", error.message)] * len(batch)
        finally:
            self._busy.difference_update(upsert.change.key for upsert in batch)
        self._note_answers(batch, refusals)
        await self._send_later(batch)

    def _note_answers(self, batch: Sequence[Upsert], refusals: Sequence[Refusal | None]) -> None:
        taken = [upsert for upsert, refusal in zip(batch, refusals, strict=True) if refusal is None]
        self._ledger.acknowledge([TargetRecord(one.change.key, one.fingerprint) for one in taken])
        for upsert, refusal in zip(batch, refusals, strict=True):
            key = upsert.change.key
            if refusal is not None:
                self._refused[key] = (upsert, refusal)
                continue
            self._refused.pop(key, None)
            self.written.append(key)
            self._took(upsert.change)
            if key not in self._later:
                self._leave(self._waiters.pop(key, ()))

    async def _send_later(self, batch: Sequence[Upsert]) -> None:
        for upsert in batch:
            later = self._later.pop(upsert.change.key, None)
            if later is not None:
                self._queued.setdefault(later.change.blueprint, {})[later.change.key] = later

    def _took(self, change: Change) -> None:
        # Port may have made it already, as the stub that another one related to: for people it is created here.
        if change.operation is Operation.CREATE:
            self.applied.created += 1
        else:
            self.applied.updated += 1
        if len(self.reported) < REPORTED:
            self.reported.append(replace(change, body=b""))
        self._listener(ChangeApplied(change))

    # The end

    async def finish(self, blueprints: Mapping[str, Blueprint]) -> None:
        """Send the rest, try once more what was refused for want of another entity, and settle what is left."""
        await self._write_held(blueprints)
        await self.flush()
        await self._try_again(blueprints)
        for upsert, refusal in self._refused.values():
            self._refuse(upsert.change, refusal)
            self._leave(self._waiters.pop(upsert.change.key, ()), failed=True)
        self._refused.clear()

    async def _write_held(self, blueprints: Mapping[str, Blueprint]) -> None:
        """Write what order counts for: related ones first, circles without what ties them, then the rest whole."""
        held, self._held = self._held, Spool()
        with contextlib.closing(held):
            if self._options.create_missing_related:
                for key in held:
                    await self._queue(held.read(key))
            else:
                await self._write_in_order({key: held.read(key) for key in held}, blueprints)

    async def _write_in_order(self, held: Mapping[TargetKey, Upsert], blueprints: Mapping[str, Blueprint]) -> None:
        created = [one.change for one in held.values() if one.change.operation is Operation.CREATE]
        knot = tied(created, blueprints)
        keys = {change.key for change in knot}
        for step in waves([change for change in created if change.key not in keys], blueprints):
            await self._write_step(held[change.key] for change in step)
        # What came of this is not worth hearing: all of it is sent again, whole.
        loose = group_by_blueprint([untie(change, keys, blueprints) for change in knot])
        requests = (batch for group in loose.values() for batch in batches(group, most=UPSERT_BATCH))
        await run_limited(self._send_loose, requests, limit=REQUESTS_AT_ONCE)
        rest = [one for one in held.values() if one.change.operation is not Operation.CREATE]
        await self._write_step([*(held[key] for key in keys), *rest])

    async def _send_loose(self, batch: Sequence[Change]) -> None:
        with contextlib.suppress(MissingBlueprintError):
            bodies = [change.body for change in batch]
            await self._target.upsert(batch[0].blueprint, bodies, options=self._options)

    async def _try_again(self, blueprints: Mapping[str, Blueprint]) -> None:
        for _ in range(TRIES_OF_REFUSED):
            again = [upsert for upsert, refusal in self._refused.values() if refusal.code not in FINAL_CODES]
            before = len(self._refused)
            if not again:
                return
            by_key = {upsert.change.key: upsert for upsert in again}
            knot = {change.key for change in tied([one.change for one in again], blueprints)}
            free = [one.change for one in again if one.change.key not in knot]
            for step in waves(free, blueprints):
                await self._write_step(by_key[change.key] for change in step)
            await self._write_step(by_key[key] for key in knot)
            if len(self._refused) == before:
                return

    async def _write_step(self, upserts: Iterable[Upsert]) -> None:
        for upsert in upserts:
            await self._queue(upsert)
        await self.flush()

    def _refuse(self, change: Change, refusal: Refusal) -> None:
        self.applied.refused.append((change, refusal))
        self._listener(ChangeRefused(change, refusal))

    async def delete(self, plan: Plan) -> None:
        """Delete what the plan says, dependents first where Port does not take them along."""
        if plan.deletes:
            self._listener(ChangesFound(len(plan.deletes)))
        whole = self._options.delete_dependents
        for step in [list(plan.deletes)] if whole else delete_waves(plan.deletes, plan.relations):
            requests = (
                batch for group in group_by_blueprint(step).values() for batch in batches(group, most=DELETE_BATCH)
            )
            await run_limited(self._delete, requests, limit=REQUESTS_AT_ONCE)

    async def _delete(self, batch: Sequence[Change]) -> None:
        identifiers = [change.identifier for change in batch]
        answers = await self._target.delete(batch[0].blueprint, identifiers, options=self._options)
        gone: list[TargetKey] = []
        for change in batch:
            refusal = answers[change.identifier].refusal
            if refusal is None:
                gone.append(change.key)
                self.applied.deleted += 1
                self._listener(ChangeApplied(change))
            else:
                self._refuse(change, refusal)
        self._ledger.drop_targets(gone)


class Collector:
    """A sink that writes nothing: what ``plan`` shows is what it was given."""

    def __init__(self) -> None:
        self._changes: dict[TargetKey, Change] = {}

    def open_source(self, record: SourceRecord) -> None:
        """Announce a source entity; nothing is remembered of it."""

    def close_sources(self, refs: Iterable[SourceRef]) -> None:
        """Say that nothing more will come."""

    async def put(self, upsert: Upsert, *, refs: Iterable[SourceRef], late: bool = False) -> None:
        """Keep a change; a later one of the same target entity replaces it."""
        del refs, late
        self._changes[upsert.change.key] = upsert.change

    def cancel(self, key: TargetKey) -> None:
        """Drop a change: it came to nothing."""
        self._changes.pop(key, None)

    def changes(self) -> tuple[Change, ...]:
        """Return what was put, creates and updates alike, in order of blueprint and identifier."""
        return tuple(self._changes[key] for key in sorted(self._changes))

    def count(self, operation: Operation) -> int:
        """Count what was put of one operation."""
        return sum(1 for change in self._changes.values() if change.operation is operation)
