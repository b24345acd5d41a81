"""The history of passes: listens to one, and writes down what it came to.

Every pass is noted, also one that broke off, and one that was killed: it is noted as running when it begins. Live
deltas are noted when they did or failed something. What repeats itself, as failures do while Backstage is away, stays
one line.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from stageport.model.changes import Change
from stageport.model.entities import FieldProblem
from stageport.model.errors import InterruptedPassError, LedgerError, StageportError, excerpt
from stageport.model.events import ChangeRefused, ChangesApplied, Event, Listener, Noticed, PassEnded
from stageport.model.exits import Exit
from stageport.model.runs import (
    ABORTED,
    FAILED,
    KEPT_LINES,
    RUNNING,
    EntityProblem,
    HeldDelete,
    KindFailure,
    RefusedEntity,
    Run,
)
from stageport.model.wording import kept_answer, kept_complaint, kept_words
from stageport.plan.plan import RELEASABLE, Plan
from stageport.sync.seams import RunHistory

HINTED = "hinted"
QUIET = ("delta", HINTED)
"""Passes that come every few seconds, and of which only those are kept that did something."""
TOLD = ("create", "update", "delete", "refused")
"""What is counted while a pass runs, so that it is known of one that broke off, too."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Where passes are noted, and what hides the secrets that are known by value."""

    history: RunHistory
    listener: Listener
    now: Callable[[], datetime]
    redact: Callable[[str], str]


@dataclass(slots=True)
class PassNotes:
    """What is known so far of one pass; itself the listener that its events go to."""

    recorder: Recorder
    run: Run
    began: datetime
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(TOLD, 0)))
    refused: list[RefusedEntity] = field(default_factory=list)
    over: bool = False

    def __call__(self, event: Event) -> None:
        """Take in an event and pass it on."""
        match event:
            case ChangesApplied(changes):
                self.counts.update(change.operation.value for change in changes)
            case ChangeRefused(change, refusal):
                self.counts["refused"] += 1
                self._note_refusal(change, refusal.status, refusal.code, refusal.message)
            case _:
                pass
        self.recorder.listener(event)

    def choose(self, kind: str) -> None:
        """Note which pass it is; all but the quick ones are noted as running."""
        self.run = msgspec.structs.replace(self.run, kind=kind)
        if kind not in QUIET:
            self._put(self.run)

    def conclude(self, plan: Plan, *, state: str, code: Exit) -> None:
        """Note what a pass came to that reached its end."""
        self.counts.update(plan.numbers, blocked=len(plan.blocked))
        for change in plan.blocked:
            self._note_refusal(change, 404, "not_found", f"Port has no blueprint {change.blueprint}.")
        self.run = msgspec.structs.replace(
            self.run,
            holds={hold.value: count for hold, count in plan.holds.items()},
            failures=tuple(KindFailure(one.kind, self._words(one.message)) for one in plan.failures),
            problems=tuple(self._problem(one) for one in plan.problems[:KEPT_LINES]),
            held=tuple(_held(change) for change in plan.kept[:KEPT_LINES]),
            notes=tuple(self._words(note) for note in plan.notes[:KEPT_LINES]),
        )
        held = sum(count for hold, count in plan.holds.items() if hold in RELEASABLE)
        self._end(state, code, held=held, refused=self.counts["refused"] + len(plan.blocked) + plan.passed_over)

    def break_off(self, error: StageportError, *, state: str = FAILED) -> None:
        """Note a pass that did not reach its end, and why; of one that did, nothing that comes later changes it."""
        if self.over:
            return
        self.run = msgspec.structs.replace(self.run, error=self._words(error.message), hint=self._words(error.hint))
        self._end(state, error.exit, held=0, refused=0)

    def _end(self, state: str, code: Exit, *, held: int, refused: int) -> None:
        self.over = True
        seconds = max(0.0, (self.recorder.now() - self.began).total_seconds())
        self.run = msgspec.structs.replace(
            self.run,
            state=state,
            exit=code.value,
            seconds=round(seconds, 3),
            counts=dict(self.counts),
            refused=tuple(self.refused),
        )
        if self._is_worth_keeping:
            self._put(self._folded(self.run))
        self.recorder.listener(
            PassEnded(
                self.run.kind,
                state,
                seconds,
                written=self._written,
                refused=refused,
                held=held,
                pass_id=self.run.id,
            )
        )

    @property
    def _written(self) -> int:
        return sum(self.counts[one] for one in ("create", "update", "delete"))

    @property
    def _is_worth_keeping(self) -> bool:
        return self.run.kind not in QUIET or self._written > 0 or self.run.exit != Exit.OK

    def _folded(self, run: Run) -> Run:
        """Make one of a pass and the one before it, if both came to the very same and did nothing, or took hints."""
        others = (one for one in self._latest(limit=2) if one.id != run.id)
        before = next(others, None)
        if before is not None and _went_well(before) and _went_well(run):
            self._drop(before.id)
            return _added(before, run)
        if before is None or self._written or before.state == RUNNING or _gist(before) != _gist(run):
            return run
        self._drop(before.id)
        return msgspec.structs.replace(run, started=before.started, tries=before.tries + 1)

    def _note_refusal(self, change: Change, status: int, code: str, message: str) -> None:
        if len(self.refused) < KEPT_LINES:
            said = self.recorder.redact(kept_answer(message, change))
            name = excerpt(change.identifier)
            self.refused.append(RefusedEntity(change.blueprint, name, change.source, status, code, said))

    def _problem(self, problem: FieldProblem) -> EntityProblem:
        said = self.recorder.redact(kept_complaint(problem.message))
        return EntityProblem(problem.ref, problem.resource, problem.field, said)

    def _words(self, text: str) -> str:
        return kept_words(self.recorder.redact(text))

    # The ledger's troubles are the pass's business, not that of its history.

    def _put(self, run: Run) -> None:
        try:
            self.recorder.history.put(run)
        except LedgerError as error:
            self.recorder.listener(Noticed("warning", f"This pass is missing in the history: {error.message}"))

    def _latest(self, *, limit: int) -> list[Run]:
        try:
            return list(self.recorder.history.latest(limit=limit))
        except LedgerError:
            return []

    def _drop(self, run_id: str) -> None:
        try:
            self.recorder.history.drop(run_id)
        except LedgerError:
            return


@contextmanager
def noted_pass(recorder: Recorder, *, run_id: str, trigger: str, kind: str) -> Iterator[PassNotes]:
    """Note one pass, however it ends; ``kind`` is what is asked for, until it is chosen."""
    began = recorder.now()
    stamp = began.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    notes = PassNotes(recorder, Run(id=run_id, trigger=trigger, started=stamp, kind=kind), began)
    try:
        yield notes
    except asyncio.CancelledError:
        notes.break_off(InterruptedPassError("The pass was stopped before its end."), state=ABORTED)
        raise
    except InterruptedPassError as error:
        notes.break_off(error, state=ABORTED)
        raise
    except StageportError as error:
        notes.break_off(error)
        raise


def _held(change: Change) -> HeldDelete:
    return HeldDelete(change.blueprint, change.identifier, change.source, change.hold.value if change.hold else "")


def _went_well(run: Run) -> bool:
    """Tell whether nothing but the numbers of a hinted pass is worth knowing: there may be one a second."""
    told = run.error or run.holds or run.problems or run.refused or run.notes
    return run.kind == HINTED and run.exit == Exit.OK and not told


def _added(before: Run, run: Run) -> Run:
    counts = {one: before.counts.get(one, 0) + run.counts.get(one, 0) for one in TOLD}
    return msgspec.structs.replace(
        run,
        started=before.started,
        tries=before.tries + run.tries,
        seconds=round(before.seconds + run.seconds, 3),
        counts={**run.counts, **counts},
    )


def _gist(run: Run) -> Run:
    """Return a run without what differs between two that came to the same."""
    return msgspec.structs.replace(run, id="", trigger="", started="", seconds=0.0, tries=1)
