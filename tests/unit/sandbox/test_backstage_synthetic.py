"""Synthetic catalogs: shares, size, relations, and the same again for the same seed."""

import pytest

from stageport.sandbox.backstage.catalog import Catalog
from stageport.sandbox.backstage.synthetic import synthetic_catalog, synthetic_descriptors


def bodies(catalog: Catalog) -> dict[str, bytes]:
    return {entity.ref: entity.body for entity in catalog}


def test_shares_by_kind() -> None:
    assert synthetic_catalog(1000).counts() == {
        "Component": 450,
        "API": 200,
        "Resource": 150,
        "User": 100,
        "System": 40,
        "Group": 30,
        "Location": 20,
        "Domain": 10,
    }


@pytest.mark.parametrize("count", [0, 1, 7, 99, 101])
def test_any_number_can_be_had(count: int) -> None:
    assert len(synthetic_catalog(count)) == count


def test_entities_have_a_realistic_size() -> None:
    sizes = [len(entity.body) for entity in synthetic_catalog(2000)]

    assert 2600 < sum(sizes) / len(sizes) < 3000
    assert min(sizes) > 1500


def test_the_short_way_leads_to_what_processing_makes_of_the_descriptors() -> None:
    processed = Catalog(synthetic_descriptors(300, seed=3), seed=3)

    assert processed.rejected == {}
    assert bodies(processed) == bodies(synthetic_catalog(300, seed=3))


def test_the_seed_decides() -> None:
    assert bodies(synthetic_catalog(100, seed=1)) == bodies(synthetic_catalog(100, seed=1))
    assert bodies(synthetic_catalog(100, seed=1)) != bodies(synthetic_catalog(100, seed=2))


def test_relations_are_dense_and_never_dangle() -> None:
    catalog = synthetic_catalog(1000)
    relations = [item for entity in catalog for item in entity.decoded()["relations"]]

    assert len(relations) > 6000
    assert all(item["targetRef"] in catalog for item in relations)
    assert {item["type"] for item in relations} == {
        "ownedBy", "ownerOf", "partOf", "hasPart", "providesApi", "apiProvidedBy", "consumesApi", "apiConsumedBy",
        "dependsOn", "dependencyOf", "memberOf", "hasMember", "childOf", "parentOf",
    }  # fmt: skip


def test_it_can_be_changed_like_any_other() -> None:
    catalog = synthetic_catalog(200)
    ref = next(ref for ref in catalog.refs() if ref.startswith("component:"))
    etag = catalog.entity(ref)["metadata"]["etag"]

    catalog.update(ref, lambda entity: entity["metadata"].update(title="Other"))

    assert catalog.entity(ref)["metadata"]["etag"] != etag
