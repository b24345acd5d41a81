"""Writes target entities in batches while a pass is still reading, and remembers what Port took.

A source entity is settled, in the ledger, when all it wants has been acknowledged: until then its digest stays
unknown there, so that a crash at any moment makes the next pass look at it again (safety rule 7).
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from stageport.model.blueprints import Blueprint
from stageport.model.changes import Change, Operation, Refusal, WriteOptions
from stageport.model.errors import MissingBlueprintError
from stageport.model.events import ChangeRefused, ChangesApplied, Listener
from stageport.model.fingerprint import digest_of
from stageport.model.ledger import UNKNOWN, Fingerprint, SourceRecord, TargetRecord
from stageport.model.refs import SourceRef, TargetKey, by_blueprint
from stageport.plan.diff import holds_search
from stageport.plan.order import batches, ends_of, tied, untie, waves
from stageport.sync.seams import Ledger, TargetCatalog
from stageport.sync.spool import KeyLog, RefusedSpool, Spool, Ticket, Upsert
from stageport.sync.tasks import run_limited
from stageport.sync.trust import restore_targets

UPSERT_BATCH = 20
SENT_AT_ONCE = 5 * UPSERT_BATCH
"""What leaves together is noted together before: one commit for all of it."""
REQUESTS_AT_ONCE = 16
TRIES_OF_REFUSED = 3
REPORTED = 1_000
STOP_SECONDS = 1.5
"""How long a pass that ends early waits for what is under way. An orchestrator gives a process 10 s or 30 s to end."""


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


class _Waiting(msgspec.Struct, gc=False):
    """A source entity that is not settled yet, and how much of it is still open.

    There may be as many as the catalog has source entities, so they are kept small: while one waits for what is held
    on disk, its record is there too. ``takeovers`` tells it from others of its name, as in ``Ticket``.
    """

    takeovers: int
    ref: SourceRef
    record: SourceRecord | None
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
        self._waiters: dict[TargetKey, list[_Waiting]] = {}
        self._queued: dict[str, dict[TargetKey, Upsert]] = {}
        self._busy: dict[TargetKey, Fingerprint] = {}
        self._later: dict[TargetKey, Upsert] = {}
        self._withheld: set[TargetKey] = set()
        self._held = Spool()
        self._refused = RefusedSpool()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._error: BaseException | None = None
        self._announced = False
        self._takeovers = 0
        self.written = KeyLog()
        self.searched = KeyLog()
        """Those of which Port found a relation or the team by a query."""
        self.reported: list[Change] = []
        """The first changes that Port took, without their bodies: what a person may want to see."""
        self.applied = Applied()

    # Source entities

    def open_source(self, record: SourceRecord) -> None:
        """Announce a source entity."""
        self._announced = True
        self._takeovers += record.ref in self._sources
        self._sources[record.ref] = _Waiting(self._takeovers, record.ref, record)

    def close_sources(self, refs: Iterable[SourceRef]) -> None:
        """Say that nothing more will come for these source entities."""
        self._leave([self._sources[ref] for ref in refs if ref in self._sources])

    def forget_sources(self, refs: Iterable[SourceRef]) -> None:
        """Settle these not, whatever they wait for: more is to come than they were announced for."""
        self._announced = True
        for ref in refs:
            self._takeovers += self._sources.pop(ref, None) is not None

    def _leave(self, waiters: Iterable[_Waiting], *, failed: bool = False) -> None:
        settled: list[SourceRecord] = []
        for waiting in waiters:
            waiting.open -= 1
            waiting.failed = waiting.failed or failed
            # One that was announced anew meanwhile waits for more than this.
            if waiting.open == 0 and self._sources.get(waiting.ref) is waiting:
                del self._sources[waiting.ref]
                assert waiting.record is not None
                settled.append(waiting.record._replace(failed=waiting.record.failed or waiting.failed))
        if settled:
            self._ledger.settle_sources(settled, number=self._number)

    # Upserts

    async def put(self, upsert: Upsert, *, refs: Iterable[SourceRef], late: bool = False) -> None:
        """Queue an upsert; it leaves when enough are queued or with ``push``, late ones when ``finish`` is called.

        Raises:
            TargetError: Port can no longer be used.
        """
        self._raise_error()
        key = upsert.change.key
        self._withheld.discard(key)
        for waiting in [self._sources[ref] for ref in refs if ref in self._sources]:
            waiting.open += 1
            self._waiters.setdefault(key, []).append(waiting)
        if self._busy.get(key) == upsert.fingerprint:
            self._take_back(key)
        # Port may refuse a relation to what is not there yet: then order counts, and is known only at the end.
        elif late or key in self._held or not self._options.create_missing_related:
            self._unqueue(key)
            self._hold(upsert)
        else:
            await self._queue(upsert)

    def _hold(self, upsert: Upsert) -> None:
        """Keep an upsert on disk until the end, and with it who waits for it."""
        waiters = self._waiters.pop(upsert.change.key, ())
        self._held.put(upsert, tickets=[Ticket(one.takeovers, one.ref, one.record) for one in waiters])
        for one in waiters:
            one.record = None

    def _fetch(self, held: Spool, key: TargetKey) -> Upsert:
        """Take an upsert from where it is kept; those who wait for it wait here again, but for who came anew since."""
        found = held.fetch(key)
        for ticket in found.tickets:
            waiting = self._sources.get(ticket.ref)
            if waiting is not None and waiting.takeovers == ticket.takeovers:
                waiting.record = waiting.record or ticket.record
                self._waiters.setdefault(key, []).append(waiting)
        return found.upsert

    def withhold(self, keys: Iterable[TargetKey]) -> set[TargetKey]:
        """Send nothing of these before they are put or cancelled; return those of which something is under way."""
        asked = set(keys)
        for key in asked:
            self._unqueue(key)
        self._withheld |= asked
        return asked & self._busy.keys()

    def cancel(self, key: TargetKey) -> None:
        """Take back an upsert; one that is under way comes to its end, and what was to follow it does not."""
        self._withheld.discard(key)
        self._take_back(key)
        if key not in self._busy:
            self._refused.forget(key)
            self._leave(self._waiters.pop(key, ()))

    def _take_back(self, key: TargetKey) -> None:
        self._unqueue(key)
        if key in self._held:
            self._fetch(self._held, key)
            self._held.drop(key)

    def _unqueue(self, key: TargetKey) -> None:
        self._queued.get(key.blueprint, {}).pop(key, None)
        self._later.pop(key, None)

    def _is_pending(self, key: TargetKey) -> bool:
        queued = self._queued.get(key.blueprint, ())
        return key in queued or key in self._withheld or key in self._later or key in self._held

    async def _queue(self, upsert: Upsert) -> None:
        key = upsert.change.key
        if key in self._busy:
            self._later[key] = upsert
            return
        queue = self._queued.setdefault(key.blueprint, {})
        queue[key] = upsert
        if len(queue) >= SENT_AT_ONCE:
            await self._send(key.blueprint)

    async def push(self) -> None:
        """Send what makes whole batches; the rest waits for more, or for ``flush``.

        Raises:
            TargetError: Port can no longer be used.
        """
        for blueprint in list(self._queued):
            await self._send(blueprint, whole_batches=True)
        self._raise_error()

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
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._held.close()
        self._refused.close()
        self.written.close()
        self.searched.close()

    async def _send(self, blueprint: str, *, whole_batches: bool = False) -> None:
        """Send what is queued of a blueprint; a batch that is not full yet may wait for more."""
        queue = self._queued.pop(blueprint, {})
        upserts = list(queue.values())
        if whole_batches:
            rest = upserts[len(upserts) // UPSERT_BATCH * UPSERT_BATCH :]
            self._queued[blueprint] = {upsert.change.key: upsert for upsert in rest}
            upserts = upserts[: len(upserts) - len(rest)]
        if not upserts:
            return
        self._busy.update({upsert.change.key: upsert.fingerprint for upsert in upserts})
        before = self._doubt([upsert.change.key for upsert in upserts])
        for batch in batches(upserts, most=UPSERT_BATCH):
            await self._slots.acquire()
            task = asyncio.create_task(self._write(blueprint, batch, before))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _doubt(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, TargetRecord]:
        """Note for good that nobody knows what Port holds of these, and return what was known.

        Whether Port takes a body is not known until it answers, and the process may be gone by then. Of what was not
        known before, the ledger can tell by itself: a source entity that is not settled wants it.
        """
        before = self._ledger.targets(keys)
        self._ledger.acknowledge([TargetRecord(key, UNKNOWN) for key in before])
        if before or self._announced:
            self._announced = False
            self._ledger.keep()
        return before

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()
        if not task.cancelled() and task.exception() is not None:
            self._error = self._error or task.exception()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    async def _write(self, blueprint: str, batch: Sequence[Upsert], before: Mapping[TargetKey, TargetRecord]) -> None:
        bodies = [upsert.change.body for upsert in batch]
        try:
            answers = await self._target.upsert(blueprint, bodies, options=self._options)
            refusals = [answer.refusal for answer in answers]
        except MissingBlueprintError as error:
            refusals = [Refusal(404, "not_found", error.message)] * len(batch)
        finally:
            for upsert in batch:
                del self._busy[upsert.change.key]
        self._note_answers(batch, refusals, before)
        self._queue_later(batch)

    def _note_answers(
        self, batch: Sequence[Upsert], refusals: Sequence[Refusal | None], before: Mapping[TargetKey, TargetRecord]
    ) -> None:
        # Port may hold what it answered with an error of its own: that is not known, and noted as such.
        known = [
            TargetRecord(one.change.key, one.fingerprint if refusal is None else UNKNOWN)
            for one, refusal in zip(batch, refusals, strict=True)
            if refusal is None or not refusal.is_sure
        ]
        self._ledger.acknowledge(known)
        refused = [one.change.key for one, refusal in zip(batch, refusals, strict=True) if refusal and refusal.is_sure]
        if refused:
            restore_targets(self._ledger, refused, before)
        self._took([one.change for one, refusal in zip(batch, refusals, strict=True) if refusal is None])
        for upsert, refusal in zip(batch, refusals, strict=True):
            key = upsert.change.key
            if refusal is not None:
                self._refused.note(upsert, refusal)
                continue
            self._refused.forget(key)
            (self.searched if holds_search(upsert.change.body) else self.written).note(key)
            if not self._is_pending(key):
                self._leave(self._waiters.pop(key, ()))

    def _queue_later(self, batch: Sequence[Upsert]) -> None:
        """Queue what waited for the answer to these."""
        for upsert in batch if self._later else ():
            later = self._later.pop(upsert.change.key, None)
            if later is not None:
                self._queued.setdefault(later.change.blueprint, {})[later.change.key] = later

    def _took(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        # Port may have made some already, as stubs that others related to: for people they are created here.
        created = sum(change.operation is Operation.CREATE for change in changes)
        self.applied.created += created
        self.applied.updated += len(changes) - created
        self.reported += [replace(change, body=b"") for change in changes[: REPORTED - len(self.reported)]]
        self._listener(ChangesApplied(tuple(changes)))

    # The end

    async def finish(self, blueprints: Mapping[str, Blueprint]) -> None:
        """Send the rest, try once more what was refused for want of another entity, and settle what is left."""
        await self.flush()
        await self._write_held(blueprints)
        await self.flush()
        await self._try_again(blueprints)
        for key, refusal in self._refused.refusals.items():
            self._refuse(self._refused.fetch(key).upsert.change, refusal)
            self._leave(self._waiters.pop(key, ()), failed=True)

    async def _write_held(self, blueprints: Mapping[str, Blueprint]) -> None:
        """Write what order counts for: related ones first, circles without what ties them, then the rest whole."""
        held, self._held = self._held, Spool()
        with contextlib.closing(held):
            if self._options.create_missing_related:
                for key in held:
                    await self._queue(self._fetch(held, key))
            else:
                await self._write_in_order(held, blueprints)

    async def _write_in_order(self, held: Spool, blueprints: Mapping[str, Blueprint]) -> None:
        created = [key for key in held if held.operation(key) is Operation.CREATE]
        knot = await self._write_untied(held, created, blueprints)
        # What Port refuses of this is not worth hearing: all of it is sent again, whole.
        groups, tied_keys = by_blueprint(knot), set(knot)
        loose = ((name, batch) for name in groups for batch in batches(groups[name], most=UPSERT_BATCH))

        async def send(batch: tuple[str, Sequence[str]]) -> None:
            name, identifiers = batch
            whole = [held.fetch(TargetKey(name, identifier)).upsert.change for identifier in identifiers]
            await self._send_loose([untie(change, tied_keys, blueprints) for change in whole])

        await run_limited(send, loose, limit=REQUESTS_AT_ONCE)
        await self._write_step(held, knot)
        await self._write_step(held, (key for key in held if held.operation(key) is not Operation.CREATE))

    async def _write_untied(
        self, held: Spool, keys: Sequence[TargetKey], blueprints: Mapping[str, Blueprint]
    ) -> list[TargetKey]:
        """Write what no circle ties, related ones first, and return the others; one body is read at a time."""
        among = set(keys)
        ends = {key: ends_of(held.fetch(key).upsert.change, blueprints) & among for key in keys}
        knot = tied(ends)
        aside = set(knot)
        for step in waves({key: related for key, related in ends.items() if key not in aside}):
            await self._write_step(held, step)
        return knot

    async def _send_loose(self, batch: Sequence[Change]) -> None:
        with contextlib.suppress(MissingBlueprintError):
            bodies = [change.body for change in batch]
            self._doubt([change.key for change in batch])
            answers = await self._target.upsert(batch[0].blueprint, bodies, options=self._options)
            taken = [change for change, answer in zip(batch, answers, strict=True) if answer.refusal is None]
            self._ledger.acknowledge([TargetRecord(change.key, digest_of(change.body)) for change in taken])

    async def _try_again(self, blueprints: Mapping[str, Blueprint]) -> None:
        for _ in range(TRIES_OF_REFUSED):
            before = len(self._refused.refusals)
            again = self._refused.worth_another_try()
            if not again:
                return
            knot = await self._write_untied(self._refused, again, blueprints)
            await self._write_step(self._refused, knot)
            if len(self._refused.refusals) == before:
                return

    async def _write_step(self, held: Spool, keys: Iterable[TargetKey]) -> None:
        for key in keys:
            await self._queue(self._fetch(held, key))
        await self.flush()

    def _refuse(self, change: Change, refusal: Refusal) -> None:
        self.applied.refused.append((replace(change, body=b""), refusal))
        self._listener(ChangeRefused(change, refusal))
