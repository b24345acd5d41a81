"""One resource, ready to be evaluated in a worker. Nothing is compiled before it is needed.

Expressions that are translated run as functions, on the source entity as Python reads it. The others, and every
expression whose function did not answer, run as jq programs; an entity for which there are none never meets jq.
"""

import signal
from typing import Any, Final

import jq

from stageport.mapping.frames import NO_SLOT, SELECTOR_SLOT, ResourcePlan
from stageport.mapping.item import Item
from stageport.mapping.program import SKIPPED, as_text, items_program, resource_program, where_skipped
from stageport.mapping.translation.functions import Function, Functions
from stageport.mapping.translation.json_text import plain_number
from stageport.mapping.translation.values import OddNumber

Value = Any

FAILURES: Final = (ValueError, TypeError, RecursionError, MemoryError)
"""What jq's bindings raise when a program fails outside its slots, or its output does not fit into Python."""

MESSAGE_LENGTH: Final = 300
"""Characters of an error that are kept: jq quotes the value it failed on, however long that is."""

MOST_SINGLES: Final = 4
"""Programs of their own for expressions whose functions did not answer; when there are more, they share one."""


class Clock:
    """Ends the process when one evaluation uses too much CPU time.

    The timer counts CPU, not wall time, so a busy machine ends nobody. Its signal has no handler: jq does not return
    to Python in time to run one, and a process that is gone holds no memory either.
    """

    def __init__(self, seconds: float) -> None:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        self._seconds = seconds
        self.slow = seconds / 8
        """From how many seconds on an evaluation counts as slow."""

    def start(self, *, share: float = 1.0) -> None:
        """Give the next evaluation its time, or a share of it."""
        signal.setitimer(signal.ITIMER_PROF, self._seconds * share)

    def stop(self) -> None:
        """Count no longer."""
        signal.setitimer(signal.ITIMER_PROF, 0)


def message_of(error: BaseException) -> str:
    """Return what went wrong in one line for people."""
    if isinstance(error, MemoryError):
        return "ran out of memory"
    if isinstance(error, RecursionError):
        return "gave a value nested too deeply"
    return shorten(str(error))


def shorten(text: str) -> str:
    """Return a text as one line of bounded length."""
    line = " ".join(text[: 4 * MESSAGE_LENGTH].split())
    return line if len(line) <= MESSAGE_LENGTH else line[:MESSAGE_LENGTH] + "…"


class CompiledResource:
    """Runs the expressions of one resource, together or singly.

    jq's stand in as few programs as its limits allow, mostly one. ``$__loc__`` tells the line it stands on, so an
    expression that may ask for it gets a program of its own.
    """

    def __init__(self, plan: ResourcePlan, *, marker: str, clock: Clock, functions: Functions) -> None:
        self.plan = plan
        self.dead = plan.uncompiled.keys() | plan.aside.keys()
        self._marker = marker
        self._clock = clock
        self._enrich = plan.items_slot == NO_SLOT
        self._skip = where_skipped(orphans=plan.skip_orphans, broken=plan.skip_broken)
        self._functions = functions
        self._parts: dict[tuple[int, ...], list[tuple[list[int], Any]]] = {}
        self._singles: dict[int, Any] = {}
        self._items: Any = None
        self._slots = [
            slot
            for slot in range(SELECTOR_SLOT + 1, len(plan.fields))
            if slot not in self.dead and slot != plan.items_slot
        ]
        self._translated: list[tuple[int, Function]] | None = None
        self._rest: tuple[int, ...] = ()

    def run_together(self, item: Item) -> dict[int, Value]:
        """Return the cell of every slot that may run; only the selector's when it is not true."""
        if self._translated is None:
            self._translated = self._translate()
        if not self._translated and self._functions.of(self.plan.expressions[SELECTOR_SLOT]) is None:
            return self._run_programs((SELECTOR_SLOT, *self._slots), item)
        selected = self._select(item)
        if selected is not True:
            return {SELECTOR_SLOT: selected}
        return {SELECTOR_SLOT: True, **self._run_functions(self._translated, item)}

    def run_single(self, slot: int, item: Item) -> Value:
        """Return the cell of one slot, in half the time that all may take together."""
        function = self._function(slot)
        if function is not None:
            self._clock.start(share=0.5)
            found, value = _call(function, item)
            if found:
                return value
        return self._run_program(slot, item)

    def _translate(self) -> list[tuple[int, Function]]:
        found = [(slot, function) for slot in self._slots if (function := self._function(slot)) is not None]
        translated = {slot for slot, _ in found}
        self._rest = tuple(slot for slot in self._slots if slot not in translated)
        return found

    def _function(self, slot: int) -> Function | None:
        if slot == SELECTOR_SLOT and self._skip and self._enrich:
            return None
        return self._functions.of(self.plan.expressions[slot])

    def _select(self, item: Item) -> Value:
        """Return the selector's cell."""
        skip = self._functions.of(self._skip) if self._skip and self._enrich else None
        if skip is not None:
            self._clock.start()
            found, skipped = _call(skip, item)
            if found and skipped is True:
                return {self._marker: None, SKIPPED: True}
            if not found:
                return self._run_program(SELECTOR_SLOT, item)
        function = self._functions.of(self.plan.expressions[SELECTOR_SLOT])
        if function is not None:
            self._clock.start()
            found, value = _call(function, item)
            if found:
                return value
        return self._run_program(SELECTOR_SLOT, item)

    def _run_functions(self, functions: list[tuple[int, Function]], item: Item) -> dict[int, Value]:
        cells: dict[int, Value] = {}
        left: list[int] = []
        self._clock.start()
        # No call of ours within: this loop is the hottest place of a worker.
        value = item.value_if_read()
        for slot, function in functions:
            try:
                cell = function(value)
            except Exception:  # noqa: BLE001 - whatever it was, jq is asked, and has the last word
                left.append(slot)
            else:
                cells[slot] = plain_number(cell) if cell.__class__ is OddNumber else cell
        if self._rest:
            cells.update(self._run_programs(self._rest, item))
        if len(left) > MOST_SINGLES:
            cells.update(self._run_programs(tuple(left), item))
        else:
            cells.update((slot, self._run_program(slot, item)) for slot in left)
        return cells

    def _run_programs(self, slots: tuple[int, ...], item: Item) -> dict[int, Value]:
        """Let jq evaluate some slots; no more than the selector where it is among them and not true."""
        cells: dict[int, Value] = {}
        if slots not in self._parts:
            self._parts[slots] = self._compile_parts(slots)
        for part, program in self._parts[slots]:
            outputs = self._run(program, item.text)
            cells.update(zip(part, outputs, strict=False))
            if cells.get(SELECTOR_SLOT, True) is not True:
                break
        return cells

    def _run_program(self, slot: int, item: Item) -> Value:
        program = self._singles.get(slot)
        if program is None:
            program = self._singles[slot] = self._compile([slot])
        return self._run(program, item.text, share=0.5)[0]

    def run_as_text(self, slot: int, item: Item) -> Value:
        """Return the cell of one slot as text, with the digits of numbers as they were written."""
        program = resource_program(
            [as_text(self.plan.expressions[slot])], selector=None, marker=self._marker, enrich=self._enrich
        )
        return self._run(jq.compile(program), item.text)[0]

    def run_items(self, item: Item) -> list[Value]:
        """Return the cell of ``itemsToParse``, and the entity without the array where it is taken out.

        Empty when a switch of ours skips the source entity.
        """
        if self._items is None:
            expression = self.plan.expressions[self.plan.items_slot]
            self._items = jq.compile(
                items_program(expression, remove=self.plan.items_path, marker=self._marker, skip=self._skip)
            )
        outputs: list[Value] = self._run(self._items, item.text)
        return outputs

    def error_in(self, cell: Value) -> str | None:
        """Return what went wrong in a slot, None when the cell holds a value."""
        if type(cell) is dict and self._marker in cell:
            error = cell[self._marker]
            return shorten(error if isinstance(error, str) else f"error: {error}")
        return None

    def skips(self, cell: Value) -> bool:
        """Tell whether the selector's cell says that a switch of ours skips the source entity."""
        return type(cell) is dict and self._marker in cell and cell.get(SKIPPED) is True

    def _compile_parts(self, slots: tuple[int, ...]) -> list[tuple[list[int], Any]]:
        alone = [slot for slot in slots if slot != SELECTOR_SLOT and "$__loc__" in self.plan.expressions[slot]]
        together = [slot for slot in slots if slot not in alone]
        parts = self._split(together) if together else []
        return parts + [([slot], self._compile([slot])) for slot in alone]

    def _split(self, slots: list[int]) -> list[tuple[list[int], Any]]:
        try:
            return [(slots, self._compile(slots))]
        except ValueError:
            # Each compiles, all together do not: jq limits the size of one program.
            if len(slots) == 1:
                raise
        half = len(slots) // 2
        return self._split(slots[:half]) + self._split(slots[half:])

    def _compile(self, slots: list[int]) -> Any:
        has_selector = slots[0] == SELECTOR_SLOT
        rest = slots[1:] if has_selector else slots
        program = resource_program(
            [self.plan.expressions[slot] for slot in rest],
            selector=self.plan.expressions[SELECTOR_SLOT] if has_selector else None,
            marker=self._marker,
            enrich=self._enrich,
            skip=self._skip if has_selector and self._enrich else "",
        )
        return jq.compile(program)

    def _run(self, program: Any, text: str, *, share: float = 1.0) -> Any:
        self._clock.start(share=share)
        outputs = program.input_text(text).all()
        if len(outputs) != 1:
            raise ValueError(f"jq gave {len(outputs)} outputs instead of one")
        return outputs[0]


def _call(function: Function, item: Item) -> tuple[bool, Value]:
    """Return whether a function answered, and its answer."""
    try:
        value = function(item.value)
    except Exception:  # noqa: BLE001 - whatever it was, jq is asked, and has the last word
        return False, None
    return True, plain_number(value) if value.__class__ is OddNumber else value
