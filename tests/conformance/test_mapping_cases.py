"""The mapping language against what Port's own integration was seen to do, case by case, through real workers.

Each case of ``mapping-cases.json`` holds one resource (``mapping``), source entities as Backstage serves them, what was
observed (``ocean``) and what must come out here (``expect``). Where the two differ, ``divergence`` says why:

D1 YAML booleans and numbers used as expressions are jq literals. D2 a number or boolean given for title, icon or team
becomes its text; a list or object for title or icon makes that field null, with a field problem. D3 ``itemsToParse``
may be any program giving an array; the array is taken out of the entity only when the program is a simple path.
D4 ``env`` and ``$ENV`` are empty. D5 one error per item. D6 a number for identifier becomes a string. D7 a missing
namespace counts as ``default``. D8 an expression that holds a NUL does not compile.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stageport.mapping.batches import Outcome, map_batches
from stageport.mapping.document import parse_mapping
from stageport.mapping.workers import WorkerPool
from stageport.model.errors import MappingError

HERE = Path(__file__).parent
OFFICIAL = HERE.parents[1] / ".." / "shared" / "conformance" / "official" / "mapping-cases.json"
REJECTED = "config-rejected"

Case = dict[str, Any]


def read_cases() -> Iterator[Case]:
    for path in (HERE / "mapping-cases.json", OFFICIAL):
        if path.exists():
            yield from json.loads(path.read_text(encoding="utf-8"))


CASES = list(read_cases())


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """Map every case in one pool, each mapping a resource of its own."""
    return asyncio.run(map_cases([case for case in CASES if case["topic"] != REJECTED]))


async def map_cases(cases: list[Case]) -> dict[str, Outcome]:
    document = parse_mapping({"resources": [case["mapping"] for case in cases]})
    found = {}
    async with WorkerPool(document, workers=2) as pool:
        for index, case in enumerate(cases):
            raws = [json.dumps(entity).encode() for entity in case["entities"]]
            found[case["id"]] = await map_batches(pool, raws, resource=index)
    return found


def as_doubles(value: Any) -> Any:
    """Make numbers comparable as IEEE doubles, and different from booleans."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, int | float):
        return ("number", float(value))
    if isinstance(value, list):
        return [as_doubles(entry) for entry in value]
    return {key: as_doubles(entry) for key, entry in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("case", [case for case in CASES if case["topic"] != REJECTED], ids=lambda case: case["id"])
def test_maps_as_decided(case: Case, outcomes: dict[str, Outcome], record_property: Any) -> None:
    record_property("conformance-topic", case["topic"])
    outcome = outcomes[case["id"]]
    assert as_doubles(
        {
            "entities": [json.loads(target.body) for target in outcome.targets],
            "filtered_out": outcome.filtered_out,
            "dropped": outcome.dropped,
            "errors": outcome.errors,
            "resource_failed": outcome.resource_failed,
        }
    ) == as_doubles(case["expect"])


@pytest.mark.parametrize("case", [case for case in CASES if case["topic"] == REJECTED], ids=lambda case: case["id"])
def test_refuses_the_configuration(case: Case, record_property: Any) -> None:
    record_property("conformance-topic", case["topic"])
    with pytest.raises(MappingError) as refusal:
        parse_mapping({"resources": [case["mapping"]]})
    assert all(fault.path[:2] == ("resources", 0) for fault in refusal.value.faults)
