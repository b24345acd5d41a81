"""Where in an expression an error arose: found by running it cut short."""

import asyncio
import json

import pytest

from stageport.mapping.batches import read_source
from stageport.mapping.culprit import Span, cuts_of, find_culprits
from stageport.mapping.document import MappingDocument, parse_mapping
from stageport.mapping.workers import SlotTrace, WorkerPool

SOURCE = read_source(
    json.dumps({"kind": "Component", "metadata": {"name": "A", "tags": ["a", "b"]}, "spec": {"type": "x"}}).encode()
)

# expression, culprit
CASES = [
    (".metadata.links[].url", "[]"),
    (".kind | ascii_downcase | .x", ".x"),
    ('"x" + .kind + 1', "+ 1"),
    ('first(.relations[] | select(.type == "x"))', "[]"),
    ('.spec.owner | startswith("group:")', 'startswith("group:")'),
    ('if .kind == "Component" then (.spec.type | ltrimstr(1)) else 1 end', "ltrimstr(1)"),
    ('if .kind == "API" then 1 else .spec.type | .y end', ".y"),
    ("[.metadata.tags[] | {a: (. | tonumber)}]", "tonumber"),
    (".metadata.name as $n | $n | tonumber", "tonumber"),
    (".kind - 1", "- 1"),
    ('(.a[]? // "b") | .c', ".c"),
    ('error("no")', '"no"'),
    (".metadata.tags | map(.x)", "map(.x)"),
    (".metadata.tags[0][0]", "[0]"),
    (".spec\n  | .type\n  | .sub", ".sub"),
    (".kind == 'Component' | .x", ".x"),
]


@pytest.fixture(scope="module")
def found() -> dict[str, Span | None]:
    return asyncio.run(locate([expression for expression, _ in CASES]))


async def locate(expressions: list[str], *, items: str | None = None) -> dict[str, Span | None]:
    mappings = {"identifier": ".metadata.identifier", "blueprint": '"x"'}
    properties = {str(number): expression for number, expression in enumerate(expressions)}
    port = {
        "entity": {"mappings": {**mappings, "properties": properties}},
        **({"itemsToParse": items} if items else {}),
    }
    document = parse_mapping({"resources": [{"kind": "component", "selector": {"query": "true"}, "port": port}]})
    async with WorkerPool(document, workers=1) as pool:
        trace = await pool.trace("component", SOURCE)
    failed = [one for one in trace.values if one.error]
    spans = await find_culprits(document, SOURCE, failed)
    return {one.slot.expression: span for one, span in zip(failed, spans, strict=True)}


@pytest.mark.parametrize(("expression", "culprit"), CASES)
def test_the_part_that_failed_is_found(expression: str, culprit: str, found: dict[str, Span | None]) -> None:
    span = found[expression]
    assert span is not None
    assert expression[span.start : span.end] == culprit


async def test_an_item_is_what_its_expression_saw() -> None:
    found = await locate([".item | tonumber | .x"], items='["1", 2]')
    assert found == {".item | tonumber | .x": Span(19, 21)}


async def test_items_to_parse_itself() -> None:
    found = await locate([], items=".metadata.name | keys | .[0]")
    assert found == {".metadata.name | keys | .[0]": Span(17, 21)}


async def test_where_nothing_failed_there_is_no_culprit() -> None:
    assert await find_culprits(parse_mapping({"resources": []}), SOURCE, []) == ()


def test_cuts_close_what_is_open() -> None:
    assert [cut.text for cut in cuts_of("if .a then [.b] else 1 end")] == [
        "if .a then . else . end",
        "if .a then [.b] else . end",
        "if .a then [.b] else . end",
        "if .a then [.b] else 1 end",
        "if .a then [.b] else 1 end",
    ]
    assert [cut.text for cut in cuts_of(".a[]?.b")] == [".a", ".a[]?", ".a[]?.b"]


def test_long_expressions_are_not_cut() -> None:
    assert cuts_of("1 + " * 300 + "1") == ()
    assert cuts_of("") == ()


async def test_an_error_that_no_part_gives_has_no_place() -> None:
    document = _document(".kind")
    async with WorkerPool(document, workers=1) as pool:
        slot = next(slot for slot in pool.resources[0].slots if slot.field == "title")
    stopped = SlotTrace(0, 0, slot, None, "used more than 1 s of CPU time")
    assert await find_culprits(document, SOURCE, [stopped]) == (None,)


def _document(title: str) -> MappingDocument:
    mappings = {"identifier": ".metadata.identifier", "blueprint": '"x"', "title": title}
    port = {"entity": {"mappings": mappings}}
    return parse_mapping({"resources": [{"kind": "component", "selector": {"query": "true"}, "port": port}]})
