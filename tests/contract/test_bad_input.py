"""Bad input through the real command: a clear message, a hint, an exit code, nothing lost, no traceback, no secret."""

import signal
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.contract.command import Result, stageport
from tests.contract.harness import (
    IDENTIFIER,
    SERVICE,
    SERVICES,
    World,
    component,
    group,
    mapping,
    ref,
    resource,
    serve_world,
)

from stageport.model.exits import Exit
from stageport.sandbox.backstage.traps import Phase, Stage
from stageport.sandbox.faults import Fault, FaultKind

NOWHERE = "no-such-host.invalid"
"""RFC 2606: a name that no resolver knows."""


def closed_port() -> int:
    """Return a port at which nobody listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


async def settled(world: World) -> set[tuple[str, str]]:
    """Have something at Port that must not be lost, and something in Backstage that is yet to be written."""
    world.install(SERVICES, blueprints=[SERVICE])
    await world.sync()
    world.catalog.delete(ref("component", "gone"))
    world.catalog.put(component("new"))
    world.forget()
    return world.present()


SOURCES = [component("pay"), component("bill"), component("gone"), group("team-a")]


def said(result: Result, *words: str) -> None:
    """Expect a message, a hint below it, and nothing on standard output."""
    lines = result.err.strip().splitlines()
    assert lines, "nothing was said"
    text = " ".join(result.err.split())
    for word in words:
        assert word in text, text
    last = max(place for place, line in enumerate(lines) if line.startswith("Error: "))
    assert lines[last + 1 :], f"a hint should follow: {text}"


def fault(kind: FaultKind, side: str, **more: Any) -> Callable[[World], None]:
    return lambda world: getattr(world, side).faults.add(Fault(kind=kind, **more))


def starting(world: World) -> None:
    world.backstage.restart([Phase(Stage.SILENT, requests=1_000)])


UNUSABLE: dict[str, tuple[Any, Exit, tuple[str, ...]]] = {
    "Backstage refuses connections": (
        lambda _: {"BACKSTAGE_URL": f"http://127.0.0.1:{closed_port()}"},
        Exit.SOURCE,
        ("Backstage at http://127.0.0.1:", "Check the Backstage URL"),
    ),
    "Backstage has no such name": (
        lambda _: {"BACKSTAGE_URL": f"http://{NOWHERE}:7007"},
        Exit.SOURCE,
        (NOWHERE, "Check the Backstage URL"),
    ),
    "Backstage is a login page": (
        fault(FaultKind.HTML, "backstage"),
        Exit.SOURCE,
        ("text/html", "the address of the frontend"),
    ),
    "Backstage knows no such token": (
        lambda _: {"BACKSTAGE_TOKEN": "a-token-that-nobody-knows"},
        Exit.SOURCE,
        ("401", "does not know this token", "externalAccess"),
    ),
    "Backstage is given no token": (lambda _: {"BACKSTAGE_TOKEN": ""}, Exit.SOURCE, ("401", "BACKSTAGE_TOKEN")),
    "Backstage never starts": (starting, Exit.SOURCE, ("starting up", "backend has started")),
    "Backstage is no catalog": (
        lambda world: {"BACKSTAGE_URL": f"{world.port.url}/elsewhere"},
        Exit.SOURCE,
        ("404", "There is no catalog at this address"),
    ),
    "Port knows no such secret": (
        lambda _: {"PORT_CLIENT_SECRET": "a-secret-that-nobody-knows"},
        Exit.TARGET,
        ("gives no token", "401", "Credentials", "https://api.us.port.io"),
    ),
    "Port refuses connections": (
        lambda _: {"PORT_BASE_URL": f"http://127.0.0.1:{closed_port()}"},
        Exit.TARGET,
        ("Port at http://127.0.0.1:", "Check the Port base URL", "https://api.us.port.io"),
    ),
    "Port has no such region": (
        lambda _: {"PORT_BASE_URL": f"http://api.mars.{NOWHERE}"},
        Exit.TARGET,
        (NOWHERE, "Check the Port base URL"),
    ),
    "Port is a login page": (fault(FaultKind.HTML, "port"), Exit.TARGET, ("Port", "base URL")),
    "Port is something else": (
        lambda world: {"PORT_BASE_URL": world.backstage.url},
        Exit.TARGET,
        ("404", "There is no Port API at this address", "https://api.us.port.io"),
    ),
    "Port may not be used": (
        fault(FaultKind.STATUS, "port", path="/blueprints", status=403, body="{}"),
        Exit.TARGET,
        ("403", "IP addresses"),
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_a_side_that_cannot_be_used_is_one_clear_error(name: str) -> None:
    trouble, code, words = UNUSABLE[name]
    async with serve_world(SOURCES) as world:
        before = await settled(world)
        result = await stageport(world, "sync", "--quiet", **(trouble(world) or {}))
        assert result.code == code, result.err
        assert result.out == ""
        said(result, *words)
        assert world.present() >= before


MAPPINGS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "empty": ({}, ("mapping at Port is empty", "data sources page")),
    "no object": ([1], ("mapping",)),
    "lacks a kind": (
        {"resources": [{"selector": {"query": "true"}, "port": {}}]},
        ("resources[0] lacks the key 'kind'", "port lacks the key 'entity'", "stageport check"),
    ),
    "a list where one is meant": (
        mapping(resource("Component", "service", properties=["x"])),
        ("resources[0].port.entity.mappings.properties", "list"),
    ),
    "several faults": (
        {"resources": [{"kind": 1}, {"kind": "component"}]},
        (
            "resources[0] lacks the key 'selector'",
            "resources[1] lacks the key 'selector'",
            "resources[1] lacks the key 'port'",
        ),
    ),
}


@pytest.mark.parametrize("name", MAPPINGS)
async def test_a_mapping_that_cannot_be_used_names_every_fault_and_its_place(name: str) -> None:
    config, words = MAPPINGS[name]
    async with serve_world(SOURCES) as world:
        before = await settled(world)
        record = world.state.integrations.get(IDENTIFIER)
        world.state.store.put_record("integration", IDENTIFIER, {**record, "config": config})
        result = await stageport(world, "sync", "--quiet")
        assert result.code == Exit.MAPPING, result.err
        said(result, *words)
        assert world.present() == before
        assert world.resync_state() == "failed"


# What costs single entities, not the pass


ODD = mapping(
    resource(
        "Component",
        "service",
        identifier=".spec.id // .metadata.identifier",
        title=".metadata.name",
        properties={"type": ".spec.text // .spec.type"},
    ),
    resource("Group", "fleet"),
)


async def test_entities_that_cannot_be_written_are_named_with_the_reason_and_the_rest_is_written() -> None:
    sources = [
        component("pay"),
        component("large", text="x" * (1024 * 1024)),
        component("spaced", id="not an identifier"),
        group("team-a"),
    ]
    async with serve_world(sources) as world:
        world.install(ODD, blueprints=[SERVICE])
        result = await stageport(world, "sync", "--quiet")
        assert result.code == Exit.UNWRITTEN, result.err
        text = " ".join(result.out.split())
        assert ref("component", "large") in text
        assert "413 too_large" in text
        assert ref("component", "spaced") in text
        assert "422 invalid_request" in text
        assert "1 entities of blueprint fleet, which Port does not have" in text
        assert "Exit code 7" in text
        assert world.present() == {("service", ref("component", "pay"))}


async def test_a_broken_expression_costs_its_field_and_is_named() -> None:
    broken = mapping(
        resource("Component", "service", title=".metadata.name", properties={"type": ".spec.type |\n  ascii_downcas"})
    )
    async with serve_world([component("pay")]) as world:
        world.install(broken, blueprints=[SERVICE])
        result = await stageport(world, "sync", "--quiet")
        assert result.code == Exit.OK, result.err
        assert "properties.type" in result.out
        assert "does not compile" in result.out
        assert world.entity("service", ref("component", "pay"))["title"] == "pay"


async def test_check_names_line_and_column_of_a_broken_expression() -> None:
    broken = mapping(
        resource("Component", "service", title=".metadata.name", properties={"type": ".spec.type |\n  ascii_downcas"})
    )
    async with serve_world([component("pay")]) as world:
        world.install(broken, blueprints=[SERVICE])
        result = await stageport(world, "check")
        assert result.code == Exit.MAPPING, result.out
        text = " ".join(result.out.split())
        assert "properties.type" in text
        assert "line 2" in text
        assert "column 3" in text


# Settings and usage


SETTINGS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "missing": (
        {"without": ("PORT_CLIENT_ID", "PORT_CLIENT_SECRET", "BACKSTAGE_URL")},
        ("3 settings are missing", "PORT_CLIENT_ID", "PORT_CLIENT_SECRET", "BACKSTAGE_URL", "stageport check"),
    ),
    "no address": ({"BACKSTAGE_URL": "backstage"}, ("integration.config.backstage_url", "BACKSTAGE_URL")),
    "no number": ({"STAGEPORT_PAGE_SIZE": "many"}, ("page_size", "STAGEPORT_PAGE_SIZE", "'many'")),
    "no YAML": ({"files": {"config.yaml": "port: x\n  clientId: y"}}, ("config.yaml is not valid YAML at line 2",)),
    "no JSON": ({"OCEAN__EVENT_LISTENER": "{"}, ("event_listener", "JSON")),
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_settings_that_are_missing_or_wrong_are_named_with_their_place(name: str) -> None:
    given, words = SETTINGS[name]
    async with serve_world([component("pay")]) as world:
        result = await stageport(world, "sync", **given)
        assert result.code == Exit.SETTINGS, result.err
        said(result, *words)
        assert world.requests() == []
        assert world.backstage.requests == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sync", "--relase-deletes"), "--release-deletes"),
        (("snyc",), "sync"),
        (("sync", "--output", "xml"), "json"),
        (("plan", "extra"), "extra"),
        (("sync", "--delta", "--verify"), "--verify"),
        (("sync", "--config", "nowhere.yaml"), "nowhere.yaml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_a_wrong_command_line_is_told_apart_from_everything_else(words: tuple[str, ...], expected: str) -> None:
    async with serve_world([component("pay")]) as world:
        result = await stageport(world, *words)
        assert result.code == (Exit.SETTINGS if "--config" in words else Exit.USAGE), result.err
        assert expected in result.err
        assert world.requests() == []


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("moment", ["reading", "writing"])
async def test_a_signal_in_the_middle_ends_the_pass_and_port_is_told(number: signal.Signals, moment: str) -> None:
    async with serve_world([component(f"c{place:03}") for place in range(500)]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        if moment == "reading":
            world.backstage.faults.add(Fault(kind=FaultKind.LATENCY, path="/by-query", delay_ms=1_000))
            stop = (lambda: bool(world.backstage.faults.injected), number)
        else:
            world.port.faults.add(Fault(kind=FaultKind.LATENCY, path="/entities/bulk", delay_ms=80))
            stop = (lambda: bool(world.port.faults.injected), number)
        result = await stageport(world, "sync", "--quiet", stop=stop, STAGEPORT_CONCURRENCY="2")
        assert result.code == Exit.INTERRUPTED, result.err
        said(result, "stopped before its end", "run it again")
        assert world.resync_state() == "aborted"
        assert len(world.present()) < 500
        world.port.faults.clear()
        world.backstage.faults.clear()
        assert (await world.sync()).exit is Exit.OK
        assert len(world.present()) == 500
        assert world.resync_state() == "completed"


def contents(folder: Path) -> dict[str, str]:
    return {one.name: one.read_text() if one.is_file() else "a folder" for one in folder.iterdir()}


@pytest.mark.parametrize("command", ["sync", "plan", "runs"])
@pytest.mark.parametrize("name", ["room", "mapping.yaml"])
async def test_what_is_no_ledger_is_left_as_it_is(tmp_path: Path, command: str, name: str) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "mapping.yaml").write_text("resources: []")
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        result = await stageport(world, command, STAGEPORT_LEDGER=str(tmp_path / name))
        assert (result.code, result.out, world.present()) == (Exit.SETTINGS, "", set())
        said(result, str(tmp_path / name), "Choose another path for the ledger")
    assert contents(tmp_path) == {"mapping.yaml": "resources: []", "room": "a folder"}
