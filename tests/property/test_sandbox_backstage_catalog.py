"""Whatever happens to the Backstage stand-in's catalog: it ends as if it had been filled with the outcome at once."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from stageport.model.entities import Json
from stageport.sandbox.backstage.catalog import Catalog
from stageport.sandbox.backstage.queries import EntitiesQuery, EntitiesReader

NAMES = st.sampled_from(["a", "b", "c", "d"])


def component(name: str, *, owner: str, depends: list[str], part: str | None) -> Json:
    spec = {
        "type": "service",
        "lifecycle": "production",
        "owner": owner,
        "dependsOn": [f"component:{other}" for other in depends],
    }
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name},
        "spec": spec if part is None else {**spec, "subcomponentOf": part},
    }


def group(name: str, *, children: list[str], parent: str | None) -> Json:
    spec = {"type": "team", "children": children}
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Group",
        "metadata": {"name": name},
        "spec": spec if parent is None else {**spec, "parent": parent},
    }


DESCRIPTORS = st.one_of(
    st.builds(component, NAMES, owner=NAMES, depends=st.lists(NAMES, max_size=3), part=st.none() | NAMES),
    st.builds(group, NAMES, children=st.lists(NAMES, max_size=3), parent=st.none() | NAMES),
)


def ref_of(descriptor: Json) -> str:
    return f"{descriptor['kind']}:default/{descriptor['metadata']['name']}".lower()


def content(catalog: Catalog) -> Mapping[str, Json]:
    """Return the entities without what depends on the order in which they came."""
    found = {entity.ref: entity.decoded() for entity in catalog}
    for entity in found.values():
        del entity["metadata"]["uid"], entity["metadata"]["etag"]
    return found


@given(st.lists(st.tuples(st.booleans(), DESCRIPTORS), max_size=20))
def test_the_way_does_not_matter(steps: list[tuple[bool, Json]]) -> None:
    catalog, outcome = Catalog(), dict[str, Json]()
    for stays, descriptor in steps:
        catalog.put(descriptor)
        outcome[ref_of(descriptor)] = descriptor
        if not stays:
            catalog.delete(ref_of(descriptor))
            del outcome[ref_of(descriptor)]

    assert content(catalog) == content(Catalog(outcome.values()))


@given(st.lists(DESCRIPTORS, max_size=20), st.integers(1, 9))
def test_pages_hold_every_entity_once_there_and_back(descriptors: list[Json], limit: int) -> None:
    reader = EntitiesReader(catalog := Catalog(descriptors))
    page = reader.read(EntitiesQuery(limit=limit))
    forth = list(page.entities)
    while page.next_cursor is not None:
        page = reader.read(EntitiesQuery(limit=limit, cursor=page.next_cursor))
        forth += page.entities
    assert [entity.uid for entity in forth] == sorted(entity.uid for entity in catalog)

    back = list(page.entities)
    while page.previous_cursor is not None:
        page = reader.read(EntitiesQuery(limit=limit, cursor=page.previous_cursor))
        back = [*page.entities, *back]
    assert back == forth
