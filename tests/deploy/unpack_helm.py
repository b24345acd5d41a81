"""unpack_helm.py WHEELS FOLDER: takes `helm3` and `helm4` out of the wheels that carry them.

The wheels are the AWS CDK's: a package of npm inside, with a layer for AWS Lambda inside, with helm inside.
"""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def unpack(wheel: Path, folder: Path) -> str:
    """Take helm out of one wheel, name it for its major version, and return its version."""
    with zipfile.ZipFile(wheel) as outer:
        (package,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as inner:
            layer = inner.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as content:
                helm = content.read("helm/helm")
    new = folder / "helm.new"
    new.write_bytes(helm)
    new.chmod(0o755)
    version = subprocess.run([new, "version", "--short"], capture_output=True, text=True, check=True).stdout.strip()
    new.rename(folder / f"helm{version[1]}")
    return version


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.whl")):
        unpack(path, Path(sys.argv[2]))
