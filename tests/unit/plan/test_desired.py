import itertools

import msgspec
import pytest

from stageport.model.changes import FieldChange, Operation
from stageport.model.refs import SourceRef, TargetKey
from stageport.plan.desired import DesiredTargets, Want, paths_of

KEY = TargetKey("service", "pay")


def want(rank: int, *, exists: bool = True, held: dict[str, object] | None = None, **properties: object) -> Want:
    """Want properties of one target entity, of which Port holds ``held``."""
    body = {"identifier": "pay", "blueprint": "service", "properties": properties}
    held = held or {}
    fields = tuple(
        FieldChange(f"properties.{name}", held.get(name), value)
        for name, value in properties.items()
        if value != held.get(name)
    )
    return Want(
        key=KEY,
        source=SourceRef(f"component:default/{rank}"),
        rank=(rank,),
        body=msgspec.json.encode(body),
        paths=paths_of(body),
        fields=fields if exists else (),
        exists=exists,
    )


def gather(*wants: Want, merge: bool = True) -> DesiredTargets:
    desired = DesiredTargets(merge=merge)
    for one in wants:
        desired.add(one)
    return desired


def properties(desired: DesiredTargets) -> dict[str, object]:
    (change,) = desired.changes()
    found = msgspec.json.decode(change.body)["properties"]
    assert isinstance(found, dict)
    return found


def test_a_want_that_port_lacks_is_a_create() -> None:
    (change,) = gather(want(0, exists=False, a=1)).changes()
    assert (change.operation, change.key) == (Operation.CREATE, KEY)


def test_a_want_that_port_has_is_nothing_to_do() -> None:
    desired = gather(want(0, a=1, held={"a": 1}))
    assert (desired.changes(), len(desired)) == ([], 1)
    assert KEY in desired


def test_two_wants_of_one_target_are_one_line_with_the_fields_of_both() -> None:
    desired = gather(want(0, exists=False, a=1), want(1, exists=False, b=2))
    assert properties(desired) == {"a": 1, "b": 2}
    assert desired.shared == 1


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1, 2))))
def test_the_highest_rank_wins_in_whatever_order_wants_arrive(order: tuple[int, ...]) -> None:
    wants = [want(0, exists=False, a=0, x=0), want(1, exists=False, a=1, y=1), want(2, exists=False, a=2)]
    assert properties(gather(*(wants[place] for place in order))) == {"a": 2, "x": 0, "y": 1}


def test_what_the_last_one_wants_is_compared_not_what_the_first_one_wanted() -> None:
    """Otherwise each run would write the first and then the last again, for ever."""
    held = {"a": "last"}
    assert gather(want(0, a="first", held=held), want(1, a="last", held=held)).changes() == []
    assert gather(want(1, a="last", held=held), want(0, a="first", held=held)).changes() == []


def test_a_field_only_the_lower_one_speaks_of_still_counts() -> None:
    held = {"a": "last", "b": "old"}
    desired = gather(want(0, a="first", b="new", held=held), want(1, a="last", held=held))
    (change,) = desired.changes()
    assert [field.path for field in change.fields] == ["properties.b"]
    assert properties(desired) == {"b": "new"}


def test_a_lower_want_that_arrives_late_adds_only_what_nobody_spoke_of() -> None:
    held = {"a": "last", "b": "old"}
    desired = gather(want(1, a="last", held=held), want(0, a="first", b="new", held=held))
    (change,) = desired.changes()
    assert [field.path for field in change.fields] == ["properties.b"]
    assert properties(desired) == {"b": "new"}


def test_without_merge_the_last_one_wins_as_a_whole() -> None:
    desired = gather(want(0, exists=False, a=1, b=1), want(1, exists=False, a=2), merge=False)
    assert properties(desired) == {"a": 2}


def test_changes_come_in_the_order_of_the_mapping() -> None:
    desired = DesiredTargets(merge=True)
    for rank in (2, 0, 1):
        body = {"identifier": str(rank), "blueprint": "service"}
        source = SourceRef(f"component:default/{rank}")
        key = TargetKey("service", str(rank))
        encoded = msgspec.json.encode(body)
        desired.add(
            Want(key=key, source=source, rank=(rank,), body=encoded, paths=frozenset(), fields=(), exists=False)
        )
    assert [change.identifier for change in desired.changes()] == ["0", "1", "2"]


def test_a_protected_key_is_wanted_without_a_change() -> None:
    desired = DesiredTargets(merge=True)
    desired.protect(KEY)
    assert KEY in desired
    assert desired.changes() == []
