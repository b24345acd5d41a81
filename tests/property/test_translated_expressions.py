"""A translated expression gives what libjq gives, bit for bit, or nothing: differential tests against libjq itself.

``make test`` runs the short form. The long one: ``STAGEPORT_FUZZ_PAIRS=2000000 STAGEPORT_FUZZ_SEED=7 pytest
tests/property/test_translated_expressions.py -k random``.
"""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jq
import msgspec
import pytest
import yaml
from tests.property.translated_grammar import Entities, Expressions

from stageport.mapping.compiled import CompiledResource
from stageport.mapping.defaults import default_mapping
from stageport.mapping.expressions import rewrite_quotes, unusable
from stageport.mapping.frames import ResourcePlan
from stageport.mapping.item import Item
from stageport.mapping.program import LEAD, resource_program
from stageport.mapping.translation.functions import Function, Functions, make_function
from stageport.mapping.translation.json_text import plain_number
from stageport.mapping.translation.values import OddNumber
from stageport.sandbox.backstage.synthetic import synthetic_catalog

ROOT = Path(__file__).parents[2]
OFFICIAL = ROOT / ".." / "shared" / "conformance" / "official" / "port-app-config.yml"
MARKER = "\x01error-of-this-test"
PROGRAM = 20
"""Expressions evaluated by one program of libjq, which is compiled once for all of its entities."""

PAIRS = int(os.environ.get("STAGEPORT_FUZZ_PAIRS", "30000"))
SEED = int(os.environ.get("STAGEPORT_FUZZ_SEED", "1"))
PARTS = 4


class NoClock:
    """Limits nothing: these expressions end, and this process is not to be ended."""

    slow = 1e9

    def start(self, *, share: float = 1.0) -> None:
        del share


def expressions_in(document: Any) -> Iterator[str]:
    """Yield every expression of a mapping document."""
    for resource in document["resources"]:
        yield from strings_in([resource["selector"], resource["port"]["entity"]["mappings"]])


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings_in(inner)


def read_corpus() -> tuple[list[str], list[Any]]:
    """Return real expressions and real entities."""
    documents = [default_mapping(sets=("location",))]
    if OFFICIAL.exists():
        documents.append(yaml.safe_load(OFFICIAL.read_text(encoding="utf-8")))
    cases = json.loads((ROOT / "tests" / "conformance" / "mapping-cases.json").read_text(encoding="utf-8"))
    texts = [text for document in documents for text in expressions_in(document)]
    texts += [text for case in cases for text in strings_in(case["mapping"])]
    entities = [json.loads(entity.body) for entity in synthetic_catalog(60)]
    entities += [entity for case in cases for entity in case["entities"] if isinstance(entity, dict)]
    usable = [rewrite_quotes(text) for text in dict.fromkeys(texts) if unusable(text) is None]
    return usable, entities


EXPRESSIONS, ENTITIES = read_corpus()


def compiles(expression: str) -> bool:
    """Tell whether libjq takes an expression, alone and in its slot, as the workers ask it."""
    try:
        jq.compile(LEAD + expression)
        jq.compile(resource_program([expression], selector=None, marker=MARKER, enrich=True))
    except ValueError:
        return False
    return True


@dataclass
class Tally:
    """What came of the pairs of one run."""

    pairs: int = 0
    left: int = 0
    empty: int = 0
    wrong: list[str] = field(default_factory=list)


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=plain_number)


def compare(functions: dict[str, Function], entities: list[str], tally: Tally) -> None:
    """Evaluate each expression on each entity in both ways."""
    texts = list(functions)
    plan = ResourcePlan(0, ("selector.query", *map(str, range(len(texts)))), ("true", *texts), {})
    by_jq = CompiledResource(
        plan,
        marker=MARKER,
        clock=NoClock(),  # type: ignore[arg-type]
        functions=Functions(enabled=False),
    )
    for raw in entities:
        item = Item(raw, ref="component:default/x")
        cells = by_jq.run_together(item)
        for slot, text in enumerate(texts, start=1):
            tally.pairs += 1
            try:
                found = functions[text](item.value)
            except Exception:
                tally.left += 1
                continue
            tally.empty += found is None
            expected = cells[slot]
            plain = plain_number(found) if isinstance(found, OddNumber) else found
            if type(plain) is not type(expected) or encode(plain) != encode(expected):
                tally.wrong.append(f"{text!r} on {raw}: {plain!r} instead of {expected!r}")


def translated(expressions: Expressions, count: int) -> dict[str, Function]:
    """Return some expressions that are translated, each of which has to compile in libjq."""
    found: dict[str, Function] = {}
    while len(found) < count:
        text = rewrite_quotes(expressions.next())
        function = make_function(text)
        if function is not None:
            assert compiles(text), f"translated, and no jq: {text!r}"
            found[text] = function
    return found


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.timeout(max(60, PAIRS // 2000))
def test_random_expressions_on_random_entities(part: int) -> None:
    rng = random.Random(f"{SEED}-{part}")
    expressions, entities = Expressions(rng, EXPRESSIONS), Entities(rng, ENTITIES)
    tally = Tally()
    while tally.pairs < PAIRS // PARTS and len(tally.wrong) < 20:
        compare(translated(expressions, PROGRAM), [entities.next() for _ in range(40)], tally)
    assert tally.wrong == [], "\n".join(tally.wrong[:20])
    assert tally.left / tally.pairs < 0.6, "many pairs have to be answered"
    assert tally.empty / tally.pairs < 0.5, "most answers have to be something"


FOUND = (
    '[if (.[]["status"])? then [.kind] end]',
    'try ({(if .value then . else null end): (.relations[]? | select(.url)), name}) catch "no"',
    'try (({name: [], "\\(.kind)": .profile, name}, .[0]["email"]?) // index("A")) catch null',
    "((.labels, .tags).[-2:])[]?",
    ".[].?",
    '.metadata.+"/score"',
    "[.relations[]? | .targetRef.]",
    "{({} | .): 1}",
    "{(true | .): 1}",
    "[.relations[empty] | select0(.)]",
    "{({}): .kind}",
)
"""Expressions on which the two engines once differed, whole or in compiling."""


@pytest.mark.parametrize("expression", FOUND)
def test_what_was_found_before(expression: str) -> None:
    entities = Entities(random.Random(expression), ENTITIES)
    function, tally = make_function(expression), Tally()
    assert function is None or compiles(expression)
    if function is not None:
        compare({expression: function}, [entities.next() for _ in range(100)], tally)
    assert tally.wrong == []


def test_the_comparison_notices_a_wrong_function() -> None:
    entities, tally = Entities(random.Random(1), ENTITIES), Tally()
    compare({".kind": lambda value: value.get("apiVersion")}, [entities.next() for _ in range(10)], tally)
    assert tally.wrong != []


@pytest.mark.parametrize("part", range(PARTS))
def test_real_expressions_on_damaged_entities(part: int) -> None:
    entities = Entities(random.Random(f"{SEED}-real-{part}"), ENTITIES)
    tally = Tally()
    real = {text: function for text in EXPRESSIONS[part::PARTS] if (function := make_function(text)) is not None}
    texts = list(real)
    for start in range(0, len(texts), PROGRAM):
        some = {text: real[text] for text in texts[start : start + PROGRAM]}
        assert all(map(compiles, some))
        compare(some, [entities.next() for _ in range(25)], tally)
    assert tally.wrong == [], "\n".join(tally.wrong[:20])
