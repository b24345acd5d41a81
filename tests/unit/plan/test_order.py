from collections.abc import Iterable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stageport.model.blueprints import Blueprint, Relation
from stageport.model.changes import Change, Operation
from stageport.model.refs import TargetKey
from stageport.plan.order import batches, delete_waves, depths, ends_of, related_keys, tied, untie, waves

GROUP = Blueprint("group", relations={"parent": Relation("group"), "members": Relation("user", many=True)})
BLUEPRINTS = {"group": GROUP, "user": Blueprint("user")}


def upsert(blueprint: str, identifier: str, **relations: object) -> Change:
    body = {"identifier": identifier, "blueprint": blueprint, "relations": relations}
    return Change(Operation.CREATE, blueprint, identifier, body=msgspec.json.encode(body))


def edges(*changes: Change) -> dict[TargetKey, set[TargetKey]]:
    return {change.key: ends_of(change, BLUEPRINTS) for change in changes}


def names(steps: Iterable[Iterable[Change | TargetKey]]) -> list[list[str]]:
    return [[one.identifier for one in step] for step in steps]


def test_related_target_entities_are_read_off_a_body() -> None:
    body = {"relations": {"parent": "root", "members": ["jo", None, "ann"], "unknown": "x", "nothing": None}}
    assert list(related_keys(body, GROUP)) == [
        TargetKey("group", "root"),
        TargetKey("user", "jo"),
        TargetKey("user", "ann"),
    ]


def test_what_is_related_to_goes_in_an_earlier_wave() -> None:
    changes = [upsert("group", "leaf", parent="mid"), upsert("group", "mid", parent="root"), upsert("group", "root")]
    assert names(waves(edges(*changes))) == [["root"], ["mid"], ["leaf"]]


def test_independent_target_entities_share_a_wave_in_their_order() -> None:
    changes = [upsert("user", name) for name in ("c", "a", "b")]
    assert names(waves(edges(*changes))) == [["c", "a", "b"]]


def test_a_cycle_is_cut_not_refused() -> None:
    changes = [upsert("group", "a", parent="b"), upsert("group", "b", parent="a"), upsert("group", "me", parent="me")]
    assert sorted(name for step in names(waves(edges(*changes))) for name in step) == ["a", "b", "me"]


def test_relations_to_what_is_not_written_are_no_edge() -> None:
    assert names(waves(edges(upsert("group", "a", parent="elsewhere")))) == [["a"]]


def test_deletes_go_the_other_way_round() -> None:
    leaf, root = (Change(Operation.DELETE, "group", name) for name in ("leaf", "root"))
    assert names(delete_waves([root, leaf], {leaf.key: [root.key]})) == [["leaf"], ["root"]]


keys = st.integers(0, 12).map(lambda number: TargetKey("g", str(number)))


@given(st.dictionaries(keys, st.lists(keys, max_size=4), max_size=12))
def test_depth_is_known_for_every_key_and_respects_every_edge_outside_cycles(
    edges: dict[TargetKey, list[TargetKey]],
) -> None:
    found = depths(edges)
    assert found.keys() == edges.keys()
    for key, ends in edges.items():
        for end in ends:
            if end in edges and not _reaches(edges, end, key):
                assert found[end] < found[key]


def _reaches(edges: dict[TargetKey, list[TargetKey]], start: TargetKey, goal: TargetKey) -> bool:
    seen, queue = set(), [start]
    while queue:
        key = queue.pop()
        if key == goal:
            return True
        if key not in seen:
            seen.add(key)
            queue.extend(edges.get(key, []))
    return False


def test_a_long_chain_needs_no_deep_stack() -> None:
    chain = [TargetKey("g", str(number)) for number in range(5_000)]
    found = depths({key: chain[place + 1 : place + 2] for place, key in enumerate(chain)})
    assert found[chain[0]] == 4_999


def test_batches_hold_at_most_so_many() -> None:
    changes = [Change(Operation.CREATE, "user", str(n)) for n in range(7)]
    assert [len(batch) for batch in batches(changes, most=3)] == [3, 3, 1]
    assert list(batches([], most=3)) == []


def test_only_circles_and_what_waits_for_them_are_tied() -> None:
    circle = [upsert("group", "a", parent="b"), upsert("group", "b", parent="a")]
    behind = upsert("group", "c", parent="a")
    chain = [upsert("group", "d", parent="e"), upsert("group", "e", parent="elsewhere")]
    assert [key.identifier for key in tied(edges(*chain, behind, *circle))] == ["c", "a", "b"]


def test_one_that_relates_to_itself_is_tied() -> None:
    assert len(tied(edges(upsert("group", "me", parent="me")))) == 1


def test_untied_is_without_the_relations_to_the_others_and_with_all_else() -> None:
    change = upsert("group", "a", parent="b", members=["jo"], unknown="x")
    body = msgspec.json.decode(untie(change, {TargetKey("group", "b")}, BLUEPRINTS).body)
    assert body == {"identifier": "a", "blueprint": "group", "relations": {"members": ["jo"], "unknown": "x"}}
