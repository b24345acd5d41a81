"""The tools that `make deploy-check` installed."""

from pathlib import Path

import pytest
from tests.shell_blocks import ROOT

BUILT = ROOT / "build" / "deploy"


@pytest.fixture(scope="session")
def tools() -> Path:
    """Return the folder of the tools' commands."""
    return BUILT / "tools" / "bin"
