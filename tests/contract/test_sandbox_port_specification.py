"""The checks that hold the stand-in against Port's published API are themselves awake."""

import pytest
from tests.contract.port_rig import SPECIFICATION, Reply, check_exchange, find_operation, open_rig

from stageport.sandbox.port import Leniency

pytestmark = pytest.mark.skipif(not SPECIFICATION.exists(), reason="the specification is not at hand")


def test_an_answer_of_the_wrong_shape_is_noticed() -> None:
    wrong = Reply(200, {}, {"ok": True, "entities": [], "error": []})
    with pytest.raises(AssertionError):
        check_exchange("POST", "/v1/blueprints/component/entities/bulk", None, wrong)


async def test_a_stand_in_that_takes_too_much_is_noticed() -> None:
    async with open_rig(leniency=Leniency(apostrophe_in_identifier=True)) as rig:
        await rig.blueprint()
        with pytest.raises(AssertionError, match="took what the specification refuses"):
            await rig.write({"identifier": "a", "title": None})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/blueprints/entities/datasource-entities"),
        ("POST", "/v1/blueprints/component/entities/search"),
        ("GET", "/v1/integration/provision-enabled"),
        ("PATCH", "/v1/integration/my-backstage/resync-state"),
        ("DELETE", "/v1/blueprints/component/all-entities"),
    ],
)
def test_routes_are_known(method: str, path: str) -> None:
    assert find_operation(method, path) is not None
