"""Filters, projection, order and cursors of the Backstage stand-in, below HTTP."""

import base64
import json

import pytest

from stageport.model.entities import Json
from stageport.sandbox.backstage.answers import InputError
from stageport.sandbox.backstage.catalog import Catalog
from stageport.sandbox.backstage.cursors import Cursor, OrderField, decode_cursor, encode_cursor
from stageport.sandbox.backstage.predicates import checked_predicate, parse_filters
from stageport.sandbox.backstage.projection import parse_fields, project
from stageport.sandbox.backstage.queries import EntitiesQuery, EntitiesReader
from stageport.sandbox.backstage.search import Searchable
from stageport.sandbox.backstage.selection import Selection

SPEC = {"type": "service", "lifecycle": "Production", "owner": "Team-A"}


def component(name: str, *, spec: Json = None, **metadata: Json) -> Json:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, **metadata},
        "spec": {**SPEC, **(spec or {})},
    }


RICH = component(
    "Rich",
    title="Büro",
    tags=["go", "tier-1"],
    labels={"example.com/Tier": "One"},
    annotations={"example.com/a.b": "Value"},
    links=[{"url": "https://a"}, {"url": "https://b", "title": "B"}],
    spec={
        "long": "L" * 201,
        "fits": "f" * 200,
        "nothing": None,
        "yes": True,
        "count": 3,
        "half": 1.5,
        "tiny": 1e-7,
        "small": 0.00001,
        "nested": {"Dots.in.key": "x", "List": [1, "Two", {"k": "V"}]},
    },
)


@pytest.fixture(scope="module")
def rich() -> Searchable:
    entity = Catalog([RICH]).find("component:default/rich")
    assert entity is not None
    return Searchable(entity)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("kind", ["Component"]),
        ("KIND", ["Component"]),
        ("metadata.name", ["Rich"]),
        ("metadata.namespace", ["default"]),
        ("metadata.title", ["Büro"]),
        ("metadata.tags", ["go", "tier-1"]),
        ("metadata.tags.go", ["true"]),
        ("metadata.tags.TIER-1", ["true"]),
        ("metadata.tags.java", []),
        ("metadata.labels.example.com/tier", ["One"]),
        ("metadata.annotations.example.com/a.b", ["Value"]),
        ("metadata.links.url", ["https://a", "https://b"]),
        ("metadata.links.title", ["B"]),
        ("metadata.links", []),
        ("metadata", []),
        ("metadata.etag", []),
        ("spec.lifecycle", ["Production"]),
        ("spec.owner", ["Team-A"]),
        ("relations.ownedBy", ["group:default/team-a"]),
        ("relations.ownedby", ["group:default/team-a"]),
        ("relations", []),
        ("spec.long", [None]),
        ("spec.fits", ["f" * 200]),
        ("spec.nothing", [None]),
        ("spec.yes", ["true"]),
        ("spec.count", ["3"]),
        ("spec.half", ["1.5"]),
        ("spec.tiny", ["1e-7"]),
        ("spec.small", ["0.00001"]),
        ("spec.nested.dots.in.key", ["x"]),
        ("spec.nested.list", ["1", "Two"]),
        ("spec.nested.list.two", ["true"]),
        ("spec.nested.list.k", ["V"]),
        ("spec." + "x" * 200, []),
    ],
)
def test_what_is_indexed_under_a_key(rich: Searchable, key: str, expected: list[str | None]) -> None:
    assert rich.originals(key) == expected


def test_the_uid_is_indexed_and_status_is_not() -> None:
    catalog = Catalog([RICH])
    catalog.fail("component:default/rich", "no")
    entity = catalog.find("component:default/rich")
    assert entity is not None

    assert Searchable(entity).values("metadata.uid") == [entity.uid]
    assert Searchable(entity).values("status.items.level") == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (None, None),
        (["", " , "], None),
        (["kind=component"], {"kind": "component"}),
        ([" kind = a , spec.type "], {"$all": [{"kind": "a"}, {"spec.type": {"$exists": True}}]}),
        (["kind=a,kind=b"], {"kind": {"$in": ["a", "b"]}}),
        (["kind=a,Kind=b"], {"$all": [{"kind": "a"}, {"Kind": "b"}]}),
        (["kind=a", "kind=b"], {"$any": [{"kind": "a"}, {"kind": "b"}]}),
        (["k="], {"k": ""}),
        (["k=a=b"], {"k": "a=b"}),
    ],
)
def test_filters_are_read(filters: list[str] | None, expected: Json) -> None:
    assert parse_filters(filters) == expected


def test_a_filter_needs_a_key() -> None:
    with pytest.raises(InputError, match=r"Invalid filter, '=x' is not a valid statement"):
        parse_filters(["=x"])


NAMES = ("Alpha", "beta", "Gamma", "delta")
MANY = [component(name, title=name if index % 2 else f"T{index}") for index, name in enumerate(NAMES)]


def select(predicate: Json, descriptors: list[Json] | None = None) -> set[str]:
    catalog = Catalog([*MANY, RICH] if descriptors is None else descriptors)
    return {entity.decoded()["metadata"]["name"] for entity in Selection(catalog).entities(predicate)}


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (None, {*NAMES, "Rich"}),
        ({}, {*NAMES, "Rich"}),
        ({"kind": "COMPONENT"}, {*NAMES, "Rich"}),
        ({"kind": "api"}, set()),
        ({"metadata.name": "ALPHA"}, {"Alpha"}),
        ({"metadata.name": {"$in": ["alpha", "BETA"]}}, {"Alpha", "beta"}),
        ({"metadata.name": {"$hasPrefix": "r"}}, {"Rich"}),
        ({"metadata.name": {"$hasPrefix": "%"}}, set()),
        ({"metadata.tags": {"$exists": True}}, {"Rich"}),
        ({"metadata.tags": {"$exists": False}}, set(NAMES)),
        ({"spec.nothing": {"$exists": True}}, {"Rich"}),
        ({"spec.nothing": "null"}, set()),
        ({"spec.long": "l" * 201}, set()),
        ({"metadata.tags": {"$contains": "GO"}}, {"Rich"}),
        ({"relations": {"$contains": {"type": "ownedBy"}}}, {*NAMES, "Rich"}),
        ({"relations": {"$contains": {"type": "ownedBy", "targetRef": {"$in": ["group:default/x"]}}}}, set()),
        ({"relations": {"$contains": {"type": "OWNEDBY", "TargetRef": "Group:default/team-a"}}}, {*NAMES, "Rich"}),
        ({"$not": {"metadata.name": "rich"}}, set(NAMES)),
        ({"$all": []}, {*NAMES, "Rich"}),
        ({"$any": []}, set()),
        ({"$any": [{"metadata.name": "alpha"}, {"spec.count": 3}]}, {"Alpha", "Rich"}),
        ({"$all": [{"kind": "component"}, {"metadata.name": "beta"}]}, {"beta"}),
        ({"kind": "component", "metadata.title": "T0"}, {"Alpha"}),
    ],
)
def test_predicates_select(predicate: Json, expected: set[str]) -> None:
    assert select(predicate) == expected


@pytest.mark.parametrize(
    "predicate",
    [
        {"kind": {"$foo": 1}},
        {"kind": None},
        {"$any": [{"kind": "a"}], "kind": "b"},
        {"$nope": 1},
        [],
        {"$all": 1},
        {"kind": ["a"]},
    ],
)
def test_what_is_no_predicate_is_refused(predicate: Json) -> None:
    with pytest.raises(InputError, match="Invalid query"):
        checked_predicate(predicate)


@pytest.mark.parametrize(
    "predicate",
    [
        "text",
        {"metadata.tags": {"$contains": {"a": "b"}}},
        {"relations": {"$contains": {"targetRef": "x"}}},
        {"relations": {"$contains": {"type": "a", "other": "b"}}},
        {"relations": {"$contains": {"type": "a", "targetRef": {"$in": []}}}},
        {"relations": {"$contains": {"type": "a", "Type": "b"}}},
    ],
)
def test_what_the_catalog_cannot_answer_is_refused(predicate: Json) -> None:
    with pytest.raises(InputError):
        select(predicate)


def test_a_selection_is_remembered_until_the_catalog_changes() -> None:
    catalog = Catalog(MANY)
    selection, predicate = Selection(catalog), {"metadata.name": {"$hasPrefix": "b"}}
    first = selection.uids(predicate)

    assert selection.uids(predicate) is first
    catalog.put(component("bravo"))
    assert len(selection.uids(predicate)) == 2


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["kind"], {"kind": "Component"}),
        (["kind,metadata.name"], {"kind": "Component", "metadata": {"name": "Rich"}}),
        ([" kind , kind "], {"kind": "Component"}),
        (["Kind"], {}),
        (["nope.at.all,kind"], {"kind": "Component"}),
        (
            ["metadata.annotations.example.com/a.b"],
            {"metadata": {"annotations": {"example.com/a.b": "Value"}}},
        ),
        (["spec.nested.Dots.in.key"], {"spec": {"nested": {"Dots.in.key": "x"}}}),
        (["metadata.tags.1"], {"metadata": {"tags": [None, "tier-1"]}}),
        (["metadata.links.0.url"], {"metadata": {"links": [{"url": "https://a"}]}}),
        (["spec.nothing"], {"spec": {"nothing": None}}),
        (["spec.nothing.x"], {}),
        (["spec.type", "spec.count"], {"spec": {"type": "service", "count": 3}}),
    ],
)
def test_fields_leave_what_they_name_and_nothing_else(fields: list[str], expected: Json) -> None:
    entity = Catalog([RICH]).entity("component:default/rich")

    assert project(entity, parse_fields(fields)) == expected


def test_a_field_does_not_reach_into_arrays() -> None:
    with pytest.raises(InputError, match=r'Invalid field "metadata.tags\[0\]"'):
        parse_fields(["metadata.tags[0]"])


def names_of(query: EntitiesQuery, catalog: Catalog) -> list[str]:
    return [entity.decoded()["metadata"]["name"] for entity in EntitiesReader(catalog).read(query).entities]


@pytest.mark.parametrize(
    ("field", "order", "expected"),
    [
        ("metadata.name", "asc", ["Alpha", "beta", "delta", "Gamma", "Rich"]),
        ("metadata.name", "desc", ["Rich", "Gamma", "delta", "beta", "Alpha"]),
        ("METADATA.name", None, ["Alpha", "beta", "delta", "Gamma", "Rich"]),
        ("spec.count", "asc", ["Rich"]),
        ("metadata.tags", "asc", ["Rich", "Rich"]),
        ("spec.nothing", "asc", []),
    ],
)
def test_ordering_leaves_out_what_lacks_the_field_and_repeats_what_has_several(
    field: str, order: str | None, expected: list[str]
) -> None:
    assert names_of(EntitiesQuery(order_fields=(OrderField(field, order),)), Catalog([*MANY, RICH])) == expected


def test_a_count_is_of_entities_not_of_values() -> None:
    query = EntitiesQuery(order_fields=(OrderField("metadata.tags", "asc"),), limit=1)

    assert EntitiesReader(Catalog([*MANY, RICH])).read(query).total == 1


def test_a_cursor_is_base64_of_json_and_can_be_forged() -> None:
    forged = {"orderFields": [], "isPrevious": False, "orderFieldValues": ["8"]}

    cursor = decode_cursor(base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("="))

    assert cursor.order_field_values == ["8"]


def test_a_cursor_written_is_a_cursor_read() -> None:
    cursor = Cursor(
        order_fields=(OrderField("kind", "desc"),),
        is_previous=True,
        query={"kind": "api"},
        order_field_values=["api", "u"],
        first_sort_field_values=["api", "t"],
        total_items=7,
    )

    assert decode_cursor(encode_cursor(cursor, reread=True)) == cursor


@pytest.mark.parametrize("text", ["zzz", "e30=", "W10=", "", "////", base64.b64encode(b'{"orderFields":1}').decode()])
def test_a_malformed_cursor_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="Malformed cursor"):
        decode_cursor(text)


def test_a_cursor_of_an_order_without_direction_cannot_be_used() -> None:
    reader = EntitiesReader(Catalog(MANY))
    page = reader.read(EntitiesQuery(order_fields=(OrderField("metadata.name"),), limit=1))
    assert page.next_cursor is not None

    with pytest.raises(InputError, match="Malformed cursor"):
        decode_cursor(encode_cursor(page.next_cursor, reread=False))
