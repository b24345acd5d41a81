"""What a pass learns on its way, besides what it writes: counts, failures, problems."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stageport.model.changes import Change
from stageport.model.entities import FieldProblem, MappedSource
from stageport.model.errors import SourceError
from stageport.model.events import FieldFailed, Listener
from stageport.model.refs import SourceRef, TargetKey
from stageport.plan.plan import ReadCounts, SourceFailure

PROBLEMS_KEPT = 200


@dataclass(slots=True)
class Findings:
    """What a pass has learned so far. A ``narrowed`` pass looks at a few source entities only.

    ``read_by_kind`` counts source entities by lower-cased kind, ``skipped`` those that were not mapped because
    nothing of them changed. ``failed`` are source entities whose mapping failed, by their names in the ledger.
    ``spared`` are target entities that a search query found more than one of: nobody knows which was meant, so none is
    stale. ``counted`` are source entities that were counted and not looked at; ``passed_over`` counts those that came
    to nothing before and were not looked at again. ``released`` are target entities that some source entity no longer
    wants and no other does. ``unsure`` are refs whose filters may not know yet of a change.
    """

    listener: Listener
    narrowed: bool = False
    read_by_kind: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    failed: set[SourceRef] = field(default_factory=set)
    spared: set[TargetKey] = field(default_factory=set)
    blocked: list[Change] = field(default_factory=list)
    failures: list[SourceFailure] = field(default_factory=list)
    errors: list[SourceError] = field(default_factory=list)
    problems: list[FieldProblem] = field(default_factory=list)
    problem_count: int = 0
    counted: int = 0
    passed_over: int = 0
    released: set[TargetKey] = field(default_factory=set)
    unsure: set[SourceRef] = field(default_factory=set)
    unmatched: int = 0
    ambiguous: int = 0
    shared: set[TargetKey] = field(default_factory=set)
    counts: ReadCounts = field(default_factory=ReadCounts)
    examples: dict[str, list[bytes]] = field(default_factory=dict)

    @property
    def sources(self) -> int:
        """How many source entities were seen, mapped or not."""
        return self.counts.sources + self.skipped + self.counted

    @property
    def all_counts(self) -> ReadCounts:
        """Return the counts, with every source entity that was seen."""
        return replace(self.counts, sources=self.sources)

    def note_failure(self, kind: str, error: SourceError) -> None:
        """Note that a kind could not be read, or not wholly; nothing will be deleted."""
        self.errors.append(error)
        self.failures.append(SourceFailure(kind, error.message, error.hint))

    def note_mapped(self, mapped: Sequence[MappedSource]) -> set[SourceRef]:
        """Count what the mapping made of a page, tell of every problem, and return whose mapping failed."""
        nameless = any(_is_nameless(problem) for one in mapped for problem in one.problems)
        errors, failed = 0, set[SourceRef]()
        for one in mapped:
            if one.errors or (one.dropped and nameless):
                failed.add(one.ref)
                errors += one.errors or one.dropped
            for problem in one.problems:
                self._note_problem(problem)
        old = self.counts
        self.counts = ReadCounts(
            sources=old.sources + len(mapped),
            targets=old.targets + sum(len(one.targets) for one in mapped),
            filtered_out=old.filtered_out + sum(one.filtered_out for one in mapped),
            dropped=old.dropped + sum(one.dropped for one in mapped),
            errors=old.errors + errors,
        )
        return failed

    def _note_problem(self, problem: FieldProblem) -> None:
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)
        self.listener(FieldFailed(problem))

    def notes(self) -> list[str]:
        """Say in words what a person should know of."""
        notes = []
        if not self.sources and not self.failures and not self.narrowed:
            notes.append(
                "Backstage shows no entity of any mapped kind. A token without permission to read the catalog looks "
                "just like that, and so does a catalog that is still filling up."
            )
        if self.unmatched:
            notes.append(f"{self.unmatched} search identifiers match no entity at Port; nothing is written for them.")
        if self.ambiguous:
            notes.append(f"{self.ambiguous} search identifiers match more than one entity at Port; Port would refuse.")
        if self.shared:
            notes.append(f"{len(self.shared)} target entities are mapped more than once; the last one wins.")
        return notes


def _is_nameless(problem: FieldProblem) -> bool:
    return problem.field.split(".")[0] in ("identifier", "blueprint")
