"""What a sender of hints may say, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stageport.model.announcements import MOST_REFS, TooManyRefsError, read_announcement
from stageport.model.hints import OVERFLOW

CHANGE = {"entityRef": "component:default/pay", "operation": "upsert", "uid": None, "etag": "9f", "sequence": 7}
ENTITY = {"kind": "Component", "metadata": {"name": "Pay", "namespace": "Shop"}}


def read(document: Any) -> list[str]:
    return [str(ref) for ref in read_announcement(json.dumps(document).encode())]


def message(*changes: Any, **more: Any) -> dict[str, Any]:
    return {"type": "stageport.catalog.changed", "source": "http://backstage", "changes": list(changes), **more}


def test_changes_one_by_one() -> None:
    other = {"entityRef": "Group:Default/Team-A", "operation": "delete"}
    assert read(message(CHANGE, other, CHANGE, unknown="is no matter")) == [
        "component:default/pay",
        "group:default/team-a",
    ]
    assert read(message()) == []


def test_a_sender_that_lost_track() -> None:
    assert read({"type": "stageport.catalog.overflow", "source": "x"}) == [OVERFLOW]


def test_a_plain_list() -> None:
    assert read({"entityRefs": ["component:pay", "API:shop/Orders"]}) == ["component:default/pay", "api:shop/orders"]


@pytest.mark.parametrize(
    ("event", "refs"),
    [
        ({"topic": "stageport.catalog.changed", "eventPayload": message(CHANGE)}, ["component:default/pay"]),
        ({"event": {"topic": "stageport.catalog.changed", "payload": message(CHANGE)}}, ["component:default/pay"]),
        ({"events": [{"topic": "t", "payload": {"entityRef": "api:a/b"}}, {"topic": "t"}]}, ["api:a/b"]),
        ({"topic": "experimental.catalog.errors", "eventPayload": {"entity": ENTITY}}, ["component:shop/pay"]),
        (
            {
                "topic": "experimental.catalog.conflict",
                "eventPayload": {"unprocessedEntity": ENTITY, "entityRef": "component:shop/pay"},
            },
            ["component:shop/pay"],
        ),
        ({"topic": "github.push", "eventPayload": {"ref": "refs/heads/main"}}, []),
        ({"topic": "github.push"}, []),
    ],
)
def test_events_of_backstages_own_bus(event: Any, refs: list[str]) -> None:
    assert read(event) == refs


@pytest.mark.parametrize(
    "document",
    [
        [],
        "component:default/pay",
        None,
        {},
        {"type": "stageport.catalog.changed"},
        {"type": "stageport.catalog.unheard"},
        {"type": 7},
        message({"entityRef": "component:default/pay"}),
        message({"entityRef": "component:default/pay", "operation": "create"}),
        message({"entityRef": 7, "operation": "upsert"}),
        message("component:default/pay"),
        message({**CHANGE, "uid": 7}),
        message({**CHANGE, "sequence": "7"}),
        {"entityRefs": "component:default/pay"},
        {"entityRefs": [7]},
        {"entityRefs": ["pay"]},
        {"entityRefs": ["component:default/a#b"]},
        {"entityRefs": ["component:default/a,kind=user"]},
        {"entityRefs": ["component:default/a b"]},
        {"entityRefs": ["component:default/a\tb"]},
        {"entityRefs": ["component:default/a/b"]},
        {"entityRefs": ["component:default/" + "x" * 800]},
        {"topic": 7},
        {"events": ["x"]},
        {"events": "x"},
        {"topic": "t", "eventPayload": {"entity": {"kind": "Component"}}},
        {"topic": "t", "eventPayload": {"entity": {"kind": 7, "metadata": {"name": "x"}}}},
    ],
)
def test_anything_else_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(document)


def test_more_refs_than_a_message_may_name() -> None:
    refs = [f"component:default/c{number}" for number in range(MOST_REFS + 1)]
    assert len(read({"entityRefs": refs[:-1]})) == MOST_REFS
    with pytest.raises(TooManyRefsError):
        read({"entityRefs": refs})


@pytest.mark.parametrize("body", [b"", b"{", b'"\xff"', b"\xff\xfe", b"[" * 100_000, b'{"type":' * 50_000])
def test_bytes_that_are_no_json(body: bytes) -> None:
    with pytest.raises(ValueError, match="The body"):
        read_announcement(body)


NAMES = st.sampled_from(
    ["type", "changes", "entityRef", "entityRefs", "topic", "event", "events", "eventPayload", "payload", "entity"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_nothing_but_refs_or_a_refusal_comes_of_any_json(document: Any) -> None:
    try:
        refs = read(document)
    except ValueError:
        return
    assert all(ref == OVERFLOW or (ref == ref.lower() and ref.count("/") == 1 and "#" not in ref) for ref in refs)
