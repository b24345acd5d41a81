"""What Argo CD and Terraform give the chart: it renders, and the names are those of the chart."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.chart import Document, merged, render
from tests.shell_blocks import ROOT

ARGOCD = ROOT / "deploy" / "argocd"
TERRAFORM = ROOT / "deploy" / "terraform"
GIVEN = {
    "backstage_url": "http://backstage.backstage:7007",
    "port_client_id": "an-id",
    "port_client_secret": "a-secret",
    "backstage_token": "a-token",
    "chart": "deploy/helm/stageport",
}


def test_the_values_of_argo_cd_render(tools: Path, tmp_path: Path) -> None:
    values = yaml.safe_load((ARGOCD / "values.yaml").read_text(encoding="utf-8"))
    rendered = render(tools / "helm4", values, tmp_path)
    assert "Secret" not in rendered.kinds(), "the credentials stay out of git"
    assert rendered.one("Deployment")


def test_the_application_names_the_chart_and_the_values() -> None:
    application = yaml.safe_load((ARGOCD / "application.yaml").read_text(encoding="utf-8"))
    chart, values = application["spec"]["sources"]
    assert (ROOT / chart["path"] / "Chart.yaml").is_file()
    assert chart["helm"]["valueFiles"] == [f"${values['ref']}/argocd/stageport/values.yaml"]
    version = yaml.safe_load((ROOT / chart["path"] / "Chart.yaml").read_text(encoding="utf-8"))["version"]
    assert chart["targetRevision"] == f"v{version}"


def parsed(file: str, tools: Path) -> Document:
    """Parse a file of Terraform."""
    script = "import hcl2, json, sys; print(json.dumps(hcl2.load(open(sys.argv[1]))))"
    command = [tools / "python", "-c", script, TERRAFORM / file]
    document: Document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return document


def evaluated(value: Any, variables: Document) -> Any:
    """Evaluate the little of HCL that the locals use: variables, and a choice by an empty one."""
    if isinstance(value, dict):
        return {key.strip('"'): evaluated(one, variables) for key, one in value.items() if not key.startswith("__")}
    if not isinstance(value, str):
        return value
    choice = re.fullmatch(r'\$\{var\.(\w+) == "" \? \{\s*\} : \{\s*(\w+)\s*=\s*var\.(\w+)\s*\}\}', value)
    if choice:
        asked, name, held = choice.groups()
        return {} if variables[asked] == "" else {name: variables[held]}
    variable = re.fullmatch(r"\$\{var\.(\w+)\}", value)
    assert variable or "${" not in value, f"teach this test {value}"
    return variables[variable[1]] if variable else value.strip('"')


@pytest.mark.parametrize("secret", ["", "credentials"])
def test_what_terraform_gives_the_chart_renders(secret: str, tools: Path, tmp_path: Path) -> None:
    declared = {
        name.strip('"'): one for block in parsed("variables.tf", tools)["variable"] for name, one in block.items()
    }
    defaults = {name: str(one["default"]).strip('"') for name, one in declared.items() if "default" in one}
    variables = {**defaults, **GIVEN, "existing_secret": secret}
    assert variables.keys() == declared.keys()
    (local,) = parsed("main.tf", tools)["locals"]
    values = evaluated(local["values"], variables)
    if not secret:
        values = merged(values, evaluated(local["credentials"], variables))
    rendered = render(tools / "helm4", values, tmp_path)
    assert ("Secret" in rendered.kinds()) is (secret == "")
    assert rendered.one("ConfigMap")["data"]["OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL"] == GIVEN["backstage_url"]
    for name in ("port_client_id", "port_client_secret", "backstage_token"):
        assert declared[name]["sensitive"] is True
