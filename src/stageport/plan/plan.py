"""The plan: a frozen, ordered value that says everything a pass would do, and what it will not do and why."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from stageport.model.changes import Change, Hold, Operation
from stageport.model.entities import FieldProblem
from stageport.model.exits import Exit
from stageport.model.refs import TargetKey


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """A kind that could not be read, or not wholly."""

    kind: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """What was read and what the mapping made of it, over all kinds."""

    sources: int = 0
    targets: int = 0
    filtered_out: int = 0
    dropped: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in order: first ``upserts``, then ``deletes``; ``kept`` are stale target entities held back.

    ``holds`` counts what is held back for a reason that a person can release or should know of; ``blocked`` are
    changes that cannot be applied because their blueprint does not exist. ``owned`` is how many target entities of
    ours Port holds. ``apply`` accepts nothing but this.
    """

    upserts: tuple[Change, ...] = ()
    deletes: tuple[Change, ...] = ()
    kept: tuple[Change, ...] = ()
    blocked: tuple[Change, ...] = ()
    unchanged: int = 0
    owned: int = 0
    counts: ReadCounts = field(default_factory=ReadCounts)
    failures: tuple[SourceFailure, ...] = ()
    problems: tuple[FieldProblem, ...] = ()
    problem_count: int = 0
    notes: tuple[str, ...] = ()
    relations: Mapping[TargetKey, tuple[TargetKey, ...]] = field(default_factory=dict)
    """What stale target entities relate to; filled only where deletes need an order."""
    passed_over: int = 0
    """How many source entities came to nothing before and were not looked at again: they still are unwritten."""

    @property
    def is_empty(self) -> bool:
        """True when applying it would send no write."""
        return not self.upserts and not self.deletes

    @property
    def holds(self) -> Mapping[Hold, int]:
        """Count the kept target entities by reason."""
        return Counter(change.hold for change in self.kept if change.hold is not None)

    @property
    def numbers(self) -> dict[str, int]:
        """Everything that is counted but the changes themselves, by the names that documents and the history use."""
        return {
            "unchanged": self.unchanged,
            "kept": len(self.kept),
            "owned": self.owned,
            "sourceEntities": self.counts.sources,
            "targetEntities": self.counts.targets,
            "filteredOut": self.counts.filtered_out,
            "dropped": self.counts.dropped,
            "errors": self.counts.errors,
            "problems": self.problem_count,
        }

    def count(self, operation: Operation) -> int:
        """Count the lines of one operation."""
        lines = {Operation.DELETE: self.deletes, Operation.KEEP: self.kept}.get(operation, self.upserts)
        return sum(1 for change in lines if change.operation is operation)

    @property
    def exit(self) -> Exit:
        """The exit code that the plan alone already settles; what Port refuses comes on top."""
        if self.failures:
            return Exit.SOURCE
        if self.blocked or self.counts.errors:
            return Exit.UNWRITTEN
        if any(hold in RELEASABLE for hold in self.holds):
            return Exit.HELD
        return Exit.OK


RELEASABLE = frozenset({Hold.EMPTY_SOURCE, Hold.EMPTY_KIND, Hold.THRESHOLD})
"""Holds that wait for a person, who may release them (``--release-deletes``)."""
