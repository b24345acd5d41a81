"""Reading a whole, healthy catalog from the stand-in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import msgspec
import pytest
from tests.scripted import client

from stageport.backstage.client import BackstageCatalog
from stageport.model.entities import Json, SourceEntity
from stageport.model.refs import SourceRef
from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, serve_backstage

TOKEN = "a-static-token"


def component(name: str, **more: Json) -> Json:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, **more.pop("metadata", {})},
        "spec": {"type": "service", "lifecycle": "production", "owner": "group:default/crew", **more},
    }


def group(name: str) -> Json:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Group",
        "metadata": {"name": name},
        "spec": {"type": "team", "children": []},
    }


DESCRIPTORS = [*(component(f"Service-{number:03}") for number in range(60)), group("crew"), group("other")]


@asynccontextmanager
async def catalog(*, page_size: int = 25, **options: Json) -> AsyncIterator[tuple[BackstageCatalog, RunningBackstage]]:
    options = {"descriptors": DESCRIPTORS, "token": TOKEN, **options}
    async with serve_backstage(BackstageOptions(**options)) as running, client() as one:
        yield BackstageCatalog(running.url, token=TOKEN, sender=one.sender, page_size=page_size), running


async def read_all(source: BackstageCatalog, kind: str, *filters: str) -> list[SourceEntity]:
    return [entity async for page in source.read_kind(kind, filters=filters) for entity in page.entities]


async def test_a_kind_comes_whole_page_by_page_as_served() -> None:
    async with catalog() as (source, running):
        pages = [page async for page in source.read_kind("component")]
        entities = [entity for page in pages for entity in page.entities]
    assert [len(page.entities) for page in pages] == [25, 25, 10]
    assert {page.total for page in pages} == {60}
    assert sorted(entity.ref for entity in entities) == [f"component:default/service-{n:03}" for n in range(60)]
    served = msgspec.json.decode(entities[0].raw)
    assert served == running.catalog.entity(entities[0].ref)
    assert (entities[0].uid, entities[0].etag) == (served["metadata"]["uid"], served["metadata"]["etag"])


async def test_no_order_is_asked_for_because_it_drops_entities_without_the_field() -> None:
    async with catalog() as (source, running):
        await read_all(source, "component")
    assert not [request for request in running.requests if "order" in request]
    assert running.requests[0] == "GET /api/catalog/entities/by-query?filter=kind%3Dcomponent&limit=25"
    assert all("limit=25" in request for request in running.requests)


async def test_a_kind_that_nobody_has_yields_nothing() -> None:
    async with catalog() as (source, _):
        assert await read_all(source, "Unicorn") == []


async def test_filters_narrow_the_kind_and_are_alternatives_of_each_other() -> None:
    descriptors = [
        component("site", type="website"),
        component("shop", type="website", lifecycle="experimental"),
        component("api"),
        component("job", type="job"),
        group("website"),
    ]
    async with catalog(descriptors=descriptors) as (source, _):
        one = await read_all(source, "component", "spec.type=website,spec.lifecycle=production")
        two = await read_all(source, "component", "spec.type=website", "spec.type=job")
    assert [entity.ref for entity in one] == ["component:default/site"]
    assert sorted(entity.ref for entity in two) == [f"component:default/{name}" for name in ("job", "shop", "site")]


async def test_filters_too_long_for_a_url_are_posted() -> None:
    names = [f"metadata.name=service-{number:03}-{'x' * 60}" for number in range(200)]
    async with catalog(page_size=10) as (source, running):
        entities = await read_all(source, "component", *names, "metadata.name=service-007", "spec.type=service")
    assert len(entities) == 60
    assert {request.split("?")[0] for request in running.requests} == {"POST /api/catalog/entities/by-query"}
    assert len(running.requests) == 6


async def test_the_next_page_is_under_way_while_the_caller_works() -> None:
    async with catalog() as (source, running), aclosing(source.read_kind("component")) as pages:
        second = asyncio.Event()
        running.traps.before_page = lambda number: second.set() if number == 2 else None
        await anext(pages)
        await asyncio.wait_for(second.wait(), 5)
        await asyncio.sleep(0.02)
        assert len(running.requests) == 2


async def test_a_caller_that_stops_early_leaves_nothing_running() -> None:
    async with catalog() as (source, _):
        before = asyncio.all_tasks()
        async with aclosing(source.read_kind("component")) as pages:
            await anext(pages)
        left = asyncio.all_tasks() - before
        assert not [task for task in left if "_fetch" in repr(task)]


async def test_an_inventory_names_everything_and_carries_nothing() -> None:
    async with catalog() as (source, running):
        lines = [line async for page in source.read_inventory("component") for line in page]
        whole = {entity.ref: entity for entity in await read_all(source, "component")}
    assert {(line.ref, line.uid, line.etag) for line in lines} == {(e.ref, e.uid, e.etag) for e in whole.values()}
    assert {line.raw for line in lines} == {b""}
    assert "fields=kind,metadata.namespace,metadata.name,metadata.uid,metadata.etag" in running.requests[0]


async def test_refs_bring_entities_and_none_for_those_that_do_not_exist() -> None:
    async with catalog() as (source, _):
        wanted = [SourceRef("Component:Default/Service-001"), SourceRef("group:default/nobody")]
        found = await source.read_refs(wanted)
    assert list(found) == ["component:default/service-001", "group:default/nobody"]
    assert found[SourceRef("group:default/nobody")] is None
    entity = found[SourceRef("component:default/service-001")]
    assert entity is not None
    assert msgspec.json.decode(entity.raw)["metadata"]["name"] == "Service-001"


async def test_no_refs_ask_nothing() -> None:
    async with catalog() as (source, running):
        assert await source.read_refs([]) == {}
    assert running.requests == []


async def test_many_long_refs_are_asked_for_in_bodies_that_backstage_takes() -> None:
    refs = [SourceRef(f"component:default/{number}-{'n' * 400}") for number in range(600)]
    async with catalog() as (source, running):
        found = await source.read_refs([*refs, SourceRef("component:default/service-059")])
    assert len(found) == 601
    assert sum(entity is not None for entity in found.values()) == 1
    assert len(running.requests) == 3


async def test_kinds_are_counted_in_their_own_casing() -> None:
    async with catalog() as (source, _):
        assert await source.count_kinds() == {"Component": 60, "Group": 2}


@pytest.mark.parametrize("suffix", ["", "/", "/api", "/api/catalog", "/api/catalog/"])
async def test_the_url_may_be_written_in_several_ways(suffix: str) -> None:
    async with serve_backstage(BackstageOptions(descriptors=DESCRIPTORS)) as running, client() as one:
        source = BackstageCatalog(running.url + suffix, token=None, sender=one.sender)
        assert (await source.count_kinds())["Group"] == 2


async def test_large_pages_make_the_next_ones_smaller() -> None:
    heavy = [component(f"heavy-{n}", metadata={"annotations": {"a": "x" * 450_000}}) for n in range(40)]
    async with catalog(descriptors=heavy, page_size=20) as (source, running):
        pages = [len(page.entities) async for page in source.read_kind("component")]
    assert sum(pages) == 40
    assert pages[0] == 20
    assert pages[-1] == 10
    assert running.requests[-1].endswith("limit=10")
