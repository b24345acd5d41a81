"""The always-on service: triggers ask for passes, one worker runs them, one after the other.

A pass that fails is tried again after a while that grows; what went wrong is said when it is new, not every time.
Between resyncs the live delta looks every few seconds for what changed in Backstage, on the mapping and the blueprints
that the last resync found, so that it asks Port nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from stageport.model.errors import InterruptedPassError, LedgerError, StageportError, TargetRefusedError, sentences
from stageport.model.events import LedgerMeasured, Noticed
from stageport.model.exits import Exit
from stageport.model.schedule import Schedule
from stageport.plan.plan import RELEASABLE
from stageport.sync.asks import Asks
from stageport.sync.duty import Duty
from stageport.sync.hints import HintWork
from stageport.sync.lazy import lazily
from stageport.sync.memory import give_back
from stageport.sync.passes import PassKind
from stageport.sync.retries import Retries
from stageport.sync.service import Outcome, PassOptions, prepare, run_afresh, run_delta
from stageport.sync.surroundings import Ground, Surroundings
from stageport.sync.tasks import first_of, run_all
from stageport.sync.warm import WarmMapper

TICK_SECONDS = 1.0
ALIVE_SECONDS = 60.0
SLEPT_AT_ONCE = 60.0
FIRST_WAIT = 5.0
LONGEST_WAIT = 300.0
SHARE_OF_INTERVAL = 0.05
"""A live delta may keep Backstage busy for this share of the time; a slower catalog is asked less often."""

Sleep = Callable[[float], Awaitable[None]]
Trigger = Callable[["Always"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When passes happen by themselves, in seconds. ``delta`` 0 turns the live delta off; None for no schedule.

    ``unhinted`` is the live delta's interval while hints stay away that ought to come.
    """

    delta: float = 15.0
    schedule: Schedule | None = None
    on_start: bool = True
    resyncs: bool = True
    unhinted: float | None = None


HINT = "hints"
MISSED = 2
"""After so many live deltas in a row that found what no hint had told, hints are not relied upon."""


@dataclass(slots=True)
class Standing:
    """What the service is doing and how it fares, for health checks and people."""

    doing: str = "starting"
    last_tick: float = 0.0
    draining: bool = False
    failures: int = 0
    last_error: str = ""
    passes: int = 0
    last: dict[str, str] = field(default_factory=dict)


class Always:
    """Runs passes for ever.

    ``is_elected``: a trigger says whether this instance works or stands by, and nothing begins before it does.
    """

    def __init__(
        self,
        around: Surroundings,
        options: PassOptions,
        rhythm: Rhythm,
        *,
        triggers: Sequence[Trigger] = (),
        hints: HintWork | None = None,
        is_elected: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.around = replace(around, start_mapper=lazily(around.start_mapper))
        self.hints = hints
        self._warm = WarmMapper(around.start_single or around.start_mapper)
        self._missed = 0
        self.asks = Asks()
        self.duty = Duty(around.listener, waits=is_elected)
        self.standing = Standing(last_tick=clock())
        self.ground: Ground | None = None
        self._options = options
        self._rhythm = rhythm
        self._triggers = triggers
        self._clock = clock
        self._sleep = sleep
        self._delta_seconds = 0.0
        self._retries = Retries(clock)

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            StageportError: something that waiting does not mend (wrong credentials for Port at the start).
        """
        if self.begins_with_resync:
            self.asks.ask(PassKind.RESYNC, "the service started")
        work = [self._tick(), self._work(), self._look_live(), self._keep_schedule()]
        try:
            await run_all([*work, *(self._trigger(trigger) for trigger in self._triggers)])
        finally:
            self.standing.draining = True
            await self._warm.close()

    @property
    def begins_with_resync(self) -> bool:
        """Whether a pass is made at the start, without anybody's asking."""
        return self._rhythm.on_start and self._rhythm.resyncs

    def is_alive(self) -> bool:
        """Tell whether the loop still turns; it does not depend on Backstage or Port."""
        return self._clock() - self.standing.last_tick < ALIVE_SECONDS

    async def _trigger(self, trigger: Trigger) -> None:
        await trigger(self)

    async def _tick(self) -> None:
        try:
            while True:
                self.standing.last_tick = self._clock()
                self.look_for_hints()
                await self._sleep(TICK_SECONDS)
        finally:
            # Whatever else is under way, the service is being stopped.
            self.standing.draining = True

    # Triggers of our own

    def note_hints(self) -> None:
        """Take notice that hints came: they are in the queue."""
        self._missed = 0
        self.look_for_hints()

    def look_for_hints(self) -> None:
        """Ask for a pass if hints are due; while the first pass is yet to come, it comes first."""
        if self.hints is None or (self.ground is None and self.asks.waiting):
            return
        with suppress(LedgerError):  # whoever asks for a pass meets it again, and says so
            if self.hints.ready():
                self.asks.ask(PassKind.HINTED, HINT)

    async def _look_live(self) -> None:
        """Ask for a delta every so often; less often where one takes Backstage long."""
        while self._rhythm.delta > 0:
            await self._sleep(max(self._delta_interval(), self._delta_seconds / SHARE_OF_INTERVAL))
            if self.ground is not None or not self._rhythm.resyncs:
                self.asks.ask(PassKind.DELTA, "live")

    def _delta_interval(self) -> float:
        rhythm = self._rhythm
        return rhythm.unhinted if rhythm.unhinted and self._missed >= MISSED else rhythm.delta

    async def _keep_schedule(self) -> None:
        while self._rhythm.schedule is not None and self._rhythm.resyncs:
            await self._sleep_until(self._rhythm.schedule.after(self._options.now()))
            self.asks.ask(PassKind.RESYNC, "the schedule")

    async def _sleep_until(self, due: datetime) -> None:
        """Sleep in parts: the clock on the wall may be set, and the machine may have been asleep itself."""
        while (left := (due - self._options.now()).total_seconds()) > 0:
            await self._sleep(min(left, SLEPT_AT_ONCE))

    # The worker

    async def _work(self) -> None:
        while True:
            kind, reason = await self._take()
            started, spent = self._clock(), time.process_time()
            try:
                outcome = await self._run(kind, reason)
            except InterruptedPassError:
                raise  # the service is being stopped
            except StageportError as error:
                if self.standing.draining:
                    # The stop came while the pass was failing: a TaskGroup of Python 3.11 lets the failure go first.
                    raise asyncio.CancelledError from error
                self._note_failure(kind, error)
                if kind is PassKind.HINTED:
                    # What it made unwanted and did not get to delete, no hint leads to any more.
                    self.asks.ask(PassKind.DELTA, "a pass over hints broke off")
                if isinstance(error, TargetRefusedError) and self.ground is None:
                    raise  # credentials that never worked: somebody has to set others, and start again
                await self._wait_and_ask_again(kind, reason)
            else:
                # What this process itself worked is no burden on Backstage.
                seconds = self._clock() - started - (time.process_time() - spent)
                self._note_success(outcome, seconds=max(0.0, seconds))
                if kind is PassKind.DELTA:
                    self._note_missed(outcome)
            self.look_for_hints()

    async def _take(self) -> tuple[PassKind, str]:
        """Take what is asked for, once it is this instance that works."""
        while True:
            await self.duty.wait()
            kind, reason = await self.asks.take()
            if not self.duty.is_on:
                self.asks.ask(kind, reason)
            elif kind is not PassKind.HINTED or self._are_hints_due():
                return kind, reason

    def _are_hints_due(self) -> bool:
        """Tell whether hints wait still: those asked for while a pass took its portion may have been in it."""
        try:
            return self.hints is None or self.hints.ready()
        except LedgerError:
            return True  # the pass meets it again, and says so

    async def _run(self, kind: PassKind, reason: str) -> Outcome:
        self.standing.doing = f"{kind.value}: {reason}"
        options = replace(self._options, trigger=reason)
        if kind is PassKind.HINTED and self.hints is not None:
            self.ground = self.ground or await prepare(self.around, options)
            return await self.hints.run(self._warm_around(), self.ground, options)
        if kind is PassKind.DELTA and self.ground is not None:
            return await run_delta(self.around, self.ground, replace(options, again=self._retries.are_due()))
        asked = PassKind.VERIFY if kind is PassKind.VERIFY else None
        ground, outcome = await run_afresh(self.around, replace(options, kind=asked), prepared=self._stand_on)
        give_back()
        if self._warm.is_kept or (self.hints is not None and self.hints.expected):
            await self._warm.renew(ground.document)
        return outcome

    def _stand_on(self, ground: Ground) -> None:
        """Let quick passes stand on this, even if its own pass breaks off: it has the new mapping."""
        self.ground = ground

    def _warm_around(self) -> Surroundings:
        return replace(self.around, start_mapper=self._warm.start)

    def _note_success(self, outcome: Outcome, *, seconds: float) -> None:
        standing = self.standing
        self.around.listener(LedgerMeasured(self.around.ledger.size_bytes()))
        self._retries.note(outcome.kind, unwritten=outcome.left_unwritten)
        if outcome.kind is PassKind.DELTA:
            self._delta_seconds = 0.0 if outcome.applied.written else seconds
        if standing.failures:
            self.around.listener(Noticed("info", "It works again."))
        standing.failures, standing.last_error, standing.doing = 0, "", "waiting"
        standing.passes += 1
        standing.last[outcome.kind.value] = outcome.state
        self._tell_end(outcome)

    def _note_missed(self, outcome: Outcome) -> None:
        """Count live deltas that found what no hint had told: Backstage's side of it may be gone."""
        if self._rhythm.unhinted is None or self.hints is None:
            return
        before = self._missed
        if before < MISSED:  # from then on, only a hint is better news
            self._missed = before + 1 if outcome.applied.written else 0
        if before < MISSED == self._missed:
            words = "Changes came that no live event had told; is the module in Backstage at work? Looking more often."
            self.around.listener(Noticed("warning", words))

    def _tell_end(self, outcome: Outcome) -> None:
        narrow = outcome.kind in (PassKind.DELTA, PassKind.HINTED)
        if narrow and not outcome.applied.written and outcome.exit is Exit.OK:
            return
        held = any(hold in RELEASABLE for hold in outcome.plan.holds)
        for failure in outcome.plan.failures:
            self.around.listener(Noticed("warning", f"Kind {failure.kind} was not read: {failure.message}"))
        for note in outcome.plan.notes:
            self.around.listener(Noticed("warning" if held else "info", note))

    def _note_failure(self, kind: PassKind, error: StageportError) -> None:
        standing = self.standing
        standing.failures += 1
        if error.message != standing.last_error:
            # Said when it is new, not at every try.
            words = sentences(f"The {kind.value} failed: {error.message}", error.hint, "It is tried again.")
            self.around.listener(Noticed("warning", words))
        standing.last_error, standing.doing = error.message, "waiting after a failure"
        standing.last[kind.value] = "failed"

    async def _wait_and_ask_again(self, kind: PassKind, reason: str) -> None:
        """Wait before the next try, but no longer than until somebody asks for a resync: they may have mended it."""
        seconds = min(FIRST_WAIT * 2 ** (self.standing.failures - 1), LONGEST_WAIT)
        await first_of(self._sleep(seconds), self.asks.resync_asked())
        self.asks.ask(kind, reason)
