import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stageport.plan.fold import fold_bodies

KEY = {"identifier": "pay", "blueprint": "service"}


def body(**fields: object) -> bytes:
    return msgspec.json.encode({**KEY, **fields})


def properties(*bodies: bytes, merge: bool = True) -> object:
    return msgspec.json.decode(fold_bodies(bodies, merge=merge)).get("properties")


def test_one_want_is_sent_byte_for_byte() -> None:
    odd = b'{ "identifier":"pay",  "properties":{"n":1.0} }'
    assert fold_bodies([odd], merge=True) == odd
    assert fold_bodies([odd], merge=False) == odd


def test_two_wants_of_one_target_are_one_body_with_the_fields_of_both() -> None:
    assert properties(body(properties={"a": 1}), body(properties={"b": 2})) == {"a": 1, "b": 2}


def test_the_last_one_wins_field_by_field() -> None:
    wants = [body(properties={"a": 0, "x": 0}), body(properties={"a": 1, "y": 1}), body(properties={"a": 2})]
    assert properties(*wants) == {"a": 2, "x": 0, "y": 1}


def test_a_null_is_a_word_too_and_silence_is_none() -> None:
    assert properties(body(properties={"a": 1, "b": 1}), body(properties={"a": None})) == {"a": None, "b": 1}


def test_without_merge_the_last_one_wins_as_a_whole() -> None:
    assert properties(body(properties={"a": 1, "b": 1}), body(properties={"a": 2}), merge=False) == {"a": 2}
    assert properties(body(properties={"a": 1}), body(title="Pay"), merge=False) is None


@pytest.mark.parametrize("part", ["properties", "relations"])
def test_an_object_that_only_one_of_them_has_is_kept(part: str) -> None:
    for order in itertools.permutations([body(**{part: {"a": 1}}), body(title="Pay")]):
        assert msgspec.json.decode(fold_bodies(order, merge=True)) == {**KEY, "title": "Pay", part: {"a": 1}}


def test_relations_are_folded_name_by_name_and_lists_are_not() -> None:
    wants = [body(relations={"uses": ["a", "b"], "owner": "x"}), body(relations={"uses": ["c"]})]
    assert msgspec.json.decode(fold_bodies(wants, merge=True))["relations"] == {"uses": ["c"], "owner": "x"}


@pytest.mark.parametrize("name", ["title", "icon", "team"])
def test_plain_fields_are_those_of_the_last_one_that_speaks_of_them(name: str) -> None:
    wants = [body(**{name: "first"}), body(**{name: "second"}), body(properties={})]
    assert msgspec.json.decode(fold_bodies(wants, merge=True))[name] == "second"


BODIES = st.builds(
    lambda properties, relations, title: body(
        **({"properties": properties} if properties is not None else {}),
        **({"relations": relations} if relations is not None else {}),
        **({"title": title} if title else {}),
    ),
    st.none() | st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3)),
    st.none() | st.dictionaries(st.sampled_from("xyz"), st.none() | st.sampled_from(["p", "q"])),
    st.sampled_from(["", "One", "Two"]),
)


@given(st.lists(BODIES, min_size=1, max_size=4), st.data())
def test_folding_part_of_them_first_changes_nothing(bodies: list[bytes], data: st.DataObject) -> None:
    """Else it would count in which pages the source entities of a target entity come."""
    cut = data.draw(st.integers(1, len(bodies)))
    first = fold_bodies(bodies[:cut], merge=True)
    assert msgspec.json.decode(fold_bodies([first, *bodies[cut:]], merge=True)) == msgspec.json.decode(
        fold_bodies(bodies, merge=True)
    )
