"""The routes of the Backstage stand-in, over real sockets. Answers and messages are those of a real Backstage 1.55."""

import base64
import json
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from tests.visitor import Visitor, component, visit

from stageport.model.entities import Json


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    async with visit() as one:
        yield one


# -- the address itself -------------------------------------------------------------------------------------------


async def test_a_browser_is_told_what_it_is_and_where_the_catalog_is(visitor: Visitor) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with aiohttp.ClientSession() as session:
        async with session.get(visitor.running.url, headers=browser) as answer:
            page = await answer.text()
            assert (answer.status, answer.content_type) == (200, "text/html")
        async with session.get(visitor.running.url) as answer:
            assert (answer.status, await answer.read()) == (404, b""), "a program sees what Backstage answers"
    assert visitor.running.requests == [], "that was no request to the catalog"
    assert "stand-in" in page
    (link,) = re.findall(r'href="/api/catalog([^"]+)"', page)
    assert (await visitor.get(link)).status == 200


# -- by-query -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 25, 26, 500])
async def test_pages_hold_every_entity_once_in_the_order_of_uids(visitor: Visitor, limit: int) -> None:
    names = await visitor.scan(f"limit={limit}")

    by_uid = sorted(visitor.catalog, key=lambda entity: entity.uid)
    assert names == [entity.decoded()["metadata"]["name"] for entity in by_uid]


async def test_a_page_without_limit_has_200(visitor: Visitor) -> None:
    for number in range(200):
        visitor.catalog.put(component(f"more-{number}"))

    page = (await visitor.get("/entities/by-query")).json

    assert len(page["items"]) == 200
    assert page["totalItems"] == 226


async def test_whole_entities_come_chunked_and_projected_ones_with_an_etag(visitor: Visitor) -> None:
    whole = await visitor.get("/entities/by-query?limit=2")
    projected = await visitor.get("/entities/by-query?limit=2&fields=kind,metadata.name")

    assert whole.headers["Content-Type"] == projected.headers["Content-Type"] == "application/json; charset=utf-8"
    assert whole.headers.get("Transfer-Encoding") == "chunked"
    assert "ETag" not in whole.headers
    assert projected.headers["ETag"].startswith('W/"')
    assert set(projected.json["items"][0]) == {"kind", "metadata"}
    again = await visitor.get(
        "/entities/by-query?limit=2&fields=kind,metadata.name", headers={"If-None-Match": projected.headers["ETag"]}
    )
    assert (again.status, again.body) == (304, b"")


async def test_a_cursor_carries_the_query_and_a_stale_count(visitor: Visitor) -> None:
    first = (await visitor.get("/entities/by-query?filter=kind=component&limit=10&fields=metadata.name")).json
    cursor = first["pageInfo"]["nextCursor"]
    for number in range(3):
        visitor.catalog.put(component(f"late-{number}"))

    second = (await visitor.get(f"/entities/by-query?limit=10&filter=kind=nope&cursor={cursor}")).json

    assert second["totalItems"] == first["totalItems"] == 25
    assert {entity["kind"] for entity in second["items"]} == {"Component"}
    decoded = json.loads(base64.b64decode(cursor))
    assert list(decoded) == [
        "orderFields", "isPrevious", "query", "fullTextFilter",
        "orderFieldValues", "firstSortFieldValues", "totalItems",
    ]  # fmt: skip
    assert decoded["query"] == {"kind": "component"}


async def test_the_way_back_leads_to_the_first_page(visitor: Visitor) -> None:
    first = (await visitor.get("/entities/by-query?limit=10")).json
    second = (await visitor.get(f"/entities/by-query?limit=10&cursor={first['pageInfo']['nextCursor']}")).json
    back = (await visitor.get(f"/entities/by-query?limit=10&cursor={second['pageInfo']['prevCursor']}")).json

    assert "prevCursor" not in first["pageInfo"]
    assert back["items"] == first["items"]
    assert "prevCursor" not in back["pageInfo"]


async def test_the_row_that_a_cursor_stands_at_may_go(visitor: Visitor) -> None:
    first = (await visitor.get("/entities/by-query?limit=10&fields=metadata.name,metadata.uid")).json
    visitor.catalog.delete(visitor.catalog.by_uid(first["items"][-1]["metadata"]["uid"]).ref)

    second = (await visitor.get(f"/entities/by-query?limit=500&cursor={first['pageInfo']['nextCursor']}")).json

    assert len(second["items"]) == 16


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=abc", "InputError: request/query/limit must be integer"),
        ("limit=1.5", "InputError: request/query/limit must be integer"),
        ("limit=-1", "InputError: request/query/limit must be >= 0"),
        ("limit=1&limit=2", "InputError: request/query/limit must be integer"),
        ("limit=", "InputError: Empty value found for query parameter 'limit'"),
        ("offset=-1", "InputError: request/query/offset must be >= 0"),
        ("bogus=1", "InputError: Unknown query parameter 'bogus'"),
        ("filter=", "InputError: Empty value found for query parameter 'filter'"),
        (
            "fields=metadata.tags[0]",
            'InputError: Invalid field "metadata.tags[0]", array type fields are not supported',
        ),
        ("orderField=kind,up", "InputError: Invalid order field order, must be asc or desc"),
        (
            "totalItems=maybe",
            "InputError: request/query/totalItems must be equal to one of the allowed values: include, exclude",
        ),
        (
            "filter=%3Dx",
            "InputError: Invalid filter, '=x' is not a valid statement (expected a string on the form a=b or a= or a)",
        ),
    ],
)
async def test_a_query_that_makes_no_sense(visitor: Visitor, query: str, message: str) -> None:
    answer = await visitor.get(f"/entities/by-query?{query}")

    assert answer.status == 400
    assert answer.message == message
    assert answer.json["request"]["method"] == "GET"
    assert answer.json["request"]["url"].startswith("/entities/by-query?")


@pytest.mark.parametrize(
    ("query", "count", "total"),
    [
        ("limit=0", 0, 26),
        ("limit=5.0", 5, 26),
        ("limit=1e1", 10, 26),
        ("offset=20", 6, 26),
        ("offset=100", 0, 26),
        ("limit=3&totalItems=exclude", 3, 0),
        ("filter=kind=nope", 0, 0),
        ("filter=KIND=Component,metadata.name=C-01", 1, 1),
        ("filter=kind=group&filter=metadata.name=c-01", 2, 2),
        ("filter=kind=component,kind=group&limit=500", 26, 26),
        ("filter=relations.ownedBy=group:default/team&limit=500", 25, 25),
        ("fullTextFilterTerm=C-1&fullTextFilterFields=metadata.name", 10, 10),
        ("fullTextFilterTerm=c-1", 0, 0),
        ("orderField=spec.children,asc", 0, 0),
    ],
)
async def test_a_query_and_its_count(visitor: Visitor, query: str, count: int, total: int) -> None:
    page = (await visitor.get(f"/entities/by-query?{query}")).json

    assert (len(page["items"]), page["totalItems"]) == (count, total)


async def test_the_same_by_post(visitor: Visitor) -> None:
    query = {"query": {"kind": "component"}, "limit": 2, "orderBy": [{"field": "metadata.name", "order": "desc"}]}

    first = (await visitor.post("/entities/by-query", {**query, "fields": ["metadata.name"]})).json
    following = {"cursor": first["pageInfo"]["nextCursor"], "limit": 1, "fields": ["metadata.name"]}
    second = (await visitor.post("/entities/by-query", following)).json

    assert first["items"] == [{"metadata": {"name": "c-24"}}, {"metadata": {"name": "c-23"}}]
    assert second["items"] == [{"metadata": {"name": "c-22"}}]
    assert first["totalItems"] == 25


@pytest.mark.parametrize(
    "body",
    [
        {"limit": "2"},
        {"fields": "kind"},
        {"cursor": ""},
        {"cursor": "zzz"},
        {"query": "text"},
        {"query": {"$any": [{"kind": "api"}], "kind": "x"}},
        {"orderBy": [{"field": "kind"}]},
        {"totalItems": "no"},
        [],
    ],
)
async def test_a_body_that_makes_no_sense(visitor: Visitor, body: Json) -> None:
    answer = await visitor.post("/entities/by-query", body)

    assert answer.status == 400
    assert answer.message.startswith("InputError: ")


# -- other routes -------------------------------------------------------------------------------------------------


async def test_by_refs_answers_in_order_with_null_for_what_is_missing(visitor: Visitor) -> None:
    refs = ["component:default/c-01", "component:default/nope", "Component:default/c-01", "group:default/team"]

    items = (await visitor.post("/entities/by-refs", {"entityRefs": refs, "fields": ["metadata.name"]})).json["items"]

    assert items == [{"metadata": {"name": "c-01"}}, None, None, {"metadata": {"name": "Team"}}]


async def test_by_refs_filters(visitor: Visitor) -> None:
    body = {"entityRefs": ["component:default/c-01", "group:default/team"], "fields": ["kind"]}

    assert (await visitor.post("/entities/by-refs?filter=kind=group", body)).json["items"] == [None, {"kind": "Group"}]
    body["query"] = {"kind": "component"}
    assert (await visitor.post("/entities/by-refs", body)).json["items"] == [{"kind": "Component"}, None]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{}", "InputError: request/body must have required property 'entityRefs'"),
        (b'{"entityRefs":"x"}', "InputError: request/body/entityRefs must be array"),
        (b'{"entityRefs":[1]}', "InputError: request/body/entityRefs/0 must be string"),
        (b'{"entityRefs":["' + b"x" * 102_400 + b'"]}', "InputError: request entity too large"),
    ],
)
async def test_by_refs_refuses(visitor: Visitor, raw: bytes, message: str) -> None:
    answer = await visitor.ask("POST", "/entities/by-refs", raw=raw)

    assert (answer.status, answer.message) == (400, message)


async def test_by_refs_wants_json(visitor: Visitor) -> None:
    answer = await visitor.ask("POST", "/entities/by-refs", raw=b"x", headers={"Content-Type": "text/plain"})

    assert (answer.status, answer.message) == (400, "InputError: unsupported media type text/plain")


async def test_one_entity_by_name_and_by_uid_in_any_casing(visitor: Visitor) -> None:
    uid = visitor.catalog.entity("group:default/team")["metadata"]["uid"]

    by_name = await visitor.get("/entities/by-name/GROUP/Default/TEAM")
    by_uid = await visitor.get(f"/entities/by-uid/{uid.upper()}")

    assert by_name.body == by_uid.body == visitor.catalog.find("group:default/team").body
    missing = await visitor.get("/entities/by-name/Component/default/No%20Such")
    assert missing.status == 404
    assert (
        missing.message
        == "NotFoundError: No entity named 'No Such' found, with kind 'Component' in namespace 'default'"
    )
    assert (await visitor.get("/entities/by-uid/nope")).message == "NotFoundError: No entity with uid nope"


async def test_an_entity_is_deleted_by_uid_and_twice_is_no_error(visitor: Visitor) -> None:
    uid = visitor.catalog.entity("component:default/c-01")["metadata"]["uid"]

    answers = [await visitor.ask("DELETE", f"/entities/by-uid/{uid}") for _ in range(2)]

    assert [answer.status for answer in answers] == [204, 204]
    assert "component:default/c-01" not in visitor.catalog


async def test_facets(visitor: Visitor) -> None:
    facets = (await visitor.get("/entity-facets?facet=kind&facet=spec.lifecycle&filter=kind=component")).json["facets"]

    assert facets == {
        "kind": [{"value": "Component", "count": 25}],
        "spec.lifecycle": [{"value": "production", "count": 25}],
    }
    missing = await visitor.get("/entity-facets")
    assert (missing.status, missing.message) == (400, "InputError: request/query must have required property 'facet'")
    by_post = await visitor.post("/entity-facets", {"facets": ["kind"], "query": {"kind": "group"}})
    assert by_post.json == {"facets": {"kind": [{"value": "Group", "count": 1}]}}


async def test_all_entities_at_once_or_in_windows(visitor: Visitor) -> None:
    everything = (await visitor.get("/entities")).json
    assert [entity["metadata"]["uid"] for entity in everything] == sorted(entity.uid for entity in visitor.catalog)

    refs: list[str] = []
    path = "/entities?limit=10&fields=kind,metadata.name"
    for _ in range(3):
        window = await visitor.get(path)
        refs += [f"{entity['kind']}:{entity['metadata']['name']}" for entity in window.json]
        path = window.headers["Link"].partition(">")[0].lstrip("<") if "Link" in window.headers else ""
    assert refs == [*(f"Component:c-{number:02}" for number in range(25)), "Group:Team"]
    assert path == ""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/entities?limit=0", "InputError: Invalid limit, must be greater than zero"),
        ("/entities?after=x", "InputError: Malformed after cursor, could not be parsed"),
        ("/entities?order=up", 'InputError: Invalid order parameter "up", expected "<asc or desc>:<field name>"'),
        ("/entities?cursor=x", "InputError: Unknown query parameter 'cursor'"),
    ],
)
async def test_a_window_that_makes_no_sense(visitor: Visitor, path: str, message: str) -> None:
    answer = await visitor.get(path)

    assert (answer.status, answer.message) == (400, message)


async def test_an_order_puts_those_without_the_field_last_in_a_window_and_leaves_them_out_of_a_stream(
    visitor: Visitor,
) -> None:
    visitor.catalog.update("component:default/c-03", lambda entity: entity["metadata"].update(title="T"))

    stream = (await visitor.get("/entities?order=desc:metadata.title&fields=metadata.name")).json
    window = (await visitor.get("/entities?order=desc:metadata.title&fields=metadata.name&limit=500")).json

    assert stream == window[:1] == [{"metadata": {"name": "c-03"}}]
    assert len(window) == 26


async def test_ancestry_refresh_and_locations(visitor: Visitor) -> None:
    ancestry = (await visitor.get("/entities/by-name/group/default/team/ancestry")).json
    assert ancestry["rootEntityRef"] == "group:default/team"
    assert ancestry["items"][0]["parentEntityRefs"] == []

    known = await visitor.post("/refresh", {"entityRef": "group:default/team"})
    unknown = await visitor.post("/refresh", {"entityRef": "group:default/nope"})
    assert (known.status, known.body, unknown.status) == (200, b"", 404)
    assert (await visitor.get("/locations")).json == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nope"), ("GET", ""), ("PUT", "/entities"), ("POST", "/entities"), ("GET", "/entities/by-name/a/b")],
)
async def test_what_has_no_route_is_404_without_a_body(visitor: Visitor, method: str, path: str) -> None:
    answer = await visitor.ask(method, path)

    assert (answer.status, answer.body) == (404, b"")
