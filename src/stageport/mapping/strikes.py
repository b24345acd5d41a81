"""What is known of a document's expressions while it runs: which do not compile, which had to be stopped how often."""

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from stageport.mapping.document import MappingDocument
from stageport.mapping.frames import ResourcePlan, SlotKey
from stageport.mapping.layout import PlannedResource, Slot, plan_document
from stageport.mapping.reading import Path, path_text
from stageport.mapping.worker_process import Limits
from stageport.model.errors import ExpressionError
from stageport.model.events import Listener, Noticed

Where = Callable[[Path], str]
"""Says where in its file a path of the document stands; empty when there is no file."""


class ExpressionBook:
    """The plans of all resources, and what was learnt of their expressions."""

    def __init__(self, document: MappingDocument, *, limits: Limits, listener: Listener, where: Where) -> None:
        self._planned = plan_document(document)
        self._plans = [planned.plan for planned in self._planned]
        self._limits = limits
        self._listener = listener
        self._where = where
        self._strikes: Counter[SlotKey] = Counter()
        self._seconds: dict[SlotKey, float] = {}

    @property
    def planned(self) -> tuple[PlannedResource, ...]:
        """All resources as they were laid out."""
        return self._planned

    def plans(self, indices: Sequence[int]) -> tuple[ResourcePlan, ...]:
        """Return the present plans of some resources."""
        return tuple(self._plans[index] for index in indices)

    def slot(self, key: SlotKey) -> Slot:
        """Return what stands in a slot."""
        return self._planned[key[0]].slots[key[1]]

    def name(self, key: SlotKey) -> str:
        """Say which expression is meant: resource, kind, field, and its place in the file if there is one."""
        slot = self.slot(key)
        place = self._where(slot.path) or path_text(slot.path)
        return f"{slot.field} of resource {key[0]} ({self._planned[key[0]].resource.kind}; {place})"

    def mark_uncompiled(self, key: SlotKey, error: ExpressionError) -> None:
        """Remember that an expression does not compile: it gives null wherever it stands."""
        place = f" (line {error.line}, column {error.column})" if (error.line, error.column) != (1, 1) else ""
        index, slot = key
        plan = self._plans[index]
        reasons = {**plan.uncompiled, slot: f"does not compile: {error.message}{place}"}
        self._plans[index] = msgspec.structs.replace(plan, uncompiled=reasons)

    def strike(self, key: SlotKey, *, cause: str, ref: str) -> bool:
        """Count that an expression had to be stopped; when that happened too often, set it aside and say so.

        Returns whether it has just been set aside.
        """
        self._strikes[key] += 1
        enough = self._strikes[key] >= self._limits.strikes
        return enough and self._set_aside(key, why=f"{cause} {self._strikes[key]} times", ref=ref)

    def spend_time(self, key: SlotKey, seconds: float, *, ref: str) -> bool:
        """Count the time of slow evaluations; when an expression took too much of it, set it aside and say so.

        Returns whether it has just been set aside.
        """
        self._seconds[key] = spent = self._seconds.get(key, 0.0) + seconds
        return spent > self._limits.slow_seconds and self._set_aside(
            key, why=f"took {spent:.0f} s of CPU time in evaluations that were too slow", ref=ref
        )

    def _set_aside(self, key: SlotKey, *, why: str, ref: str) -> bool:
        index, slot = key
        plan = self._plans[index]
        if slot in plan.aside:
            return False
        reason = f"set aside for the rest of the run: it {why}"
        self._plans[index] = msgspec.structs.replace(plan, aside={**plan.aside, slot: reason})
        self._listener(
            Noticed("warning", f"{self.name(key)} is {reason}, last on {ref}; mend the expression: {self._quote(key)}")
        )
        return True

    def _quote(self, key: SlotKey) -> str:
        text = " ".join(self.slot(key).expression.split())
        return text if len(text) <= 100 else text[:100] + "…"
