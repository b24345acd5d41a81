"""Whether Port holds what Backstage shows, worked out from Backstage's own answers without the product's code."""

from tests.e2e.harness import RealBackstage
from tests.e2e.port import Stageport
from tests.expectation import differences, expected_catalog, expected_stubs


def disagreement(backstage: RealBackstage, stageport: Stageport) -> list[str]:
    """Name every field that is missing, extra or wrong; stubs of what Backstage does not show may be there or not."""
    expected = expected_catalog(backstage.entities())
    stubs = expected_stubs(expected)
    return differences(expected, {key: one for key, one in stageport.held().items() if key not in stubs})


def assert_in_step(backstage: RealBackstage, stageport: Stageport) -> None:
    """Compare Port with Backstage field by field; nothing may be missing, extra or wrong, and every stub is there."""
    stubs = expected_stubs(expected_catalog(backstage.entities()))
    assert stubs <= stageport.held().keys()
    assert disagreement(backstage, stageport) == []
