"""Commands on a path of their own: those that would need an engine or a cluster, and what stands in for them."""

import os
import sys
from pathlib import Path

from tests.shell_blocks import ROOT

HELM = """
import subprocess, sys
words = sys.argv[1:]
if words[0] == "test":
    sys.exit(0)
words = [word for word in words if word not in ("--install", "--create-namespace", "--reuse-values")]
if words[0] != "upgrade":
    sys.exit(f"helm: unknown command {words[0]}")
needed = ["--set", "integration.config.backstageUrl=http://b,port.clientId=a,port.clientSecret=b"]
command = [HELM, "template", *words[1:3], *(needed if "--reuse-values" in sys.argv else []), *words[3:]]
sys.exit(subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode)
"""
KUBECTL = """
import pathlib, sys
for option, value in zip(sys.argv, sys.argv[1:]):
    if option == "--filename" and not (pathlib.Path(ROOT) / value).is_file():
        sys.exit(f"kubectl: there is no {value}")
"""


def put(folder: Path, name: str, script: str) -> None:
    """Write a command."""
    file = folder / name
    file.write_text(script, encoding="utf-8")
    file.chmod(0o755)


def docker_on_path(folder: Path) -> dict[str, str]:
    """Put `docker` on the path; names of files on its command line begin at the folder."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    shim = f'PYTHONPATH={ROOT} exec "{sys.executable}" -m tests.deploy.docker_shim "$@"'
    put(place, "docker", f'#!/bin/sh\nexport SHIM_FOLDER="$PWD"\ncd {ROOT}\n{shim}\n')
    return {"PATH": f"{place}:{os.environ['PATH']}", "HOME": str(folder)}


def cluster_on_path(folder: Path, helm: Path) -> dict[str, str]:
    """Put `helm` (which renders what it would install), `kubectl` and `terraform` on the path."""
    given = docker_on_path(folder)
    known = f"ROOT = {str(ROOT)!r}; HELM = {str(helm)!r}\n"
    put(folder / "bin", "helm", f"#!{sys.executable}\n{known}{HELM}")
    put(folder / "bin", "kubectl", f"#!{sys.executable}\n{known}{KUBECTL}")
    put(folder / "bin", "terraform", "#!/bin/sh\n")
    return given
