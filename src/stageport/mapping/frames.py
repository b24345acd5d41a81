"""What the service and its mapping workers say to each other: length-prefixed msgpack on the worker's pipes.

Imported by the workers too, hence nothing but msgspec here. Slots are the numbered expressions of a resource: slot 0
is the selector.
"""

import struct
from typing import Any, Final

import msgspec

LENGTH: Final = struct.Struct(">I")
SELECTOR_SLOT: Final = 0
NO_SLOT: Final = -1

SlotKey = tuple[int, int]
"""A resource's index and a slot of it."""


class ResourcePlan(msgspec.Struct, frozen=True, array_like=True):
    """One resource, laid out for evaluation.

    ``layout`` has the shape of the target entity with slot numbers for leaves (None is a constant null).
    ``uncompiled`` and ``aside`` are slots that must not run, each with the reason: the first give null, as in Port's
    own integration; the second were stopped repeatedly and may have had a value, so they must not lose an entity.
    """

    index: int
    fields: tuple[str, ...]
    expressions: tuple[str, ...]
    layout: dict[str, Any]
    items_slot: int = NO_SLOT
    items_name: str = "item"
    items_path: str = ""
    skip_orphans: bool = False
    skip_broken: bool = False
    uncompiled: dict[int, str] = {}
    aside: dict[int, str] = {}


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag="prepare"):
    """Hold these resources ready, in place of what was known of them."""

    plans: tuple[ResourcePlan, ...]


class Check(msgspec.Struct, frozen=True, array_like=True, tag="check"):
    """Compile each expression on its own and say what is wrong with it."""

    expressions: tuple[str, ...]


class MapSources(msgspec.Struct, frozen=True, array_like=True, tag="map"):
    """Map source entities (ref and raw JSON) through these resources, all expressions of one in one program.

    ``told`` is how many problems of one field are told; the others are counted.
    """

    resources: tuple[int, ...]
    sources: tuple[tuple[str, bytes], ...]
    told: int = 20


class StepSources(msgspec.Struct, frozen=True, array_like=True, tag="step"):
    """Map source entities one expression at a time, announcing each, so that a fatal one is known by name.

    ``skip`` holds what the first source entity must do without (resource, slot, why). ``trace`` asks for every value.
    """

    resources: tuple[int, ...]
    sources: tuple[tuple[str, bytes], ...]
    told: int = 20
    skip: tuple[tuple[int, int, str], ...] = ()
    trace: bool = False


Request = Prepare | Check | MapSources | StepSources


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """The worker runs, its limits are set and its jq behaves; later: it is still at work."""


class Checked(msgspec.Struct, frozen=True, array_like=True, tag="checked"):
    """The next expression was compiled; an empty message means that all is well."""

    message: str = ""
    line: int = 1
    column: int = 1
    hint: str = ""


class WireTarget(msgspec.Struct, frozen=True, array_like=True):
    """A ``TargetEntity`` on its way."""

    blueprint: str
    identifier: str | None
    body: bytes


class WireProblem(msgspec.Struct, frozen=True, array_like=True):
    """A ``FieldProblem`` on its way."""

    resource: int
    field: str
    ref: str
    message: str


class WireSource(msgspec.Struct, array_like=True):
    """A ``MappedSource`` on its way, filled while its resources are mapped."""

    ref: str
    targets: list[WireTarget] = []
    filtered_out: int = 0
    dropped: int = 0
    errors: int = 0
    problems: list[WireProblem] = []


class Mapped(msgspec.Struct, frozen=True, array_like=True, tag="mapped"):
    """The next source entities are mapped.

    ``strikes`` are slots that gave more than may be kept; ``untold`` counts the problems of each (resource, field)
    that are left out, because the same field failed on many source entities before; ``slow`` are the CPU seconds of
    slots that took long.
    """

    sources: list[WireSource]
    strikes: tuple[SlotKey, ...] = ()
    untold: dict[tuple[int, str], int] = {}
    slow: dict[SlotKey, float] = {}


class Begun(msgspec.Struct, frozen=True, array_like=True, tag="begun"):
    """This slot is being evaluated, of the source entity that is next to be answered."""

    resource: int
    slot: int


class Traced(msgspec.Struct, frozen=True, array_like=True, tag="traced"):
    """What one slot gave: ``value`` is JSON, None when it failed with ``error`` or was not evaluated."""

    resource: int
    item: int
    slot: int
    value: bytes | None
    error: str = ""


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """The request is answered."""


class Broken(msgspec.Struct, frozen=True, array_like=True, tag="broken"):
    """The worker cannot work at all, and why."""

    message: str


Answer = Ready | Checked | Mapped | Begun | Traced | Done | Broken


def frame(message: Request | Answer) -> bytes:
    """Return a message with its length in front."""
    payload = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(payload)) + payload
