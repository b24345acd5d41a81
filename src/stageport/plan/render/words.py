"""What plans say in words, whatever they are shown as."""

from collections import Counter
from collections.abc import Iterator

from stageport.model.changes import Hold
from stageport.model.entities import FieldProblem
from stageport.plan.plan import Plan

PROBLEMS_SHOWN = 20

HOLD_WORDS = {
    Hold.INCOMPLETE_READ: "kept: Backstage was not read completely",
    Hold.EMPTY_SOURCE: "kept: Backstage shows no entity at all",
    Hold.EMPTY_KIND: "kept: a whole kind is gone from Backstage",
    Hold.THRESHOLD: "kept: more would be deleted than entityDeletionThreshold allows",
    Hold.MAPPING_FAILED: "kept: the mapping of its source failed",
    Hold.STILL_RELATED: "kept: others still relate to it",
}

_REASONS = {hold.value: words.removeprefix("kept: ") for hold, words in HOLD_WORDS.items()}


def hold_reason(hold: str) -> str:
    """Say what holds deletes back, of a hold by its value; a ledger of a later version may know more of them."""
    return _REASONS.get(hold, hold)


def problem_words(plan: Plan) -> Iterator[str]:
    """Say which fields had problems, how often, and what the first of each was."""
    first: dict[tuple[int, str], FieldProblem] = {}
    counts = Counter[tuple[int, str]]()
    for problem in plan.problems:
        key = (problem.resource, problem.field)
        first.setdefault(key, problem)
        counts[key] += 1
    for key, problem in list(first.items())[:PROBLEMS_SHOWN]:
        times = f" and {counts[key] - 1} more" if counts[key] > 1 else ""
        yield f"resources[{problem.resource}] {problem.field}: {problem.ref}{times}: {problem.message}"
    if len(first) > PROBLEMS_SHOWN:
        yield f"… and {len(first) - PROBLEMS_SHOWN} more fields; the JSON output has them."
