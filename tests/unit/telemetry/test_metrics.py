import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stageport.model.changes import Change, Operation, Refusal
from stageport.model.entities import FieldProblem
from stageport.model.events import (
    ChangeRefused,
    ChangesApplied,
    ChangesFound,
    Event,
    FieldFailed,
    LedgerMeasured,
    Noticed,
    PageMapped,
    PageRead,
    PassEnded,
    PassStarted,
    Waiting,
    WorkerReplaced,
)
from stageport.telemetry.metrics import CONTENT_TYPE, Metrics

NOON = 1_800_000_000.0
REFUSAL = Refusal(422, "blueprint_schema_mismatch", "no such property")


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    def epoch(self) -> float:
        return NOON + self.now - 1000


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def metrics(time: Time) -> Metrics:
    return Metrics(version="1.2.3", clock=time.clock, epoch=time.epoch)


def read(metrics: Metrics) -> dict[str, float]:
    """Return every sample, as ``name{label=value,...}``."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {series(sample.name, sample.labels): sample.value for family in families for sample in family.samples}


def series(name: str, labels: dict[str, str]) -> str:
    pairs = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}" if pairs else name


def ended(kind: str = "resync", state: str = "completed", **counts: int) -> PassEnded:
    return PassEnded(kind, state, 2.0, **{"written": 0, "refused": 0, "held": 0, **counts})


def change(operation: Operation) -> Change:
    return Change(operation, "component", "component:default/a")


def test_entities_read_are_counted_by_kind_whatever_its_case(metrics: Metrics) -> None:
    for event in (PageRead("Component", 500, 700), PageRead("component", 200, 700), PageRead("API", 3, 3)):
        metrics(event)
    found = read(metrics)
    assert found["stageport_source_entities_read_total{kind=component}"] == 700
    assert found["stageport_source_entities_read_total{kind=api}"] == 3


def test_changes_are_counted_by_operation_and_outcome(metrics: Metrics) -> None:
    metrics(ChangesApplied((change(Operation.CREATE), change(Operation.CREATE))))
    metrics(ChangeRefused(change(Operation.UPDATE), REFUSAL))
    found = {name: value for name, value in read(metrics).items() if name.startswith("stageport_changes_total")}
    assert found == {
        "stageport_changes_total{operation=create,outcome=written}": 2,
        "stageport_changes_total{operation=create,outcome=refused}": 0,
        "stageport_changes_total{operation=update,outcome=written}": 0,
        "stageport_changes_total{operation=update,outcome=refused}": 1,
        "stageport_changes_total{operation=delete,outcome=written}": 0,
        "stageport_changes_total{operation=delete,outcome=refused}": 0,
    }


def test_passes_are_counted_and_timed(metrics: Metrics) -> None:
    metrics(ended("delta"))
    metrics(ended("delta", "failed"))
    found = read(metrics)
    assert found["stageport_passes_total{pass=delta,state=completed}"] == 1
    assert found["stageport_passes_total{pass=delta,state=failed}"] == 1
    assert found["stageport_passes_total{pass=verify,state=aborted}"] == 0
    assert found["stageport_pass_duration_seconds_count{pass=delta}"] == 2
    assert found["stageport_pass_duration_seconds_sum{pass=delta}"] == 4
    assert found["stageport_pass_duration_seconds_bucket{le=1.0,pass=delta}"] == 0
    assert found["stageport_pass_duration_seconds_bucket{le=2.5,pass=delta}"] == 2


def test_a_delta_that_passes_over_what_was_refused_does_not_say_that_both_sides_agree(
    metrics: Metrics, time: Time
) -> None:
    metrics(ended("resync", "failed", refused=2))
    time.now += 30
    metrics(ended("delta", refused=2))
    assert read(metrics)["stageport_unwritten_entities"] == 2
    assert read(metrics)["stageport_staleness_seconds"] == 30
    metrics(ended("delta"))
    assert read(metrics)["stageport_unwritten_entities"] == 0
    assert read(metrics)["stageport_staleness_seconds"] == 0


def test_staleness_grows_from_the_start_until_a_pass_completes(metrics: Metrics, time: Time) -> None:
    time.now += 90
    assert read(metrics)["stageport_staleness_seconds"] == 90
    metrics(ended("delta"))
    assert read(metrics)["stageport_staleness_seconds"] == 0
    time.now += 30
    metrics(ended("resync", "failed"))
    found = read(metrics)
    assert found["stageport_staleness_seconds"] == 30
    assert found["stageport_last_success_timestamp_seconds{pass=delta}"] == NOON + 90
    assert "stageport_last_success_timestamp_seconds{pass=resync}" not in found


@pytest.mark.parametrize(
    ("passes", "held"),
    [
        ([ended(held=5)], 5),
        ([ended(held=5), ended()], 0),
        ([ended(held=5), ended("verify", held=3)], 3),
        ([ended(held=5), ended("resync", "failed")], 5),
        ([ended(held=5), ended("delta")], 5),
        ([ended("delta", held=2)], 2),
        ([ended(held=5), ended("delta", held=5), ended("delta")], 0),
        ([ended(held=5), ended("delta", held=5), ended("delta", "failed")], 5),
        ([ended("resync", "failed", held=4)], 4),
        ([ended(held=5), ended("hinted")], 5),
        ([ended("hinted", held=2)], 2),
        ([ended("hinted", held=2), ended("hinted")], 2),
        ([ended("hinted", held=2), ended("delta")], 0),
    ],
)
def test_held_deletes_stay_until_a_pass_knows_better(metrics: Metrics, passes: list[PassEnded], held: int) -> None:
    for one in passes:
        metrics(one)
    assert read(metrics)["stageport_held_deletes"] == held


def test_unwritten_entities_stay_until_a_pass_completes(metrics: Metrics) -> None:
    seen = []
    for one in (ended("resync", "failed", refused=7), ended("resync", "failed"), ended("delta")):
        metrics(one)
        seen.append(read(metrics)["stageport_unwritten_entities"])
    assert seen == [7, 7, 0]


def test_a_hinted_pass_proves_no_agreement(metrics: Metrics, time: Time) -> None:
    metrics(ended(refused=3))
    time.now += 60
    metrics(ended("hinted"))
    assert read(metrics)["stageport_staleness_seconds"] == 60
    assert read(metrics)["stageport_unwritten_entities"] == 3


def test_rate_limits_are_told_from_other_waits(metrics: Metrics) -> None:
    metrics(Waiting("Port", 7.5, "answered 429", rate_limited=True))
    metrics(Waiting("Port", 2.5, "the rate limit is used up", rate_limited=True))
    metrics(Waiting("Backstage", 1.0, "answered 503"))
    found = read(metrics)
    assert found["stageport_rate_limit_waits_total{side=port}"] == 2
    assert found["stageport_rate_limit_wait_seconds_total{side=port}"] == 10
    assert found["stageport_rate_limit_waits_total{side=backstage}"] == 0
    assert found["stageport_retry_waits_total{side=backstage}"] == 1


@pytest.mark.parametrize(
    ("event", "name", "value"),
    [
        (FieldFailed(FieldProblem(0, "title", "component:default/a", "no")), "stageport_field_problems_total", 1),
        (LedgerMeasured(4096), "stageport_ledger_bytes", 4096),
        (WorkerReplaced("ran out of memory"), "stageport_worker_restarts_total", 1),
    ],
)
def test_each_event_moves_the_metric_that_tells_of_it(metrics: Metrics, event: Event, name: str, value: float) -> None:
    assert read(metrics)[name] == 0
    metrics(event)
    assert read(metrics)[name] == value


def test_events_without_a_number_change_nothing(metrics: Metrics) -> None:
    def ours() -> dict[str, float]:
        return {name: value for name, value in read(metrics).items() if name.startswith("stageport_")}

    before = ours()
    for event in (
        PassStarted("p", ("component",)),
        PageMapped("component", 1, 1),
        ChangesFound(3),
        Noticed("info", "x"),
    ):
        metrics(event)
    assert ours() == before


def test_names_keep_the_conventions(metrics: Metrics) -> None:
    metrics(ended())
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", metrics.render().decode(), re.MULTILINE))
    ours = {name: kind for name, kind in kinds.items() if name.startswith("stageport_")}
    assert len(ours) > 12
    assert {name.endswith("_total") for name, kind in ours.items() if kind == "counter"} == {True}
    assert not [name for name, kind in ours.items() if kind != "counter" and name.endswith(("_total", "_created"))]
    assert kinds["process_cpu_seconds_total"] == "counter"
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")


def test_two_of_them_in_one_process_do_not_mix(metrics: Metrics) -> None:
    other = Metrics(version="1.2.3")
    metrics(ended())
    assert read(other)["stageport_passes_total{pass=resync,state=completed}"] == 0
    assert read(other)["stageport_build_info{version=1.2.3}"] == 1
