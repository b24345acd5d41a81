"""Rendering a chart, and reading what came of it."""

import base64
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.shell_blocks import ROOT

CHART = ROOT / "deploy" / "helm" / "stageport"
NEEDED = {
    "port": {"clientId": "an-id", "clientSecret": "a-secret"},
    "integration": {"config": {"backstageUrl": "http://backstage.backstage:7007"}},
}
Document = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """The documents of one release."""

    text: str
    documents: list[Document] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return sorted(one["kind"] for one in self.documents)

    def one(self, kind: str) -> Document:
        (found,) = [one for one in self.documents if one["kind"] == kind]
        return found

    def pods(self) -> dict[str, Document]:
        """Return the pod of every workload, by the workload's kind and name."""
        return {
            f"{one['kind']} {one['metadata']['name']}": pod
            for one in self.documents
            if (pod := _pod_of(one)) is not None
        }

    def environment(self, pod: Document, *, secrets: dict[str, dict[str, str]] | None = None) -> dict[str, str]:
        """Return the environment of a pod's container; ``secrets`` are those that the chart does not make."""
        (container,) = pod["spec"]["containers"]
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            (reference,) = source.values()
            kind = "ConfigMap" if "configMapRef" in source else "Secret"
            found |= self._data(kind, reference["name"], secrets or {})
        return found | {one["name"]: one["value"] for one in container.get("env") or []}

    def _data(self, kind: str, name: str, given: dict[str, dict[str, str]]) -> dict[str, str]:
        for one in self.documents:
            if one["kind"] == kind and one["metadata"]["name"] == name:
                data: dict[str, str] = one["data"]
                if kind == "ConfigMap":
                    return data
                return {key: base64.b64decode(value).decode() for key, value in data.items()}
        return given[name]


def _pod_of(document: Document) -> Document | None:
    match document["kind"]:
        case "Deployment" | "Job":
            return document["spec"]["template"]
        case "CronJob":
            return document["spec"]["jobTemplate"]["spec"]["template"]
        case "Pod":
            return document
    return None


def merged(*values: Document) -> Document:
    """Merge values as Helm does: maps by key, everything else replaced."""
    found: Document = {}
    for one in values:
        for key, value in one.items():
            both_maps = isinstance(value, dict) and isinstance(found.get(key), dict)
            found[key] = merged(found[key], value) if both_maps else value
    return found


def helm_template(helm: Path, values: Document, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [helm, "template", "release", CHART, "--namespace", "stageport", "--values", file]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def render(helm: Path, values: Document, folder: Path) -> Rendered:
    result = helm_template(helm, values, folder)
    assert result.returncode == 0, result.stderr
    return Rendered(result.stdout, [one for one in yaml.safe_load_all(result.stdout) if one])
