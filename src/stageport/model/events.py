"""What the core tells the world while it works: values only.

The core logs nothing. Logs, the progress line, metrics and the reports to Port subscribe to these.
"""

from collections.abc import Callable

import msgspec

from stageport.model.changes import Change, Refusal
from stageport.model.entities import FieldProblem


class PassStarted(msgspec.Struct, frozen=True):
    """A pass begins; ``kinds`` are those that will be read.

    ``resources`` are the mapping's, each its kind and its blueprint (empty where an expression decides).
    """

    pass_id: str
    kinds: tuple[str, ...]
    resources: tuple[tuple[str, str], ...] = ()


class PassEnded(msgspec.Struct, frozen=True):
    """A pass is over: ``kind`` is hinted, delta, resync or verify; ``state`` is completed, failed or aborted.

    ``written`` changes were taken by Port, ``refused`` were not; ``held`` deletes wait for a person. ``pass_id`` is the
    one that ``PassStarted`` gave.
    """

    kind: str
    state: str
    seconds: float
    written: int
    refused: int
    held: int
    pass_id: str = ""


class PageRead(msgspec.Struct, frozen=True):
    """A page of a kind arrived: ``count`` of the ``total`` that Backstage announced for the kind."""

    kind: str
    count: int
    total: int


class PageMapped(msgspec.Struct, frozen=True):
    """A page went through the mapping."""

    kind: str
    sources: int
    targets: int
    filtered_out: int = 0


class FieldFailed(msgspec.Struct, frozen=True):
    """An expression failed on an entity."""

    problem: FieldProblem


class ChangesFound(msgspec.Struct, frozen=True):
    """So many more target entities have to be written or deleted."""

    count: int


class ChangesApplied(msgspec.Struct, frozen=True):
    """Port took these changes: what it took of one request."""

    changes: tuple[Change, ...]


class ChangeRefused(msgspec.Struct, frozen=True):
    """Port did not take a change."""

    change: Change
    refusal: Refusal


class Waiting(msgspec.Struct, frozen=True):
    """A request will be sent, or sent again, in ``seconds``: which side, and why.

    ``rate_limited`` when the side said that it is too much; otherwise something is wrong with it.
    """

    side: str
    seconds: float
    reason: str
    rate_limited: bool = False


class WorkerReplaced(msgspec.Struct, frozen=True):
    """A process that ran the mapping died, or had to be stopped; another one takes its place."""

    cause: str


class LedgerMeasured(msgspec.Struct, frozen=True):
    """How large the ledger is."""

    size: int


class HintsTaken(msgspec.Struct, frozen=True):
    """A message named so many refs to look at; they are safe in the queue."""

    count: int


class HintRefused(msgspec.Struct, frozen=True):
    """A message that should bring hints was refused: ``reason`` is one of a few words (``signature``, ``stale``, …)."""

    reason: str


class HintsWaiting(msgspec.Struct, frozen=True):
    """So many refs wait to be looked at, the oldest since ``oldest`` (Unix epoch; 0 when none waits)."""

    count: int
    oldest: float


class HintsSettled(msgspec.Struct, frozen=True):
    """Hints were dealt with, each so many seconds after it came."""

    seconds: tuple[float, ...]


class DutyChanged(msgspec.Struct, frozen=True):
    """This instance works, or stands by for another one."""

    works: bool


class Noticed(msgspec.Struct, frozen=True):
    """Something a person would want to read, in words; ``level`` is ``info`` or ``warning``."""

    level: str
    message: str


Event = (
    PassStarted
    | PassEnded
    | PageRead
    | PageMapped
    | FieldFailed
    | ChangesFound
    | ChangesApplied
    | ChangeRefused
    | Waiting
    | WorkerReplaced
    | LedgerMeasured
    | HintsTaken
    | HintRefused
    | HintsWaiting
    | HintsSettled
    | DutyChanged
    | Noticed
)
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
    del event
