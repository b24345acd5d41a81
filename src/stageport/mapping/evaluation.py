"""How a worker maps source entities.

The fast way evaluates all expressions of a resource in one program. The stepwise way evaluates them one by one: when
something failed outside the slots, when a fatal expression is sought, and when somebody wants to see every value.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from stageport.mapping.assembly import Assembler, Budget, Cells, kind_of
from stageport.mapping.compiled import FAILURES, Clock, CompiledResource, message_of
from stageport.mapping.frames import NO_SLOT, SELECTOR_SLOT, ResourcePlan, WireProblem, WireSource
from stageport.mapping.item import Item
from stageport.mapping.translation.functions import Functions

Value = Any

MOST_ITEMS: Final = 20_000
"""Items of one source entity; more are taken for a mistake in ``itemsToParse``."""
LARGEST_SOURCE: Final = 32 << 20
"""Bytes of all target entities of one source entity."""


class Skipped(Exception):  # noqa: N818 - no error: a switch of ours skips this source entity
    """The source entity is passed over before its items are looked at."""


class TooManyItemsError(Exception):
    """The items of one source entity come to more than may be kept."""


class Stepper:
    """What happens around each single expression in the stepwise way.

    ``announce`` is told of each (resource, slot) before it runs; ``trace`` of each (resource, item, slot, value,
    error) after; what is in ``skip`` does not run.
    """

    def __init__(
        self,
        *,
        announce: Callable[[int, int], None] | None = None,
        trace: Callable[[int, int, int, Value, str], None] | None = None,
        skip: Iterable[tuple[int, int, str]] = (),
    ) -> None:
        self._announce = announce
        self._trace = trace
        self._skip = {(resource, slot): reason for resource, slot, reason in skip}
        self.sees_all = trace is not None

    def announce(self, resource: int, slot: int) -> None:
        """Tell that a slot is about to run."""
        if self._announce:
            self._announce(resource, slot)

    def trace(self, resource: int, item: int, slot: int, *, value: Value, error: str) -> None:
        """Tell what a slot gave."""
        if self._trace:
            self._trace(resource, item, slot, value, error)

    def why_skipped(self, resource: int, slot: int) -> str:
        """Return why a slot must not run; empty when it may."""
        return self._skip.get((resource, slot), "")


class ResourceMapper:
    """Maps source entities through one resource."""

    def __init__(
        self, plan: ResourcePlan, *, marker: str, clock: Clock, functions: Functions, heartbeat: Callable[[], None]
    ) -> None:
        self._plan = plan
        self._heartbeat = heartbeat
        self._clock = clock
        self._compiled = CompiledResource(plan, marker=marker, clock=clock, functions=functions)
        self._assembler = Assembler(self._compiled)

    def map_into(self, answer: WireSource, raw: str, *, stepper: Stepper | None, budget: Budget) -> None:
        """Map one source entity, adding to its answer."""
        size = 0
        try:
            for number, item in enumerate(self._items(answer, raw, stepper, budget)):
                cells = self._cells(item, number=number, stepper=stepper, budget=budget)
                self._assembler.answer(answer, cells, item, budget=budget)
                if number:
                    self._heartbeat()
                    size += len(answer.targets[-1].body) if answer.targets else 0
                    self._limit_items(number, size)
        except TooManyItemsError as error:
            answer.errors += 1
            answer.targets.clear()
            self._note(answer, self._plan.items_slot, str(error))
            budget.strikes.append((self._plan.index, self._plan.items_slot))
        except Skipped:
            answer.filtered_out += 1
        except FAILURES as error:
            answer.errors += 1
            self._note(answer, SELECTOR_SLOT, f"the source entity cannot be mapped: {message_of(error)}")

    def _limit_items(self, count: int, size: int) -> None:
        if count >= MOST_ITEMS:
            raise TooManyItemsError(f"gave more than {MOST_ITEMS} items")
        if size > LARGEST_SOURCE:
            raise TooManyItemsError(f"gave items of more than {LARGEST_SOURCE} bytes in all")

    def _items(self, answer: WireSource, raw: str, stepper: Stepper | None, budget: Budget) -> Iterable[Item]:
        """Return what expressions take in: the source entity, or one copy of it for each of its items."""
        whole = Item(raw, ref=answer.ref)
        slot = self._plan.items_slot
        if slot == NO_SLOT:
            return (whole,)
        stopped = self._why_stopped(slot, stepper)
        if stopped:
            answer.errors += 1
        reason = stopped or self._plan.uncompiled.get(slot, "")
        if reason:
            self._note(answer, slot, reason)
            return ()
        if stepper:
            stepper.announce(self._plan.index, slot)
        begun = time.thread_time()
        outputs = self._compiled.run_items(whole)
        self._count_time(slot, begun, budget)
        return self._expand(answer, outputs, raw, stepper)

    def _expand(self, answer: WireSource, outputs: list[Value], raw: str, stepper: Stepper | None) -> Iterable[Item]:
        if not outputs:
            raise Skipped
        items, error = outputs[0], self._compiled.error_in(outputs[0])
        if stepper:
            value = None if error else items
            stepper.trace(self._plan.index, NO_SLOT, self._plan.items_slot, value=value, error=error or "")
        if not isinstance(items, list):
            # Counted nowhere, as in Port's own integration: there, too, such a source entity is passed in silence.
            self._note(answer, self._plan.items_slot, error or f"gave {kind_of(items)}; it must give an array")
            return ()
        document = outputs[1] if self._plan.items_path else _enriched(raw, answer.ref)
        if not isinstance(document, dict) or self._compiled.error_in(document) is not None:
            return ()
        name = self._plan.items_name
        return (Item(msgspec.json.encode({**document, name: item}).decode()) for item in items)

    def _cells(self, item: Item, *, number: int, stepper: Stepper | None, budget: Budget) -> Cells:
        if stepper is not None or SELECTOR_SLOT in self._compiled.dead:
            return self._step_through(item, number=number, stepper=stepper or Stepper(), budget=budget)
        # Wall time is enough to suspect that something was slow, and costs a tenth of asking for CPU time.
        begun = time.perf_counter()
        try:
            values = self._compiled.run_together(item)
        except FAILURES:
            # Something outside the slots, such as a value nested too deeply for Python. Singly it costs its field.
            return self._step_through(item, number=number, stepper=Stepper(), budget=budget)
        if time.perf_counter() - begun > self._clock.slow:
            # Once more, one by one, to see which of them it was.
            return self._step_through(item, number=number, stepper=Stepper(), budget=budget)
        cells = Cells(len(self._plan.fields))
        for slot, value in values.items():
            if type(value) is dict or slot == SELECTOR_SLOT:
                self._put(cells, slot, value)
            else:
                cells.values[slot] = value
        if cells.values[SELECTOR_SLOT] is True:
            for slot in self._compiled.dead:
                self._put_dead(cells, slot, stepper)
        return cells

    def _step_through(self, item: Item, *, number: int, stepper: Stepper, budget: Budget) -> Cells:
        cells = Cells(len(self._plan.fields))
        for slot in range(len(self._plan.fields)):
            if slot == self._plan.items_slot:
                continue
            known = len(cells.problems)
            begun = time.thread_time()
            self._step(cells, slot, item, stepper)
            self._count_time(slot, begun, budget)
            error = cells.problems[known][1] if len(cells.problems) > known else ""
            stepper.trace(self._plan.index, number, slot, value=cells.values[slot], error=error)
            if cells.values[SELECTOR_SLOT] is not True and not stepper.sees_all:
                break
        return cells

    def _count_time(self, slot: int, begun: float, budget: Budget) -> None:
        spent = time.thread_time() - begun
        if spent > self._clock.slow / 2:
            budget.spend_time((self._plan.index, slot), spent)

    def _step(self, cells: Cells, slot: int, item: Item, stepper: Stepper) -> None:
        if slot in self._compiled.dead or stepper.why_skipped(self._plan.index, slot):
            self._put_dead(cells, slot, stepper)
            return
        stepper.announce(self._plan.index, slot)
        try:
            self._put(cells, slot, self._compiled.run_single(slot, item))
        except FAILURES as error:
            cells.problems.append((slot, message_of(error)))

    def _put(self, cells: Cells, slot: int, value: Value) -> None:
        if slot == SELECTOR_SLOT and self._compiled.skips(value):
            cells.skipped = True
            return
        error = self._compiled.error_in(value)
        if error is None:
            cells.values[slot] = value
        if slot == SELECTOR_SLOT and error is None and not isinstance(value, bool):
            error = f"gave {kind_of(value)}; it must give true or false"
        if error is not None:
            cells.problems.append((slot, error))

    def _put_dead(self, cells: Cells, slot: int, stepper: Stepper | None) -> None:
        stopped = self._why_stopped(slot, stepper)
        if stopped:
            cells.stopped.add(slot)
        if slot != self._plan.items_slot:
            cells.problems.append((slot, stopped or self._plan.uncompiled[slot]))

    def _why_stopped(self, slot: int, stepper: Stepper | None) -> str:
        reason = stepper.why_skipped(self._plan.index, slot) if stepper else ""
        return reason or self._plan.aside.get(slot, "")

    def _note(self, answer: WireSource, slot: int, message: str) -> None:
        answer.problems.append(WireProblem(self._plan.index, self._plan.fields[slot], answer.ref, message))


class SourceMapper:
    """Maps source entities through any of the prepared resources.

    ``heartbeat`` is called now and then while one source entity takes long.
    """

    def __init__(self, *, marker: str, clock: Clock, functions: Functions, heartbeat: Callable[[], None]) -> None:
        self._heartbeat = heartbeat
        self._functions = functions
        self._marker = marker
        self._clock = clock
        self._resources: dict[int, ResourceMapper] = {}

    def prepare(self, plans: Sequence[ResourcePlan]) -> None:
        """Hold these resources ready, in place of what was known of them."""
        for plan in plans:
            self._resources[plan.index] = ResourceMapper(
                plan, marker=self._marker, clock=self._clock, functions=self._functions, heartbeat=self._heartbeat
            )

    def map_source(
        self, ref: str, raw: bytes, *, resources: Sequence[int], budget: Budget, stepper: Stepper | None = None
    ) -> WireSource:
        """Map one source entity."""
        answer = WireSource(ref)
        text = raw.decode("utf-8", "replace")
        for index in resources:
            self._resources[index].map_into(answer, text, stepper=stepper, budget=budget)
        return answer


def _enriched(raw: str, ref: str) -> Value:
    """Return the source entity as Python reads it: numbers beyond 2^53 keep their digits when nothing is taken out."""
    document = json.loads(raw)
    document["metadata"] = {**(document.get("metadata") or {}), "identifier": ref}
    return document
