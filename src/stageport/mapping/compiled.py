"""One resource as compiled jq programs, in a worker. Nothing is compiled before it is needed."""

import signal
from typing import Any, Final

import jq

from stageport.mapping.frames import NO_SLOT, SELECTOR_SLOT, ResourcePlan
from stageport.mapping.program import SKIPPED, as_text, items_program, resource_program, where_skipped

Value = Any

FAILURES: Final = (ValueError, TypeError, RecursionError, MemoryError)
"""What jq's bindings raise when a program fails outside its slots, or its output does not fit into Python."""

MESSAGE_LENGTH: Final = 300


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

    Together they stand in as few programs as jq's limits allow, mostly one. ``$__loc__`` tells the line it stands
    on, so an expression that may ask for it gets a program of its own.
    """

    def __init__(self, plan: ResourcePlan, *, marker: str, clock: Clock) -> None:
        self.plan = plan
        self.dead = plan.uncompiled.keys() | plan.aside.keys()
        self._marker = marker
        self._clock = clock
        self._enrich = plan.items_slot == NO_SLOT
        self._skip = where_skipped(orphans=plan.skip_orphans, broken=plan.skip_broken)
        self._parts: list[tuple[list[int], Any]] = []
        self._singles: dict[int, Any] = {}
        self._items: Any = None

    def run_together(self, text: str) -> dict[int, Value]:
        """Return the cell of every slot that may run; only the selector's when it is not true."""
        cells: dict[int, Value] = {}
        for slots, program in self._parts or self._compile_parts():
            outputs = self._run(program, text)
            cells.update(zip(slots, outputs, strict=False))
            if cells[SELECTOR_SLOT] is not True:
                break
        return cells

    def run_single(self, slot: int, text: str) -> Value:
        """Return the cell of one slot, in half the time that all may take together."""
        program = self._singles.get(slot)
        if program is None:
            program = self._singles[slot] = self._compile([slot])
        return self._run(program, text, share=0.5)[0]

    def run_as_text(self, slot: int, text: str) -> Value:
        """Return the cell of one slot as text, with the digits of numbers as they were written."""
        program = resource_program(
            [as_text(self.plan.expressions[slot])], selector=None, marker=self._marker, enrich=self._enrich
        )
        return self._run(jq.compile(program), text)[0]

    def run_items(self, text: str) -> list[Value]:
        """Return the cell of ``itemsToParse``, and the entity without the array where it is taken out.

        Empty when a switch of ours skips the source entity.
        """
        if self._items is None:
            expression = self.plan.expressions[self.plan.items_slot]
            self._items = jq.compile(
                items_program(expression, remove=self.plan.items_path, marker=self._marker, skip=self._skip)
            )
        outputs: list[Value] = self._run(self._items, text)
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

    def _compile_parts(self) -> list[tuple[list[int], Any]]:
        slots = [
            slot
            for slot in range(SELECTOR_SLOT + 1, len(self.plan.fields))
            if slot not in self.dead and slot != self.plan.items_slot
        ]
        alone = [slot for slot in slots if "$__loc__" in self.plan.expressions[slot]]
        together = [slot for slot in slots if slot not in alone]
        self._parts = self._split([SELECTOR_SLOT, *together])
        self._parts += [([slot], self._compile([slot])) for slot in alone]
        return self._parts

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
