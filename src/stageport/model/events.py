"""What the core tells the world while it works: values only.

The core logs nothing. Logs, the progress line, metrics and the reports to Port subscribe to these.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stageport.model.changes import Change, Refusal
from stageport.model.entities import FieldProblem


@dataclass(frozen=True, slots=True)
class PassStarted:
    """A pass begins; ``kinds`` are those that will be read.

    ``resources`` are the mapping's, each its kind and its blueprint (empty where an expression decides).
    """

    pass_id: str
    kinds: tuple[str, ...]
    resources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PassEnded:
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


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page of a kind arrived: ``count`` of the ``total`` that Backstage announced for the kind."""

    kind: str
    count: int
    total: int


@dataclass(frozen=True, slots=True)
class PageMapped:
    """A page went through the mapping."""

    kind: str
    sources: int
    targets: int
    filtered_out: int = 0


@dataclass(frozen=True, slots=True)
class FieldFailed:
    """An expression failed on an entity."""

    problem: FieldProblem


@dataclass(frozen=True, slots=True)
class ChangesFound:
    """So many more target entities have to be written or deleted."""

    count: int


@dataclass(frozen=True, slots=True)
class ChangeApplied:
    """Port took a change."""

    change: Change


@dataclass(frozen=True, slots=True)
class ChangeRefused:
    """Port did not take a change."""

    change: Change
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request will be sent, or sent again, in ``seconds``: which side, and why.

    ``rate_limited`` when the side said that it is too much; otherwise something is wrong with it.
    """

    side: str
    seconds: float
    reason: str
    rate_limited: bool = False


@dataclass(frozen=True, slots=True)
class WorkerReplaced:
    """A process that ran the mapping died, or had to be stopped; another one takes its place."""

    cause: str


@dataclass(frozen=True, slots=True)
class LedgerMeasured:
    """How large the ledger is."""

    size: int


@dataclass(frozen=True, slots=True)
class HintsTaken:
    """A message named so many refs to look at; they are safe in the queue."""

    count: int


@dataclass(frozen=True, slots=True)
class HintRefused:
    """A message that should bring hints was refused: ``reason`` is one of a few words (``signature``, ``stale``, …)."""

    reason: str


@dataclass(frozen=True, slots=True)
class HintsWaiting:
    """So many refs wait to be looked at, the oldest since ``oldest`` (Unix epoch; 0 when none waits)."""

    count: int
    oldest: float


@dataclass(frozen=True, slots=True)
class HintsSettled:
    """Hints were dealt with, each so many seconds after it came."""

    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DutyChanged:
    """This instance works, or stands by for another one."""

    works: bool


@dataclass(frozen=True, slots=True)
class Noticed:
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
    | ChangeApplied
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
