"""Upserts and deletes: what Port says of single entities, and who is to blame when it refuses a whole request."""

import json
from typing import Any

import pytest
from tests.scripted import Answer, Seen, as_html, as_json
from tests.scripted_port import Route, body, bulk, complain, refused, scripted_port, take_all, taken

from stageport.http.retry import RetryPolicy
from stageport.model.changes import WriteOptions
from stageport.model.errors import MissingBlueprintError, TargetAnswerError, TargetRefusedError, TargetUnreachableError
from stageport.port.batches import LARGEST_BODY, MOST_BYTES

UPSERT = "POST /v1/blueprints/service/entities/bulk"
DELETE = "POST /v1/blueprints/service/bulk/entities/delete"
SEARCH = "POST /v1/blueprints/service/entities/search"
BLUEPRINT = "GET /v1/blueprints/service"
OPTIONS = WriteOptions(pass_id="pass-1")
THERE: dict[str, Route] = {BLUEPRINT: as_json({"ok": True, "blueprint": {"identifier": "service"}})}


def bodies(count: int) -> list[bytes]:
    return [body(f"e{number}") for number in range(count)]


def refuse_if(culprit: str, answer: Answer) -> Route:
    """Refuse the whole of a request that holds the culprit."""
    return lambda seen: answer if any(one["identifier"] == culprit for one in bulk(seen)) else take_all(seen)


async def test_bodies_go_out_as_they_are_with_the_switches() -> None:
    odd = b'{"identifier": "a",  "properties": {"n": 12345678901234567890.10}}'
    async with scripted_port({UPSERT: take_all}) as port:
        written = await port.catalog.upsert("service", [odd, body("b")], options=OPTIONS)
    sent = port.script.seen[0]
    assert sent.body == b'{"entities":[' + odd + b"," + body("b") + b"]}"
    assert sent.headers["user-agent"].endswith("/exporter")
    assert sent.query["ocean_info_resync_id"] == ["pass-1"]
    assert [one.identifier for one in written] == ["e0", "e1"]
    assert [one.refusal for one in written] == [None, None]


async def test_more_than_fits_goes_out_in_several_requests() -> None:
    large = [body(f"e{n}", size=300_000) for n in range(5)]
    async with scripted_port({UPSERT: take_all}) as port:
        written = await port.catalog.upsert("service", [*bodies(25), *large], options=OPTIONS)
    assert len(written) == 30
    assert [len(bulk(seen)) for seen in port.script.seen] == [20, 8, 2]
    assert all(len(seen.body) <= MOST_BYTES for seen in port.script.seen)


async def test_207_is_read_item_by_item_by_index_in_any_order() -> None:
    answer = {
        "ok": False,
        "entities": [*taken(3), *taken(0, created=True)],
        "errors": [refused(2, 422, "blueprint_schema_mismatch"), refused(1, 404, "not_found", "unknown")],
    }
    async with scripted_port({UPSERT: as_json(answer, 207)}) as port:
        written = await port.catalog.upsert("service", bodies(4), options=OPTIONS)
    assert [one.created for one in written] == [True, False, False, False]
    assert [one.refusal and (one.refusal.status, one.refusal.code) for one in written] == [
        None, (404, "not_found"), (422, "blueprint_schema_mismatch"), None,
    ]  # fmt: skip
    assert written[1].identifier is None
    assert written[2].identifier == "x"


async def test_an_entity_that_the_answer_does_not_mention_counts_as_refused() -> None:
    answer = as_json({"ok": True, "entities": taken(0, 7), "errors": []})
    async with scripted_port({UPSERT: answer}) as port:
        written = await port.catalog.upsert("service", bodies(2), options=OPTIONS)
    assert written[0].refusal is None
    assert written[1].refusal is not None
    assert written[1].refusal.code == "unanswered"


async def test_a_search_identifier_is_answered_with_the_entity_that_was_found() -> None:
    answer = as_json({"ok": True, "entities": [{"identifier": "found", "index": 0, "created": False}], "errors": []})
    query = {"combinator": "and", "rules": [{"property": "slug", "operator": "=", "value": "x"}]}
    async with scripted_port({UPSERT: answer}) as port:
        written = await port.catalog.upsert("service", [json.dumps({"identifier": query}).encode()], options=OPTIONS)
    assert written[0].identifier == "found"


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "bad_request"), (403, "required_relation"), (409, "identifier_taken"), (413, "bad_request"),
     (422, "invalid_request"), (404, "not_found")],
)  # fmt: skip
async def test_a_request_refused_whole_is_split_until_the_culprit_stands_alone(status: int, code: str) -> None:
    routes = {**THERE, UPSERT: refuse_if("e13", complain(status, code))}
    async with scripted_port(routes) as port:
        written = await port.catalog.upsert("service", bodies(20), options=OPTIONS)
    refusals = {number: one.refusal for number, one in enumerate(written) if one.refusal is not None}
    assert list(refusals) == [13]
    assert (refusals[13].status, refusals[13].code, refusals[13].message) == (status, code, "because")
    assert len(port.script.calls(UPSERT)) <= 11


async def test_413_with_a_web_page_is_split_too() -> None:
    def limit(seen: Seen) -> Answer:
        return as_html(413) if len(seen.body) > 5000 else take_all(seen)

    async with scripted_port({UPSERT: limit}) as port:
        written = await port.catalog.upsert("service", [body(f"e{n}", size=1000) for n in range(20)], options=OPTIONS)
    assert [one.refusal for one in written] == [None] * 20


async def test_an_entity_over_a_mebibyte_is_not_sent() -> None:
    fits = body("b", size=LARGEST_BODY - len(body("b")))
    async with scripted_port({UPSERT: take_all}) as port:
        written = await port.catalog.upsert("service", [body("a"), fits + b" ", fits], options=OPTIONS)
    assert written[1].refusal is not None
    assert (written[1].refusal.status, written[1].refusal.code) == (413, "too_large")
    assert written[0].refusal is None
    assert written[2].refusal is None
    assert [len(bulk(seen)) for seen in port.script.seen] == [1, 1]


async def test_a_missing_blueprint_is_named() -> None:
    async with scripted_port({UPSERT: complain(404, "not_found"), BLUEPRINT: complain(404, "not_found")}) as port:
        with pytest.raises(MissingBlueprintError, match="service"):
            await port.catalog.upsert("service", bodies(20), options=OPTIONS)
    assert len(port.script.calls(UPSERT)) == 1


async def test_a_404_that_is_not_ports_is_no_missing_blueprint() -> None:
    async with scripted_port({UPSERT: Answer(404)}) as port:
        with pytest.raises(TargetAnswerError):
            await port.catalog.upsert("service", bodies(2), options=OPTIONS)


@pytest.mark.parametrize("answer", [complain(403, "missing_permissions"), as_html(403)])
async def test_an_account_that_may_not_write_is_not_the_fault_of_an_entity(answer: Answer) -> None:
    async with scripted_port({UPSERT: answer}) as port:
        with pytest.raises(TargetRefusedError):
            await port.catalog.upsert("service", bodies(20), options=OPTIONS)
    assert len(port.script.seen) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_port_that_stays_unwell_ends_the_pass(status: int) -> None:
    async with scripted_port({UPSERT: Answer(status)}, policy=RetryPolicy(attempts=3)) as port:
        with pytest.raises(TargetUnreachableError):
            await port.catalog.upsert("service", bodies(20), options=OPTIONS)
    assert len(port.script.seen) == 3


async def test_one_entity_that_makes_port_stumble_is_found() -> None:
    async with scripted_port({UPSERT: refuse_if("e3", complain(500, "internal_error"))}) as port:
        written = await port.catalog.upsert("service", bodies(6), options=OPTIONS)
    refusals = [number for number, one in enumerate(written) if one.refusal]
    assert refusals == [3]
    assert len(port.script.seen) == 4 + 6


async def test_a_port_that_stumbles_over_everything_is_unwell() -> None:
    async with scripted_port({UPSERT: complain(500, "internal_error")}) as port:
        with pytest.raises(TargetUnreachableError, match="500"):
            await port.catalog.upsert("service", bodies(6), options=OPTIONS)


@pytest.mark.parametrize("answer", [as_html(), as_json([]), Answer(200, b"{"), as_json({"entities": {}})])
async def test_an_answer_of_another_shape(answer: Answer) -> None:
    async with scripted_port({UPSERT: answer}) as port:
        with pytest.raises(TargetAnswerError):
            await port.catalog.upsert("service", bodies(1), options=OPTIONS)


async def test_the_blueprint_is_encoded_in_the_path() -> None:
    async with scripted_port({"POST /v1/blueprints/a%2Fb/entities/bulk": take_all}) as port:
        written = await port.catalog.upsert("a/b", bodies(1), options=OPTIONS)
    assert written[0].refusal is None


def deleting(*kept: str, blocked: str | None = None) -> Route:
    """Delete all but some; refuse the whole request when one of them is blocked."""

    def route(seen: Seen) -> Answer:
        if blocked in bulk(seen):
            return complain(403, "has_dependents")
        return as_json({"ok": True, "deletedEntities": [one for one in bulk(seen) if one not in kept]})

    return route


def found(*identifiers: str) -> Answer:
    return as_json({"ok": True, "entities": [{"identifier": one} for one in identifiers], "next": None})


async def delete(port: Any, *identifiers: str, dependents: bool = True) -> dict[str, object]:
    options = WriteOptions(delete_dependents=dependents, pass_id="pass-1")
    answers = await port.catalog.delete("service", identifiers, options=options)
    return {name: one.refusal and (one.refusal.status, one.refusal.code) for name, one in answers.items()}


async def test_deletes_go_out_by_the_hundred() -> None:
    names = [f"e{number}" for number in range(250)]
    async with scripted_port({DELETE: deleting()}) as port:
        answers = await delete(port, *names)
    assert answers == dict.fromkeys(names)
    assert [len(bulk(seen)) for seen in port.script.seen] == [100, 100, 50]
    assert port.script.seen[0].query["delete_dependents"] == ["true"]
    assert port.script.seen[0].headers["user-agent"].endswith("/exporter")


async def test_nothing_to_delete_asks_nothing() -> None:
    async with scripted_port() as port:
        assert await delete(port) == {}
    assert port.script.seen == []


async def test_one_that_the_answer_does_not_name_and_that_is_gone_counts_as_deleted() -> None:
    async with scripted_port({DELETE: deleting("a"), SEARCH: found()}) as port:
        assert await delete(port, "a", "b") == {"a": None, "b": None}
    assert len(port.script.seen) == 2


async def test_one_that_is_still_there_is_deleted_by_itself_for_ports_word_on_it() -> None:
    routes = {
        DELETE: deleting("a", "c:d/e"),
        SEARCH: found("a", "c:d/e"),
        "DELETE /v1/blueprints/service/entities/a": as_json({"ok": True}),
        "DELETE /v1/blueprints/service/entities/c%3Ad%2Fe": complain(403, "protected_entity"),
    }
    async with scripted_port(routes) as port:
        assert await delete(port, "a", "b", "c:d/e") == {"a": None, "b": None, "c:d/e": (403, "protected_entity")}


async def test_dependents_fail_the_whole_request_so_each_is_asked_for_itself_in_order() -> None:
    routes = {
        DELETE: deleting(blocked="b"),
        "DELETE /v1/blueprints/service/entities/a": as_json({"ok": True}),
        "DELETE /v1/blueprints/service/entities/b": complain(403, "has_dependents"),
        "DELETE /v1/blueprints/service/entities/c": complain(404, "not_found"),
    }
    async with scripted_port(routes) as port:
        answers = await delete(port, "a", "b", "c", dependents=False)
    assert answers == {"a": None, "b": (403, "has_dependents"), "c": None}
    singles = port.script.calls("DELETE")
    assert [seen.path[-1] for seen in singles] == ["a", "b", "c"]
    assert singles[0].query["delete_dependents"] == ["false"]


async def test_where_the_blueprint_is_gone_its_entities_are_too() -> None:
    async with scripted_port({DELETE: complain(404, "not_found"), BLUEPRINT: complain(404, "not_found")}) as port:
        assert await delete(port, "a", "b") == {"a": None, "b": None}


async def test_a_404_that_is_not_ports_deletes_nothing() -> None:
    async with scripted_port({DELETE: Answer(404)}) as port:
        with pytest.raises(TargetAnswerError):
            await delete(port, "a")


async def test_an_account_that_may_not_delete() -> None:
    async with scripted_port({DELETE: complain(403, "missing_permissions")}) as port:
        with pytest.raises(TargetRefusedError):
            await delete(port, "a", "b")
    assert len(port.script.seen) == 1


async def test_a_port_that_fails_while_deleting() -> None:
    async with scripted_port({DELETE: Answer(503)}, policy=RetryPolicy(attempts=2)) as port:
        with pytest.raises(TargetUnreachableError):
            await delete(port, "a")


@pytest.mark.parametrize("answer", [as_html(), Answer(200), Answer(200, b"{")])
async def test_a_web_page_is_no_word_that_anything_was_deleted(answer: Answer) -> None:
    routes = {DELETE: deleting("a"), SEARCH: found("a"), "DELETE /v1/blueprints/service/entities/a": answer}
    async with scripted_port(routes) as port:
        with pytest.raises(TargetAnswerError):
            await delete(port, "a")


async def test_an_answer_without_content_is_one() -> None:
    routes = {DELETE: deleting("a"), SEARCH: found("a"), "DELETE /v1/blueprints/service/entities/a": Answer(204)}
    async with scripted_port(routes) as port:
        assert await delete(port, "a") == {"a": None}
