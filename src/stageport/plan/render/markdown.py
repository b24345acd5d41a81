"""A plan as Markdown, for the summary of a CI job."""

from collections.abc import Iterable, Iterator

from stageport.model.changes import Change, Operation
from stageport.plan.plan import Plan
from stageport.plan.render.words import HOLD_WORDS, problem_words

LINES_SHOWN = 200
"""A job summary is limited in size; the JSON output has every line."""


def plan_markdown(plan: Plan) -> str:
    """Return the plan: a table of counts, then the changes, the held deletes and what else a person has to know."""
    return "\n".join([*_counts(plan), *_changes(plan), *_kept(plan), *_remarks(plan)]) + "\n"


def _counts(plan: Plan) -> Iterator[str]:
    yield "### Stageport plan"
    yield ""
    yield "| create | update | delete | unchanged | kept | not readable | not mappable |"
    yield "|--:|--:|--:|--:|--:|--:|--:|"
    counts = (
        plan.count(Operation.CREATE),
        plan.count(Operation.UPDATE),
        len(plan.deletes),
        plan.unchanged,
        len(plan.kept),
        len(plan.failures),
        plan.counts.errors,
    )
    yield f"| {' | '.join(map(str, counts))} |"


def _changes(plan: Plan) -> Iterator[str]:
    changes = [*plan.upserts, *plan.deletes]
    if not changes:
        return
    yield ""
    yield "| | blueprint | identifier | fields |"
    yield "|---|---|---|---|"
    signs = {Operation.CREATE: "+", Operation.UPDATE: "~", Operation.DELETE: "-"}
    yield from _table(
        (signs[change.operation], change, ", ".join(one.path for one in change.fields)) for change in changes
    )
    if len(changes) > LINES_SHOWN:
        yield f"| … | | {len(changes) - LINES_SHOWN} more | |"


def _table(rows: Iterable[tuple[str, Change, str]]) -> Iterator[str]:
    for number, (sign, change, words) in enumerate(rows):
        if number < LINES_SHOWN:
            yield f"| {sign} | {cell(change.blueprint)} | {cell(change.identifier)} | {cell(words)} |"


def _kept(plan: Plan) -> Iterator[str]:
    if not plan.kept:
        return
    yield ""
    yield "| kept | blueprint | identifier | why |"
    yield "|---|---|---|---|"
    yield from _table(("=", change, HOLD_WORDS[change.hold] if change.hold else "") for change in plan.kept)


def _remarks(plan: Plan) -> Iterator[str]:
    remarks = [f"**Not read:** kind `{one.kind}`: {cell(one.message)}" for one in plan.failures]
    remarks += [f"**No blueprint** `{name}` at Port" for name in sorted({one.blueprint for one in plan.blocked})]
    remarks += [cell(note) for note in plan.notes]
    remarks += [f"**Field problem:** {cell(words)}" for words in problem_words(plan)]
    if remarks:
        yield ""
    yield from (f"* {remark}" for remark in remarks)


def cell(text: str) -> str:
    """Keep catalog data from breaking out of a table cell."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`").replace("<", "&lt;").replace("\n", " ")
