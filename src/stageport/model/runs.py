"""The history of passes: what each came to, in names and numbers, never the content of an entity.

A ``Run`` is also the document that ``stageport runs --output json`` prints (docs/reference/runs.schema.json): its
keys are in camelCase there.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

KEPT_RUNS: Final = 200
"""How many of the latest passes are remembered."""
KEPT_LINES: Final = 50
"""How many lines of each kind a run holds; ``counts`` and ``holds`` have them all."""

RUNNING: Final = "running"
FAILED: Final = "failed"
ABORTED: Final = "aborted"


class KindFailure(msgspec.Struct, frozen=True, rename="camel"):
    """A kind that was not read, or not wholly."""

    kind: str
    message: str


class EntityProblem(msgspec.Struct, frozen=True, rename="camel"):
    """An expression that failed on a source entity; ``resource`` is its index in the mapping."""

    ref: str
    resource: int
    field: str
    message: str


class RefusedEntity(msgspec.Struct, frozen=True, rename="camel"):
    """A target entity that Port did not take, and what it said."""

    blueprint: str
    identifier: str
    source: str | None
    status: int
    code: str
    message: str


class HeldDelete(msgspec.Struct, frozen=True, rename="camel"):
    """A stale target entity that was kept; ``hold`` is the rule that kept it."""

    blueprint: str
    identifier: str
    source: str | None
    hold: str


class Run(msgspec.Struct, frozen=True, rename="camel"):
    """One pass. ``started`` is ISO 8601 in UTC; ``exit`` is a code of ``model.exits``, None while it runs.

    ``tries`` counts passes one after the other that came to the very same: they are kept as one, with the start of
    the first; and so are hinted passes that went well, with what they did and the seconds they took added up.
    ``state`` is ``running``, ``completed``, ``failed`` or ``aborted``.
    """

    id: str
    trigger: str
    started: str
    kind: str = msgspec.field(default="", name="pass")
    seconds: float = 0.0
    state: str = RUNNING
    exit: int | None = None
    tries: int = 1
    error: str = ""
    hint: str = ""
    counts: Mapping[str, int] = {}
    holds: Mapping[str, int] = {}
    failures: tuple[KindFailure, ...] = ()
    problems: tuple[EntityProblem, ...] = ()
    refused: tuple[RefusedEntity, ...] = ()
    held: tuple[HeldDelete, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unwritten(self) -> int:
        """How many target entities Port refused, or has no blueprint for."""
        return self.counts.get("refused", 0) + self.counts.get("blocked", 0)
