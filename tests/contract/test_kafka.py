"""The KAFKA listener against real brokers' protocol: what asks for a pass, offsets, restarts, standing by."""

import asyncio
import copy
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from tests.contract import harness
from tests.contract.command import stageport
from tests.contract.harness import (
    HURRIED,
    IDENTIFIER,
    SERVICE,
    SERVICES,
    World,
    component,
    mapping,
    resource,
    serve_world,
)
from tests.kafka_cluster import KafkaCluster, kafka_cluster

from stageport.model.errors import SettingsError
from stageport.model.events import DutyChanged, Noticed, PassEnded
from stageport.port.changelog import REQUESTS_FLAG, UNSECURED_GROUP, KafkaChangeLog, KafkaOptions
from stageport.sandbox.port.options import PortOptions
from stageport.sync import changelog
from stageport.sync.always import Always, Rhythm
from stageport.wiring import open_surroundings, pass_options

PATIENCE = 40.0
CREDENTIALS = {"username": "stageport", "password": "kafka-secret"}
TOPIC = "org_sandbox.change.log"
REQUEST = {"action": "RESYNC", "context": {"integrationId": IDENTIFIER}}


until = partial(harness.until, seconds=PATIENCE)


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    with kafka_cluster() as running:
        running.make_topic(TOPIC)
        yield running


@asynccontextmanager
async def kafka_world(cluster: KafkaCluster, **port: Any) -> AsyncIterator[World]:
    async with serve_world(
        [component("pay")],
        port=PortOptions(kafka_credentials=CREDENTIALS, **port),
        event_listener__type="KAFKA",
        event_listener__brokers=cluster.servers,
        event_listener__kafka_security_enabled=False,
        event_listener__consumer_poll_timeout=0.05,
    ) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        yield world


class Instance:
    """One running service of several."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def passes(self) -> int:
        return sum(1 for event in self.heard if isinstance(event, PassEnded) and event.state == "completed")

    @property
    def duty(self) -> bool | None:
        return next((event.works for event in reversed(self.heard) if isinstance(event, DutyChanged)), None)

    def words(self) -> str:
        return " ".join(event.message for event in self.heard if isinstance(event, Noticed))


@asynccontextmanager
async def running(world: World, *, settle: float = PATIENCE, session: int = 6000) -> AsyncIterator[Instance]:
    instance = Instance()
    async with open_surroundings(world.settings, instance.heard.append, policy=HURRIED) as around:
        chosen: Any = world.settings.event_listener
        options = KafkaOptions(
            brokers=chosen.brokers,
            is_secured=False,
            poll_seconds=0.05,
            further={"session.timeout.ms": session, "heartbeat.interval.ms": 200, "reconnect.backoff.max.ms": 500},
        )
        log = KafkaChangeLog(around.integration, options, listener=around.listener, settle=settle)  # type: ignore[arg-type]
        always = Always(
            around,
            pass_options(world.settings),
            Rhythm(delta=0),
            triggers=[lambda always: changelog.follow(always, log)],
            is_elected=True,
        )
        task = asyncio.create_task(always.run())
        try:
            yield instance
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert world.state.journal.crashes == []


def edit(world: World) -> dict[str, Any]:
    """Edit the mapping at Port; return what Port writes into its change log."""
    before = copy.deepcopy(world.state.integrations.get(IDENTIFIER))
    edited = mapping(resource("Component", "service", title='"Edited"'))
    after = world.state.integrations.patch(IDENTIFIER, {"config": edited}, skip_resync=True)
    return change(before, after)


def change(before: Any, after: Any) -> dict[str, Any]:
    return {
        "action": "UPDATE",
        "resourceType": "integration",
        "status": "SUCCESS",
        "trigger": {"by": {"orgId": "org_sandbox"}, "origin": "API", "at": after["updatedAt"]},
        "context": {"integrationId": after["_id"]},
        "diff": {"before": before, "after": after},
        "changelogDestination": {"type": "KAFKA"},
    }


async def test_a_request_and_an_edit_each_ask_for_exactly_one_pass(cluster: KafkaCluster) -> None:
    async with kafka_world(cluster) as world, running(world) as service:
        await until(lambda: service.passes() == 1)
        # What the pass at the start itself told Port is no request.
        record = world.state.integrations.get(IDENTIFIER)
        assert record["changelogDestination"] == {"type": "KAFKA"}
        cluster.send(TOPIC, change(record, record))
        cluster.send(TOPIC, {"action": "RESYNC", "context": {"integrationId": "somebody-else"}})
        cluster.send(TOPIC, b"no JSON")
        cluster.send(TOPIC, REQUEST)
        await until(lambda: service.passes() == 2)
        cluster.send(TOPIC, edit(world))
        await until(lambda: world.entity("service", "component:default/pay")["title"] == "Edited")
        await until(lambda: service.passes() == 3)
        record = world.state.integrations.get(IDENTIFIER)
        cluster.send(TOPIC, change(record, record))
        await asyncio.sleep(0.5)
        assert service.passes() == 3
        assert cluster.committed(TOPIC, group=UNSECURED_GROUP) >= 5


async def test_the_topic_for_requests_is_read_where_the_organization_has_it(cluster: KafkaCluster) -> None:
    topic = "org_sandbox.integration.resync.requests"
    cluster.make_topic(topic)
    async with kafka_world(cluster, feature_flags=(REQUESTS_FLAG,)) as world, running(world) as service:
        await until(lambda: service.passes() == 1)
        cluster.send(topic, {"context": {"integrationId": "somebody-else"}})
        cluster.send(topic, {"context": {"integrationId": IDENTIFIER}})
        await until(lambda: service.passes() == 2)


async def test_an_offset_is_committed_only_when_the_request_was_accepted(cluster: KafkaCluster) -> None:
    accepting, let_go = asyncio.Event(), asyncio.Event()

    class Slow:
        async def accept(self, reason: str) -> None:
            accepting.set()
            await let_go.wait()

        async def note_duty(self, *, works: bool) -> None:
            duty.append(works)

    duty: list[bool] = []
    async with (
        kafka_world(cluster) as world,
        open_surroundings(world.settings, world.heard.append, policy=HURRIED) as around,
    ):
        assert around.change_log is not None
        task = asyncio.create_task(around.change_log.follow(Slow()))
        await until(lambda: duty == [True])
        cluster.send(TOPIC, REQUEST)
        await accepting.wait()
        assert cluster.committed(TOPIC, group=UNSECURED_GROUP) < 1
        let_go.set()
        await until(lambda: cluster.committed(TOPIC, group=UNSECURED_GROUP) == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_broker_that_restarts_is_waited_for(cluster: KafkaCluster) -> None:
    async with kafka_world(cluster) as world, running(world) as service:
        await until(lambda: service.passes() == 1)
        cluster.stop()
        await until(lambda: "Kafka" in service.words())
        assert service.duty is True
        cluster.start()
        cluster.send(TOPIC, REQUEST)
        await until(lambda: service.passes() == 2)


async def test_a_second_instance_stands_by_and_takes_over(cluster: KafkaCluster) -> None:
    async with kafka_world(cluster) as world, AsyncExitStack() as leaving:
        first = await leaving.enter_async_context(running(world))
        await until(lambda: first.passes() == 1)
        async with running(world) as second:
            # The group may give the partition to either of them.
            await until(lambda: {first.duty, second.duty} == {True, False})
            works, waits = (first, second) if first.duty else (second, first)
            before = works.passes(), waits.passes()
            cluster.send(TOPIC, REQUEST)
            await until(lambda: works.passes() > before[0])
            assert waits.passes() == before[1]
            assert "stands by" in waits.words()
            await leaving.aclose()
            await until(lambda: second.duty is True and second.passes() >= 1)
            taken = second.passes()
            cluster.send(TOPIC, REQUEST)
            await until(lambda: second.passes() == taken + 1)


async def test_it_works_although_kafka_says_nothing() -> None:
    with kafka_cluster() as cluster:
        async with kafka_world(cluster) as world:
            cluster.stop()
            async with running(world, settle=0.2) as service:
                await until(lambda: service.passes() == 1)
                assert "works meanwhile" in service.words()


async def test_an_account_without_kafka_ends_the_service() -> None:
    async with serve_world([component("pay")], event_listener__type="KAFKA") as world:
        world.install(SERVICES, blueprints=[SERVICE])
        async with open_surroundings(world.settings, world.heard.append, policy=HURRIED) as around:
            log = around.change_log
            assert log is not None
            always = Always(
                around,
                pass_options(world.settings),
                Rhythm(),
                triggers=[lambda always: changelog.follow(always, log)],
                is_elected=True,
            )
            with pytest.raises(SettingsError, match="no Kafka credentials"):
                await always.run()


async def test_without_the_library_it_says_what_to_install() -> None:
    missing = "raise ImportError('No module named confluent_kafka')\n"
    async with serve_world([component("pay")]) as world:
        result = await stageport(
            world,
            "run",
            files={"confluent_kafka.py": missing},
            PYTHONPATH=".",
            OCEAN__EVENT_LISTENER__TYPE="KAFKA",
        )
    assert result.code == 3
    assert "pip install 'stageport[kafka]'" in result.err
