"""Taking one chunk through a worker process, however often the process has to be replaced on the way.

The fast way first. If the worker dies, what it left undone is mapped one expression at a time, each announced before
it runs; the one at which the worker dies again is the culprit. It costs its field of that source entity (or the
entity, when it is the selector, the identifier or the blueprint) and gets a strike.
"""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

from stageport.mapping.chunks import Chunk
from stageport.mapping.frames import Begun, Check, Checked, MapSources, Request, SlotKey, StepSources, Traced
from stageport.mapping.strikes import ExpressionBook
from stageport.mapping.worker_process import Heard, Limits, MappedPage, WorkerDiedError, WorkerProcess
from stageport.model.entities import FieldProblem, MappedSource
from stageport.model.errors import ExpressionError
from stageport.model.events import Listener, WorkerReplaced

UNNAMED_DEATHS: int = 2
"""How often a worker may die over one source entity without an expression to blame before the entity is given up."""


class ChunkRunner:
    """One of the pool's places: a worker process, or the lack of one, and the chunk that it works on."""

    def __init__(
        self, book: ExpressionBook, *, limits: Limits, problems: Counter[tuple[int, str]], listener: Listener
    ) -> None:
        self._book = book
        self._limits = limits
        self._problems = problems
        self._listener = listener
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
                await self._replace(str(death))
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

    async def _replace(self, cause: str) -> None:
        """Be done with a worker; the next request starts another one."""
        await self.close()
        self._listener(WorkerReplaced(cause))

    async def _ask(self, request: Request, *, resources: tuple[int, ...] = ()) -> AsyncGenerator[Heard, None]:
        if self._process is None:
            self._process = await WorkerProcess.start(self._limits)
        async with aclosing(self._process.ask(request, plans=self._book.plans(resources))) as answers:
            async for answer in answers:
                yield answer

    async def _converse(self, chunk: Chunk, request: Request, step: "_Step") -> None:
        """Take the answers to a request, until it is done or an expression is set aside meanwhile.

        In the latter case the worker is replaced by one that knows it.
        """
        async with aclosing(self._ask(request, resources=chunk.resources)) as answers:
            async for answer in answers:
                step.hear(answer)
                if self._take(chunk, answer) and chunk.remaining:
                    break
            else:
                return
        await self._replace("has to know of an expression that was set aside")

    async def _run_fast(self, chunk: Chunk) -> None:
        try:
            while chunk.remaining:
                await self._converse(chunk, MapSources(chunk.resources, chunk.remaining, chunk.told), _Step())
        except WorkerDiedError as death:
            await self._replace(str(death))

    async def _run_stepwise(self, chunk: Chunk) -> None:
        """Go on one expression at a time until everything is answered, or a source entity is given up."""
        skip: list[tuple[int, int, str]] = []
        unnamed = 0
        while chunk.remaining and unnamed < UNNAMED_DEATHS:
            step, before = _Step(), len(chunk.mapped)
            death = await self._step(chunk, step, skip)
            if len(chunk.mapped) > before:
                skip, unnamed = [], 0
            if death and step.begun:
                skip.append((*step.begun, death))
                self._book.strike(step.begun, cause=death, ref=chunk.remaining[0][0])
            elif death:
                unnamed += 1
        if chunk.remaining:
            _give_up(chunk)

    async def _step(self, chunk: Chunk, step: "_Step", skip: list[tuple[int, int, str]]) -> str:
        """Try once; returns what the worker died of, empty when it lives."""
        chunk.traced.clear()
        request = StepSources(chunk.resources, chunk.remaining, chunk.told, tuple(skip), chunk.trace)
        try:
            await self._converse(chunk, request, step)
        except WorkerDiedError as death:
            await self._replace(str(death))
            return str(death)
        return ""

    def _take(self, chunk: Chunk, answer: Heard) -> bool:
        """Keep what an answer holds; returns whether an expression is set aside for it."""
        if isinstance(answer, Traced):
            chunk.traced.append(answer)
        if not isinstance(answer, MappedPage):
            return False
        chunk.mapped += answer.sources
        self._problems.update(answer.untold)
        self._problems.update((told.resource, told.field) for source in answer.sources for told in source.problems)
        ref = answer.sources[-1].ref
        changes = [self._book.strike(key, cause="gave more than may be kept", ref=ref) for key in answer.strikes]
        changes += [self._book.spend_time(key, seconds, ref=ref) for key, seconds in answer.slow.items()]
        return any(changes)


class _Step:
    """Which slot was announced last and is not answered yet."""

    def __init__(self) -> None:
        self.begun: SlotKey | None = None

    def hear(self, answer: Heard) -> None:
        """Follow an answer."""
        if isinstance(answer, Begun):
            self.begun = (answer.resource, answer.slot)
        elif isinstance(answer, MappedPage):
            self.begun = None


def _give_up(chunk: Chunk) -> None:
    source = chunk.sources[len(chunk.mapped)]
    problem = FieldProblem(chunk.resources[0], "selector.query", source.ref, "the worker died over this source entity")
    chunk.mapped.append(MappedSource(source.ref, errors=1, problems=(problem,)))


def _checked(answer: Checked) -> ExpressionError | None:
    if not answer.message:
        return None
    return ExpressionError(answer.message, line=answer.line, column=answer.column, hint=answer.hint)
