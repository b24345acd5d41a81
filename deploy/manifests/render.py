"""Renders stageport.yaml from the chart, and copies the alert rules into it: `make manifests`.

The first argument is helm. What only Helm reads (its labels, its comments, its hooks) is left out.
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CHART = HERE.parent / "helm" / "stageport"
ALERTS = HERE.parent / "observability" / "alerts.yaml"
HEAD = "# Rendered from the chart by `make manifests`; edit values.yaml, or patch it with kustomize.\n"
LEFT_OUT = ("# Source: ", "helm.sh/chart: ", "app.kubernetes.io/managed-by: ")


def render(helm: str) -> str:
    """Return the manifests as text."""
    command = [helm, "template", "stageport", str(CHART), "--values", str(HERE / "values.yaml"), "--no-hooks"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kept = [line for line in text.splitlines() if line.strip() and not line.strip().startswith(LEFT_OUT)]
    return HEAD + "\n".join(kept) + "\n"


if __name__ == "__main__":
    shutil.copyfile(ALERTS, CHART / "files" / "alerts.yaml")
    (HERE / "stageport.yaml").write_text(render(sys.argv[1]), encoding="utf-8")
