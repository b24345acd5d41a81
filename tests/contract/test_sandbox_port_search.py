"""Searching and listing at the Port stand-in."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.port_rig import DATASOURCE, STRICT_WRITE, WRITE, Rig, open_rig

LISTING = "/v1/blueprints/entities/datasource-entities"
PROPERTIES = {
    "text": {"type": "string"},
    "count": {"type": "number"},
    "flag": {"type": "boolean"},
    "list": {"type": "array"},
    "when": {"type": "string", "format": "date-time"},
    "site": {"type": "string", "format": "url"},
}
ENTITIES: dict[str, dict[str, Any]] = {
    "a": {"text": "apple", "count": 1, "flag": True, "list": ["x", "y"], "when": "2023-11-14T00:00:00Z"},
    "b": {"text": "banana", "count": 2, "flag": False, "list": ["y"], "when": "2023-11-01T00:00:00Z"},
    "c": {"text": "cherry", "count": 3, "site": "https://example.com/c", "when": "2024-06-01T00:00:00Z"},
    "d": {"text": None, "list": []},
}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as rig:
        await rig.blueprint("other")
        await rig.blueprint(
            properties=PROPERTIES,
            relations={
                "self": {"target": "component"},
                "must": {"target": "other"},
                "all": {"target": "other", "many": True},
            },
        )
        await rig.bulk(
            [{"identifier": key, "title": key.upper(), "properties": value} for key, value in ENTITIES.items()]
        )
        yield rig


def rule(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"property": name, "operator": operator, "value": value}


def every(*rules: Any) -> dict[str, Any]:
    return {"combinator": "and", "rules": list(rules)}


def some(*rules: Any) -> dict[str, Any]:
    return {"combinator": "or", "rules": list(rules)}


async def search(rig: Rig, *rules: Any) -> str:
    """Return the identifiers found, as one word, asking both routes."""
    query = every(rule("$blueprint", "=", "component"), *rules)
    everywhere = await rig.ok("POST", "/v1/entities/search", query)
    paged = await rig.ok("POST", "/v1/blueprints/component/entities/search", {"query": every(*rules)})
    assert everywhere["entities"] == paged["entities"]
    assert everywhere["matchingBlueprints"] == (["component"] if everywhere["entities"] else [])
    return "".join(one["identifier"] for one in everywhere["entities"])


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (rule("text", "=", "apple"), "a"),
        (rule("text", "!=", "apple"), "bcd"),
        (rule("flag", "=", True), "a"),
        (rule("count", "=", True), ""),
        (rule("text", "=", None), "d"),
        (rule("count", ">", 1), "bc"),
        (rule("count", ">=", 2), "bc"),
        (rule("count", "<", 2), "a"),
        (rule("count", "<=", 2), "ab"),
        (rule("when", "<", "2023-11-10T00:00:00+00:00"), "b"),
        (rule("text", "contains", "an"), "b"),
        (rule("text", "doesNotContains", "an"), "acd"),
        (rule("list", "contains", "y"), "ab"),
        (rule("list", "containsAny", ["x", "z"]), "a"),
        (rule("text", "beginsWith", "ch"), "c"),
        (rule("text", "doesNotBeginsWith", "ch"), "abd"),
        (rule("text", "endsWith", "e"), "a"),
        (rule("text", "doesNotEndsWith", "e"), "bcd"),
        (rule("text", "in", ["apple", "cherry"]), "ac"),
        (rule("text", "notIn", ["apple", "cherry"]), "bd"),
        ({"property": "text", "operator": "isEmpty"}, "d"),
        ({"property": "list", "operator": "isNotEmpty"}, "ab"),
        ({"property": "when", "operator": "isExpired"}, "ab"),
        ({"property": "when", "operator": "isNotExpired"}, "c"),
        (rule("when", "between", {"from": "2023-11-10T00:00:00Z", "to": "2023-11-20T00:00:00Z"}), "a"),
        (rule("when", "notBetween", {"from": "2023-11-10T00:00:00Z", "to": "2023-11-20T00:00:00Z"}), "bcd"),
        (rule("when", "between", {"preset": "today"}), "a"),
        (rule("when", "between", {"preset": "last2Weeks"}), "ab"),
        (rule("when", "=", {"preset": "next12Months"}), "c"),
        (rule("$identifier", "in", ["c", "a", "nobody"]), "ac"),
        (rule("$identifier", "=", "b"), "b"),
        (rule("$title", "=", "B"), "b"),
        (rule("$updatedAt", "<", "2023-11-14T22:13:20.001Z"), "abcd"),
        (rule("$datasource", "contains", "/my-backstage/exporter"), "abcd"),
        (rule("$datasource", "beginsWith", "terraform"), ""),
        (rule("$identifier", "matchAny", ["a", "d"]), "ad"),
        ({"propertySchema": {"type": "string", "format": "url"}, "operator": "contains", "value": "example"}, "c"),
        (some(rule("text", "=", "apple"), rule("count", "=", 2)), "ab"),
        (some(every(rule("text", "=", "apple"), rule("count", "=", 2)), rule("$identifier", "=", "d")), "d"),
        (some(), ""),
        (every(), "abcd"),
        (rule("unknown", "=", "x"), ""),
    ],
)
async def test_a_rule_finds_what_it_describes(rig: Rig, one: dict[str, Any], found: str) -> None:
    assert await search(rig, one) == found


async def test_rules_that_follow_relations(rig: Rig) -> None:
    for source, target in (("b", "a"), ("c", "b")):
        await rig.write({"identifier": source, "relations": {"self": target, "must": "o", "all": ["o", "p"]}})

    def related(**more: Any) -> dict[str, Any]:
        return {"operator": "relatedTo", "blueprint": "component", "value": "b", **more}

    assert await search(rig, related(direction="upstream")) == "a"
    assert await search(rig, related(direction="downstream")) == "c"
    assert await search(rig, related()) == "ac"
    assert await search(rig, related(value=["a", "b"], direction="downstream")) == "c"
    assert await search(rig, related(required=True)) == ""
    assert await search(rig, rule("$identifier", "matchAny", "b")) == "b"
    assert await search(rig, {"property": {"path": ["must"]}, "operator": "matchAny", "value": "o"}) == "bc"
    hops = {"property": {"path": [{"relation": "self", "maxHops": 2}]}, "operator": "matchAny", "value": "a"}
    assert await search(rig, hops) == "bc"
    hops["property"] = {"path": [{"relation": "self", "maxHops": 15}]}
    assert await search(rig, hops) == "bc"
    hops["property"] = {"path": ["self", "self"], "fromBlueprint": "component"}
    assert await search(rig, hops) == ""
    assert await search(rig, {**hops, "value": "c"}) == "a"


async def test_relation_rules_of_the_paged_search(rig: Rig) -> None:
    await rig.write({"identifier": "a", "relations": {"self": "b", "all": ["o"]}})

    async def found(one: dict[str, Any]) -> list[str]:
        answer = await rig.ok("POST", "/v1/blueprints/component/entities/search", {"query": every(one)})
        return [entity["identifier"] for entity in answer["entities"]]

    assert await found({"relation": "self", "operator": "=", "value": "b"}) == ["a"]
    assert await found({"relation": "all", "operator": "contains", "value": "o"}) == ["a"]
    assert await found({"relation": "self", "operator": "contains", "value": "B", "targetProperty": "$title"}) == ["a"]
    assert await found({"relation": "self", "operator": "isEmpty"}) == ["b", "c", "d"]


@pytest.mark.parametrize(
    "query",
    [
        [],
        {"rules": []},
        {"combinator": "xor", "rules": []},
        {"combinator": "and"},
        {"combinator": "and", "rules": {}},
        {"combinator": "and", "rules": [], "limit": 1},
        every("x"),
        every({"property": "text", "value": "x"}),
        every(rule("text", "like", "x")),
        every({"property": "text", "operator": "="}),
        every({"property": "text", "operator": "=", "value": "x", "not": True}),
        every({"property": "text", "operator": "isEmpty", "value": "x"}),
        every(rule("$owner", "=", "x")),
        every(rule("text", "in", "x")),
        every(rule("text", "=", {"context": "user", "property": "$identifier"})),
        every(rule("count", ">", True)),
        every(rule("when", "between", {"preset": "someday"})),
        every(rule("when", "between", {"from": "2023-11-10T00:00:00Z"})),
        every(rule("when", "between", {"from": "x", "to": "y"})),
        every({"operator": "relatedTo", "value": "a"}),
        every({"operator": "relatedTo", "blueprint": "component", "value": "a", "direction": "sideways"}),
        every({"operator": "matchAny", "property": {"path": []}, "value": "a"}),
        every({"operator": "matchAny", "property": {"path": [{"relation": "self", "maxHops": 16}]}, "value": "a"}),
        every({"propertySchema": {"format": "url"}, "operator": "=", "value": "x"}),
        every({"relation": "self", "operator": "=", "value": "a", "targetProperty": "$icon"}),
        every({"scorecard": "s", "operator": "=", "value": "Gold"}),
        {"combinator": None, "rules": []},
    ],
)
async def test_queries_that_are_none(rig: Rig, query: object) -> None:
    for path, body in (
        ("/v1/entities/search", query),
        ("/v1/blueprints/component/entities/search", {"query": query}),
    ):
        reply = await rig.call("POST", path, body)
        assert (reply.status, reply.error) == (422, "invalid_request")


async def test_a_search_across_blueprints_names_those_that_match(rig: Rig) -> None:
    await rig.write({"identifier": "a"}, blueprint="other")
    answer = await rig.ok("POST", "/v1/entities/search", every(rule("$identifier", "=", "a")))
    assert [one["blueprint"] for one in answer["entities"]] == ["other", "component"]
    assert answer["matchingBlueprints"] == ["other", "component"]
    narrowed = every(rule("$identifier", "=", "a"), rule("$blueprint", "in", ["component", "none"]))
    assert (await rig.ok("POST", "/v1/entities/search", narrowed))["matchingBlueprints"] == ["component"]


async def test_an_alternative_at_the_top_is_not_narrowed(rig: Rig) -> None:
    query = some(rule("$identifier", "=", "a"), rule("count", "=", 2), rule("$blueprint", "=", "other"))
    answer = await rig.ok("POST", "/v1/entities/search", query)
    assert [one["identifier"] for one in answer["entities"]] == ["a", "b"]


async def test_only_what_is_included_is_shown(rig: Rig) -> None:
    query = [
        ("include", "identifier"),
        ("include", "blueprint"),
        ("include", "properties.text"),
        ("include", "relations.self"),
    ]
    body = every(rule("$identifier", "=", "a"))
    answer = await rig.ok("POST", "/v1/entities/search", body, query=query)
    assert answer["entities"] == [
        {"identifier": "a", "blueprint": "component", "properties": {"text": "apple"}, "relations": {"self": None}}
    ]
    bare = await rig.ok("POST", "/v1/entities/search", body, query={"include": "title"})
    assert bare["entities"] == [{"title": "A"}]
    whole = await rig.ok("POST", "/v1/entities/search", body, query={"include": "properties"})
    assert whole["entities"] == [{"properties": ENTITIES["a"]}]


async def test_what_is_excluded_is_left_out(rig: Rig) -> None:
    paged = {
        "query": every(rule("$identifier", "=", "a")),
        "exclude": ["properties", "relations.self", "$icon", "team"],
    }
    (entity,) = (await rig.ok("POST", "/v1/blueprints/component/entities/search", paged))["entities"]
    assert "properties" not in entity
    assert "icon" not in entity
    assert "team" not in entity
    assert entity["relations"] == {"must": None, "all": []}


async def read_pages(rig: Rig, path: str, body: dict[str, Any]) -> list[list[str]]:
    pages = []
    while True:
        answer = await rig.ok("POST", path, body)
        pages.append([one["identifier"] for one in answer["entities"]])
        if not answer.get("next"):
            return pages
        body = {**body, "from": answer["next"]}


async def test_pages_of_a_blueprint(rig: Rig) -> None:
    path = "/v1/blueprints/component/entities/search"
    assert await read_pages(rig, path, {"query": every(), "limit": 3}) == [["a", "b", "c"], ["d"]]
    assert await read_pages(rig, path, {"query": every(), "limit": 4}) == [["a", "b", "c", "d"]]
    assert await read_pages(rig, path, {"query": every(rule("count", ">", 1)), "limit": 1}) == [["b"], ["c"]]
    assert await read_pages(rig, path, {"query": every(rule("$identifier", "in", ["d", "a"])), "limit": 1}) == [
        ["a"],
        ["d"],
    ]
    assert await read_pages(rig, path, {}) == [["a", "b", "c", "d"]]


@pytest.mark.parametrize("limit", [0, 1001, "10", 1.5, True, None])
async def test_pages_have_a_limit(rig: Rig, limit: object) -> None:
    body = {"query": every(), "limit": limit}
    assert (await rig.call("POST", "/v1/blueprints/component/entities/search", body)).status == 422


async def test_a_cursor_is_none_of_the_clients_business(rig: Rig) -> None:
    for cursor in ("x", "!!!!", "e30=", 1):
        body = {"query": every(), "from": cursor}
        assert (await rig.call("POST", "/v1/blueprints/component/entities/search", body)).status == 422


async def test_paging_goes_on_while_entities_come_and_go(rig: Rig) -> None:
    path = "/v1/blueprints/component/entities/search"
    first = await rig.ok("POST", path, {"query": every(), "limit": 2})
    await rig.ok("DELETE", "/v1/blueprints/component/entities/b", query={"delete_dependents": "true"})
    await rig.write({"identifier": "e"})
    rest = await rig.ok("POST", path, {"query": every(), "limit": 10, "from": first["next"]})
    assert [one["identifier"] for one in rest["entities"]] == ["c", "d", "e"]


def listing(**more: Any) -> dict[str, Any]:
    return {"datasource_prefix": "port-ocean/backstage/", "datasource_suffix": "/my-backstage/exporter", **more}


async def test_entities_by_datasource(rig: Rig) -> None:
    rig.user_agent = "port-ocean/backstage/0.2.0/my-backstage/exporter"
    await rig.write({"identifier": "newer"}, blueprint="other")
    for stranger in (
        "port-ocean/backstage/0.1.0/other/exporter",
        "port-ocean/github/0.1.0/my-backstage/exporter",
        "port-ocean/backstage/0.1.0/my-backstage",
        "curl/8",
    ):
        rig.user_agent = stranger
        await rig.write({"identifier": stranger.replace("/", "-")}, blueprint="other", query=STRICT_WRITE)
    rig.user_agent = DATASOURCE
    answer = await rig.ok("POST", LISTING, listing())
    assert [(one["blueprint"], one["identifier"]) for one in answer["entities"]] == [
        *(("component", key) for key in "abcd"),
        ("other", "newer"),
    ]
    assert answer["next"] is None
    assert answer["entities"][0]["relations"] == {"self": None, "must": None, "all": []}


async def test_the_listing_is_paged_over_all_blueprints(rig: Rig) -> None:
    await rig.bulk([{"identifier": "x"}, {"identifier": "y"}], blueprint="other")
    assert await read_pages(rig, LISTING, listing(limit=3)) == [["a", "b", "c"], ["d", "x", "y"]]


async def test_the_listing_can_stop_before_a_time(rig: Rig) -> None:
    rig.pass_time(10)
    started = "2023-11-14T22:13:30Z"
    await rig.write({"identifier": "b", "title": "rewritten"})
    answer = await rig.ok("POST", LISTING, listing(before=started))
    assert [one["identifier"] for one in answer["entities"]] == ["a", "c", "d"]


@pytest.mark.parametrize(
    "body", [{}, {"datasource_prefix": "x"}, listing(limit=0), listing(before="x"), listing(limit="1"), listing(more=1)]
)
async def test_listings_that_are_none(rig: Rig, body: dict[str, Any]) -> None:
    assert (await rig.call("POST", LISTING, body)).status == 422


async def test_the_search_answers_like_the_listing(rig: Rig) -> None:
    """The published way to the same answer, for the day the unpublished one is gone."""
    rig.user_agent = "curl/8"
    await rig.write({"identifier": "foreign"}, blueprint="other")
    query = every(
        rule("$datasource", "contains", "port-ocean/backstage/"),
        rule("$datasource", "contains", "/my-backstage/exporter"),
    )
    answer = await rig.ok(
        "POST", "/v1/entities/search", query, query=[("include", "identifier"), ("include", "blueprint")]
    )
    assert [one["identifier"] for one in answer["entities"]] == list("abcd")


async def test_a_write_shows_in_a_search_at_once(rig: Rig) -> None:
    assert await search(rig, rule("count", "=", 9)) == ""
    await rig.write({"identifier": "d", "properties": {"count": 9}}, query=WRITE)
    assert await search(rig, rule("count", "=", 9)) == "d"
