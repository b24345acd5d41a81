"""The worker pool from outside: what comes back, in which order, and what it says of failures."""

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.mapping.mapping_samples import bodies, make_document, make_resource, make_source, make_sources, values

from stageport.mapping.batches import UnnamedSourceError, map_batches, read_source, split_array
from stageport.mapping.chunks import Chunk, ChunkQueue, split_page
from stageport.mapping.document import MappingDocument, parse_mapping
from stageport.mapping.loading import load_mapping
from stageport.mapping.worker_process import WorkerProcess
from stageport.mapping.workers import Limits, WorkerPool
from stageport.model.entities import MappedSource, SourceEntity
from stageport.model.events import Noticed
from stageport.model.refs import SourceRef, TargetKey


async def map_sources(document: MappingDocument, *sources: SourceEntity, kind: str = "component") -> list[MappedSource]:
    async with WorkerPool(document, workers=1) as pool:
        return list(await pool.map_page(kind, sources))


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    document = make_document(
        make_resource(kind="component", properties={"n": ".spec.n"}),
        make_resource(kind="API"),
        make_resource(kind="Component", blueprint='"second"'),
    )
    async with WorkerPool(document, workers=2, limits=Limits(chunk_sources=10)) as running:
        yield running


async def test_answers_come_in_the_order_of_the_sources(pool: WorkerPool) -> None:
    sources = make_sources(105)
    mapped = await pool.map_page("component", sources)
    assert [source.ref for source in mapped] == [source.ref for source in sources]
    assert [bodies(source)[0]["properties"]["n"] for source in mapped] == list(range(105))


async def test_every_resource_of_the_kind_maps_a_source_whatever_its_case(pool: WorkerPool) -> None:
    (mapped,) = await pool.map_page("COMPONENT", [make_source(1)])
    assert [target.key for target in mapped.targets] == [TargetKey("service", "e1"), TargetKey("second", "e1")]


async def test_resources_can_be_chosen(pool: WorkerPool) -> None:
    (mapped,) = await pool.map_page("component", [make_source(1)], resources=[2, 1])
    assert [target.blueprint for target in mapped.targets] == ["second", "service"]


async def test_a_kind_that_nobody_maps_gives_nothing(pool: WorkerPool) -> None:
    assert await pool.map_page("user", [make_source(1)]) == [MappedSource(make_source(1).ref)]
    assert await pool.map_page("component", []) == []


async def test_pages_are_mapped_at_the_same_time(pool: WorkerPool) -> None:
    pages = await asyncio.gather(*(pool.map_page("component", make_sources(30)) for _ in range(8)))
    assert all(len(page) == 30 for page in pages)


async def test_a_cancelled_page_leaves_the_pool_working(pool: WorkerPool) -> None:
    page = asyncio.create_task(pool.map_page("component", make_sources(300)))
    await asyncio.sleep(0.01)
    page.cancel()
    with pytest.raises(asyncio.CancelledError):
        await page
    assert len(await pool.map_page("component", make_sources(20))) == 20


async def test_a_closed_pool_maps_no_more() -> None:
    pool = WorkerPool(make_document(), workers=1)
    async with pool:
        pass
    assert pool.worker_pids == []
    with pytest.raises(RuntimeError, match="not running"):
        await pool.map_page("component", [make_source()])


@pytest.mark.skipif(sys.platform != "linux", reason="children are counted in /proc")
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("again", [None, 1, 3])
async def test_a_start_that_is_cancelled_leaves_no_process(
    turns: int, again: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.get_running_loop().set_debug(True)
    starting = asyncio.create_task(WorkerProcess.start(Limits()))
    await take_turns(turns)
    starting.cancel()
    if again is not None:
        await take_turns(again)
        starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert children() == []
    assert "running child process" not in caplog.text, "asyncio gave it up"


@pytest.mark.skipif(sys.platform != "linux", reason="children are counted in /proc")
@pytest.mark.parametrize("turns", [1, 2, 3, 5])
@pytest.mark.parametrize("again", [None, 1, 3])
async def test_a_pool_whose_end_is_cancelled_leaves_no_process(turns: int, again: int | None) -> None:
    pool = await WorkerPool(make_document(), workers=2, limits=Limits(chunk_sources=10)).__aenter__()
    await pool.map_page("component", make_sources(40))
    assert len(children()) == 2
    closing = asyncio.create_task(pool.close())
    await take_turns(turns)
    closing.cancel()
    if again is not None:
        await take_turns(again)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert children() == []


async def take_turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def children() -> list[str]:
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()


async def test_closing_abandons_what_is_being_mapped() -> None:
    async with WorkerPool(make_document(x="last(range(1e12))"), workers=1) as pool:
        page = asyncio.create_task(pool.map_page("component", [make_source()]))
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await page


async def test_the_body_holds_what_is_mapped_and_nothing_else() -> None:
    plain, full = (
        await map_sources(make_document(make_resource()), make_source(1)),
        await map_sources(
            make_document(
                make_resource(title=".nope", icon=None, team="[]", properties={}, relations={"r": ".spec.n"})
            ),
            make_source(1),
        ),
    )
    assert bodies(plain[0]) == [{"identifier": "e1", "blueprint": "service"}]
    assert bodies(full[0]) == [
        {
            "identifier": "e1",
            "icon": None,
            "title": None,
            "team": [],
            "blueprint": "service",
            "properties": {},
            "relations": {"r": 1},
        }
    ]


@pytest.mark.parametrize(
    ("selector", "outcome"),
    [("true", (1, 0, 0)), ("false", (0, 1, 0)), ("null", (0, 0, 1)), ("empty", (0, 0, 1)), ("1", (0, 0, 1))],
)
async def test_the_selector_decides(selector: str, outcome: tuple[int, int, int]) -> None:
    (mapped,) = await map_sources(make_document(make_resource(query=selector)), make_source())
    assert (len(mapped.targets), mapped.filtered_out, mapped.errors) == outcome
    assert [problem.field for problem in mapped.problems] == ["selector.query"] * mapped.errors


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [("3", "3"), ("12345678901234567890", "12345678901234567890"), ("1.50", "1.50"), ("-7", "-7"), ('"0"', "0")],
)
async def test_a_number_for_identifier_becomes_its_text(identifier: str, expected: str) -> None:
    (mapped,) = await map_sources(make_document(make_resource(identifier=identifier)), make_source())
    assert mapped.targets[0].identifier == expected
    assert bodies(mapped)[0]["identifier"] == expected


@pytest.mark.parametrize("nothing", ["null", '""', "0", "0.0", "false", "empty", "[]", "{}", "nan", 'error("x")', "("])
async def test_an_entity_without_a_name_is_dropped(nothing: str) -> None:
    (mapped,) = await map_sources(make_document(make_resource(identifier=nothing)), make_source())
    assert (mapped.targets, mapped.dropped, mapped.errors) == ((), 1, 0)
    (mapped,) = await map_sources(make_document(make_resource(blueprint=nothing)), make_source())
    assert (mapped.targets, mapped.dropped, mapped.errors) == ((), 1, 0)


async def test_names_that_are_no_text_are_passed_on_without_a_key() -> None:
    resources = [make_resource(identifier=text) for text in ('["a"]', "true", '{"combinator": "and", "rules": []}')]
    (mapped,) = await map_sources(make_document(*resources, make_resource(blueprint="5")), make_source())
    assert [target.key for target in mapped.targets[:3]] == [None, None, None]
    assert [body["identifier"] for body in bodies(mapped)[:3]] == [["a"], True, {"combinator": "and", "rules": []}]
    assert (mapped.targets[3].blueprint, bodies(mapped)[3]["blueprint"]) == ("5", 5)


async def test_text_fields_take_scalars_and_refuse_the_rest() -> None:
    resource = make_resource(title=".spec.n", icon="true", team="3")
    wrong = make_resource(title="{}", icon="[1]", team="[1]")
    (mapped,) = await map_sources(make_document(resource, wrong), make_source(12))
    first, second = bodies(mapped)
    assert (first["title"], first["icon"], first["team"]) == ("12", "true", "3")
    assert (second["title"], second["icon"], second["team"]) == (None, None, [1])
    assert {problem.field for problem in mapped.problems} == {"title", "icon"}


async def test_every_leaf_of_a_search_query_is_an_expression() -> None:
    rule = {"property": "'$title'", "operator": '"="', "value": ".spec.n"}
    query = {"combinator": '"and"', "rules": [rule, {"combinator": "nonsense", "rules": []}]}
    (mapped,) = await map_sources(
        make_document(make_resource(identifier=query, relations={"r": query})), make_source(7)
    )
    expected = {
        "combinator": "and",
        "rules": [{"property": "$title", "operator": "=", "value": 7}, {"combinator": None, "rules": []}],
    }
    (body,) = bodies(mapped)
    assert (body["identifier"], body["relations"]["r"]) == (expected, expected)
    assert mapped.targets[0].identifier is None
    assert {problem.field for problem in mapped.problems} == {
        "identifier.rules[1].combinator",
        "relations.r.rules[1].combinator",
    }


async def test_items_see_the_entity_and_themselves() -> None:
    resource = make_resource(
        identifier='.metadata.name + "-" + .x.id',
        properties={"list": ".spec.list", "n": ".spec.n", "big": ".x.big | tojson"},
        port={"itemsToParse": ".spec.list", "itemsToParseName": "x"},
    )
    kept = {**resource, "port": {**resource["port"], "itemsToParseTopLevelTransform": False}}
    items = [{"id": "a", "big": 12345678901234567890}, {"id": "b"}]
    (mapped,) = await map_sources(make_document(resource, kept), make_source(1, list=items))
    assert [body["identifier"] for body in bodies(mapped)] == ["e1-a", "e1-b", "e1-a", "e1-b"]
    assert [body["properties"]["list"] is None for body in bodies(mapped)] == [True, True, False, False]
    # Items pass through doubles, as in Port's own integration.
    assert bodies(mapped)[0]["properties"]["big"] == "12345678901234567168"


@pytest.mark.parametrize("items", [".spec.nope", ".spec", "nope", ".spec.n.x", "empty", ".metadata.name"])
async def test_a_source_without_the_array_is_passed_and_that_is_told(items: str) -> None:
    (mapped,) = await map_sources(make_document(make_resource(port={"itemsToParse": items})), make_source())
    assert (mapped.targets, mapped.dropped, mapped.filtered_out, mapped.errors) == ((), 0, 0, 0)
    assert [problem.field for problem in mapped.problems] == ["port.itemsToParse"]


async def test_orphans_and_broken_sources_are_skipped_where_asked() -> None:
    def source(number: int, annotations: Any, status: Any) -> SourceEntity:
        entity = json.loads(make_source(number).raw)
        entity["metadata"]["annotations"], entity["status"] = annotations, status
        return SourceEntity(make_source(number).ref, json.dumps(entity).encode())

    sources = [
        source(0, {}, {"items": [{"level": "warning"}]}),
        source(1, {"backstage.io/orphan": "true"}, {}),
        source(2, None, {"items": [{"level": "info"}, {"level": "error"}]}),
        source(3, "odd", "odd"),
    ]
    both = {"query": "true", "orphans": "skip", "broken": "skip"}
    items = {"itemsToParse": "[1, 2]"}
    document = make_document(make_resource(), make_resource(query=both), make_resource(query=both, port=items))
    mapped = await map_sources(document, *sources)
    assert [(len(source.targets), source.filtered_out) for source in mapped] == [(4, 0), (1, 2), (1, 2), (4, 0)]


async def test_loc_tells_the_line_in_the_expression() -> None:
    (mapped,) = await map_sources(make_document(a=".kind", b="$__loc__", c=".kind\n| $__loc__.line"), make_source())
    assert values(mapped) == {"a": "Component", "b": {"file": "<top-level>", "line": 1}, "c": 2}


async def test_a_source_that_is_no_object_is_an_error() -> None:
    odd = [SourceEntity(SourceRef(f"component:default/{n}"), raw) for n, raw in enumerate((b"[]", b'"x"', b"{"))]
    mapped = await map_sources(make_document(), *odd)
    assert [(source.targets, source.errors) for source in mapped] == [((), 1)] * 3


async def test_expressions_that_do_not_compile_are_known_from_the_start() -> None:
    document = make_document(make_resource(query="nope", properties={"a": ".a\n  | bar", "b": ".kind"}))
    async with WorkerPool(document, workers=1) as pool:
        faults = [(fault.slot.field, fault.error.line, fault.error.column) for fault in pool.faults]
    assert faults == [("selector.query", 1, 1), ("properties.a", 2, 5)]


async def test_messages_name_the_place_in_the_file() -> None:
    text = (
        "resources:\n- kind: component\n  selector: {query: 'true'}\n  port:\n    entity:\n      mappings:\n"
        "        identifier: .metadata.name\n        blueprint: '\"a\"'\n"
        "        properties:\n          x: 'def f: f; f'\n"
    )
    loaded = load_mapping(text, name="mapping.yaml")
    told: list[Any] = []
    limits = Limits(cpu_seconds=0.2, strikes=1)
    async with WorkerPool(loaded.document, workers=1, limits=limits, listener=told.append, where=loaded.where) as pool:
        await pool.map_page("component", [make_source()])
    (notice,) = [event for event in told if isinstance(event, Noticed)]
    assert "mapping.yaml:10:14" in notice.message


async def test_a_trace_tells_what_every_expression_gave() -> None:
    resource = make_resource(query="false", properties={"a": ".spec.n", "b": ".kind.x", "c": "empty"})
    items = make_resource(port={"itemsToParse": "[7, 8]"}, properties={"i": ".item"})
    async with WorkerPool(make_document(resource, items), workers=1) as pool:
        trace = await pool.trace("component", make_source(5))
    assert (trace.mapped.filtered_out, len(trace.mapped.targets)) == (1, 2)
    found = {(value.resource, value.item, value.slot.field): (value.value, value.error) for value in trace.values}
    assert found[0, 0, "selector.query"] == (b"false", "")
    assert found[0, 0, "properties.a"] == (b"5", "")
    assert found[0, 0, "properties.c"] == (b"null", "")
    value, error = found[0, 0, "properties.b"]
    assert value is None
    assert "Cannot index string" in error
    assert found[1, -1, "port.itemsToParse"] == (b"[7,8]", "")
    assert [found[1, item, "properties.i"] for item in (0, 1)] == [(b"7", ""), (b"8", "")]


async def test_a_trace_survives_a_fatal_expression() -> None:
    document = make_document(a=".kind", x="def f: f; f", z=".spec.n")
    async with WorkerPool(document, workers=1, limits=Limits(cpu_seconds=0.2)) as pool:
        trace = await pool.trace("component", make_source(5))
    found = {value.slot.field: (value.value, value.error) for value in trace.values}
    assert found["properties.a"] == (b'"Component"', "")
    assert found["properties.z"] == (b"5", "")
    assert "CPU time" in found["properties.x"][1]


def test_a_page_is_cut_by_count_and_by_size() -> None:
    limits = Limits(chunk_sources=3, chunk_bytes=100)
    sources = [SourceEntity(SourceRef(str(size)), b"x" * size) for size in (10, 10, 10, 10, 60, 60, 500, 10)]
    assert [[len(source.raw) for source in part] for part in split_page(sources, limits)] == [
        [10, 10, 10],
        [10, 60],
        [60],
        [500],
        [10],
    ]
    assert list(split_page([], limits)) == []


async def test_pages_take_turns() -> None:
    def page(name: str, count: int) -> list[Chunk]:
        future = asyncio.get_running_loop().create_future
        return [Chunk((0,), [SourceEntity(SourceRef(f"{name}{n}"), b"")], future()) for n in range(count)]

    queue = ChunkQueue()
    for chunks in (page("a", 3), page("b", 1), page("c", 2)):
        queue.put_page(chunks)
    taken = [(await queue.get()).sources[0].ref for _ in range(6)]
    assert taken == ["a0", "b0", "c0", "a1", "c1", "a2"]


async def test_batches_lose_the_page_of_a_source_without_a_name() -> None:
    documents = [source.raw for source in make_sources(45)]
    documents[30] = b'{"kind": "Component", "metadata": {}}'
    async with WorkerPool(make_document(), workers=1) as pool:
        outcome = await map_batches(pool, documents, resource=0)
    assert outcome.resource_failed
    assert [target.identifier for target in outcome.targets] == [f"e{n}" for n in range(20)]


@pytest.mark.parametrize("raw", [b"[]", b"{}", b'{"kind": "a"}', b'{"kind": "a", "metadata": null}'])
def test_a_source_needs_kind_and_name(raw: bytes) -> None:
    with pytest.raises(UnnamedSourceError):
        read_source(raw)


def test_sources_of_an_array_keep_their_bytes() -> None:
    raw = b'{"kind":"A","metadata":{"name":"N","namespace":"","uid":"u","etag":"e"}, "x": 1.50}'
    (part,) = split_array(b"[ " + raw + b" ]")
    assert read_source(part) == SourceEntity(SourceRef("a:default/n"), raw, uid="u", etag="e")


async def test_a_document_without_resources_needs_no_expressions() -> None:
    assert await map_sources(parse_mapping({"resources": []}), make_source()) == [MappedSource(make_source().ref)]
