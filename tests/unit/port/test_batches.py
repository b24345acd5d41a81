import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stageport.port.batches import LARGEST_BODY, MOST_BYTES, MOST_ENTITIES, cut_batches, join_bodies


def sizes(bodies: list[bytes]) -> list[int]:
    return [len(batch) for batch in cut_batches(bodies)]


def test_a_batch_holds_no_more_than_twenty() -> None:
    assert sizes([b"{}"] * 45) == [20, 20, 5]


def test_nothing_makes_no_batch() -> None:
    assert list(cut_batches([])) == []


def test_a_mebibyte_fits_to_the_byte() -> None:
    half = b"x" * ((MOST_BYTES - len(join_bodies([b"", b""]))) // 2)
    rest = MOST_BYTES - len(join_bodies([half, b""]))
    assert len(join_bodies([half, b"x" * rest])) == MOST_BYTES
    assert sizes([half, b"x" * rest]) == [2]
    assert sizes([half, b"x" * (rest + 1)]) == [1, 1]


def test_the_largest_body_fits_alone() -> None:
    assert len(join_bodies([b"x" * LARGEST_BODY])) == MOST_BYTES


def test_a_body_too_large_for_any_request_stands_alone() -> None:
    assert sizes([b"{}", b"x" * (MOST_BYTES + 1), b"{}", b"{}"]) == [1, 1, 2]


def test_bodies_are_joined_as_they_are() -> None:
    joined = join_bodies([b'{"a": 1.0}', b'{"b":12345678901234567890}'])
    assert joined == b'{"entities":[{"a": 1.0},{"b":12345678901234567890}]}'
    assert len(json.loads(joined)["entities"]) == 2


@given(st.lists(st.binary(max_size=40), max_size=60), st.integers(1, 8), st.integers(20, 120))
def test_every_body_stands_in_exactly_one_batch_in_order_within_the_limits(
    bodies: list[bytes], most: int, most_bytes: int
) -> None:
    batches = list(cut_batches(bodies, most=most, most_bytes=most_bytes))
    assert [position for batch in batches for position in batch] == list(range(len(bodies)))
    for batch in batches:
        joined = join_bodies(bodies[batch.start : batch.stop])
        assert len(batch) == 1 or (len(batch) <= most and len(joined) <= most_bytes)


@given(st.lists(st.binary(max_size=40), min_size=2, max_size=60))
def test_no_batch_could_have_taken_the_next_body(bodies: list[bytes]) -> None:
    batches = list(cut_batches(bodies, most_bytes=100))
    for batch, following in pairwise(batches):
        more = bodies[batch.start : following.start + 1]
        assert len(more) > MOST_ENTITIES or len(join_bodies(more)) > 100
