"""The real Backstage under the contract: it still answers as recorded, and the stand-in makes the same of the same."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.catalog_asking import Asked, Bearer, contract_descriptors, ref_of, without_identity
from tests.contract.catalog_contract import CatalogContract, shown
from tests.e2e.harness import RealBackstage

from stageport.sandbox.backstage.descriptors import located, sample_descriptors
from stageport.sandbox.backstage.server import BackstageOptions, serve_backstage
from stageport.sandbox.backstage.synthetic import synthetic_descriptors


class RealCatalog:
    """The real Backstage, changed as an entity provider changes it."""

    def __init__(self, backstage: RealBackstage) -> None:
        self._backstage = backstage
        self.asked = asked_of(backstage)

    async def put(self, entity: dict[str, Any]) -> None:
        await asyncio.to_thread(self._backstage.apply_delta, added=[entity])

    async def delete(self, ref: str) -> None:
        await asyncio.to_thread(self._backstage.delete, ref)


def asked_of(backstage: RealBackstage) -> Asked:
    tokens = {
        Bearer.FULL: backstage.token,
        Bearer.DENIED: backstage.denied_token,
        Bearer.RESTRICTED: backstage.restricted_token,
    }
    return Asked(url=backstage.url, tokens=tokens)


@pytest.fixture(scope="module")
def loaded_backstage(running_backstage: RealBackstage) -> RealBackstage:
    running_backstage.start()
    running_backstage.clear()
    progress = running_backstage.apply(contract_descriptors())
    assert not progress.refused
    return running_backstage


@pytest.fixture
def asked(loaded_backstage: RealBackstage) -> Asked:
    return asked_of(loaded_backstage)


@pytest.fixture
def catalog(loaded_backstage: RealBackstage) -> Iterator[RealCatalog]:
    yield RealCatalog(loaded_backstage)
    loaded_backstage.apply(contract_descriptors())


class TestRealBackstage(CatalogContract):
    """Everything in the contract."""


async def test_the_stand_in_makes_the_same_of_the_contract_catalog(backstage: RealBackstage) -> None:
    await assert_same_catalog(backstage, contract_descriptors())


async def test_the_stand_in_makes_the_same_of_the_sample_catalog(backstage: RealBackstage) -> None:
    await assert_same_catalog(backstage, sample_descriptors())


async def test_the_stand_in_makes_the_same_of_a_synthetic_catalog(backstage: RealBackstage) -> None:
    await assert_same_catalog(backstage, list(synthetic_descriptors(300)))


async def test_the_stand_in_makes_the_same_of_real_catalogs(
    backstage: RealBackstage, real_descriptors: list[dict[str, Any]]
) -> None:
    located_ones = [located(entity, location="url:https://git.example/catalog.yaml") for entity in real_descriptors]

    await assert_same_catalog(backstage, [entity for entity in located_ones if not has_placeholder(entity)])


async def assert_same_catalog(backstage: RealBackstage, descriptors: list[dict[str, Any]]) -> None:
    """Give the same descriptors to both, and compare what they refuse and what they show, to the order of keys."""
    progress = await asyncio.to_thread(backstage.apply, descriptors)
    async with serve_backstage(BackstageOptions(descriptors=descriptors)) as stand_in:
        made_up, real = await everything(Asked(url=stand_in.url, tokens={})), await everything(asked_of(backstage))
        assert stand_in.catalog.rejected.keys() == progress.refused.keys()
    assert made_up.keys() == real.keys()
    for ref, entity in real.items():
        assert shown(made_up[ref]) == shown(entity)


async def everything(asked: Asked) -> dict[str, Any]:
    bearer = Bearer.FULL if asked.tokens else Bearer.NOBODY
    page = await asked.json("/entities/by-query?limit=10000", bearer=bearer)
    return {ref_of(entity): without_identity(entity) for entity in page["items"]}


def has_placeholder(value: Any) -> bool:
    """Say whether something in here is to be read from elsewhere: the stand-in reads nothing."""
    match value:
        case dict():
            return any(key in ("$text", "$json", "$yaml") or has_placeholder(member) for key, member in value.items())
        case list():
            return any(map(has_placeholder, value))
        case _:
            return False
