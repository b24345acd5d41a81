"""The history of passes: every one is noted, with what went wrong entity by entity, and nobody's content or secret."""

import asyncio
import json
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.contract.command import SECONDS, Result, environment_of, finish, start
from tests.contract.harness import (
    HURRIED,
    SERVICE,
    SERVICES,
    TOKEN,
    World,
    blueprint,
    component,
    mapping,
    ref,
    resource,
    serve_world,
    until,
)

from stageport.model.errors import SourceError, TargetError
from stageport.model.runs import Run
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sync.passes import PassKind
from stageport.sync.service import run_afresh, run_delta
from stageport.wiring import open_surroundings, pass_options, read_history

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/runs.schema.json").read_text())
STRICT = blueprint("service", {"email": {"type": "string", "format": "email"}, "size": "number"})
ODD = {"properties": {"email": ".spec.email", "size": ".spec.size | tonumber"}}


def noted(world: World) -> list[Run]:
    return list(read_history(world.settings))


async def test_a_pass_is_noted_with_its_counts_and_how_it_ended() -> None:
    async with serve_world([component("pay"), component("cart")], kind=PassKind.RESYNC) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        first = await world.sync()
        second = await world.sync()
        newest, oldest = noted(world)
        assert (oldest.id, oldest.kind, oldest.state, oldest.exit) == (first.pass_id, "verify", "completed", 0)
        assert (oldest.counts["create"], oldest.counts["sourceEntities"]) == (2, 2)
        assert oldest.trigger == "the command line"
        assert (newest.id, newest.kind, newest.counts["create"]) == (second.pass_id, "resync", 0)


async def test_what_failed_is_named_entity_by_entity_without_its_content() -> None:
    odd = component("odd", email="nobody at home", size="opensesame")
    async with serve_world([component("pay", email="a@b.example", size="7"), odd], kind=PassKind.RESYNC) as world:
        world.install(mapping(resource("Component", "service", **ODD)), blueprints=[STRICT])
        await world.sync()
        (run,) = noted(world)
        assert (run.state, run.exit) == ("failed", 7)
        assert [(one.source, one.code) for one in run.refused] == [
            (ref("component", "odd"), "blueprint_schema_mismatch")
        ]
        assert run.refused[0].message
        assert (ref("component", "odd"), "properties.size") in [(one.ref, one.field) for one in run.problems]
        kept = Path(str(world.settings.ledger)).read_bytes()  # noqa: ASYNC240 - a few pages
        for content in (b"nobody at home", b"opensesame", TOKEN.encode()):
            assert content not in kept


async def test_held_deletes_are_noted_with_the_rule_that_holds_them() -> None:
    async with serve_world([component("pay"), component("cart")], kind=PassKind.RESYNC) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        for one in list(world.catalog.refs()):
            world.catalog.delete(one)
        await world.sync()
        run = noted(world)[0]
        assert (run.exit, sum(run.holds.values())) == (8, 2)
        assert {one.identifier for one in run.held} == {ref("component", "pay"), ref("component", "cart")}
        assert all(one.hold in run.holds for one in run.held)


async def test_a_pass_that_broke_off_says_why_and_several_alike_are_one_line() -> None:
    async with serve_world([component("pay")], kind=PassKind.RESYNC) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        world.port.faults.add(Fault(kind=FaultKind.STATUS, status=503))
        for _ in range(3):
            with pytest.raises(TargetError):
                await world.sync()
        world.port.faults.clear()
        await world.sync()
        good, bad = noted(world)
        assert (bad.state, bad.tries, bad.exit) == ("failed", 3, 6)
        assert bad.error
        assert good.state == "completed"


@pytest.mark.parametrize("broken", ["Backstage", "the mapping"])
async def test_a_stop_during_the_last_report_does_not_hide_why_a_pass_failed(broken: str) -> None:
    async with serve_world([component("pay")], kind=PassKind.RESYNC) as world:
        of_the_mapping = broken == "the mapping"
        world.install({**SERVICES, "entityDeletionThreshold": 5} if of_the_mapping else SERVICES, blueprints=[SERVICE])
        world.backstage.faults.add(Fault(kind=FaultKind.STATUS, status=401, path="/entities"))
        reports = 0 if of_the_mapping else 1
        world.port.faults.add(Fault(kind=FaultKind.LATENCY, path="/resync-state", skip=reports, delay_ms=200))
        task = asyncio.ensure_future(world.sync())
        await until(lambda: world.port.faults.injected.total() > 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (run,) = noted(world)
        assert (world.resync_state(), run.state) == ("failed", "failed")
        assert ("entityDeletionThreshold" if of_the_mapping else "401") in run.error


async def test_deltas_are_noted_when_they_did_or_failed_something() -> None:
    async with serve_world([component("pay")], kind=PassKind.RESYNC) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        options = replace(pass_options(world.settings), trigger="live")
        async with open_surroundings(world.settings, world.heard.append, policy=HURRIED) as around:
            ground, _ = await run_afresh(around, options)
            await run_delta(around, ground, options)
            assert len(around.ledger.runs.latest()) == 1
            world.catalog.put(component("cart"))
            await run_delta(around, ground, options)
            world.backstage.faults.add(Fault(kind=FaultKind.STATUS, status=401))
            for _ in range(2):
                try:
                    failed = await run_delta(around, ground, options)
                    assert failed.exit != 0
                except SourceError:
                    pass
            failed_run, did, _first = around.ledger.runs.latest()
        assert (did.kind, did.trigger, did.counts["create"]) == ("delta", "live", 1)
        assert (failed_run.kind, failed_run.state, failed_run.tries) == ("delta", "failed", 2)


async def command(world: World, *words: str, folder: str) -> Result:
    environment = environment_of(world, folder)
    return await finish(await start(*words, environment=environment, folder=folder))


async def shown(world: World, *words: str, folder: str) -> Any:
    result = await command(world, *words, "--output", "json", folder=folder)
    assert result.code == 0, result.err
    jsonschema.validate(result.json, SCHEMA, format_checker=jsonschema.FormatChecker())
    return result.json


async def test_the_commands_list_and_show_passes_also_one_that_was_killed() -> None:
    async with serve_world([component("pay", email="nobody at home", size="x")]) as world:
        world.install(mapping(resource("Component", "service", **ODD)), blueprints=[STRICT])
        with tempfile.TemporaryDirectory() as folder:
            assert (await shown(world, "runs", folder=folder))["runs"] == []
            assert (await command(world, "sync", "--quiet", folder=folder)).code == 7

            world.backstage.faults.add(Fault(kind=FaultKind.STATUS, status=503))
            process = await start("sync", "--quiet", environment=environment_of(world, folder), folder=folder)
            async with asyncio.timeout(SECONDS):
                while len((await shown(world, "runs", folder=folder))["runs"]) < 2:
                    await asyncio.sleep(0.05)
            # Read while the other process holds the ledger.
            assert (await shown(world, "runs", folder=folder))["runs"][0]["state"] == "running"
            process.send_signal(signal.SIGKILL)
            await process.wait()

            killed, whole = (await shown(world, "runs", folder=folder))["runs"]
            assert (killed["state"], killed["exit"]) == ("aborted", None)
            one = (await shown(world, "runs", "show", whole["id"][:8], folder=folder))["run"]
            assert one == whole
            assert one["refused"][0]["source"] == ref("component", "pay")

            text = await command(world, "runs", folder=folder)
            assert killed["id"][:8] in text.out
            (line,) = [line for line in text.out.splitlines() if line.startswith(whole["id"][:8])]
            assert line.endswith("+0 ~0 -0 !1")
            text = await command(world, "runs", "show", whole["id"], folder=folder)
            assert "blueprint_schema_mismatch" in text.out
            assert "nobody at home" not in text.out
            missing = await command(world, "runs", "show", "nothing", folder=folder)
            assert missing.code == 64
            assert "There is no pass 'nothing'" in missing.err


async def test_the_options_of_the_list_are_taken_behind_show_as_well() -> None:
    async with serve_world([component("pay")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        with tempfile.TemporaryDirectory() as folder:
            assert (await command(world, "sync", "--quiet", "--identifier", "another", folder=folder)).code == 0
            none = await command(world, "runs", "show", "latest", folder=folder)
            assert none.code == 64
            for words in (("runs", "show", "latest", "--identifier", "another"), ("runs", "--identifier", "another")):
                assert (await command(world, *words, folder=folder)).code == 0
            before = ("runs", "--identifier", "another", "show", "latest")
            behind = ("runs", "show", "latest", "--identifier", "another", "--config", "config.yaml")
            Path(folder, "config.yaml").write_text("page_size: 7\n")  # noqa: ASYNC240 - a few bytes
            assert await shown(world, *before, folder=folder) == await shown(world, *behind, folder=folder)
