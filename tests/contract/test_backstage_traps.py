"""The traps of Backstage's catalog API: each ends in a clear error, or is waited out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from tests.contract.test_backstage_reading import DESCRIPTORS, component
from tests.scripted import Answer, Client, Script, as_html, as_json, client, in_turn, scripted

from stageport.backstage.client import BackstageCatalog
from stageport.http.retry import RetryPolicy
from stageport.model.entities import Json
from stageport.model.errors import (
    IncompleteReadError,
    SourceAnswerError,
    SourceError,
    SourceRefusedError,
    SourceUnreachableError,
)
from stageport.model.refs import SourceRef
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, serve_backstage
from stageport.sandbox.backstage.traps import Phase, Stage
from stageport.sandbox.faults import Fault, FaultKind

TOKEN = "a-static-token"


@asynccontextmanager
async def catalog(
    *, token: str | None = TOKEN, **options: Json
) -> AsyncIterator[tuple[BackstageCatalog, RunningBackstage, Client]]:
    options = {"descriptors": DESCRIPTORS, "token": TOKEN, **options}
    async with serve_backstage(BackstageOptions(**options)) as running, client() as one:
        yield BackstageCatalog(running.url, token=token, sender=one.sender, page_size=25), running, one


async def read(source: BackstageCatalog, into: list[SourceRef] | None = None) -> list[SourceRef]:
    refs = [] if into is None else into
    async for page in source.read_kind("component"):
        refs += [entity.ref for entity in page.entities]
    return refs


async def fail(source: BackstageCatalog) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await read(source)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


async def fail_scripted(script: Script, *, token: str | None = TOKEN) -> tuple[SourceError, int]:
    async with scripted(script) as server, client(policy=RetryPolicy(attempts=3)) as one:
        error = await fail(BackstageCatalog(server.url, token=token, sender=one.sender))
        assert TOKEN not in error.message + error.hint
        return error, len(server.seen)


async def test_no_token_where_one_is_needed() -> None:
    async with catalog(token=None) as (source, running, _):
        error = await fail(source)
    assert isinstance(error, SourceRefusedError)
    assert "401" in error.message
    assert "BACKSTAGE_TOKEN" in error.hint
    assert len(running.requests) == 1


async def test_a_wrong_token() -> None:
    async with catalog(token="something-else") as (source, running, _):
        error = await fail(source)
    assert isinstance(error, SourceRefusedError)
    assert "Illegal token" in error.message
    assert "something-else" not in error.message + error.hint
    assert len(running.requests) == 1


async def test_a_token_for_another_plugin() -> None:
    options = BackstageOptions(descriptors=DESCRIPTORS, tokens={"for-scaffolder": Access.OTHER_PLUGIN})
    async with serve_backstage(options) as running, client() as one:
        error = await fail(BackstageCatalog(running.url, token="for-scaffolder", sender=one.sender))
    assert isinstance(error, SourceRefusedError)
    assert "403" in error.message
    assert "accessRestrictions" in error.hint


async def test_an_expired_legacy_token_answers_500_and_is_not_tried_again() -> None:
    options = BackstageOptions(descriptors=DESCRIPTORS, tokens={"an-expired-one": Access.EXPIRED})
    async with serve_backstage(options) as running, client() as one:
        error = await fail(BackstageCatalog(running.url, token="an-expired-one", sender=one.sender))
    assert isinstance(error, SourceRefusedError)
    assert "expired" in error.hint
    assert len(running.requests) == 1


async def test_a_token_without_permission_sees_an_empty_catalog_which_is_no_error_here() -> None:
    options = BackstageOptions(descriptors=DESCRIPTORS, tokens={"blind-token": Access.BLIND})
    async with serve_backstage(options) as running, client() as one:
        source = BackstageCatalog(running.url, token="blind-token", sender=one.sender)
        assert await read(source) == []
        assert await source.count_kinds() == {}
        assert set((await source.read_refs([SourceRef("group:default/crew")])).values()) == {None}


async def test_a_starting_backend_is_waited_for() -> None:
    phases = [Phase(Stage.SILENT, requests=3), Phase(Stage.WAITING, requests=2)]
    async with catalog(startup=phases) as (source, _, one):
        assert len(await read(source)) == 60
    assert {wait.reason for wait in one.waits} == {"Backstage is starting up"}
    assert len(one.waits) == 5


@pytest.mark.parametrize("stage", [Stage.SILENT, Stage.WAITING])
async def test_a_backend_that_never_starts_is_given_up_within_the_limit(stage: Stage) -> None:
    async with serve_backstage(BackstageOptions(startup=[Phase(stage, requests=10_000)])) as running, client() as one:
        source = BackstageCatalog(running.url, token=None, sender=one.sender, starting_seconds=30)
        error = await fail(source)
    assert isinstance(error, SourceUnreachableError)
    assert "30 s" in error.message
    assert sum(one.clock.slept) <= 30


async def test_a_backend_that_restarts_between_two_pages_is_waited_for() -> None:
    async with catalog() as (source, running, one):
        refs = []
        async for page in source.read_kind("component"):
            refs += [entity.ref for entity in page.entities]
            if len(refs) == 25:
                running.restart([Phase(Stage.SILENT, requests=3)])
    assert len(refs) == 60
    assert len(one.waits) >= 2


async def test_refs_asked_of_a_starting_backend_are_not_taken_for_missing() -> None:
    async with catalog(startup=[Phase(Stage.SILENT, requests=4)]) as (source, running, _):
        found = await source.read_refs([SourceRef("group:default/crew")])
    assert found[SourceRef("group:default/crew")] is not None
    assert running.requests[-1] == "POST /api/catalog/entities/by-refs"


async def test_a_release_without_by_refs_is_asked_by_name() -> None:
    crew = {"kind": "Group", "metadata": {"name": "crew", "namespace": "default"}}
    gone = {"error": {"name": "NotFoundError", "message": "No entity"}, "response": {"statusCode": 404}}
    answers = {
        "/api/catalog/entities/by-query": as_json({"items": [], "totalItems": 0, "pageInfo": {}}),
        "/api/catalog/entities/by-name/group/default/crew": as_json(crew),
        "/api/catalog/entities/by-name/group/default/gone": as_json(gone, 404),
    }
    async with scripted(lambda seen: answers.get(seen.path, Answer(404))) as server, client() as one:
        source = BackstageCatalog(server.url, token=None, sender=one.sender)
        found = await source.read_refs([SourceRef("group:default/crew"), SourceRef("group:default/gone")])
    entity = found[SourceRef("group:default/crew")]
    assert entity is not None
    assert entity.ref == "group:default/crew"
    assert found[SourceRef("group:default/gone")] is None
    assert one.waits == []


@pytest.mark.parametrize("route", ["by-query", "by-refs", "by-name"])
async def test_half_a_character_makes_nothing_unreadable(route: str) -> None:
    cut = rb'{"kind":"Component","metadata":{"name":"odd","title":"cut \ud83d"}}'
    answers = {
        "by-query": Answer(body=rb'{"items":[%b],"totalItems":1,"pageInfo":{}}' % cut),
        "by-refs": Answer(body=rb'{"items":[%b]}' % cut) if route == "by-refs" else Answer(404),
        "odd": Answer(body=cut),
    }
    async with scripted(lambda seen: answers[seen.path.rpartition("/")[2]]) as server, client() as one:
        source = BackstageCatalog(server.url, token=None, sender=one.sender)
        if route == "by-query":
            (entity,) = [entity async for page in source.read_kind("component") for entity in page.entities]
        else:
            (entity,) = filter(None, (await source.read_refs([SourceRef("component:default/odd")])).values())
    assert msgspec.json.decode(entity.raw)["metadata"]["title"] == "cut \N{REPLACEMENT CHARACTER}"


async def test_an_answer_to_refs_of_another_length_is_refused() -> None:
    async with scripted(in_turn(as_json({"items": [None]}))) as server, client() as one:
        source = BackstageCatalog(server.url, token=None, sender=one.sender)
        with pytest.raises(SourceAnswerError, match="2 entities by ref and answered 1"):
            await source.read_refs([SourceRef("a:b/c"), SourceRef("a:b/d")])


async def test_a_release_without_posted_queries_says_that_the_filters_are_too_long() -> None:
    empty = as_json({"items": [], "totalItems": 0, "pageInfo": {}})
    script: Script = lambda seen: empty if seen.method == "GET" else Answer(404)  # noqa: E731
    async with scripted(script) as server, client() as one:
        source = BackstageCatalog(server.url, token=None, sender=one.sender)
        with pytest.raises(SourceAnswerError, match="too long") as caught:
            [page async for page in source.read_kind("component", filters=["metadata.name=" + "x" * 9000])]
    assert "3.5" in caught.value.hint


async def test_a_count_that_promises_too_much_ends_in_an_incomplete_read() -> None:
    async with catalog() as (source, running, _):
        running.traps.count_off_by = 5
        with pytest.raises(IncompleteReadError, match="announces 65 entities of kind component but served 60"):
            await read(source)
        scans = [request for request in running.requests if "filter" in request and "limit=0" not in request]
    assert len(scans) == 3


async def test_lost_entities_end_in_an_incomplete_read_and_what_came_was_yielded_once() -> None:
    refs: list[SourceRef] = []
    async with catalog() as (source, running, _):
        running.traps.lose = 2
        with pytest.raises(IncompleteReadError):
            await read(source, refs)
    assert 50 <= len(refs) < 60
    assert len(set(refs)) == len(refs)


async def test_entities_lost_on_the_first_scan_come_with_the_second() -> None:
    async with catalog() as (source, running, _):
        running.traps.lose = 2
        refs: list[SourceRef] = []
        async for page in source.read_kind("component"):
            refs += [entity.ref for entity in page.entities]
            if len(refs) > 50:
                running.traps.lose = 0
    assert len(refs) == len(set(refs)) == 60


async def test_entities_served_twice_are_yielded_once() -> None:
    async with catalog() as (source, running, _):
        running.traps.overlap = 3
        refs = await read(source)
    assert len(refs) == len(set(refs)) == 60


@pytest.mark.parametrize("change", ["delete", "create", "recreate"])
async def test_a_catalog_that_changes_while_it_is_read_is_no_error(change: str) -> None:
    async with catalog() as (source, running, _):
        victims = iter(sorted(running.catalog.refs())[:3])

        def before_page(number: int) -> None:
            if number > 3:
                return
            match change:
                case "delete":
                    running.catalog.delete(next(victims))
                case "recreate":
                    running.catalog.recreate(next(victims))
                case _:
                    running.catalog.put(component(f"new-{number}"))

        running.traps.before_page = before_page
        refs = await read(source)
        now = {ref for ref in running.catalog.refs() if ref.startswith("component:")}
    assert now <= set(refs)
    assert len(refs) == len(set(refs))


async def test_json_that_breaks_off_in_good_order_is_asked_for_again_and_then_given_up() -> None:
    async with catalog() as (source, running, one):
        running.traps.broken_json = True
        error = await fail(source)
    assert isinstance(error, SourceAnswerError)
    assert "breaks off" in error.message
    assert len(running.requests) == 3
    assert len(one.waits) == 2


async def test_json_that_breaks_off_once_costs_nothing_but_a_wait() -> None:
    async with catalog() as (source, running, _):
        running.traps.broken_json = True

        def before_page(number: int) -> None:
            running.traps.broken_json = number < 2

        running.traps.before_page = before_page
        assert len(await read(source)) == 60


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.CUT_CHUNKED])
async def test_a_body_cut_short_is_asked_for_again(kind: FaultKind) -> None:
    async with catalog(faults=[Fault(kind=kind, skip=1, times=2)]) as (source, *_):
        assert len(await read(source)) == 60


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.CUT_CHUNKED])
async def test_a_body_always_cut_short_is_an_error(kind: FaultKind) -> None:
    async with catalog(faults=[Fault(kind=kind)]) as (source, *_):
        error = await fail(source)
    assert isinstance(error, SourceAnswerError)
    assert "cut short" in error.message


async def test_resets_are_waited_out() -> None:
    async with catalog(faults=[Fault(kind=FaultKind.RESET_BEFORE, times=3)]) as (source, *_):
        assert len(await read(source)) == 60


async def test_a_rate_limit_is_kept_as_asked() -> None:
    fault = Fault(kind=FaultKind.STATUS, status=429, retry_after=12, times=1)
    async with catalog(faults=[fault]) as (source, _, one):
        assert len(await read(source)) == 60
    assert one.clock.slept == [12.5]


async def test_a_rate_limit_without_end_is_an_error() -> None:
    body = {"error": {"name": "Error", "message": "Too many requests, please try again later"}}
    error, requests = await fail_scripted(in_turn(as_json(body, 429, Retry_After="1")))
    assert isinstance(error, SourceAnswerError)
    assert "rateLimit" in error.hint
    assert requests == 3


async def test_a_request_head_that_is_too_long() -> None:
    error, _ = await fail_scripted(in_turn(Answer(431)))
    assert isinstance(error, SourceAnswerError)
    assert "filters" in error.hint


async def test_the_words_of_backstage_are_quoted_for_a_bad_request() -> None:
    body = {"error": {"name": "InputError", "message": "Invalid filter"}, "response": {"statusCode": 400}}
    error, requests = await fail_scripted(in_turn(as_json(body, 400)))
    assert "InputError: Invalid filter" in error.message
    assert requests == 1


async def test_a_server_that_keeps_failing() -> None:
    error, _ = await fail_scripted(in_turn(as_json({"error": {"name": "Error", "message": "boom"}}, 500)))
    assert isinstance(error, SourceAnswerError)
    assert "500" in error.message
    assert "boom" in error.message


async def test_html_instead_of_json() -> None:
    async with catalog(faults=[Fault(kind=FaultKind.HTML)]) as (source, *_):
        error = await fail(source)
    assert isinstance(error, SourceAnswerError)
    assert "7007" in error.hint


@pytest.mark.parametrize("status", [404, 502])
async def test_html_with_an_error_does_not_end_up_in_the_message(status: int) -> None:
    error, _ = await fail_scripted(in_turn(as_html(status)))
    assert isinstance(error, SourceAnswerError)
    assert "<" not in error.message


async def test_another_service_at_this_address() -> None:
    body = {"error": {"name": "NotFoundError", "message": "nothing here"}}
    error, requests = await fail_scripted(in_turn(as_json(body, 404)))
    assert isinstance(error, SourceAnswerError)
    assert "7007" in error.hint
    assert requests == 1


async def test_a_redirect_to_a_login_page() -> None:
    error, _ = await fail_scripted(in_turn(Answer(302, b"", {"Location": "https://sso.example/login?state=secret"})))
    assert "https://sso.example/login" in error.hint
    assert "secret" not in error.hint


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"items": []},
        {"items": None, "totalItems": 0},
        {"items": [{"kind": "Component", "metadata": {}}], "totalItems": 1},
        {"items": [None], "totalItems": 1},
        "catalog",
    ],
)
async def test_json_of_another_shape(body: Json) -> None:
    error, requests = await fail_scripted(in_turn(as_json(body)))
    assert isinstance(error, SourceAnswerError)
    assert requests == 1


async def test_pages_that_go_in_a_circle() -> None:
    entity = {"kind": "Component", "metadata": {"name": "a"}}
    page = as_json({"items": [entity], "totalItems": 9, "pageInfo": {"nextCursor": "again"}})
    error, requests = await fail_scripted(in_turn(page))
    assert isinstance(error, SourceAnswerError)
    assert requests == 2


async def test_an_error_on_a_later_page_comes_after_the_pages_before_it() -> None:
    async with catalog(faults=[Fault(kind=FaultKind.STATUS, status=400, skip=1)]) as (source, *_):
        refs: list[SourceRef] = []
        with pytest.raises(SourceAnswerError):
            await read(source, refs)
    assert len(refs) == 25


async def test_nobody_listens() -> None:
    async with client() as one:
        error = await fail(BackstageCatalog("http://127.0.0.1:1", token=TOKEN, sender=one.sender))
    assert isinstance(error, SourceUnreachableError)
    assert "127.0.0.1:1" in error.message
