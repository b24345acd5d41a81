"""The benchmark's own reckoning: medians, ratios, the guard, the picture. What it measures is not tested here."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import msgspec
import pytest
from bench import regression
from bench.machine import kernel_version
from bench.picture import draw
from bench.report import goals_of, limit_lines, page_of, pair_lines, text_of
from bench.results import Footprint, Machine, Results, Run, Side, merge, read_results, schema, write_results
from bench.scenarios import BY_NAME, PLAIN, SCENARIOS, Change
from bench.standins import UNLIMITED, Limit, ask
from bench.truth import Verdict, compare
from bench.world import Setting, open_world

SIDE = Side(requests=10, sent=1_000, received=9_000, connections=2, statuses={"200": 10}, routes={"GET /x": 10})
RIGHT = Verdict(mapped=1_000, missing=0, extra=0, wrong=0, stubs=0)


def a_run(scenario: str = "first", **changed: object) -> Run:
    run = Run(
        tool="stageport",
        scenario=scenario,
        entities=1_020,
        latency_ms=0,
        limit=str(UNLIMITED),
        repeat=0,
        exit=0,
        wall=2.0,
        cpu=1.0,
        user=0.9,
        system=0.1,
        sampled_cpu=0.95,
        sampled_parent=0.5,
        peak_pss=100_000_000,
        processes=3,
        first_request=0.5,
        yardstick=0.00001,
        backstage=SIDE,
        port=SIDE,
        verdict=RIGHT,
    )
    return msgspec.structs.replace(run, **changed)


def some_results(*runs: Run) -> Results:
    machine = Machine(
        cpu="a <fast> CPU", cpus=2, memory=1 << 34, system="Linux", load=0.1, python="CPython 3.11", versions={}
    )
    footprint = Footprint(packages=20, bytes=1, help_cpu=0.1, help_wall=0.1, first_request=0.5)
    return Results(
        measured="2026-01-01T00:00:00+00:00",
        machine=machine,
        workers=2,
        footprint=footprint,
        floors={"stageport first": 0.4},
        runs=list(runs),
    )


def test_repeats_come_to_medians() -> None:
    (one,) = some_results(a_run(cpu=1.0), a_run(cpu=9.0), a_run(cpu=2.0)).summaries()
    assert one.cpu == 2.0
    assert one.cpu_per_entity == pytest.approx(0.002)
    assert one.ratio == pytest.approx(200)
    assert one.net_per_entity == pytest.approx(0.0016)
    assert one.repeats == 3


def test_one_wrong_run_makes_the_whole_cell_wrong() -> None:
    bad = msgspec.structs.replace(RIGHT, wrong=1)
    results = some_results(a_run(), a_run(verdict=bad), a_run())
    assert not results.summaries()[0].right
    assert next(goal for goal in goals_of(results) if "wrong content" in goal.words).value == 1


def test_cells_are_kept_apart() -> None:
    runs = [a_run(), a_run(latency_ms=50), a_run(entities=5), a_run(limit="1/1"), a_run(tool="ocean")]
    assert len(some_results(*runs).summaries()) == 5


def test_results_come_back_from_their_file_and_obey_the_schema(tmp_path: Path) -> None:
    results = some_results(a_run(), a_run("verify"))
    write_results(results, tmp_path / "new" / "r.json")
    assert read_results(tmp_path / "new" / "r.json") == results
    jsonschema.validate(msgspec.json.decode(msgspec.json.encode(results)), msgspec.json.decode(schema()))


def test_the_schema_in_the_repository_is_the_present_one() -> None:
    assert Path(regression.__file__).with_name("results.schema.json").read_bytes() == schema()


def measured(*runs: Run, start: float = 0.0) -> regression.Measured:
    return regression.Measured(runs, start)


def test_a_run_is_held_against_starting_and_parsing_at_their_quickest() -> None:
    runs = (a_run(cpu=1.0, yardstick=0.00003), a_run(cpu=2.0, yardstick=0.00001))
    assert measured(*runs, start=0.09).ratios == {"first": pytest.approx(1.0 / (0.09 + 0.01))}


def test_parts_are_put_together_if_they_are_of_one_machine() -> None:
    one, other = some_results(a_run()), some_results(a_run("verify"))
    both = merge([one, other])
    assert [run.scenario for run in both.runs] == ["first", "verify"]
    assert "| stageport |" in page_of(both)
    elsewhere = msgspec.structs.replace(other, machine=msgspec.structs.replace(other.machine, cpu="another"))
    with pytest.raises(ValueError, match="different machines"):
        merge([one, elsewhere])


def test_a_ratio_over_a_quarter_worse_fails_and_less_does_not() -> None:
    slower = [a_run(cpu=1.26), a_run("verify", cpu=1.24)]
    first, verify = regression.findings_of(measured(*slower), {"first": 100.0, "verify": 100.0})
    assert first.fails
    assert not verify.fails
    assert first.change == pytest.approx(0.26)


def test_the_best_of_the_repeats_counts() -> None:
    (finding,) = regression.findings_of(measured(a_run(cpu=5.0), a_run(cpu=1.0)), {"first": 100.0})
    assert not finding.fails


def test_wrong_content_fails_however_quick_it_was() -> None:
    wrong = a_run(cpu=0.1, verdict=msgspec.structs.replace(RIGHT, missing=1))
    (finding,) = regression.findings_of(measured(wrong, a_run(cpu=0.1)), {"first": 100.0})
    assert finding.fails
    assert "WRONG" in finding.line


def test_a_scenario_without_a_reference_is_shown_and_fails_nothing() -> None:
    (finding,) = regression.findings_of(measured(a_run()), {})
    assert not finding.fails
    assert "no reference" in finding.line


def test_the_reference_in_the_repository_knows_every_watched_scenario() -> None:
    reference = regression.read_reference()
    assert reference.ratios.keys() == set(regression.WATCHED)
    assert reference.entities == regression.CELL.entities


def test_the_picture_is_well_formed_and_has_a_bar_for_each_figure() -> None:
    results = some_results(a_run(), a_run("verify"), a_run(latency_ms=50), a_run(tool="ocean", cpu=30.0))
    root = ET.fromstring(draw(results))
    bars = root.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 3 + 1 + 2
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any("Ocean" in (word or "") for word in words)


def test_the_report_names_pairs_and_limits() -> None:
    limited = a_run(limit=str(Limit(35_000, 300)), wall=0.5)
    results = some_results(a_run(), a_run(tool="ocean", cpu=30.0, wall=40.0), limited)
    assert "CPU 30.0 times" in "\n".join(pair_lines(results.summaries()))
    # 1,000 in half a second are 2,000 a second; 20 in each of 35,000 requests in 300 s are 2,333.
    assert "2,000 entities a second, 86% of the 2,333" in "\n".join(limit_lines(results))
    assert "| stageport |" in text_of(results)


def test_scenarios_start_over_before_all_else_and_edit_the_mapping_last() -> None:
    assert SCENARIOS[0].change is Change.START_OVER
    assert [one.name for one in SCENARIOS if one.change is Change.MAPPING] == [SCENARIOS[-1].name]
    assert BY_NAME.keys() >= PLAIN


SOURCE = (
    b'{"kind": "System", "metadata": {"name": "a", "namespace": "default"}, "spec": {},'
    b' "relations": [{"type": "partOf", "targetRef": "domain:default/d"}]}'
)
HELD = {
    "blueprint": "system",
    "identifier": "system:default/a",
    "title": "a",
    "properties": {"links": [], "tags": []},
    "relations": {"domain": "domain:default/d", "owningUser": None, "owningGroup": None},
}
STUB = {"blueprint": "domain", "identifier": "domain:default/d", "title": None, "properties": {}, "relations": {}}


def lines(*values: object) -> list[bytes]:
    return [msgspec.json.encode(value) for value in values]


def complete(held: dict[str, object]) -> dict[str, object]:
    return {**held, "relations": {**HELD["relations"], "owningUsers": [], "owningGroups": []}}


def test_the_verdict_tells_missing_extra_wrong_and_stubs() -> None:
    right = compare([SOURCE], lines(complete(HELD), STUB))
    assert (right.right, right.mapped, right.stubs) == (True, 1, 1)
    assert compare([SOURCE], []).missing == 1
    assert compare([], lines(STUB)).extra == 1
    assert compare([SOURCE], lines({**complete(HELD), "title": "b"})).wrong == 1
    assert compare([SOURCE], lines({**complete(HELD), "title": "a!"}), title=lambda name: name + "!").right


def test_starting_over_keeps_the_latency_of_both_sides() -> None:
    with open_world(Setting(entities=20, latency_ms=40, limit=UNLIMITED, workers=1, interval=1.0)) as world:
        world.start_over()
        for side in (world.backstage, world.port):
            (fault,) = json.loads(ask("GET", side.url + "/_sandbox/faults").read())["faults"]
            assert (fault["kind"], fault["delay_ms"]) == ("latency", 40)


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.18.44-somebody-v669", "6.18.44"),
        ("6.8.0-45-generic", "6.8.0"),
        ("5.15.167.4-vendor", "5.15.167.4"),
        ("x", "x"),
    ],
)
def test_a_kernel_is_named_without_whose_build_it_is(release: str, version: str) -> None:
    assert kernel_version(release) == version
