"""The stand-in for Backstage answers and behaves as the real one: the same suite, without a real one at hand."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.catalog_asking import Asked, Bearer, contract_descriptors
from tests.contract.catalog_contract import CatalogContract, recorded_answers
from tests.contract.catalog_questions import QUESTIONS

from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, serve_backstage

_TOKENS = {Bearer.FULL: "full-token", Bearer.DENIED: "denied-token", Bearer.RESTRICTED: "restricted-token"}


class StandInCatalog:
    """The stand-in, changed through its own handle."""

    def __init__(self, running: RunningBackstage) -> None:
        self._running = running
        self.asked = Asked(url=running.url, tokens=_TOKENS)

    async def put(self, entity: dict[str, Any]) -> None:
        self._running.catalog.put(entity)

    async def delete(self, ref: str) -> None:
        self._running.catalog.delete(ref)


@pytest.fixture
async def catalog() -> AsyncIterator[StandInCatalog]:
    options = BackstageOptions(
        descriptors=contract_descriptors(),
        token=_TOKENS[Bearer.FULL],
        tokens={_TOKENS[Bearer.DENIED]: Access.BLIND, _TOKENS[Bearer.RESTRICTED]: Access.OTHER_PLUGIN},
    )
    async with serve_backstage(options) as running:
        yield StandInCatalog(running)


@pytest.fixture
def asked(catalog: StandInCatalog) -> Asked:
    return catalog.asked


class TestStandIn(CatalogContract):
    """Everything in the contract."""


def test_every_question_has_a_recorded_answer_and_none_is_left_over() -> None:
    assert list(recorded_answers()) == [question.name for question in QUESTIONS]
