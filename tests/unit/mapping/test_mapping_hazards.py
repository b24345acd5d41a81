"""Every known hazard of jq, thrown at real workers: nothing leaks, nobody dies but the worker, the culprit is named."""

import asyncio
import json
import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.mapping.mapping_samples import make_document, make_resource, make_source, make_sources, values

from stageport.mapping.document import MappingDocument
from stageport.mapping.workers import Limits, WorkerPool
from stageport.model.entities import MappedSource, SourceEntity
from stageport.model.events import Event, Noticed, WorkerReplaced

QUICK = Limits(cpu_seconds=0.2)
"""A tenth of a second of CPU for each expression alone: plenty, for one that ends."""
SECRET = "s3cr3t-of-the-service"

ENDLESS = "def f: f; f"


async def map_sources(
    document: MappingDocument,
    sources: Sequence[SourceEntity],
    *,
    limits: Limits = QUICK,
    told: list[Event] | None = None,
) -> Sequence[MappedSource]:
    async with WorkerPool(
        document, workers=1, limits=limits, listener=(told if told is not None else []).append
    ) as pool:
        return await pool.map_page("component", sources)


def replaced(told: Sequence[Event]) -> list[str]:
    """Return why workers were replaced."""
    return [event.cause for event in told if isinstance(event, WorkerReplaced)]


def notices(told: Sequence[Event]) -> list[Noticed]:
    return [event for event in told if isinstance(event, Noticed)]


async def evaluate(expression: str, *, source: SourceEntity | None = None) -> tuple[Any, str]:
    """Return the value of one expression beside a harmless one, and the problem it made."""
    (mapped,) = await map_sources(make_document(x=expression, ok=".kind"), [source or make_source()])
    found = values(mapped)
    assert found["ok"] == "Component"
    (problem,) = [problem.message for problem in mapped.problems if problem.field == "properties.x"] or [""]
    return found["x"], problem


async def evaluate_all(expressions: Sequence[str], *, sources: int = 1) -> list[tuple[Any, str]]:
    """Return the value and the problem of each expression, all in one program, for the last of some sources."""
    document = make_document(**{f"p{number}": text for number, text in enumerate(expressions)}, ok=".kind")
    mapped = (await map_sources(document, make_sources(sources), limits=Limits()))[-1]
    found = values(mapped)
    assert found["ok"] == "Component"
    problems = {problem.field: problem.message for problem in mapped.problems}
    return [(found[f"p{number}"], problems.get(f"properties.p{number}", "")) for number in range(len(expressions))]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put a secret where expressions might look for one."""
    (tmp_path / ".jq").write_text(f'def leak: "{SECRET}";')
    (tmp_path / "d.json").write_text(json.dumps(SECRET))
    (tmp_path / "m.jq").write_text(f'def leak: "{SECRET}";')
    monkeypatch.setenv("STAGEPORT_SECRET", SECRET)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_env_is_empty(environment: Path) -> None:
    found = await evaluate_all(["env", "$ENV", "env.STAGEPORT_SECRET", "$ENV.STAGEPORT_SECRET", "env | tojson"])
    assert [value for value, _ in found] == [{}, {}, None, None, "{}"]


async def test_the_users_jq_file_is_not_loaded(environment: Path) -> None:
    value, problem = await evaluate("leak")
    assert value is None
    assert "leak/0 is not defined" in problem


async def test_import_is_refused(environment: Path) -> None:
    texts = ['import "m" as m; m::leak', 'import "d" as $d; $d', 'import "m" as m {search: "./"}; m::leak']
    texts += [text.replace("./", f"{environment}/") for text in (*texts, 'import "d" as $d {search: "./"}; $d')]
    for value, problem in await evaluate_all(texts):
        assert value is None
        assert "unexpected import" in problem


async def test_include_is_refused(environment: Path) -> None:
    for value, problem in await evaluate_all(['include "m"; leak', f'include "m" {{search: "{environment}/"}}; leak']):
        assert value is None
        assert "unexpected include" in problem


async def test_what_tells_of_files_tells_nothing(environment: Path) -> None:
    texts = ['"m" | modulemeta', "get_search_list", "input_filename", "$__prog_args", "input_line_number"]
    assert [value for value, _ in await evaluate_all(texts)] == [None, [], None, None, None]


async def test_input_sees_no_other_source() -> None:
    texts = ["input", "[inputs]", "first(inputs)", "input?", "[., input]?", "try input catch ."]
    assert [value for value, _ in await evaluate_all(texts, sources=3)] == [None, [], None, None, None, "break"]


async def test_halt_costs_only_its_field() -> None:
    texts = ["halt", "[1, halt]", "halt?", "1, halt"]
    assert [value for value, _ in await evaluate_all(texts, sources=3)] == [None, None, None, 1]


async def test_halt_error_costs_only_its_field() -> None:
    texts = ["halt_error", "halt_error(3)", '"bye" | halt_error', "1, halt_error"]
    assert [value for value, _ in await evaluate_all(texts, sources=3)] == [None, None, None, 1]


async def test_printing_disturbs_nobody() -> None:
    texts = ["debug | .kind", "debug(1) | .kind", "stderr | .kind", "debug | stderr | .kind"]
    assert await evaluate_all(texts) == [("Component", "")] * 4


@pytest.mark.parametrize("expression", [ENDLESS, "last(range(1e12))", "until(false; .)", "[limit(1; repeat(empty))]"])
async def test_endless_loops_are_stopped(expression: str) -> None:
    value, problem = await evaluate(expression)
    assert value is None
    assert "CPU time" in problem


@pytest.mark.parametrize("expression", ['reduce range(40) as $i ("x"; . + .) | length', "[range(1e9)] | length"])
async def test_memory_bombs_are_stopped(expression: str) -> None:
    value, problem = await evaluate(expression)
    assert value is None
    assert "memory" in problem or "CPU time" in problem or "too large" in problem


async def test_deep_recursion_is_stopped() -> None:
    value, problem = await evaluate("def f: 1 + f; f")
    assert value is None
    assert problem


async def test_a_value_nested_so_deep_that_jq_crashes_costs_its_field() -> None:
    document = make_document(x="reduce range(200000) as $i (null; [.])", ok=".kind")
    (mapped,) = await map_sources(document, [make_source()], limits=Limits())
    assert values(mapped) == {"x": None, "ok": "Component"}
    assert "stack" in mapped.problems[0].message


async def test_the_other_crash_of_jq_costs_its_field() -> None:
    document = make_document(x="[] | .[5e8] = 1", ok=".kind")
    (mapped,) = await map_sources(document, [make_source()], limits=Limits())
    assert values(mapped) == {"x": None, "ok": "Component"}
    assert "memory" in mapped.problems[0].message


async def test_text_nested_too_deep_costs_its_field() -> None:
    value, problem = await evaluate('"[" * 100000 | fromjson')
    assert value is None
    assert "depth" in problem


async def test_a_value_nested_too_deep_to_encode_costs_its_field() -> None:
    value, problem = await evaluate("reduce range(9000) as $i (null; [.])")
    assert value is None
    assert "nested too deeply" in problem


async def test_catastrophic_regexes_end() -> None:
    regexes = ['test("^(a+)+$")', 'test("(x+x+)+y")', 'gsub("(a|aa)+$"; "") | length']
    for value, problem in await evaluate_all([f'("a" * 40) + ("x" * 40) + "!" | {regex}' for regex in regexes]):
        assert value in (None, False, 81)
        assert not problem or "retry-limit" in problem


async def test_what_would_break_out_of_its_slot_does_not_compile() -> None:
    texts = ["1) , (2", "1] , [2", "1)) , null), first((2", "1} catch 2", "def f: 1;", "", "  ", "# only", "# \\"]
    for value, problem in await evaluate_all(texts):
        assert value is None
        assert problem.startswith("does not compile")


async def test_comments_end_with_their_expression() -> None:
    texts = [".kind # c \\", ".kind # c \\\\", "# a \\\n b\n.kind", ".kind #", ".kind # \\\n2)", ".kind #)"]
    assert await evaluate_all(texts) == [("Component", "")] * len(texts)


async def test_nul_does_not_cut_an_expression() -> None:
    for value, problem in await evaluate_all([".kind\0garbage (", "\0.kind", '"a\0b"', ".kind\0"]):
        assert value is None
        assert "NUL" in problem


async def test_forged_errors_stay_in_their_slot() -> None:
    texts = ["error({__jq: 0})", "error(null)", "label $x | error", "break", "$__selected", "__lead"]
    assert [value for value, _ in await evaluate_all(texts)] == [None] * len(texts)


async def test_no_value_passes_for_an_error() -> None:
    source = make_source(0, forged={"\x01error": "x", "\x01error-0000000000000000": "y"})
    assert (await evaluate(".spec.forged", source=source))[0] == {
        "\x01error": "x",
        "\x01error-0000000000000000": "y",
    }


async def test_an_expression_that_the_compiler_cannot_finish_is_given_up() -> None:
    value, problem = await evaluate('"' + "\\(1)" * 10_000 + '"')
    assert value is None
    assert "cannot be compiled" in problem


async def test_long_expressions_are_refused() -> None:
    _, problem = await evaluate("1" + " + 1" * 20_000)
    assert "bytes long" in problem


async def test_many_expressions_beyond_the_size_of_one_program_still_work() -> None:
    big = f"[{','.join('1' * 9000)}] | length"
    (mapped,) = await map_sources(make_document(**{f"p{n}": big for n in range(8)}), [make_source()])
    assert set(values(mapped).values()) == {9000}
    assert mapped.problems == ()


async def test_invalid_numbers_become_json() -> None:
    (mapped,) = await map_sources(make_document(a="nan", b="infinite", c="[nan]", d="1 / 0"), [make_source()])
    assert values(mapped) == {"a": None, "b": 1.7976931348623157e308, "c": [None], "d": None}


async def test_one_endless_expression_among_500_costs_one_field_within_ten_seconds() -> None:
    document = make_document(x=f"if .spec.n == 321 then ({ENDLESS}) else .spec.n end")
    started = time.monotonic()
    mapped = await map_sources(document, make_sources(500), limits=Limits())
    assert time.monotonic() - started < 10
    assert [values(source)["x"] for source in mapped] == [n if n != 321 else None for n in range(500)]
    (problem,) = [problem for source in mapped for problem in source.problems]
    assert (problem.resource, problem.field, problem.ref) == (0, "properties.x", "component:default/e321")


async def test_an_endless_selector_costs_its_source_entity() -> None:
    document = make_document(make_resource(query=f"if .spec.n == 1 then ({ENDLESS}) else true end"))
    mapped = await map_sources(document, make_sources(3))
    assert [(len(source.targets), source.errors) for source in mapped] == [(1, 0), (0, 1), (1, 0)]
    assert mapped[1].problems[0].field == "selector.query"


@pytest.mark.parametrize("field", ["identifier", "blueprint"])
async def test_an_endless_name_is_an_error_and_no_drop(field: str) -> None:
    document = make_document(make_resource(**{field: f"if .spec.n == 1 then ({ENDLESS}) else .kind end"}))
    mapped = await map_sources(document, make_sources(2))
    assert [(len(source.targets), source.dropped, source.errors) for source in mapped] == [(1, 0, 0), (0, 0, 1)]


async def test_an_endless_items_to_parse_is_an_error() -> None:
    document = make_document(make_resource(port={"itemsToParse": f"if .spec.n == 1 then ({ENDLESS}) else [1] end"}))
    mapped = await map_sources(document, make_sources(2))
    assert [(len(source.targets), source.errors) for source in mapped] == [(1, 0), (0, 1)]
    assert mapped[1].problems[0].field == "port.itemsToParse"


async def test_an_expression_is_set_aside_after_three_strikes_and_that_is_said() -> None:
    told: list[Event] = []
    document = make_document(x=ENDLESS, ok=".kind")
    mapped = await map_sources(document, make_sources(40), told=told)
    assert all(values(source) == {"x": None, "ok": "Component"} for source in mapped)
    messages = [source.problems[0].message for source in mapped if source.problems]
    assert sum("CPU time" in message and "set aside" not in message for message in messages) == 3
    assert replaced(told) == ["used more than 0.1 s of CPU time"] * 4  # once for all expressions, then for each strike
    (notice,) = notices(told)
    for part in ("properties.x of resource 0", "Component", "set aside", "component:default/e2", ENDLESS):
        assert part in notice.message


async def test_an_identifier_set_aside_protects_its_source_entities() -> None:
    mapped = await map_sources(make_document(make_resource(identifier=ENDLESS)), make_sources(6))
    assert [(source.dropped, source.errors) for source in mapped] == [(0, 1)] * 6


async def test_huge_values_cost_their_field_and_the_parent_nothing() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    document = make_document(x='"x" * 9000000', y='"y" * 6000000', ok=".kind")
    mapped = await map_sources(document, make_sources(40), limits=Limits())
    assert all(values(source)["ok"] == "Component" for source in mapped)
    assert sum(len(target.body) for source in mapped for target in source.targets) < 60 << 20
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 250 << 10, f"{grown} kB"


async def test_an_expression_that_gives_too_much_is_set_aside_in_the_middle_of_a_page() -> None:
    mapped = await map_sources(make_document(x='"x" * 9000000'), make_sources(100), limits=Limits())
    messages = [source.problems[0].message for source in mapped if source.problems]
    assert sum("9000002 bytes" in message for message in messages) == 3


async def test_an_expression_that_is_always_slow_is_set_aside() -> None:
    told: list[Event] = []
    document = make_document(slow="[range(100000)] | add", ok=".kind")
    limits = Limits(cpu_seconds=0.4, slow_seconds=0.3)
    mapped = await map_sources(document, make_sources(60), limits=limits, told=told)
    assert values(mapped[0]) == {"slow": 4999950000, "ok": "Component"}
    assert values(mapped[-1]) == {"slow": None, "ok": "Component"}
    assert replaced(told) == ["has to know of an expression that was set aside"]
    (notice,) = notices(told)
    assert "properties.slow of resource 0" in notice.message
    assert "too slow" in notice.message


CUBE = "[.spec.l[] as $a | .spec.l[] as $b | .spec.l[] as $c | select($a + $b == $c)] | length"
"""Translated, and bounded by nothing but the size of the source entity."""


async def test_a_translated_expression_that_takes_too_long_is_stopped_and_named() -> None:
    told: list[Event] = []
    sources = [make_source(0, l=[]), make_source(1, l=list(range(1000))), make_source(2, l=[1, 2])]
    mapped = await map_sources(make_document(x=CUBE, ok=".kind"), sources, told=told)
    assert [values(source) for source in mapped] == [
        {"x": 0, "ok": "Component"},
        {"x": None, "ok": "Component"},
        {"x": 1, "ok": "Component"},
    ]
    assert [problem.field for problem in mapped[1].problems] == ["properties.x"]
    assert set(replaced(told)) == {"used more than 0.1 s of CPU time"}


async def test_a_translated_expression_that_always_takes_too_long_is_set_aside() -> None:
    told: list[Event] = []
    sources = [make_source(number, l=list(range(1000))) for number in range(6)]
    mapped = await map_sources(make_document(x=CUBE, ok=".kind"), sources, told=told)
    assert all(values(source) == {"x": None, "ok": "Component"} for source in mapped)
    (notice,) = notices(told)
    assert "properties.x of resource 0" in notice.message


async def test_translated_expressions_that_fill_the_memory_are_stopped() -> None:
    doubled = ".spec.s" + ' | [., .] | join("")' * 28
    (mapped,) = await map_sources(
        make_document(x=doubled, ok=".kind"), [make_source(0, s="x" * 1000)], limits=Limits(memory_bytes=200 << 20)
    )
    assert values(mapped) == {"x": None, "ok": "Component"}


async def test_too_many_items_are_an_error() -> None:
    document = make_document(make_resource(port={"itemsToParse": "[range(30000)]"}))
    (mapped,) = await map_sources(document, [make_source()], limits=Limits())
    assert (mapped.targets, mapped.errors) == ((), 1)
    assert mapped.problems[-1].field == "port.itemsToParse"


async def test_identical_problems_are_told_a_few_times_and_counted() -> None:
    document = make_document(x='error("always")')
    async with WorkerPool(document, workers=2, limits=Limits(told_problems=8)) as pool:
        mapped = await pool.map_page("component", make_sources(1000))
        assert pool.problems == {(0, "properties.x"): 1000}
    assert sum(len(source.problems) for source in mapped) == 8


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_a_worker_holds_nothing_it_could_misuse() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        async with WorkerPool(make_document(), workers=1) as pool:
            await pool.map_page("component", [make_source()])
            (pid,) = pool.worker_pids
            seen = Path(f"/proc/{pid}")
            environ = (seen / "environ").read_bytes().split(b"\0")
            limits = (seen / "limits").read_text()
            targets = {name.name: str(name.readlink()) for name in (seen / "fd").iterdir()}
    finally:
        os.close(descriptor)
    assert sorted(entry for entry in environ if entry) == [b"HOME=/nonexistent", b"TZ=UTC"]
    assert set(targets) <= {"0", "1", "2", "3"}
    assert [target for target in targets.values() if not target.startswith("pipe:")] == ["/dev/null"] * 2
    for name, value in (("Max core file size", "0"), ("Max file size", "0"), ("Max open files", "4")):
        (line,) = [line for line in limits.splitlines() if line.startswith(name)]
        assert line.removeprefix(name).split()[:2] == [value, value]


async def test_a_killed_worker_is_replaced_without_a_trace() -> None:
    async with WorkerPool(make_document(x=".spec.n"), workers=1, limits=QUICK) as pool:
        await pool.map_page("component", [make_source()])
        os.kill(pool.worker_pids[0], 9)
        mapped = await pool.map_page("component", make_sources(5))
    assert [values(source)["x"] for source in mapped] == [0, 1, 2, 3, 4]
    assert all(source.problems == () for source in mapped)


async def test_a_silent_worker_is_killed_and_replaced() -> None:
    # A CPU limit that is never reached leaves the watch over the wall clock.
    limits = Limits(cpu_seconds=1000, stall_seconds=0.5)
    document = make_document(x=f"if .spec.n == 1 then ({ENDLESS}) else 1 end")
    mapped = await map_sources(document, make_sources(3), limits=limits)
    assert [values(source)["x"] for source in mapped] == [1, None, 1]
    assert "said nothing" in mapped[1].problems[0].message


async def test_pages_go_on_while_another_page_kills_workers() -> None:
    document = make_document(
        make_resource(kind="bad", properties={"x": ENDLESS}), make_resource(kind="good", properties={"x": ".spec.n"})
    )
    async with WorkerPool(document, workers=2, limits=QUICK) as pool:
        bad, *good = await asyncio.gather(
            pool.map_page("bad", make_sources(300)), *(pool.map_page("good", make_sources(300)) for _ in range(4))
        )
    assert all(values(source)["x"] is None for source in bad)
    assert all([values(source)["x"] for source in page] == list(range(300)) for page in good)
