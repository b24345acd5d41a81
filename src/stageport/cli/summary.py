"""The result of ``plan`` and ``sync`` as Markdown in a file: what a CI job shows as its summary."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from stageport.model.entities import Json
from stageport.model.errors import StageportError
from stageport.model.exits import Exit
from stageport.plan.render.markdown import cell

ROWS_SHOWN = 200
"""A job summary is limited in size; the JSON output has every line."""

Summary = Annotated[
    Path | None,
    typer.Option("--summary", metavar="FILE", help="Add the result to this file too, as Markdown.", show_default=False),
]


def demand_summary(file: Path | None) -> None:
    """See that the file can be written, before the work that it is to tell of.

    Raises:
        StageportError: it cannot be written.
    """
    _append(file, "")


def write_summary(file: Path | None, text: str) -> None:
    """Add Markdown to a file, if one is named; it may hold what other steps of the job wrote.

    Raises:
        StageportError: it cannot be written.
    """
    _append(file, text + "\n")


def _append(file: Path | None, text: str) -> None:
    if file is None:
        return
    try:
        with file.open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        raise StageportError(
            f"The summary {file} cannot be written: {error.strerror or error}",
            hint="Give --summary a file in a folder that exists and may be written to.",
        ) from None


def first_start_markdown(words: Iterable[str]) -> str:
    """Say what happens before the first entity is written."""
    return "".join(f"* First: {one}\n" for one in words)


def sync_markdown(document: Json) -> str:
    """Return what came of a pass, from its JSON document."""
    return "\n".join([*_counts(document), *_refused(document), *_remarks(document)]) + "\n"


def _counts(document: Json) -> Iterator[str]:
    counts = document["counts"]
    code = Exit(document["exit"])
    yield f"### Stageport sync: {document['state']}"
    yield ""
    yield "| created | updated | deleted | unchanged | kept | refused | no blueprint | not mappable |"
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|"
    names = ("create", "update", "delete", "unchanged", "kept", "refused", "blocked", "errors")
    yield f"| {' | '.join(str(counts[name]) for name in names)} |"
    if code is not Exit.OK:
        yield ""
        yield f"Exit code {code.value} ({code.name.lower()})."


def _refused(document: Json) -> Iterator[str]:
    refused = document["refused"]
    if not refused:
        return
    yield ""
    yield "| not written | Port's answer |"
    yield "|---|---|"
    for one in refused[:ROWS_SHOWN]:
        answer = f"{one['status']} {one['code']}: {one['message']}"
        yield f"| {cell(one['blueprint'])} {cell(one['identifier'])} | {cell(answer)} |"
    if len(refused) > ROWS_SHOWN:
        yield f"| … {len(refused) - ROWS_SHOWN} more | |"


def _remarks(document: Json) -> Iterator[str]:
    remarks = [f"**Not read:** kind `{one['kind']}`: {cell(one['message'])}" for one in document["failures"]]
    remarks += [cell(note) for note in document["notes"]]
    if remarks:
        yield ""
    yield from (f"* {remark}" for remark in remarks)
