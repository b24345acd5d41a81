"""Taking one chunk through a worker process, however often the process has to be replaced on the way.

The fast way first. If the worker dies, what it left undone is mapped one expression at a time, each announced before
it runs; the one at which the worker dies again is the culprit. It costs its field of that source entity (or the
entity, when it is the selector, the identifier or the blueprint) and gets a strike.
"""

from collections import Counter
from collections.abc import AsyncIterator

from stageport.mapping.chunks import Chunk
from stageport.mapping.frames import Begun, Check, Checked, MapSources, Request, SlotKey, StepSources, Traced
from stageport.mapping.strikes import ExpressionBook
from stageport.mapping.worker_process import Heard, Limits, MappedPage, WorkerDiedError, WorkerProcess
from stageport.model.entities import FieldProblem, MappedSource
from stageport.model.errors import ExpressionError

UNNAMED_DEATHS: int = 2
"""How often a worker may die over one source entity without an expression to blame before the entity is given up."""


class ChunkRunner:
    """One place at the bench: a worker process, or the lack of one, and the chunk it works on."""

    def __init__(self, book: ExpressionBook, *, limits: Limits, problems: Counter[tuple[int, str]]) -> None:
        self._book = book
        self._limits = limits
        self._problems = problems
        self._process: WorkerProcess | None = None

    async def run(self, chunk: Chunk) -> None:
        """Map a chunk; afterwards every one of its source entities is answered."""
        if not chunk.trace:
            await self._run_fast(chunk)
        while chunk.remaining:
            await self._run_stepwise(chunk)

    async def check(self, expressions: list[str]) -> list[ExpressionError | None]:
        """Compile each expression; one that kills the compiler counts as not compiling."""
        found: list[ExpressionError | None] = []
        while len(found) < len(expressions):
            try:
                async for answer in self._ask(Check(tuple(expressions[len(found) :]))):
                    if isinstance(answer, Checked):
                        # One by one: what was told before a death must not be lost with the rest.
                        found.append(_checked(answer))  # noqa: PERF401
            except WorkerDiedError as death:
                await self.close()
                found.append(ExpressionError(f"cannot be compiled: it {death}"))
        return found

    @property
    def pid(self) -> int | None:
        """The worker's process id, None when there is no worker just now."""
        return self._process.pid if self._process else None

    async def close(self) -> None:
        """Kill the worker."""
        process, self._process = self._process, None
        if process is not None:
            await process.close()

    async def _ask(self, request: Request, *, resources: tuple[int, ...] = ()) -> AsyncIterator[Heard]:
        if self._process is None:
            self._process = await WorkerProcess.start(self._limits)
        async for answer in self._process.ask(request, plans=self._book.plans(resources)):
            yield answer

    async def _run_fast(self, chunk: Chunk) -> None:
        request = MapSources(chunk.resources, chunk.remaining, chunk.told)
        try:
            async for answer in self._ask(request, resources=chunk.resources):
                self._take(chunk, answer)
        except WorkerDiedError:
            await self.close()

    async def _run_stepwise(self, chunk: Chunk) -> None:
        """Go on one expression at a time until everything is answered, or a source entity is given up."""
        skip: list[tuple[int, int, str]] = []
        unnamed = 0
        while chunk.remaining and unnamed < UNNAMED_DEATHS:
            step = _Step(before=len(chunk.mapped))
            try:
                await self._step(chunk, step, skip)
            except WorkerDiedError as death:
                await self.close()
                if len(chunk.mapped) > step.before:
                    skip, unnamed = [], 0
                if step.begun is None:
                    unnamed += 1
                else:
                    skip.append((*step.begun, str(death)))
                    self._book.strike(step.begun, cause=str(death), ref=chunk.remaining[0][0])
        if chunk.remaining:
            _give_up(chunk)

    async def _step(self, chunk: Chunk, step: "_Step", skip: list[tuple[int, int, str]]) -> None:
        chunk.traced.clear()
        request = StepSources(chunk.resources, chunk.remaining, chunk.told, tuple(skip), chunk.trace)
        async for answer in self._ask(request, resources=chunk.resources):
            if isinstance(answer, Begun):
                step.begun = (answer.resource, answer.slot)
            elif isinstance(answer, MappedPage):
                step.begun = None
            self._take(chunk, answer)

    def _take(self, chunk: Chunk, answer: Heard) -> None:
        if isinstance(answer, MappedPage):
            chunk.mapped += answer.sources
            self._problems.update(answer.untold)
            self._problems.update((told.resource, told.field) for source in answer.sources for told in source.problems)
            for key in answer.strikes:
                self._book.strike(key, cause="gave more than may be kept", ref=answer.sources[-1].ref)
        elif isinstance(answer, Traced):
            chunk.traced.append(answer)


class _Step:
    """How far one attempt got: the slot that was announced last, and the answers there were before."""

    def __init__(self, *, before: int) -> None:
        self.before = before
        self.begun: SlotKey | None = None


def _give_up(chunk: Chunk) -> None:
    source = chunk.sources[len(chunk.mapped)]
    problem = FieldProblem(chunk.resources[0], "selector.query", source.ref, "the worker died over this source entity")
    chunk.mapped.append(MappedSource(source.ref, errors=1, problems=(problem,)))


def _checked(answer: Checked) -> ExpressionError | None:
    if not answer.message:
        return None
    return ExpressionError(answer.message, line=answer.line, column=answer.column, hint=answer.hint)
