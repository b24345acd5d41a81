"""The dashboard, the alert rules and the reference page speak of what is exported, and of all of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from stageport.model.changes import Change, Operation
from stageport.model.events import ChangesApplied, PageRead, PassEnded
from stageport.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "observability"
TARGET_LABELS = {"job", "instance"}
"""Labels that Prometheus itself gives to whatever it scrapes."""
METRIC = re.compile(r"\b((?:stageport|process)_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'([a-z]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')

Exported = dict[str, dict[str, set[str]]]


@pytest.fixture(scope="module")
def exported() -> Exported:
    """Every series name that is exported, with the values of its labels."""
    metrics = Metrics(version="1.2.3")
    metrics(PageRead("component", 1, 1))
    metrics(PassEnded("resync", "completed", 1.0, 0, 0, 0))
    metrics(ChangesApplied((Change(Operation.CREATE, "component", "a"),)))
    found: Exported = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    return document


def expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for annotation in dashboard()["annotations"]["list"]:
        yield annotation["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_names_only_what_is_exported(expression: str, exported: Exported) -> None:
    named = METRIC.findall(expression)
    assert named
    for name, matchers in named:
        assert name in exported
        for label, value in MATCHER.findall(matchers):
            assert label in exported[name].keys() | TARGET_LABELS
            if label not in TARGET_LABELS:
                assert value in exported[name][label]


@pytest.mark.parametrize("expression", sorted(expr for expr in set(expressions()) if " by (" in expr))
def test_an_expression_groups_only_by_labels_there_are(expression: str, exported: Exported) -> None:
    names = [name for name, _ in METRIC.findall(expression)]
    known = TARGET_LABELS.union(*(exported[name] for name in names))
    for group in re.findall(r" by \(([^)]*)\)", expression):
        assert {label.strip() for label in group.split(",")} <= known


def test_everything_that_is_exported_is_shown_or_watched(exported: Exported) -> None:
    used = {name for expression in expressions() for name, _ in METRIC.findall(expression)}
    parts = re.compile(r"_(sum|count|bucket)$")
    ours = {parts.sub("", name) for name in exported if name.startswith("stageport_")}
    assert ours == {parts.sub("", name) for name in used if name.startswith("stageport_")}


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    alerts = list(rules())
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 5
    for rule in alerts:
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_every_alert_is_tried() -> None:
    tests = yaml.safe_load((FOLDER / "alerts.test.yaml").read_text(encoding="utf-8"))["tests"]
    raised = {one["alertname"] for test in tests for one in test["alert_rule_test"] if "exp_alerts" in one}
    assert raised == {rule["alert"] for rule in rules()}


def test_the_dashboard_can_be_imported_anywhere() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    sources = {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"}
    assert sources == {"${datasource}"}
    taken = [cell for panel in panels for cell in cells(panel["gridPos"])]
    assert len(taken) == len(set(taken)), "panels overlap"


def cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def test_the_reference_page_lists_what_is_exported() -> None:
    text = Metrics(version="1.2.3").render().decode()
    kinds = dict(re.findall(r"^# TYPE (stageport_\S+) (\S+)$", text, re.MULTILINE))
    told = dict(re.findall(r"^# HELP (stageport_\S+) (.*)$", text, re.MULTILINE))
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(stageport_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    assert [(name, kind, words) for name, kind, _, words in rows] == [(name, kinds[name], told[name]) for name in told]


def test_the_reference_page_names_the_labels(exported: Exported) -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    for name, labels in re.findall(r"^\| `(stageport_\w+)` \| \w+ \| (.*?) \|", page, re.MULTILINE):
        found = exported.get(name) or exported.get(f"{name}_count") or {}
        assert set(re.findall(r"`(\w+)`", labels)) == set(found), name
