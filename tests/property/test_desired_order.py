"""Several wants of one target entity: the order of arrival decides nothing, and a second run writes nothing."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stageport.model.refs import SourceRef, TargetKey
from stageport.plan.desired import DesiredTargets, Want, paths_of
from stageport.plan.diff import diff_target

KEY = TargetKey("service", "pay")
VALUES = st.sampled_from([None, 1, 2, "x"])
FIELDS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)
BODIES = st.fixed_dictionaries({}, optional={"title": st.sampled_from(["s", "t"]), "properties": FIELDS})

Body = dict[str, Any]


def want(rank: int, body: Body, held: Body | None, *, merge: bool) -> Want:
    whole = {"identifier": KEY.identifier, "blueprint": KEY.blueprint, **body}
    return Want(
        key=KEY,
        source=SourceRef(f"component:default/{rank}"),
        rank=(rank,),
        body=msgspec.json.encode(whole),
        paths=paths_of(whole),
        fields=() if held is None else diff_target(whole, held, merge=merge),
        exists=held is not None,
    )


def written_by_port(held: Body | None, body: Body, *, merge: bool) -> Body:
    """Write as Port does: under merge what is not given stays, otherwise it goes."""
    before = (held or {}) if merge else {}
    sent = {name: value for name, value in body.items() if name not in ("identifier", "blueprint")}
    return {**before, **sent, "properties": {**before.get("properties", {}), **sent.get("properties", {})}}


def shown(held: Body | None, *, merge: bool) -> Body:
    """Drop what says nothing (null is as good as absent), and the title where nobody knows what becomes of it."""
    held = held or {}
    found = {name: value for name, value in held.get("properties", {}).items() if value is not None}
    return {**found, "title": held.get("title")} if merge else found


@given(st.lists(BODIES, min_size=1, max_size=5), st.none() | BODIES, st.booleans(), st.randoms(use_true_random=False))
def test_wants_come_to_what_writing_them_one_after_the_other_would(
    bodies: list[Body], held: Body | None, merge: bool, chance: Any
) -> None:
    wants = [want(rank, body, held, merge=merge) for rank, body in enumerate(bodies)]
    chance.shuffle(wants)
    desired = DesiredTargets(merge=merge)
    for one in wants:
        desired.add(one)
    after = held
    for change in desired.changes():
        after = written_by_port(after, msgspec.json.decode(change.body), merge=merge)
    expected = held
    for body in bodies:
        expected = written_by_port(expected, body, merge=merge)
    assert shown(after, merge=merge) == shown(expected, merge=merge)
    again = DesiredTargets(merge=merge)
    for rank, body in enumerate(bodies):
        again.add(want(rank, body, after, merge=merge))
    assert again.changes() == []
