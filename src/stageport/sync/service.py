"""One pass, from the integration's record to the report: what ``sync`` runs once and ``plan`` runs half."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import msgspec

from stageport.mapping.document import MappingDocument
from stageport.mapping.static import static_blueprint
from stageport.model.changes import WriteOptions
from stageport.model.entities import Json
from stageport.model.errors import (
    InterruptedPassError,
    LedgerError,
    MappingError,
    StageportError,
    TargetAnswerError,
    TargetError,
)
from stageport.model.events import Noticed, PassStarted
from stageport.model.exits import Exit
from stageport.model.hints import Hint
from stageport.model.refs import SourceRef
from stageport.plan.plan import Plan
from stageport.sync.ground import Found, expected_ground, find_ground, find_with_mapping, prepare_ground
from stageport.sync.history import PassNotes, Recorder, noted_pass
from stageport.sync.passes import (
    PassKind,
    Scope,
    conduct,
    preview,
)
from stageport.sync.seams import Ledger
from stageport.sync.surroundings import Ground, Surroundings
from stageport.sync.tasks import both, run_limited
from stageport.sync.trust import VERIFIED_AT, distrust_after_others, is_verified, note_reported
from stageport.sync.write import Applied

State = Literal["completed", "failed", "aborted"]
EXAMPLES_AT_ONCE = 8
REPORT_SECONDS = 5.0
ABORT_SECONDS = 1.5
"""How long a report may take; shorter when somebody waits for the process to end."""
VERIFY_EVERY = timedelta(days=1)


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def new_pass_id() -> str:
    """Return a fresh id for a pass."""
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class PassOptions:
    """How a pass is to run.

    ``initialize``: first start creates missing default blueprints and, where there is none, the default mapping;
    ``resources`` is a folder that may hold others to use instead. ``identity`` holds the fields of the integration's
    record that must be ours; ``release_deletes`` is a person's word that held deletes may happen. ``kind`` is the pass
    to run, None leaves the choice to the ledger; ``kinds`` (lower case) narrow it; a hinted pass looks at ``hints``.
    ``again``: a delta also looks at source entities that came to nothing before, though nothing of them changed.
    ``mapping`` is a document to plan with instead of the one at Port, and ``fit`` whether it is made to fit the
    blueprints there. ``trigger`` says what asked for the pass, for people.
    """

    initialize: bool = True
    resources: Path | None = None
    mapping: Json = None
    fit: bool = False
    identity: Json = field(default_factory=dict)
    send_examples: bool = True
    release_deletes: bool = False
    kind: PassKind | None = None
    kinds: frozenset[str] = frozenset()
    hints: tuple[Hint, ...] = ()
    again: bool = True
    trigger: str = "the command line"
    now: Callable[[], datetime] = utc_now
    new_id: Callable[[], str] = new_pass_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a pass: the plan, what Port took of it, and the exit code they come to.

    ``unsure`` are hinted refs that have to be looked at once more; ``examples`` are raw source entities by kind, for
    Port to show.
    """

    pass_id: str
    kind: PassKind
    plan: Plan
    applied: Applied
    exit: Exit
    unsure: frozenset[SourceRef] = frozenset()
    examples: Mapping[str, Sequence[bytes]] = field(default_factory=dict)

    @property
    def left_unwritten(self) -> bool:
        """Whether something was not written, whatever else weighs more in the exit code."""
        return bool(self.applied.refused or self.plan.blocked or self.plan.counts.errors)

    @property
    def state(self) -> State:
        """The resync state that Port is told: a pass that left entities unwritten is not completed."""
        return "completed" if self.exit in (Exit.OK, Exit.HELD) else "failed"


async def plan_pass(around: Surroundings, options: PassOptions) -> tuple[Plan, Found]:
    """Plan what a pass would do, first start included, and write nothing at all.

    Raises:
        StageportError: one of the catalogs could not be read, or the mapping cannot be used.
    """
    found = await _find_planned(around, options)
    ground = expected_ground(found)
    _start(around, ground, "plan")
    scope = Scope(PassKind.VERIFY, options.release_deletes, options.kinds)
    return await preview(around, ground, around.ledger, scope), found


async def run_pass(around: Surroundings, options: PassOptions) -> Outcome:
    """Run one pass, note it, and report its state to Port: running, then completed, failed or aborted.

    Raises:
        InterruptedPassError: the task was cancelled; Port was told ``aborted``.
        StageportError: the pass could not go on; Port was told ``failed`` where it could be told.
    """
    _, outcome = await run_afresh(around, options)
    return outcome


async def run_afresh(
    around: Surroundings, options: PassOptions, *, prepared: Callable[[Ground], None] = lambda _: None
) -> tuple[Ground, Outcome]:
    """Run one pass on ground that is prepared for it, and return both; ``prepared`` is told the ground before.

    Raises:
        InterruptedPassError, StageportError: as ``run_pass``.
    """
    around.ledger.runs.close_open()
    with _noted(around, options) as notes:
        ground = await prepare(around, options, failed=notes.break_off)
        prepared(ground)
        outcome = await _run_reported(replace(around, listener=notes), ground, options, notes)
    return ground, outcome


def _noted(around: Surroundings, options: PassOptions) -> AbstractContextManager[PassNotes]:
    recorder = Recorder(around.ledger.runs, around.listener, options.now, around.redact)
    kind = (options.kind or PassKind.RESYNC).value
    return noted_pass(recorder, run_id=options.new_id(), trigger=options.trigger, kind=kind)


async def _run_reported(around: Surroundings, ground: Ground, options: PassOptions, notes: PassNotes) -> Outcome:
    started = _stamp(options)
    try:
        async with _reported_running(around, started):
            outcome = await _run(around, ground, options, notes)
    except asyncio.CancelledError:
        with suppress(asyncio.CancelledError):
            await _report_end(around, "aborted", started=started, options=options)
        raise InterruptedPassError(
            "The pass was stopped before its end.", hint="What was written stays written; run it again."
        ) from None
    except StageportError as error:
        notes.break_off(error)
        await _report_end(around, "failed", started=started, options=options)
        raise
    # It is over: what is told of it elsewhere does not wait until Port was told its state.
    notes.conclude(outcome.plan, state=outcome.state, code=outcome.exit)
    ended = _report_end(around, outcome.state, started=started, options=options)
    await both(_send_examples(around, outcome.examples), ended)
    return outcome


async def _find(around: Surroundings, options: PassOptions) -> Found:
    return await find_ground(
        around.integration, around.blueprints, initialize=options.initialize, folder=options.resources
    )


async def _find_planned(around: Surroundings, options: PassOptions) -> Found:
    if options.mapping is None:
        return await _find(around, options)
    return await find_with_mapping(
        around.integration, around.blueprints, config=options.mapping, fit=options.fit, folder=options.resources
    )


async def run_delta(around: Surroundings, ground: Ground, options: PassOptions) -> Outcome:
    """Run one pass beside the resyncs that Port knows of: no report, and no request to Port unless something changed.

    Raises:
        StageportError: one of the catalogs could not be used.
    """
    return await _run_quietly(around, ground, replace(options, kind=PassKind.DELTA))


async def run_hinted(around: Surroundings, ground: Ground, options: PassOptions, hints: Sequence[Hint]) -> Outcome:
    """Run one pass that looks at what hints name and at nothing else; Port is told as little as by ``run_delta``.

    Where the ledger cannot carry it, a verify takes its place, and the outcome says so.

    Raises:
        StageportError: one of the catalogs could not be used.
    """
    return await _run_quietly(around, ground, replace(options, kind=PassKind.HINTED, hints=tuple(hints)))


async def _run_quietly(around: Surroundings, ground: Ground, options: PassOptions) -> Outcome:
    quiet = replace(options, send_examples=False)
    with _noted(around, quiet) as notes:
        outcome = await _run(replace(around, listener=notes), ground, quiet, notes)
        notes.conclude(outcome.plan, state=outcome.state, code=outcome.exit)
    return outcome


async def prepare(
    around: Surroundings, options: PassOptions, *, failed: Callable[[StageportError], None] = lambda _: None
) -> Ground:
    """Read the ground a pass stands on, and do what first start has to add; ``failed`` is told what Port is told.

    Raises:
        MappingError: the mapping document cannot be used; Port was told.
        TargetError: Port could not be read, or refused a blueprint.
    """
    started = _stamp(options)
    try:
        found = await _find(around, options)
        distrust_after_others(around.ledger, found.record)
        return await prepare_ground(found, around.integration, around.blueprints, identity=options.identity)
    except MappingError as error:
        failed(error)
        # Port shows this next to the mapping, to whoever has just edited it.
        await _report_end(around, "failed", started=started, options=options)
        raise


async def _run(around: Surroundings, ground: Ground, options: PassOptions, notes: PassNotes) -> Outcome:
    scope, pass_id = choose_scope(around.ledger, ground.document, options), notes.run.id
    notes.choose(scope.kind.value)
    if scope.kind not in (PassKind.DELTA, PassKind.HINTED):
        # Deltas come every few seconds, and have something to say only when they found something.
        _start(around, ground, pass_id)
        around.listener(Noticed("info", f"This pass is a {scope.kind.value}."))
    document = ground.document
    write = WriteOptions(
        merge=document.merge,
        create_missing_related=document.create_missing_related,
        delete_dependents=document.delete_dependents,
        pass_id=pass_id,
    )
    conducted = await conduct(around, ground, around.ledger, scope, options=write, now=_stamp(options))
    plan, applied = conducted.plan, conducted.applied
    examples = conducted.examples if options.send_examples else {}
    return Outcome(pass_id, scope.kind, plan, applied, settle_exit(plan, applied), conducted.unsure, examples)


def choose_scope(ledger: Ledger, document: MappingDocument, options: PassOptions) -> Scope:
    """Choose how much to read: what was asked for, unless the ledger cannot carry it.

    Without a ledger, or with another mapping than the one it was made with, only a verify tells what is there; and
    once a day it looks for what drifted at Port.
    """
    asked = options.kind
    if not is_verified(ledger, document):
        kind = PassKind.VERIFY
    elif asked is not None:
        kind = asked
    else:
        kind = PassKind.RESYNC if _is_recent(ledger.read_fact(VERIFIED_AT), now=options.now()) else PassKind.VERIFY
    hints = options.hints if kind is PassKind.HINTED else ()
    return Scope(kind, options.release_deletes, options.kinds, hints, options.again)


def _is_recent(stamp: str, *, now: datetime) -> bool:
    """Tell whether a time was less than a day ago; one in the future comes from a clock that went wrong."""
    try:
        return timedelta(0) <= now - datetime.fromisoformat(stamp) < VERIFY_EVERY
    except ValueError:
        return False


def settle_exit(plan: Plan, applied: Applied) -> Exit:
    """Settle the exit code: what could not be read weighs most, then what was not written, then what is held."""
    if plan.exit is Exit.SOURCE:
        return Exit.SOURCE
    return Exit.UNWRITTEN if applied.refused else plan.exit


def _start(around: Surroundings, ground: Ground, pass_id: str) -> None:
    kinds = _distinct(resource.kind for resource in ground.document.resources)
    resources = tuple((one.kind, static_blueprint(one) or "") for one in ground.document.resources)
    around.listener(PassStarted(pass_id, kinds, resources))


def _distinct(kinds: Iterable[str]) -> tuple[str, ...]:
    return tuple({kind.lower(): kind for kind in kinds}.values())


async def _send_examples(around: Surroundings, examples: Mapping[str, Sequence[bytes]]) -> None:
    """Show Port what raw entities look like, for its mapping playground; never a reason to fail."""

    async def send(kind: str) -> None:
        try:
            await around.integration.send_examples(kind, [msgspec.json.decode(raw) for raw in examples[kind]])
        except TargetError as error:
            around.listener(Noticed("warning", f"Examples of kind {kind} were not sent: {error.message}"))

    await run_limited(send, [kind for kind, raws in examples.items() if raws], limit=EXAMPLES_AT_ONCE)


@asynccontextmanager
async def _reported_running(around: Surroundings, started: str) -> AsyncIterator[None]:
    """Tell Port that the pass is running, while it begins; that was said before anything is said of its end."""
    report = asyncio.ensure_future(_report(around, "running", started=started, ended=None))
    try:
        yield
    finally:
        await asyncio.wait({report}, timeout=ABORT_SECONDS)
        report.cancel()


async def _report(around: Surroundings, status: str, *, started: str, ended: str | None) -> None:
    """Tell Port the resync state; a report that fails is said, and fails nothing else."""
    try:
        await around.integration.report_state(status, started=started, ended=ended)
        with suppress(LedgerError):
            note_reported(around.ledger, started)
    except TargetError as error:
        if isinstance(error, TargetAnswerError) and error.status == 404:
            return  # what is not registered has no state
        around.listener(Noticed("warning", f"Port was not told that the resync is {status}: {error.message}"))


async def _report_end(around: Surroundings, status: State, *, started: str, options: PassOptions) -> None:
    """Report the end; the report is given a few seconds even while the process is being stopped, then it is let go.

    Raises:
        CancelledError: the task was cancelled meanwhile. A stop that got lost here would be waited for without end.
    """
    report = asyncio.ensure_future(_report(around, status, started=started, ended=_stamp(options)))
    try:
        await asyncio.wait({report}, timeout=ABORT_SECONDS if status == "aborted" else REPORT_SECONDS)
    except asyncio.CancelledError:
        await asyncio.wait({report}, timeout=ABORT_SECONDS)
        raise
    finally:
        report.cancel()


def _stamp(options: PassOptions) -> str:
    return options.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
