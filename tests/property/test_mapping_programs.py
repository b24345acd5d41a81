"""One combined program gives what each expression gives alone: its first output, else null, else an error."""

import json
import random
from typing import Any

import jq
import pytest
from tests.property.jq_grammar import Grammar

from stageport.mapping.compiled import CompiledResource
from stageport.mapping.expressions import rewrite_quotes
from stageport.mapping.frames import SELECTOR_SLOT, ResourcePlan
from stageport.mapping.item import Item
from stageport.mapping.program import SHADOW
from stageport.mapping.translation.functions import Functions

MARKER = "\x01error-of-this-test"
EXPRESSIONS = 20
PROGRAMS = 10
DOCUMENTS = 10
SEEDS = 12
"""12 seeds of 10 programs of 20 expressions on 10 documents: 24,000 pairs."""

Outcome = tuple[str, Any]


class NoClock:
    """Limits nothing: these expressions end, and this process is not to be ended."""

    def start(self, *, share: float = 1.0) -> None:
        del share


def run_alone(program: Any, text: str) -> Outcome:
    """Return what the first output of a program of its own is; the environment is hidden in both ways."""
    try:
        return "value", next(iter(program.input_text(text)), None)
    except ValueError as error:
        return "error", str(error)


def outcome_of(compiled: CompiledResource, cell: Any) -> Outcome:
    if compiled.error_in(cell) is None:
        return "value", cell
    error = cell[MARKER]
    return "error", error if isinstance(error, str) else json.dumps(error)


def compile_alone(expression: str) -> Any:
    try:
        return jq.compile(SHADOW + expression)
    except ValueError:
        return None


def make_plan(expressions: list[str]) -> ResourcePlan:
    fields = tuple(f"p{number}" for number in range(len(expressions)))
    return ResourcePlan(0, ("selector.query", *fields), ("true", *expressions), {})


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_combined_program_gives_what_each_expression_gives_alone(seed: int) -> None:
    grammar = Grammar(random.Random(seed))
    pairs = errors = 0
    for _ in range(PROGRAMS):
        alone: dict[str, Any] = {}
        while len(alone) < EXPRESSIONS:
            expression = rewrite_quotes(grammar.expression())
            program = compile_alone(expression)
            if program is not None:
                alone[expression] = program
        compiled = CompiledResource(
            make_plan(list(alone)),
            marker=MARKER,
            clock=NoClock(),  # type: ignore[arg-type]
            functions=Functions(enabled=False),
        )
        for _ in range(DOCUMENTS):
            entity = grammar.entity()
            cells = compiled.run_together(Item(json.dumps(entity), ref="ref"))
            entity["metadata"]["identifier"] = "ref"
            text = json.dumps(entity)
            assert cells[SELECTOR_SLOT] is True
            for slot, (expression, program) in enumerate(alone.items(), start=SELECTOR_SLOT + 1):
                expected, found = run_alone(program, text), outcome_of(compiled, cells[slot])
                assert same(found, expected), f"{expression!r} on {text}: {found} instead of {expected}"
                pairs += 1
                errors += found[0] == "error"
    assert pairs == PROGRAMS * EXPRESSIONS * DOCUMENTS
    assert 0.05 < errors / pairs < 0.6, "the grammar is to make errors, and not only errors"


def same(found: Outcome, expected: Outcome) -> bool:
    # Messages of errors that are no text differ in nothing but spelling.
    return repr(found) == repr(expected) or found[0] == expected[0] == "error"
