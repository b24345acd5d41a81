"""The work behind ``stageport check --mapping FILE``: every problem of a mapping at once, each at its place."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from rich.console import Console
from rich.markup import escape

from stageport.cli.blueprint_input import Basis, basis_of_file, guessed_basis
from stageport.cli.console import counted, print_json
from stageport.cli.entity_input import InputError, read_text
from stageport.cli.excerpts import excerpt_lines, point_at
from stageport.cli.map_document import field_of
from stageport.cli.mapping_review import review_mapping, subject_of
from stageport.cli.running import run_async
from stageport.mapping.jq_tokens import line_and_column
from stageport.mapping.lint import Level, Remark
from stageport.mapping.loading import LoadedMapping, inspect_mapping
from stageport.mapping.reading import Path as MappingPath
from stageport.mapping.resource import Resource
from stageport.model.errors import MappingFault
from stageport.model.exits import Exit

YAML_HINTS: Final = (
    ("mapping values are not allowed", "Text with ': ' in it needs quotes around the whole, or a block (>-)."),
    ("cannot start any token", "Text that begins with this character needs quotes around the whole; indent by spaces."),
    ("unexpected end of stream", "A quote is opened and never closed; look at the line named, and those before it."),
    ("expected ',' or", "Text with brackets in it needs quotes around the whole, or a block (>-)."),
    (
        "found '<scalar>'",
        "A quote ended too early: use the other sort of quotes around the whole, or a block (>-).",
    ),
    ("expected <block end>", "Look at the indentation: the keys of one object stand right below each other."),
    ("could not find expected ':'", "A key lacks its colon, or a line of a block (| or >-) is not indented enough."),
    ("undefined alias", "An alias (*name) needs an anchor (&name) before it; text that begins with * needs quotes."),
)
"""What YAML's complaints mostly mean in a mapping."""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What the command line asks for; ``given`` are options that are settings, by dotted path."""

    mapping: Path
    blueprints: Path | None = None
    against_port: bool = False
    against_backstage: bool = False
    strict: bool = False
    output: Literal["text", "json"] = "text"
    config: Path | None = None
    given: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to say, and where in the file: line and column count from 1, ``length`` is what to underline."""

    level: Level
    code: str
    path: MappingPath
    subject: str
    message: str
    hint: str
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Checked:
    """A mapping file that was looked at."""

    name: str
    text: str
    problems: tuple[Problem, ...]
    resources: Mapping[int, Resource]
    origin: str

    def count(self, level: Level) -> int:
        """Return how many problems of a level there are."""
        return sum(one.level is level for one in self.problems)


def run_check(request: CheckRequest) -> Exit:
    """Check a mapping file and print what there is to say of it."""
    checked = run_async(check_file(request))
    if request.output == "json":
        print_json(check_document(checked))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for line in check_lines(checked):
            console.print(line)
    failed = checked.problems if request.strict else checked.count(Level.ERROR)
    return Exit.MAPPING if failed else Exit.OK


async def check_file(request: CheckRequest) -> Checked:
    """Look at a mapping file. The network is touched only where the request says so.

    Raises:
        InputError: a file cannot be read.
        MappingError: the mapping is empty.
    """
    name = str(request.mapping)
    text = read_text(name)
    loaded, faults = inspect_mapping(text, name=name)
    if request.blueprints and request.against_port:
        raise InputError("--blueprints and --against-port both name blueprints.", hint="Give one of them.")
    basis, kinds = await _surroundings(request)
    return await _look(text, loaded, faults, basis=basis, kinds=kinds)


async def check_alone(text: str, *, name: str) -> Checked:
    """Look at a mapping by itself, for whoever holds it against the blueprints in another way.

    Raises:
        MappingError: the mapping is empty.
    """
    loaded, faults = inspect_mapping(text, name=name)
    return await _look(text, loaded, faults, basis=None)


async def _look(
    text: str,
    loaded: LoadedMapping,
    faults: Sequence[MappingFault],
    *,
    basis: Basis | None,
    kinds: Collection[str] | None = None,
) -> Checked:
    problems = [_fault(one, loaded) for one in faults]
    resources: Mapping[int, Resource] = {}
    if loaded.config is not None:
        review = await review_mapping(loaded.config, basis=basis, kinds=kinds)
        problems += [_problem(one, loaded, review.resources) for one in review.remarks]
        resources = review.resources
    problems.sort(key=lambda one: (one.line, one.column, one.level))
    return Checked(loaded.name, text, tuple(problems), resources, basis.origin if basis else "")


async def _surroundings(request: CheckRequest) -> tuple[Basis, Collection[str] | None]:
    basis = basis_of_file(str(request.blueprints)) if request.blueprints else None
    kinds = None
    if request.against_port or request.against_backstage:
        from stageport.cli.mapping_remote import read_blueprints_and_kinds

        at_port, kinds = await read_blueprints_and_kinds(request)
        basis = basis or at_port
    return basis or guessed_basis(), kinds


def _fault(fault: MappingFault, loaded: LoadedMapping) -> Problem:
    message = fault.message.removeprefix("resources[0].") if loaded.is_single else fault.message
    hint = next((hint for words, hint in YAML_HINTS if words in fault.message), "") if not fault.path else ""
    length = loaded.length(fault.path) if fault.path else 1
    return Problem(Level.ERROR, "refused", fault.path, "", message, hint, fault.line, fault.column, length)


def _problem(remark: Remark, loaded: LoadedMapping, resources: Mapping[int, Resource]) -> Problem:
    place, length = loaded.position(remark.path, of_key=remark.of_key), loaded.length(remark.path, of_key=remark.of_key)
    if remark.span is not None:
        expression = _expression(remark.path, loaded)
        line, column = line_and_column(expression, remark.span[0])
        place = loaded.position_within(remark.path, line=line, column=column)
        length = remark.span[1] - remark.span[0]
    subject = subject_of(remark.path[:-1] if remark.of_key else remark.path, resources)
    if loaded.is_single:
        subject = re.sub(r"( of )?resource 0( \(.*\))?$", "", subject) or "the resource"
    return Problem(
        remark.level, remark.code, remark.path, subject, remark.message, remark.hint, place.line, place.column, length
    )


def _expression(path: MappingPath, loaded: LoadedMapping) -> str:
    value = loaded.config
    for step in path:
        value = value[step]
    return str(value)


def check_lines(checked: Checked) -> Iterator[str]:
    """Yield what there is to say, with markup: every problem, then the sum."""
    yield from problem_lines(checked)
    yield _sum(checked)


def problem_lines(checked: Checked) -> Iterator[str]:
    """Yield every problem with an excerpt of the file, with markup."""
    for one in checked.problems:
        colour = "red" if one.level is Level.ERROR else "yellow"
        words = f"{one.subject}: {one.message}" if one.subject else one.message
        place = f"{checked.name}:{one.line}:{one.column}"
        yield f"[bold]{escape(place)}[/bold]: [{colour}]{one.level}[/{colour}]: {escape(words)}"
        excerpt = point_at(checked.text, line=one.line, column=one.column, length=one.length)
        yield from excerpt_lines(excerpt, number=one.line)
        if one.hint:
            yield f"    {escape(one.hint)}"
        yield ""


def _sum(checked: Checked) -> str:
    errors, warnings = checked.count(Level.ERROR), checked.count(Level.WARNING)
    kinds = ", ".join(dict.fromkeys(one.kind for one in checked.resources.values()))
    judged = f"Blueprints: {escape(checked.origin)}."
    if not checked.problems:
        many = counted(len(checked.resources), "resource", "resources")
        return f"[green]{escape(checked.name)} is in order[/green]: {many} ({escape(kinds)}). {judged}"
    found = f"{counted(errors, 'error', 'errors')}, {counted(warnings, 'warning', 'warnings')}"
    return f"{escape(checked.name)}: {found}. {judged}"


def check_document(checked: Checked) -> dict[str, object]:
    """Return what there is to say as plain JSON values; docs/reference/map.md describes it."""
    return {
        "file": checked.name,
        "errors": checked.count(Level.ERROR),
        "warnings": checked.count(Level.WARNING),
        "blueprints": checked.origin,
        "problems": [_problem_document(one) for one in checked.problems],
    }


def _problem_document(one: Problem) -> dict[str, object]:
    path: Sequence[str | int] = one.path
    inside = len(path) > 1 and path[0] == "resources"
    return {
        "level": one.level.value,
        "code": one.code,
        "resource": path[1] if inside else None,
        "field": field_of(one.path),
        "message": one.message,
        "hint": one.hint,
        "line": one.line,
        "column": one.column,
    }
