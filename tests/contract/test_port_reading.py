"""What is ours, what it holds, and what a query finds; blueprints."""

from collections.abc import Callable

import pytest
from tests.scripted import Answer, Seen, as_html, as_json
from tests.scripted_port import Port, complain, scripted_port

from stageport.model.errors import MissingBlueprintError, TargetAnswerError, TargetRefusedError
from stageport.model.refs import TargetKey

OWNED = "POST /v1/blueprints/entities/datasource-entities"
SEARCH = "POST /v1/blueprints/service/entities/search"
EVERYWHERE = "POST /v1/entities/search"
BLUEPRINT = "GET /v1/blueprints/service"
UNROUTED = [Answer(404), as_html(404), Answer(404, b'{"message":"Route POST:/x not found","error":"Not Found"}')]


async def owned(port: Port) -> list[TargetKey]:
    return [one async for page in port.catalog.read_owned() for one in page]


async def test_what_is_ours_comes_page_by_page() -> None:
    pages = {
        None: {
            "entities": [
                {"identifier": "a", "blueprint": "service", "relations": {"one": "b", "many": ["c", "d"], "none": None}}
            ],
            "next": "p2",
        },
        "p2": {"entities": [{"identifier": "b", "blueprint": "team", "properties": {"x": 1}}], "next": None},
    }
    async with scripted_port({OWNED: lambda seen: as_json(pages[seen.json.get("from")])}) as port:
        entities = await owned(port)
    assert entities == [TargetKey("service", "a"), TargetKey("team", "b")]
    assert port.script.seen[0].json == {
        "datasource_prefix": "port-ocean/backstage/",
        "datasource_suffix": "/my-backstage/exporter",
        "limit": 2000,
    }


@pytest.mark.parametrize("missing", [*UNROUTED, complain(404, "not_found"), Answer(405)])
async def test_without_that_route_the_published_search_is_asked(missing: Answer) -> None:
    answer = as_json({"ok": True, "entities": [{"identifier": "a", "blueprint": "service"}]})
    async with scripted_port({OWNED: missing, EVERYWHERE: answer}) as port:
        entities = await owned(port)
    assert entities == [("service", "a")]
    search = port.script.calls(EVERYWHERE)[0]
    assert search.query["exclude_calculated_properties"] == ["true"]
    assert search.json == {
        "combinator": "and",
        "rules": [
            {"property": "$datasource", "operator": "contains", "value": "port-ocean/backstage/"},
            {"property": "$datasource", "operator": "contains", "value": "/my-backstage/exporter"},
        ],
    }


async def test_a_listing_that_goes_in_a_circle_is_an_error() -> None:
    page = as_json({"entities": [], "next": "again"})
    async with scripted_port({OWNED: page}) as port:
        with pytest.raises(TargetAnswerError, match="do not move on"):
            await owned(port)


@pytest.mark.parametrize("answer", [as_json({"ok": True}), as_json({"entities": [{"identifier": "a"}]}), as_html()])
async def test_a_listing_of_another_shape_is_an_error_and_not_an_empty_one(answer: Answer) -> None:
    async with scripted_port({OWNED: answer}) as port:
        with pytest.raises(TargetAnswerError):
            await owned(port)


async def test_a_listing_that_fails_on_a_later_page_is_an_error() -> None:
    def route(seen: Seen) -> Answer:
        return complain(404, "not_found") if "from" in seen.json else as_json({"entities": [], "next": "p2"})

    async with scripted_port({OWNED: route}) as port:
        with pytest.raises(TargetAnswerError):
            await owned(port)


def stored(*names: str) -> Callable[[Seen], Answer]:
    """Answer a search by identifier from these names, 2 on a page."""

    def route(seen: Seen) -> Answer:
        rules = seen.json["query"]["rules"]
        hits = [name for name in names if name in rules[0]["value"]]
        start = int(seen.json.get("from", "0"))
        following = str(start + 2) if start + 2 < len(hits) else None
        page = [{"identifier": name, "title": name.upper()} for name in hits[start : start + 2]]
        return as_json({"ok": True, "entities": page, "next": following})

    return route


async def test_entities_are_read_by_name_with_the_fields_asked_for() -> None:
    async with scripted_port({SEARCH: stored("a", "b", "c", "d", "e")}) as port:
        found = await port.catalog.read_entities(
            "service", ["a", "b", "c", "x", "a"], fields=["title", "properties.type", "relations.system"]
        )
    assert found == {name: {"identifier": name, "title": name.upper()} for name in "abc"}
    assert port.script.seen[0].json == {
        "query": {
            "combinator": "and",
            "rules": [{"property": "$identifier", "operator": "in", "value": ["a", "b", "c", "x"]}],
        },
        "include": ["identifier", "title", "properties.type", "relations.system"],
        "limit": 4,
    }
    assert port.script.seen[1].json["from"] == "2"


async def test_many_names_are_asked_for_in_portions() -> None:
    names = [f"n{number}" for number in range(1200)]
    long = [f"{number}" + "ü" * 900 for number in range(300)]
    async with scripted_port({SEARCH: as_json({"entities": []})}) as port:
        await port.catalog.read_entities("service", [*names, *long], fields=["title"])
    values = [seen.json["query"]["rules"][0]["value"] for seen in port.script.seen]
    assert [name for value in values for name in value] == [*names, *long]
    assert max(len(value) for value in values) == 500
    assert max(len(seen.body) for seen in port.script.seen) < 1024 * 1024


async def test_no_names_ask_nothing() -> None:
    async with scripted_port() as port:
        assert await port.catalog.read_entities("service", [], fields=["title"]) == {}
    assert port.script.seen == []


async def test_a_missing_blueprint_is_told_from_a_missing_route() -> None:
    async with scripted_port({SEARCH: complain(404, "not_found"), BLUEPRINT: complain(404, "not_found")}) as port:
        with pytest.raises(MissingBlueprintError, match="service"):
            await port.catalog.read_entities("service", ["a"], fields=[])


@pytest.mark.parametrize("unrouted", UNROUTED)
async def test_without_the_paged_search_the_one_over_all_blueprints_is_asked_and_remembered(unrouted: Answer) -> None:
    answer = as_json({"ok": True, "entities": [{"identifier": "a"}]})
    async with scripted_port({SEARCH: unrouted, EVERYWHERE: answer}) as port:
        catalog = port.catalog
        assert set(await catalog.read_entities("service", ["a", "b"], fields=["title"])) == {"a"}
        assert set(await catalog.read_entities("service", ["a"], fields=["title"])) == {"a"}
    assert len(port.script.calls(SEARCH)) == 1
    search = port.script.calls(EVERYWHERE)[0]
    assert search.query["include"] == ["identifier", "title"]
    assert search.json["rules"] == [
        {"property": "$blueprint", "operator": "=", "value": "service"},
        {"combinator": "and", "rules": [{"property": "$identifier", "operator": "in", "value": ["a", "b"]}]},
    ]


async def test_a_query_finds_two_at_most() -> None:
    answer = as_json({"entities": [{"identifier": name} for name in "abc"], "next": "more"})
    query = {"combinator": "and", "rules": [{"property": "slug", "operator": "=", "value": "x"}]}
    async with scripted_port({SEARCH: answer}) as port:
        found = await port.catalog.find_entities("service", query, fields=["title"])
    assert [one["identifier"] for one in found] == ["a", "b"]
    assert port.script.seen[0].json == {"query": query, "include": ["identifier", "title"], "limit": 2}


async def test_a_query_that_port_does_not_understand() -> None:
    async with scripted_port({SEARCH: complain(422, "invalid_request", "no such operator")}) as port:
        with pytest.raises(TargetAnswerError) as caught:
            await port.catalog.find_entities("service", {"combinator": "and", "rules": []}, fields=[])
    assert (caught.value.status, caught.value.code) == (422, "invalid_request")
    assert "no such operator" in caught.value.message


async def test_blueprints_are_read_with_the_defaults_that_port_leaves_out() -> None:
    document = {
        "identifier": "service",
        "title": "Service",
        "schema": {"properties": {"type": {"type": "string"}}, "required": ["type"]},
        "relations": {"system": {"target": "system"}},
        "calculationProperties": {"x": {}},
    }
    routes = {"GET /v1/blueprints": as_json({"ok": True, "blueprints": [document]})}
    async with scripted_port(routes) as port:
        (one,) = await port.blueprints.read_blueprints()
    assert one.relations["system"].many is False
    assert one.read_only == {"x"}


async def test_creating_and_changing_a_blueprint_is_done_as_an_exporter() -> None:
    routes = {"POST /v1/blueprints": as_json({"ok": True}, 201), "PATCH /v1/blueprints/service": as_json({"ok": True})}
    document = {"identifier": "service", "title": "Service", "schema": {"properties": {}, "required": []}}
    async with scripted_port(routes) as port:
        await port.blueprints.create_blueprint(document)
        await port.blueprints.patch_blueprint("service", {"relations": {}})
    create, change = port.script.seen
    assert create.json == document
    assert change.json == {"relations": {}}
    assert create.headers["user-agent"] == change.headers["user-agent"]
    assert create.headers["user-agent"].endswith("/exporter")


async def test_a_blueprint_that_exists_already_says_so_by_code() -> None:
    async with scripted_port({"POST /v1/blueprints": complain(409, "identifier_taken")}) as port:
        with pytest.raises(TargetAnswerError) as caught:
            await port.blueprints.create_blueprint({"identifier": "service"})
    assert caught.value.code == "identifier_taken"


async def test_creating_a_blueprint_is_not_done_twice() -> None:
    async with scripted_port({"POST /v1/blueprints": Answer(reset=True)}) as port:
        with pytest.raises(Exception, match="broke"):
            await port.blueprints.create_blueprint({"identifier": "service"})
    assert len(port.script.seen) == 1


@pytest.mark.parametrize("answer", [as_html(), Answer(200), Answer(200, b"{")])
async def test_a_web_page_is_no_word_that_a_blueprint_is_as_it_should(answer: Answer) -> None:
    """It comes with 200 from a proxy; a first start that believed it would never add the relations."""
    routes = {"POST /v1/blueprints": answer, "PATCH /v1/blueprints/service": answer}
    async with scripted_port(routes) as port:
        with pytest.raises(TargetAnswerError):
            await port.blueprints.create_blueprint({"identifier": "service"})
        with pytest.raises(TargetAnswerError):
            await port.blueprints.patch_blueprint("service", {"relations": {}})


async def test_an_account_that_may_not_create_blueprints() -> None:
    async with scripted_port({"POST /v1/blueprints": complain(403, "missing_permissions")}) as port:
        with pytest.raises(TargetRefusedError):
            await port.blueprints.create_blueprint({"identifier": "service"})
