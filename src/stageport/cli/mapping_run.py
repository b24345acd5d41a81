"""The work behind ``stageport map``: entities and a mapping from wherever they are, mapped, explained, judged."""

import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from stageport.cli.blueprint_input import Basis, basis_of_file, guessed_basis
from stageport.cli.entity_input import STDIN, InputError, read_entities, read_input, read_text, shown_name
from stageport.cli.explanation import Context, explanation_lines
from stageport.cli.map_document import PathOf, map_document, refused_document
from stageport.cli.map_request import MapRequest
from stageport.cli.map_summary import summary_lines
from stageport.cli.running import run_async
from stageport.mapping.batches import UnnamedSourceError, read_source
from stageport.mapping.explain import explain_source
from stageport.mapping.loading import LoadedMapping, load_mapping
from stageport.mapping.trial import Trial, kind_of, try_mapping
from stageport.mapping.workers import Limits, WorkerPool
from stageport.model.entities import TargetEntity
from stageport.model.errors import MappingError
from stageport.model.exits import Exit
from stageport.model.refs import SourceRef, parse_ref
from stageport.plan.verdict import Objection, judge_target

PIPED_WIDTH = 160
"""Columns of text that goes to a file or another program."""

LIMITS = Limits(told_problems=sys.maxsize)
"""Whoever tries a mapping wants to read of every problem."""


@dataclass(frozen=True, slots=True)
class Given:
    """What is to be mapped, by which document, and what the outcome is held against.

    ``mapping`` is None for the mapping at Port, ``basis`` where nobody said which blueprints Port has. ``unfiltered``
    are resources whose ``selector.filter`` keeps the one source entity away.
    """

    documents: Sequence[bytes]
    mapping: LoadedMapping | None
    pool: WorkerPool
    basis: Basis | None
    unfiltered: frozenset[int] = frozenset()

    @property
    def takes_every_kind(self) -> bool:
        """True for a single resource: the entities are given for it, whatever their kind."""
        return self.mapping is not None and self.mapping.is_single


def run_map(request: MapRequest) -> Exit:
    """Map what was asked for and print what came of it."""
    return run_async(map_and_print(request))


async def map_and_print(request: MapRequest) -> Exit:
    """Do the same inside of an event loop that runs."""
    try:
        return await _map(request)
    except MappingError as error:
        if request.output == "text":
            if request.mapping is not None and error.faults:
                error.hint = f"`stageport check --mapping {request.mapping}` shows each at its place."
            raise
        # Whoever reads JSON gets JSON, and the exit code says the rest.
        typer.echo(refused_document(error.faults, message=error.message).decode())
        return error.exit


async def _map(request: MapRequest) -> Exit:
    async with _open(request) as given:
        if request.output == "text" and len(given.documents) == 1 and await _print_explanation(given):
            return await _strict_exit(given) if request.strict else Exit.OK
        trial = await _try(given)
        if request.output == "json":
            _print_json(given, trial)
        else:
            _print_summary(given, trial)
        return _exit(trial, given.basis) if request.strict else Exit.OK


async def _try(given: Given) -> Trial:
    return await try_mapping(given.pool, given.documents, every_kind=given.takes_every_kind)


async def _strict_exit(given: Given) -> Exit:
    return _exit(await _try(given), given.basis)


def _exit(trial: Trial, basis: Basis | None) -> Exit:
    outcome = trial.outcome
    failed = outcome.resource_failed or outcome.errors or outcome.dropped or outcome.problems
    refused = basis is not None and _objections(outcome.targets, basis)
    return Exit.UNWRITTEN if failed or refused else Exit.OK


@asynccontextmanager
async def _open(request: MapRequest) -> AsyncIterator[Given]:
    """Get hold of entities, mapping and blueprints; the network is touched only for what no file holds."""
    name = _input_name(request)
    content = None if name is None else read_input(name)
    loaded = _load(request.mapping) if request.mapping else None
    basis = basis_of_file(str(request.blueprints)) if request.blueprints else None
    documents = [] if content is None else read_entities(content, name=shown_name(name or STDIN))
    if request.kind is not None:
        documents = [raw for raw in documents if kind_of(raw) == request.kind.lower()]
    document, unfiltered = loaded.document if loaded else None, frozenset[int]()
    if document is None or content is None:
        from stageport.cli.mapping_remote import read_remote

        remote = await read_remote(request, ref=_ref(request) if content is None else None, document=document)
        documents = [remote.raw] if content is None else documents
        document, unfiltered, basis = remote.document, remote.unfiltered, basis or remote.basis
    async with WorkerPool(document, workers=1, limits=LIMITS, where=loaded.where if loaded else None) as pool:
        yield Given(documents, loaded, pool, basis, unfiltered)


def _input_name(request: MapRequest) -> str | None:
    """Return what to read the entities from, None when they are to be read from Backstage."""
    if request.what is None:
        if sys.stdin.isatty():
            raise InputError(
                "There is nothing to map.",
                hint="Give a ref (component:default/petstore), a file, or `-` for standard input.",
            )
        return STDIN
    return request.what if request.what == STDIN or Path(request.what).is_file() else None


def _ref(request: MapRequest) -> SourceRef:
    text = request.what or ""
    try:
        return parse_ref(text, default_kind=request.kind)
    except ValueError as error:
        raise InputError(
            f"There is no file {text!r}, and {error}",
            hint="Give a file, `-` for standard input, or a ref such as component:default/petstore.",
        ) from None


def _load(path: Path) -> LoadedMapping:
    return load_mapping(read_text(str(path)), name=str(path))


def _objections(targets: Sequence[TargetEntity], basis: Basis) -> list[tuple[TargetEntity, Objection]]:
    judged = [target for target in targets if basis.certain or target.blueprint in basis.blueprints]
    return [(target, one) for target in judged for one in judge_target(target, basis.blueprints)]


def _path_of(pool: WorkerPool) -> PathOf:
    paths = {(one.plan.index, slot.field): slot.path for one in pool.resources for slot in one.slots}
    return lambda problem: paths.get((problem.resource, problem.field), ("resources", max(problem.resource, 0)))


def _print_json(given: Given, trial: Trial) -> None:
    objections = _objections(trial.outcome.targets, given.basis) if given.basis else None
    printed = map_document(trial.outcome, loaded=given.mapping, path_of=_path_of(given.pool), objections=objections)
    typer.echo(printed.decode())


def _print_summary(given: Given, trial: Trial) -> None:
    basis, loaded, path_of = given.basis or guessed_basis(), given.mapping, _path_of(given.pool)
    lines = summary_lines(
        trial,
        count=len(given.documents),
        basis=basis,
        objections=_objections(trial.outcome.targets, basis),
        place=lambda problem: loaded.where(path_of(problem)) if loaded else "",
    )
    _print_lines(Console(highlight=False, soft_wrap=True), lines)


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line)


async def _print_explanation(given: Given) -> bool:
    """Explain the one source entity; False when it cannot be called anything."""
    try:
        source = read_source(given.documents[0])
    except UnnamedSourceError:
        return False
    kind = source.ref.partition(":")[0]
    resources = given.pool.document.resources
    indices = [n for n, one in enumerate(resources) if given.takes_every_kind or one.kind.lower() == kind]
    told = await explain_source(given.pool, source, resources=indices, limits=LIMITS)
    console = Console(highlight=False, soft_wrap=True)
    context = Context(
        basis=given.basis or guessed_basis(),
        loaded=given.mapping,
        unfiltered=given.unfiltered,
        width=console.width if console.is_terminal else PIPED_WIDTH,
    )
    _print_lines(console, explanation_lines(source.ref, told, context))
    _print_lines(console, _others(kind, given, mapping_it=len(indices)))
    return True


def _others(kind: str, given: Given, *, mapping_it: int) -> Iterator[str]:
    resources = given.pool.document.resources
    if not mapping_it:
        kinds = ", ".join(given.pool.document.kinds()) or "nothing"
        yield ""
        yield f"[yellow]No resource maps kind {escape(kind)}[/yellow]; the mapping has {escape(kinds)}."
    elif mapping_it < len(resources):
        count = len(resources) - mapping_it
        yield ""
        yield f"[dim]{'1 resource maps another kind' if count == 1 else f'{count} resources map other kinds'}.[/dim]"
