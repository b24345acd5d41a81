"""The official mapping and ours over the same real Backstage: both run through, and nothing disappears in silence.

The official mapping and its blueprints are third-party data beside this checkout, read from there; the test is
skipped where they are absent. It tells the table that compares the two.
"""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.harness import Entity, RealBackstage, descriptors_in, first_of_each_ref
from tests.e2e.port import Stageport, port_in_thread
from tests.expectation import expected_catalog

from stageport.sandbox.backstage.descriptors import sample_descriptors
from stageport.sandbox.port.options import Leniency, PortOptions

SHARED = Path(__file__).parents[2] / ".." / "shared"
OFFICIAL = SHARED / "conformance" / "official"
REAL_CATALOGS = SHARED / "real-catalogs"

pytestmark = pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official mapping is not next to this checkout")


def install_official(stageport: Stageport) -> None:
    """Leave Port as the official integration's first start does: its blueprints, its mapping."""
    state = stageport.port.state
    for blueprint in json.loads((OFFICIAL / "blueprints.json").read_text()):
        state.store.put_blueprint({**blueprint, "createdAt": state.now(), "updatedAt": state.now()})
    state.store.commit()
    mapping = yaml.safe_load((OFFICIAL / "port-app-config.yml").read_text())
    state.integrations.create({"installationId": "my-backstage-integration", "config": mapping}, upsert=True)
    state.integrations.patch("my-backstage-integration", {"arePortResourcesInitialized": True}, skip_resync=True)


def edges(entities: Iterable[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Return every relation that is held: who, by which name, to whom."""
    found = set()
    for entity in entities:
        for name, ends in (entity.get("relations") or {}).items():
            found |= {(entity["identifier"], name, end) for end in (ends if isinstance(ends, list) else [ends]) if end}
    return found


def filled(entities: Iterable[dict[str, Any]]) -> int:
    """Count the properties that hold something."""
    return sum(
        1 for entity in entities for value in (entity.get("properties") or {}).values() if value not in (None, [])
    )


def measure(stageport: Stageport, entities: list[Entity]) -> dict[str, Any]:
    """Sync once and say what came of it."""
    result = stageport.sync()
    assert result.code in (0, 7), result.err
    document, held = result.json, stageport.held()
    mapped = expected_catalog(entities)
    refused = Counter(one["code"] for one in document["refused"])
    named = {(one["blueprint"], one["identifier"]) for one in document["refused"]}
    lost = [key for key in mapped if key not in held and key not in named and key[0] != "template"]
    assert lost == [], "entities that are neither written nor named"
    others = held.keys() - mapped.keys()
    spoken = {one["targetRef"] for entity in entities for one in entity.get("relations") or []}
    dangling = {(blueprint, identifier) for blueprint, identifier in others if identifier in spoken}
    there = [held[key] for key in mapped if key in held and key not in named]
    return {
        "source entities of mapped kinds": document["counts"]["sourceEntities"],
        "written": len(there),
        "refused by Port, and named": len(named),
        **{f"  {code}": count for code, count in sorted(refused.items())},
        "stubs for relations that dangle in Backstage": len(others & dangling),
        "ghosts that Backstage never spoke of": len(others - dangling),
        "relations held": len(edges(there)),
        "properties filled": filled(there),
        "field problems": document["counts"]["problems"],
    }


@pytest.fixture
def entities(backstage: RealBackstage) -> list[Entity]:
    """The sample and, where they are at hand, 22 public catalogs in one real Backstage."""
    real = descriptors_in(REAL_CATALOGS) if REAL_CATALOGS.is_dir() else []
    backstage.apply(first_of_each_ref([*copy.deepcopy(sample_descriptors()), *real]))
    return backstage.entities()


@pytest.mark.parametrize("leniency", [Leniency(), Leniency(string_for_many=True)], ids=["strict", "lenient"])
def test_both_mappings_run_through_and_every_entity_is_written_or_named(
    backstage: RealBackstage,
    entities: list[Entity],
    leniency: Leniency,
    tmp_path: Path,
    tell: Callable[[str], None],
) -> None:
    results = {}
    for name in ("official", "ours"):
        with port_in_thread(PortOptions(leniency=leniency)) as port:
            stageport = Stageport(backstage_url=backstage.url, token=backstage.token, port=port, folder=tmp_path)
            if name == "official":
                install_official(stageport)
            results[name] = measure(stageport, entities)
            again = stageport.sync()
            results[name]["written again by a second sync"] = sum(
                again.json["counts"][operation] for operation in ("create", "update", "delete")
            )
    tell(table(results, leniency))
    assert results["ours"]["refused by Port, and named"] == 0
    assert results["ours"]["written"] >= results["official"]["written"]
    assert results["ours"]["ghosts that Backstage never spoke of"] == 0
    assert results["ours"]["written again by a second sync"] == 0
    assert results["ours"]["relations held"] > results["official"]["relations held"]


def table(results: dict[str, dict[str, Any]], leniency: Leniency) -> str:
    rows = list(dict.fromkeys(row for columns in results.values() for row in columns))
    lines = [
        f"Port is {'lenient about a string for many' if leniency.string_for_many else 'strict'}",
        f"{'':52}{'official':>10}{'ours':>10}",
        *(f"{row:52}{results['official'].get(row, 0):>10}{results['ours'].get(row, 0):>10}" for row in rows),
    ]
    return "\n".join(lines)
