"""Port's clients against the stand-in, which validates like Port."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.scripted import FakeClock, client

from stageport.model.changes import WriteOptions
from stageport.model.errors import MissingBlueprintError, TargetRefusedError
from stageport.port.blueprints import PortBlueprints
from stageport.port.entities import PortCatalog
from stageport.port.identity import IntegrationIdentity
from stageport.port.integration import PortIntegration
from stageport.port.session import PortSession
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sandbox.port.options import Behaviour, PortOptions, RateLimit
from stageport.sandbox.port.server import RunningPort, serve_port

IDENTITY = IntegrationIdentity(type="backstage", version="1.2.3", identifier="my-backstage")
OPTIONS = WriteOptions(pass_id="pass-1")
STRICT = WriteOptions(create_missing_related=False, delete_dependents=False, pass_id="pass-1")
TEAM = {"identifier": "crew", "title": "Crew", "schema": {"properties": {}, "required": []}}
SERVICE = {
    "identifier": "service",
    "title": "Service",
    "schema": {
        "properties": {
            "tier": {"type": "string", "enum": ["gold", "silver"]},
            "links": {"type": "array"},
            "count": {"type": "number"},
        },
        "required": [],
    },
    "relations": {"crew": {"target": "crew"}, "uses": {"target": "service", "many": True, "required": False}},
}


class Clients:
    def __init__(self, running: RunningPort, session: PortSession, slept: list[float]) -> None:
        self.running = running
        self.session = session
        self.slept = slept
        self.catalog = PortCatalog(session)
        self.blueprints = PortBlueprints(session)
        self.integration = PortIntegration(session)

    async def prepare(self) -> None:
        await self.blueprints.create_blueprint(TEAM)
        await self.blueprints.create_blueprint(SERVICE)

    async def owned(self) -> list[str]:
        return sorted([str(one) async for page in self.catalog.read_owned() for one in page])


@asynccontextmanager
async def port(
    *, identity: IntegrationIdentity = IDENTITY, at: RunningPort | None = None, **options: Any
) -> AsyncIterator[Clients]:
    clock = FakeClock()
    async with serve_port(PortOptions(clock=clock.epoch, **options)) as own, client(side="Port", clock=clock) as one:
        running = at or own
        session = PortSession(
            running.url, client_id="sandbox-client", client_secret="sandbox-secret", identity=identity,
            sender=one.sender,
        )  # fmt: skip
        yield Clients(running, session, clock.slept)


def service(name: str, **more: Any) -> bytes:
    return json.dumps({"identifier": name, "title": name, "blueprint": "service", **more}).encode()


async def test_the_life_of_entities_from_blueprint_to_deletion() -> None:
    async with port() as here:
        await here.prepare()
        bodies = [
            service("component:default/a", properties={"tier": "gold"}, relations={"crew": "people"}),
            service("b", relations={"uses": ["component:default/a"]}),
            service("c", properties={"count": 12345678901234567}),
        ]
        written = await here.catalog.upsert("service", bodies, options=OPTIONS)
        assert [(one.created, one.refusal) for one in written] == [(True, None)] * 3
        again = await here.catalog.upsert("service", bodies, options=OPTIONS)
        assert [(one.created, one.refusal) for one in again] == [(False, None)] * 3

        assert "service/component:default/a" in await here.owned()
        stored = here.running.state.entity("service", "component:default/a")
        assert stored is not None
        assert stored.datasource == "port-ocean/backstage/1.2.3/my-backstage/exporter"

        found = await here.catalog.read_entities(
            "service", ["component:default/a", "c", "nobody"], fields=["title", "properties.tier", "relations.crew"]
        )
        assert set(found) == {"component:default/a", "c"}
        assert found["component:default/a"]["properties"] == {"tier": "gold"}
        assert found["component:default/a"]["relations"] == {"crew": "people"}

        answers = await here.catalog.delete("service", ["component:default/a", "c", "nobody"], options=OPTIONS)
        assert [one.refusal for one in answers.values()] == [None] * 3
        assert here.running.state.entity("service", "c") is None


async def test_each_refusal_stays_with_its_entity() -> None:
    async with port() as here:
        await here.prepare()
        bodies = [
            service("fine"),
            service("two words"),
            service("wrong-tier", properties={"tier": "lead"}),
            service("one-for-many", relations={"crew": ["a", "b"]}),
            service("orphan", relations={"crew": "nobody"}),
            service("unknown-property", properties={"colour": "red"}),
            service("also-fine"),
        ]
        written = await here.catalog.upsert("service", bodies, options=STRICT)
    codes = [one.refusal and one.refusal.code for one in written]
    assert codes[0] is None
    assert codes[2:] == [
        "blueprint_schema_mismatch", "relation_many_violation", "not_found", "blueprint_schema_mismatch", None,
    ]  # fmt: skip
    assert codes[1] is not None


async def test_many_entities_with_one_that_fails_the_whole_request() -> None:
    async with port() as here:
        await here.prepare()
        bodies = [service(f"s{number}") for number in range(45)]
        bodies[31] = b'{"identifier": 7}'
        written = await here.catalog.upsert("service", bodies, options=OPTIONS)
        assert [number for number, one in enumerate(written) if one.refusal] == [31]
        assert len(here.running.state.entities("service")) == 44


async def test_a_missing_blueprint() -> None:
    async with port() as here:
        with pytest.raises(MissingBlueprintError):
            await here.catalog.upsert("service", [service("a")], options=OPTIONS)
        with pytest.raises(MissingBlueprintError):
            await here.catalog.read_entities("service", ["a"], fields=["title"])
        assert "service" not in {blueprint.identifier for blueprint in await here.blueprints.read_blueprints()}


async def test_large_bodies_stay_below_a_mebibyte() -> None:
    async with port() as here:
        await here.prepare()
        bodies = [service(f"s{number}", properties={"links": ["x" * 100_000]}) for number in range(30)]
        bodies[7] = service("too-large", properties={"links": ["x" * 1_100_000]})
        written = await here.catalog.upsert("service", bodies, options=OPTIONS)
    assert [number for number, one in enumerate(written) if one.refusal] == [7]


async def test_a_search_identifier_finds_its_entity() -> None:
    async with port() as here:
        await here.prepare()
        await here.catalog.upsert("service", [service("a", properties={"tier": "gold"})], options=OPTIONS)
        query = {"combinator": "and", "rules": [{"property": "tier", "operator": "=", "value": "gold"}]}
        body = json.dumps({"identifier": query, "title": "found", "blueprint": "service"}).encode()
        written = await here.catalog.upsert("service", [body], options=OPTIONS)
        assert (written[0].identifier, written[0].refusal) == ("a", None)
        found = await here.catalog.find_entities("service", query, fields=["title"])
        assert [one["title"] for one in found] == ["found"]


async def test_dependents_keep_an_entity_unless_they_go_along() -> None:
    async with port() as here:
        await here.prepare()
        child = {"identifier": "child", "title": "Child", "schema": {"properties": {}, "required": []}}
        parent = {"target": "service", "many": False, "required": True}
        await here.blueprints.create_blueprint({**child, "relations": {"parent": parent}})
        await here.catalog.upsert("service", [service("a"), service("c")], options=OPTIONS)
        body = b'{"identifier": "b", "relations": {"parent": "a"}}'
        assert (await here.catalog.upsert("child", [body], options=OPTIONS))[0].refusal is None
        kept = await here.catalog.delete("service", ["a", "c"], options=STRICT)
        assert (kept["a"].refusal and kept["a"].refusal.code, kept["c"].refusal) == ("has_dependents", None)
        gone = await here.catalog.delete("service", ["a"], options=OPTIONS)
        assert gone["a"].refusal is None
        assert here.running.state.entities("child") == {}


@pytest.mark.parametrize("listing", [True, False], ids=["listing", "search"])
async def test_only_what_is_ours_is_listed_whatever_the_version(listing: bool) -> None:
    behaviour = Behaviour(datasource_listing=listing)
    async with (
        port(behaviour=behaviour) as here,
        port(at=here.running, identity=replace(IDENTITY, version="9.9.9")) as newer,
        port(at=here.running, identity=replace(IDENTITY, identifier="other")) as other,
    ):
        await here.prepare()
        await here.catalog.upsert("service", [service("mine"), service("both")], options=OPTIONS)
        await newer.catalog.upsert("service", [service("newer", relations={"crew": "people"})], options=OPTIONS)
        await other.catalog.upsert("service", [service("both"), service("theirs")], options=OPTIONS)
        expected = ["crew/people", "service/mine", "service/newer"]
        assert await here.owned() == expected
        assert await newer.owned() == expected


async def test_a_token_that_expires_under_way_is_renewed() -> None:
    async with port() as here:
        await here.prepare()
        for number in range(3):
            here.running.state.expire_tokens()
            await here.catalog.upsert("service", [service(f"s{number}")], options=OPTIONS)
            here.running.state.expire_tokens()
            await here.blueprints.patch_blueprint("service", {"title": f"Service {number}"})
        assert len(here.running.state.entities("service")) == 3


async def test_a_rate_limit_is_waited_out() -> None:
    async with port(rate_limit=RateLimit(limit=5, period=60)) as here:
        await here.prepare()
        for number in range(6):
            await here.catalog.upsert("service", [service(f"s{number}")], options=OPTIONS)
        assert len(here.running.state.entities("service")) == 6
    assert here.slept


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.RESET_BEFORE, path="entities/bulk", times=2),
        Fault(kind=FaultKind.RESET_AFTER, path="entities/bulk", times=2),
        Fault(kind=FaultKind.CUT, path="entities/bulk", times=2),
        Fault(kind=FaultKind.CUT_CHUNKED, path="entities/bulk", times=2),
        Fault(kind=FaultKind.STATUS, status=502, path="entities/bulk", times=2, after_handler=True),
        Fault(kind=FaultKind.STATUS, status=429, retry_after=3, path="entities/bulk", times=2),
        Fault(kind=FaultKind.DRIP, path="entities/bulk", times=1, piece=20),
    ],
    ids=lambda fault: f"{fault.kind}{fault.status if fault.kind is FaultKind.STATUS else ''}",
)
async def test_a_troubled_network_loses_nothing(fault: Fault) -> None:
    async with port(faults=(fault,)) as here:
        await here.prepare()
        written = await here.catalog.upsert("service", [service(f"s{n}") for n in range(45)], options=OPTIONS)
        assert [one.refusal for one in written] == [None] * 45
        assert len(here.running.state.entities("service")) == 45


async def test_a_wrong_secret_is_refused_and_not_repeated() -> None:
    async with serve_port(PortOptions(client_secret="another")) as running, client(side="Port") as one:
        session = PortSession(
            running.url, client_id="sandbox-client", client_secret="wrong-one", identity=IDENTITY, sender=one.sender
        )
        with pytest.raises(TargetRefusedError) as caught:
            await PortBlueprints(session).read_blueprints()
    assert "wrong-one" not in caught.value.message


async def test_the_integration_from_registration_to_a_finished_resync() -> None:
    mappings = {"identifier": ".metadata.name", "blueprint": '"service"'}
    resource = {"kind": "component", "selector": {"query": "true"}, "port": {"entity": {"mappings": mappings}}}
    config = {"resources": [resource]}
    async with port() as here:
        assert await here.integration.read_integration() is None
        await here.integration.create_integration(config=config)
        assert await here.integration.read_config() == config
        await here.integration.patch_integration({"arePortResourcesInitialized": True})
        await here.integration.report_state("running", started="2026-11-23T04:00:00+00:00", ended=None)
        await here.integration.report_state("completed", started=None, ended="2026-11-23T04:10:00+00:00")
        record = await here.integration.read_integration()
        assert record["resyncState"]["status"] == "completed"
        assert record["arePortResourcesInitialized"] is True
        await here.integration.send_examples("component", [{"kind": "Component", "token": "hunter2"}])
        assert "hunter2" not in json.dumps(here.running.state.export())
        here.running.state.integrations.request_resync("my-backstage")
        request = await here.integration.read_resync_request()
        assert request["updatedAt"]
        assert (await here.integration.read_organization())["id"] == "org_sandbox"


async def test_blueprints_are_read_back_as_they_were_made() -> None:
    async with port() as here:
        await here.prepare()
        names = {blueprint.identifier for blueprint in await here.blueprints.read_blueprints()}
        assert {"crew", "service", "_user", "_team"} <= names
        await here.blueprints.patch_blueprint("service", {"relations": {}})
        read = {blueprint.identifier: blueprint for blueprint in await here.blueprints.read_blueprints()}["service"]
        assert read.relations == {}
        assert set(read.properties) == {"tier", "links", "count"}
