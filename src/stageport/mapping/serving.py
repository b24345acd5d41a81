"""A worker's side of the conversation: requests come in, answers go out as they are ready."""

import os
import time
from collections.abc import Sequence
from typing import Any, Final

import jq
import msgspec

from stageport.mapping.assembly import Budget
from stageport.mapping.compiled import Clock
from stageport.mapping.evaluation import SourceMapper, Stepper
from stageport.mapping.expressions import compile_error, rewrite_quotes, unusable
from stageport.mapping.frames import (
    LENGTH,
    Answer,
    Begun,
    Broken,
    Check,
    Checked,
    Done,
    Mapped,
    MapSources,
    Prepare,
    Ready,
    Request,
    StepSources,
    Traced,
    WireSource,
    frame,
)
from stageport.mapping.program import LEAD, SELF_TEST, SELF_TEST_OUTPUT, resource_program
from stageport.mapping.translation.functions import Functions
from stageport.mapping.translation.json_text import plain_number

FLUSH_SOURCES: Final = 25
FLUSH_BYTES: Final = 64 * 1024
FLUSH_SECONDS: Final = 0.5
"""Mapped source entities are sent when so many, or so much of their bodies, or the first of so long ago is gathered."""

LARGEST_TRACE: Final = 256 * 1024
"""Bytes of one value that are shown to whoever tries a mapping; the rest is cut off."""

LONGEST_TOGETHER: Final = 64 * 1024
"""Characters of expressions that are compiled together; jq's compiler is quadratic in places."""


class Outbox:
    """Answers on their way: mapped source entities are gathered until it is worth a write."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sources: list[WireSource] = []
        self._budget = Budget(given=0)
        self._bytes = 0
        self._since = time.monotonic()
        self._allowance = 0
        self._problems: dict[tuple[int, str], int] = {}
        self._untold: dict[tuple[int, str], int] = {}

    def begin(self, request: MapSources | StepSources) -> Budget:
        """Begin the answer to a request; returns what it may hold."""
        self._allowance = request.told
        self._problems = {}
        self._budget = Budget(given=sum(len(raw) for _, raw in request.sources))
        return self._budget

    def add(self, source: WireSource) -> None:
        """Gather one mapped source entity; what it holds is sent when enough has come together."""
        if source.problems:
            self._count_problems(source)
        self._sources.append(source)
        self._bytes += sum(len(target.body) for target in source.targets)
        full = len(self._sources) >= FLUSH_SOURCES or self._bytes >= FLUSH_BYTES
        if full or self._budget.strikes or time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what has been gathered."""
        if self._sources:
            self.send(Mapped(self._sources, tuple(self._budget.strikes), self._untold, self._budget.slow))
            self._budget.strikes, self._budget.slow = [], {}
        self._sources, self._untold, self._bytes, self._since = [], {}, 0, time.monotonic()

    def show_life(self) -> None:
        """Say something when nothing has been said for a while."""
        if time.monotonic() - self._since >= FLUSH_SECONDS:
            self.send(Ready())
            self._since = time.monotonic()

    def finish(self) -> None:
        """Send the rest and say that the request is answered."""
        self.flush()
        self.send(Done())

    def send(self, answer: Answer) -> None:
        """Send one answer at once."""
        view = memoryview(frame(answer))
        while view:
            view = view[os.write(self._descriptor, view) :]

    def _count_problems(self, source: WireSource) -> None:
        told = []
        for problem in source.problems:
            key = (problem.resource, problem.field)
            self._problems[key] = count = self._problems.get(key, 0) + 1
            if count <= self._allowance:
                told.append(problem)
            else:
                self._untold[key] = self._untold.get(key, 0) + 1
        source.problems = told


class Worker:
    """Answers requests until the input ends."""

    def __init__(self, *, source: int, target: int, cpu_seconds: float, translate: bool) -> None:
        self._source = source
        self._out = Outbox(target)
        self._clock = Clock(cpu_seconds)
        # Nobody can guess the key under which a slot reports its error, so no value can pass for one.
        self._marker = f"\x01error-{os.urandom(8).hex()}"
        self._functions = Functions(enabled=translate)
        self._mapper = SourceMapper(
            marker=self._marker, clock=self._clock, functions=self._functions, heartbeat=self._out.show_life
        )
        self._decode = msgspec.msgpack.Decoder(Request).decode

    def serve(self) -> None:
        """Answer requests until the input ends."""
        outputs = jq.compile(SELF_TEST).input_text("null").all()
        if outputs != [SELF_TEST_OUTPUT]:
            self._out.send(Broken("this libjq is older than 1.7: reinstall the jq package from its wheel"))
            return
        self._out.send(Ready())
        while request := self._read():
            self._answer(self._decode(request))
            self._clock.stop()

    def _read(self) -> bytes:
        head = self._read_exactly(LENGTH.size)
        return self._read_exactly(LENGTH.unpack(head)[0]) if head else b""

    def _read_exactly(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count:
            part = os.read(self._source, count)
            if not part:
                return b""
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _answer(self, request: Request) -> None:
        match request:
            case Prepare(plans):
                self._mapper.prepare(plans)
            case Check(expressions):
                known = self._compile_together(expressions)
                for expression in expressions:
                    self._clock.start(share=0.5)
                    self._out.send(Checked() if expression in known else self._check(expression))
                self._out.finish()
            case MapSources():
                budget = self._out.begin(request)
                for ref, raw in request.sources:
                    self._out.add(self._mapper.map_source(ref, raw, resources=request.resources, budget=budget))
                self._out.finish()
            case StepSources():
                self._step(request)
                self._out.finish()

    def _step(self, request: StepSources) -> None:
        skip, budget = request.skip, self._out.begin(request)
        for ref, raw in request.sources:
            stepper = Stepper(announce=self._announce, trace=self._trace if request.trace else None, skip=skip)
            mapped = self._mapper.map_source(ref, raw, resources=request.resources, budget=budget, stepper=stepper)
            self._out.add(mapped)
            self._out.flush()
            skip = ()

    def _announce(self, resource: int, slot: int) -> None:
        self._out.send(Begun(resource, slot))

    def _trace(self, resource: int, item: int, slot: int, value: Any, error: str) -> None:
        try:
            encoded = msgspec.json.encode(value, enc_hook=plain_number)
        except RecursionError:
            encoded, error = b"null", error or "gave a value nested too deeply to be shown"
        if len(encoded) > LARGEST_TRACE:
            encoded = msgspec.json.encode(encoded[:LARGEST_TRACE].decode("utf-8", "ignore") + "…")
        self._out.send(Traced(resource, item, slot, None if error else encoded, error))

    def _compile_together(self, expressions: Sequence[str]) -> frozenset[str]:
        """Return the expressions that are translated: jq compiles all of them at once, which costs little.

        Should it refuse them together, it is asked for each alone, and has the last word.
        """
        found: dict[str, str] = {}
        for expression in expressions:
            self._clock.start(share=0.5)
            text = rewrite_quotes(expression)
            if unusable(expression) is None and self._functions.of(text) is not None:
                found[expression] = f"({text}\n\n)"
        self._clock.start()
        joined = " | ".join(found.values())
        if not found or len(joined) > LONGEST_TOGETHER:
            return frozenset()
        try:
            jq.compile(LEAD + joined)
        except ValueError:
            return frozenset()
        return frozenset(found)

    def _check(self, expression: str) -> Checked:
        """Compile an expression on its own, and once more as it will stand in its slot."""
        error = unusable(expression)
        text = rewrite_quotes(expression)
        if error is None:
            try:
                jq.compile(LEAD + text)
            except ValueError as complaint:
                error = compile_error(expression, str(complaint), prefix=len(LEAD))
        if error is None:
            try:
                jq.compile(resource_program([text], selector=None, marker=self._marker, enrich=True))
            except ValueError:
                return Checked("is no single filter: something closes or ends it too early")
        if error is None:
            return Checked()
        return Checked(error.message, error.line, error.column, error.hint)
