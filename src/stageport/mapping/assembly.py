"""Making a target entity of the values that a resource's expressions gave."""

from typing import Any, Final

import msgspec

from stageport.mapping.compiled import CompiledResource
from stageport.mapping.frames import SELECTOR_SLOT, SlotKey, WireProblem, WireSource, WireTarget
from stageport.mapping.item import Item
from stageport.mapping.translation.json_text import plain_number

LARGEST_TARGET: Final = 8 << 20
"""Bytes of one target entity. Port takes one MiB; more than this would only fill memory on its way to a refusal."""

DEEPEST_TARGET: Final = 256
"""Levels of nesting. JSON readers give up at about a thousand, each at its own number; this is safe for all of them."""

SMALL_TARGET: Final = 64 << 10
FREE_BYTES: Final = 8 << 20

TEXT_FIELDS: Final = ("title", "icon", "team")

Value = Any


def kind_of(value: Value) -> str:
    """Name the type of a value in jq's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else "a number"


class Cells:
    """The values of one item's slots, and what went wrong on the way.

    ``stopped`` are slots that had to be stopped: they may have had a value, so nothing is concluded from its absence.
    """

    __slots__ = ("problems", "skipped", "stopped", "values")

    def __init__(self, count: int) -> None:
        self.values: list[Value] = [None] * count
        self.problems: list[tuple[int, str]] = []
        self.stopped: set[int] = set()
        self.skipped = False


class Budget:
    """What one request may give back in all: a good multiple of what it brought. After that, targets must be small.

    Expressions can make megabytes of nothing. Within the bounds of a single target entity, five hundred of them would
    still fill the memory of the service. ``strikes`` are slots that gave too much, ``slow`` the CPU seconds of slots
    that took long.
    """

    def __init__(self, *, given: int) -> None:
        self._left = FREE_BYTES + 4 * given
        self.strikes: list[SlotKey] = []
        self.slow: dict[SlotKey, float] = {}

    def spend_time(self, key: SlotKey, seconds: float) -> None:
        """Count the time of a slot that took long."""
        self.slow[key] = self.slow.get(key, 0.0) + seconds

    @property
    def largest(self) -> int:
        """How many bytes the next target may have."""
        return LARGEST_TARGET if self._left > 0 else SMALL_TARGET

    def spend(self, size: int) -> None:
        """Count a target."""
        self._left -= size


class Assembler:
    """Turns the cells of one resource into answers."""

    def __init__(self, resource: CompiledResource) -> None:
        self._resource = resource
        self._plan = resource.plan
        self._encode = msgspec.json.Encoder(enc_hook=plain_number).encode

    def answer(self, answer: WireSource, cells: Cells, item: Item, *, budget: Budget) -> None:
        """Add one item's outcome to the answer."""
        selected = cells.values[SELECTOR_SLOT]
        if cells.skipped or selected is False:
            answer.filtered_out += 1
        elif selected is True:
            self._add_target(answer, cells, item, budget)
        else:
            answer.errors += 1
        for slot, message in cells.problems:
            answer.problems.append(WireProblem(self._plan.index, self._plan.fields[slot], answer.ref, message))

    def _add_target(self, answer: WireSource, cells: Cells, item: Item, budget: Budget) -> None:
        self._settle_identifier(cells, item)
        identifier = _resolve(self._plan.layout["identifier"], cells.values)
        blueprint = _resolve(self._plan.layout["blueprint"], cells.values)
        if not identifier or not blueprint:
            self._drop(answer, cells)
            return
        self._settle_texts(cells, item)
        body = self._encode_within(budget, cells)
        name = blueprint if isinstance(blueprint, str) else self._encode(blueprint).decode()
        answer.targets.append(WireTarget(name, identifier if isinstance(identifier, str) else None, body))

    def _drop(self, answer: WireSource, cells: Cells) -> None:
        naming = [self._plan.layout["identifier"], self._plan.layout["blueprint"]]
        if cells.stopped.intersection(slot for slot in naming if isinstance(slot, int)):
            answer.errors += 1
        else:
            answer.dropped += 1

    def _settle_identifier(self, cells: Cells, item: Item) -> None:
        slot = self._plan.layout["identifier"]
        value = cells.values[slot] if isinstance(slot, int) else None
        if value and isinstance(value, int | float) and not isinstance(value, bool):
            cells.values[slot] = self._resource.run_as_text(slot, item)

    def _settle_texts(self, cells: Cells, item: Item) -> None:
        """Give the fields that are text at Port the text of a number or boolean, with the author's digits."""
        for name in TEXT_FIELDS:
            slot = self._plan.layout.get(name)
            if not isinstance(slot, int):
                continue
            value = cells.values[slot]
            if isinstance(value, int | float):
                cells.values[slot] = self._resource.run_as_text(slot, item)
            elif isinstance(value, dict | list) and name != "team":
                cells.values[slot] = None
                cells.problems.append((slot, f"gave {kind_of(value)}; the {name} must be text"))

    def _encode_within(self, budget: Budget, cells: Cells) -> bytes:
        while True:
            try:
                body = self._encode(_resolve(self._plan.layout, cells.values))
                too_deep = _may_be_too_deep(body) and any(map(_is_too_deep, cells.values))
                if len(body) <= budget.largest and not too_deep:
                    budget.spend(len(body))
                    return body
            except RecursionError:
                pass
            budget.strikes.append(self._remove_largest(cells, budget.largest))

    def _remove_largest(self, cells: Cells, limit: int) -> SlotKey:
        sizes = [self._size(value) for value in cells.values]
        slot = max(range(len(sizes)), key=sizes.__getitem__)
        cells.values[slot] = None
        too_big = f"gave {sizes[slot]} bytes; the whole target entity may have {limit} here"
        too_deep = f"gave a value nested too deeply, more than {DEEPEST_TARGET} levels"
        cells.problems.append((slot, too_big if sizes[slot] < _TOO_DEEP else too_deep))
        return (self._plan.index, slot)

    def _size(self, value: Value) -> int:
        try:
            return _TOO_DEEP if _is_too_deep(value) else len(self._encode(value))
        except RecursionError:
            return _TOO_DEEP


_TOO_DEEP: Final = 1 << 62


def _may_be_too_deep(body: bytes) -> bool:
    return body.count(b"[") + body.count(b"{") > DEEPEST_TARGET


def _is_too_deep(value: Value) -> bool:
    """Tell whether a value nests further than ``DEEPEST_TARGET``, without recursion of our own."""
    level = [value]
    for _ in range(DEEPEST_TARGET):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _resolve(layout: Value, values: list[Value]) -> Value:
    kind = type(layout)
    if kind is dict:
        # Most leaves are slots; a call for each of them is what this function would mostly cost.
        return {key: values[entry] if type(entry) is int else _resolve(entry, values) for key, entry in layout.items()}
    if kind is int:
        return values[layout]
    return [_resolve(entry, values) for entry in layout] if kind is list else None
