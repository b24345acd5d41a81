"""However entities come, change and go, the reverse of their relations is what a walk over all of them finds."""

from hypothesis import given
from hypothesis import strategies as st

from stageport.sandbox.port.records import EntityKey, StoredEntity
from stageport.sandbox.port.store import MemoryStore

NAMES = st.sampled_from("abc")
RELATIONS = st.dictionaries(st.sampled_from(["r", "s"]), st.none() | NAMES | st.lists(NAMES, max_size=3), max_size=2)
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "drop"]), st.sampled_from(["x", "y"]), NAMES, RELATIONS), max_size=30
)


def made(sequence: int, blueprint: str, identifier: str, relations: dict[str, str | list[str] | None]) -> StoredEntity:
    return StoredEntity(sequence, blueprint, identifier, None, None, [], {}, relations, "", "", "", "", "")


@given(STEPS)
def test_the_index_is_the_reverse(steps: list[tuple[str, str, str, dict[str, str | list[str] | None]]]) -> None:
    store = MemoryStore()
    for step, blueprint, identifier, relations in steps:
        if step == "drop":
            store.drop_entity(EntityKey(blueprint, identifier))
            continue
        known = store.entity(blueprint, identifier)
        store.put_entity(made(known.sequence if known else store.next_sequence(), blueprint, identifier, relations))
    everything = [entity for blueprint in "xy" for entity in store.entities(blueprint)]
    for name in "abc":
        expected = {entity.key for entity in everything if name in entity.related()}
        assert {entity.key for entity in store.pointing_at(name)} == expected
    for blueprint in "xy":
        sequences = [entity.sequence for entity in store.entities(blueprint)]
        assert sequences == sorted(sequences)
