"""The commands as people and scripts run them: what goes to which stream, in which form, with which exit code."""

import asyncio
import json
import re
import shlex
import signal
import sqlite3
import sys
import tempfile
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.contract.command import SECONDS, environment_of, finish, stageport, start
from tests.contract.harness import (
    IDENTIFIER,
    SERVICE,
    SERVICES,
    TOKEN,
    World,
    component,
    group,
    mapping,
    ref,
    resource,
    serve_world,
)

from stageport.model.exits import Exit
from stageport.sandbox.faults import Fault, FaultKind
from stageport.sandbox.port.options import PortOptions

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/plan.schema.json").read_text())
SOURCES = [component("pay"), component("bill"), component("gone"), component("stays"), group("team-a")]


def written(world: World) -> list[str]:
    """Name the requests by which anything at Port may have changed."""
    reading = re.compile(r"^(GET .*|POST /v1/auth/.*|POST .*/search|POST .*/datasource-entities)$")
    return [seen.route for seen in world.requests() if not reading.match(seen.route)]


async def change_a_little(world: World) -> None:
    """Have one entity to create, one to update and one to delete."""
    world.install(SERVICES, blueprints=[SERVICE])
    await world.sync()
    world.catalog.put(component("brand-new"))
    world.catalog.update(ref("component", "pay"), lambda one: one["metadata"].update(title="Pay | [bold]"))
    world.catalog.delete(ref("component", "gone"))
    world.forget()


# plan


async def test_plan_of_an_empty_port_shows_first_start_and_writes_nothing() -> None:
    async with serve_world(SOURCES) as world:
        result = await stageport(world, "plan", "--quiet", "--output", "json", "--detailed-exitcode")
        assert result.code == Exit.CHANGES
        assert result.err == ""
        jsonschema.validate(result.json, SCHEMA)
        assert result.json["counts"]["create"] == 5
        assert result.json["firstStart"][:2] == ["register the integration", "write the default mapping"]
        assert "create blueprint component" in result.json["firstStart"]
        assert written(world) == []
        assert world.state.integrations.find(IDENTIFIER) is None


async def test_plan_shows_each_change_and_sync_does_exactly_that() -> None:
    async with serve_world(SOURCES) as world:
        await change_a_little(world)
        plain = await stageport(world, "plan", "--quiet")
        assert plain.code == Exit.OK
        lines = plain.out.splitlines()
        assert f"+ service {ref('component', 'brand-new')}" in lines
        assert f"~ service {ref('component', 'pay')}" in lines
        assert '    title: "pay" → "Pay | [bold]"' in lines
        assert f"- service {ref('component', 'gone')}" in lines
        assert lines[-1] == "Plan: 1 to create, 1 to update, 1 to delete, 2 unchanged, 0 kept."

        shown = (await stageport(world, "plan", "--quiet", "--output", "json")).json
        jsonschema.validate(shown, SCHEMA)
        by_operation: dict[str, set[tuple[str, str]]] = {}
        for one in shown["changes"]:
            by_operation.setdefault(f"{one['operation']}d", set()).add((one["blueprint"], one["identifier"]))
        assert written(world) == []
        done = await stageport(world, "sync", "--quiet", "--output", "json")
        assert done.code == Exit.OK
        assert world.arrived() == by_operation
        again = await stageport(world, "plan", "--quiet", "--detailed-exitcode")
        assert again.code == Exit.OK
        assert again.out.splitlines() == ["Plan: 0 to create, 0 to update, 0 to delete, 4 unchanged, 0 kept."]


async def test_plan_as_markdown_is_fit_for_a_job_summary() -> None:
    async with serve_world(SOURCES) as world:
        await change_a_little(world)
        result = await stageport(world, "plan", "--quiet", "--output", "markdown", "--detailed-exitcode")
        assert result.code == Exit.CHANGES
        lines = result.out.splitlines()
        assert lines[0] == "### Stageport plan"
        assert "| 1 | 1 | 1 | 2 | 0 | 0 | 0 |" in lines
        assert f"| ~ | service | {ref('component', 'pay')} | title |" in lines
        assert f"| - | service | {ref('component', 'gone')} |  |" in lines


async def test_plan_exits_with_what_is_wrong_rather_than_with_changes() -> None:
    async with serve_world(SOURCES) as world:
        await change_a_little(world)
        world.install({**SERVICES, "entityDeletionThreshold": 0})
        held = await stageport(world, "plan", "--quiet", "--detailed-exitcode")
        assert held.code == Exit.HELD
        assert f"= service {ref('component', 'gone')}  kept:" in held.out
        assert "--release-deletes" in held.out
        world.backstage.faults.add(Fault(kind=FaultKind.STATUS, path="/by-query", status=401, body="{}"))
        assert (await stageport(world, "plan", "--quiet", "--detailed-exitcode")).code == Exit.SOURCE


# sync


async def test_sync_as_json_is_whole_and_alone_on_standard_output() -> None:
    config = mapping(
        resource("Component", "service", title=".metadata.name", properties={"type": ".spec.size // .spec.type"}),
        resource("Group", "fleet"),
    )
    async with serve_world([component("pay"), component("odd", size=7), group("team-a")]) as world:
        world.install(config, blueprints=[SERVICE])
        result = await stageport(world, "sync", "--output", "json")
        assert result.code == Exit.UNWRITTEN
        shown = result.json
        assert (shown["format"], shown["state"], shown["exit"]) == (1, "failed", Exit.UNWRITTEN)
        assert shown["pass"] == "verify"
        counts = shown["counts"]
        assert (counts["create"], counts["refused"], counts["blocked"]) == (1, 1, 1)
        (refused,) = shown["refused"]
        assert refused["source"] == ref("component", "odd")
        assert (refused["status"], refused["code"]) == (422, "blueprint_schema_mismatch")
        assert [one["blueprint"] for one in shown["blocked"]] == ["fleet"]
        # The log went to the other stream, a JSON object a line where there is no terminal.
        events = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
        assert any(event["event"] == "pass started" for event in events)
        assert any(event.get("source") == ref("component", "odd") for event in events)


async def test_quiet_leaves_the_result_alone() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world:
        result = await stageport(world, "sync", "--quiet")
        assert result.code == Exit.OK
        assert result.err == ""
        assert result.out == "Done: 2 created, 0 updated, 0 deleted, 0 unchanged, 0 kept, 0 not written.\n"


@pytest.mark.parametrize("command", ["sync", "plan"])
async def test_a_backstage_that_nobody_answers_for_is_said_once_a_round(command: str) -> None:
    async with serve_world(SOURCES) as world:
        nowhere = {"BACKSTAGE_URL": "http://127.0.0.1:9", "STAGEPORT_UNREACHABLE_TIMEOUT": "2"}
        result = await stageport(world, command, **nowhere)
    assert result.code == Exit.SOURCE
    *lines, error, _hint = result.err.splitlines()
    assert error.startswith("Error: ")
    waits = [line for line in lines if "waiting" in line]
    # Waits double from 0.3 s: three fit into two seconds, give or take one.
    assert 1 <= len(waits) <= 4, result.err
    if command == "sync":
        assert {json.loads(line)["level"] for line in lines} == {"info"}
        assert all(json.loads(line)["side"] == "Backstage" for line in waits)


@pytest.mark.parametrize("command", ["sync", "run"])
async def test_a_json_log_is_json_to_its_end(command: str) -> None:
    async with serve_world(SOURCES) as world:
        given = {"STAGEPORT_LOG_FORMAT": "json", "PORT_CLIENT_SECRET": "a-secret-that-nobody-knows"}
        result = await stageport(world, command, **given, STAGEPORT_HTTP_PORT="0")
    assert result.code == Exit.TARGET
    assert result.out == ""
    *_, last = [json.loads(line) for line in result.err.splitlines()]
    assert (last["level"], last["exit"]) == ("critical", Exit.TARGET)
    assert "gives no token" in last["event"]
    assert "Credentials" in last["hint"]


async def test_options_beat_the_environment() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world:
        words = ("--backstage-url", world.backstage.url, "--port-url", world.port.url, "--identifier", "another-one")
        nowhere = "http://127.0.0.1:9"
        result = await stageport(world, "sync", "--quiet", *words, BACKSTAGE_URL=nowhere, PORT_BASE_URL=nowhere)
        assert result.code == Exit.OK, result.err
        assert world.state.integrations.find("another-one") is not None


async def test_oceans_variables_are_understood() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world:
        options = world.state.options
        theirs = {
            "OCEAN__PORT": json.dumps({"clientId": options.client_id, "clientSecret": options.client_secret}),
            "OCEAN__PORT__BASE_URL": world.port.url,
            "OCEAN__INTEGRATION__IDENTIFIER": "from-ocean",
            "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL": world.backstage.url,
            "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN": TOKEN,
            "OCEAN__EVENT_LISTENER": '{"type": "ONCE"}',
            "OCEAN__PROCESS_EXECUTION_MODE": "single_process",
        }
        ours = ("BACKSTAGE_URL", "PORT_BASE_URL", "PORT_CLIENT_ID", "STAGEPORT_INTEGRATION_IDENTIFIER")
        result = await stageport(world, "sync", "--quiet", without=ours, **theirs)
        assert result.code == Exit.OK, result.err
        assert world.state.integrations.find("from-ocean") is not None
        assert {one["$datasource"].split("/")[-2] for one in world.held().values()} == {"from-ocean"}


async def test_what_a_sync_keeps_is_said_with_the_reason() -> None:
    async with serve_world(SOURCES) as world:
        world.install({**SERVICES, "entityDeletionThreshold": 0}, blueprints=[SERVICE])
        await world.sync()
        for name in ("gone", "stays"):
            world.catalog.delete(ref("component", name))
        result = await stageport(world, "sync", "--quiet")
    assert result.code == Exit.HELD
    done, why, code = result.out.splitlines()[-3:]
    assert done.endswith("2 kept, 0 not written.")
    assert why == "  2 kept: more would be deleted than entityDeletionThreshold allows."
    assert code == "Exit code 8 (held)"


async def test_a_kind_that_nothing_maps_is_refused_before_anything_is_done() -> None:
    async with serve_world(SOURCES) as world:
        world.install(mapping(*SERVICES["resources"], resource("Group", "service")), blueprints=[SERVICE])
        result = await stageport(world, "sync", "--quiet", "--kind", "component", "--kind", "NoSuch")
        assert result.code == Exit.USAGE
        assert result.err.splitlines() == [
            "Error: No resource of the mapping reads kind nosuch.",
            "  Mapped are Component, Group.",
        ]
        assert world.present() == set()
        assert (await stageport(world, "sync", "--quiet", "--kind", "COMPONENT")).code == Exit.OK
        assert len(world.present()) == 4


# check


async def test_check_shows_where_every_value_came_from_and_hides_secrets() -> None:
    async with serve_world([component("pay"), group("team-a")]) as world:
        files = {
            ".env": "STAGEPORT_PAGE_SIZE=123\n",
            "config.yaml": 'pageSize: 77\nintegration:\n  config:\n    backstageUrl: "http://elsewhere"\n',
        }
        more = {"OCEAN__PORT__CLIENT_ID": world.state.options.client_id, "OCEAN__INTEGRATION__IDENTIFER": "typo"}
        text = await stageport(world, "check", files=files, **more)
        assert text.code == Exit.OK, text.out
        rows = {line.split()[0]: line for line in text.out.splitlines() if line.strip()}
        assert "123" in rows["page_size"]
        assert ".env: STAGEPORT_PAGE_SIZE (over config file: config.yaml: page_size)" in rows["page_size"]
        assert "environment: OCEAN__PORT__CLIENT_ID (over environment: PORT_CLIENT_ID)" in rows["port.client_id"]
        assert "set (hidden)" in rows["port.client_secret"]
        assert "did you mean OCEAN__INTEGRATION__IDENTIFIER?" in text.out
        assert "2 entities: Component 1, Group 1" in text.out
        assert "not registered yet" in text.out
        assert written(world) == []

        shown = (await stageport(world, "check", "--output", "json", files=files, **more)).json
        settings = {row["name"]: row for row in shown["settings"]}
        assert settings["page_size"]["from"] == ".env: STAGEPORT_PAGE_SIZE"
        assert settings["page_size"]["over"] == ["config file: config.yaml: page_size"]
        assert settings["client_timeout"]["from"] == "default"
        assert {one["level"] for one in shown["findings"]} == {"ok", "warning"}


async def test_check_names_everything_that_is_wrong_at_once() -> None:
    async with serve_world([component("pay")]) as world:
        wrong = {"BACKSTAGE_TOKEN": "a-token-that-nobody-knows", "PORT_CLIENT_SECRET": "a-secret-that-nobody-knows"}
        result = await stageport(world, "check", **wrong)
        assert result.code == Exit.SOURCE
        assert "Backstage does not know this token" in result.out
        assert "gives no token" in result.out


async def test_check_does_not_send_whoever_has_a_wrong_setting_to_check() -> None:
    async with serve_world([]) as world:
        checked = await stageport(world, "check", STAGEPORT_PAGE_SIZE="many")
        planned = await stageport(world, "plan", STAGEPORT_PAGE_SIZE="many")
    assert checked.code == planned.code == Exit.SETTINGS
    assert "page_size (environment: STAGEPORT_PAGE_SIZE) should be a valid integer" in checked.err
    assert "stageport check" in planned.err
    assert "stageport check" not in checked.err
    assert "Mend what is named, where it stands; then this command lists all settings in force." in checked.err


async def test_a_value_that_an_option_does_not_take_is_said_in_plain_words() -> None:
    async with serve_world([]) as world:
        result = await stageport(world, "check", "--output", "xml")
    assert result.code == Exit.USAGE
    assert (
        result.err.splitlines()[-1] == "Error: Invalid value for '--output' / '-o': 'xml' is not one of 'text', 'json'."
    )


async def test_what_is_no_entity_is_not_mapped() -> None:
    async with serve_world([]) as world:
        for text, said in (
            (json.dumps(SERVICES), "It looks like a mapping"),
            (json.dumps(SERVICES["resources"][0]), "It looks like a mapping"),
            ("name: pay\n", "Give an entity as Backstage serves it"),
        ):
            files = {"m.yaml": json.dumps(SERVICES), "given.yaml": text}
            result = await stageport(world, "map", "given.yaml", "--mapping", "m.yaml", files=files)
            assert result.code == Exit.USAGE
            assert "given.yaml holds no source entity" in result.err
            assert said in result.err


async def test_check_says_which_kinds_are_not_mapped() -> None:
    async with serve_world([*SOURCES, group("team-b")]) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        assert "✓ mapping: not mapped: Group 2\n" in (await stageport(world, "check")).out
        world.install(mapping(*SERVICES["resources"], resource("group", "service")))
        assert "not mapped" not in (await stageport(world, "check")).out


async def test_check_says_what_the_blueprints_cannot_hold() -> None:
    config = mapping(
        resource("Component", "service", properties={"size": ".spec.size"}, relations={"owner": ".spec.owner"}),
        resource("Group", "fleet"),
    )
    async with serve_world([component("pay"), group("team-a")]) as world:
        world.install(config, blueprints=[SERVICE])
        result = await stageport(world, "check")
        assert result.code == Exit.MAPPING
        assert "has no property size" in result.out
        assert "has no relation owner" in result.out
        assert "there is no blueprint fleet" in result.out
        assert result.out.count("fleet") == 1


async def test_check_finds_an_integration_that_port_runs_itself() -> None:
    async with serve_world([component("pay")], port=PortOptions(installation_type="Saas")) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        result = await stageport(world, "check")
        assert result.code == Exit.TARGET
        assert "Port itself runs the integration" in result.out


async def test_a_new_account_without_initialize_starts_with_a_stored_mapping_of_ones_own() -> None:
    text = yaml.safe_dump(SERVICES)
    async with serve_world([component("pay")]) as world:
        world.add_blueprints(SERVICE)
        quiet = {"OCEAN__INITIALIZE_PORT_RESOURCES": "false", "OCEAN__CREATE_PORT_RESOURCES_ORIGIN": "Empty"}
        result = await stageport(world, "check", **quiet)
        assert (result.code, "There is no mapping yet" in result.out) == (Exit.MAPPING, True)
        stored = await stageport(world, "mapping", "store", "m.yaml", "--register", files={"m.yaml": text}, **quiet)
        assert stored.code == Exit.OK
        assert (await stageport(world, "sync", **quiet)).code == Exit.OK
        assert world.present() == {("service", "component:default/pay")}


# sandbox


async def first_lines(process: asyncio.subprocess.Process) -> list[str]:
    """Return the two lines that a stand-in prints when it is ready."""
    assert process.stdout is not None
    return [(await asyncio.wait_for(process.stdout.readline(), 30)).decode() for _ in range(2)]


def exported(line: str) -> dict[str, str]:
    """Read a line of shell that sets variables."""
    words = shlex.split(line)
    assert words[0] == "export"
    return dict(word.split("=", 1) for word in words[1:])


async def test_both_stand_ins_run_as_commands_and_a_sync_between_them_works_as_they_say() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with serve_world([]) as world:
            environment = {
                name: value
                for name, value in environment_of(world, folder).items()
                if name in ("PATH", "PYTHONPATH", "HOME", "LANG")
            }
        port = await start("sandbox", "port", "--port", "0", environment=environment, folder=folder)
        backstage = await start(
            *("sandbox", "backstage", "--port", "0", "--entities", "30"), environment=environment, folder=folder
        )
        try:
            ready, line = await first_lines(port)
            assert "open it in a browser" in ready
            given = exported(line)
            ready, line = await first_lines(backstage)
            assert "with 30 entities" in ready
            given |= exported(line)
            sync = await start("sync", "--quiet", environment=environment | given, folder=folder)
            result = await finish(sync)
            assert result.code == Exit.OK, result.err
            assert "not written" in result.out
            state = await asyncio.to_thread(read_json, f"{given['PORT_BASE_URL']}/_sandbox/stats")
            assert sum(state["stored"].values()) >= 29
        finally:
            port.send_signal(signal.SIGTERM)
            backstage.send_signal(signal.SIGINT)
            ends = [await finish(port), await finish(backstage)]
        assert [end.code for end in ends] == [0, 0]
        assert [end.err for end in ends] == ["", ""]


def read_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


async def test_a_stand_in_whose_port_is_taken_says_so() -> None:
    async with serve_world([component("pay")]) as world:
        taken = world.port.url.rpartition(":")[2]
        result = await stageport(world, "sandbox", "port", "--port", taken)
        assert result.code == Exit.FAILED
        assert taken in result.err
        assert "--port" in result.err


@pytest.mark.parametrize("which", ["port", "backstage"])
async def test_a_port_that_no_machine_has_is_a_usage_error(which: str) -> None:
    async with serve_world([]) as world:
        result = await stageport(world, "sandbox", which, "--port", "99999")
    assert result.code == Exit.USAGE
    assert "65535" in result.err


async def test_a_host_that_nobody_knows_is_said() -> None:
    async with serve_world([]) as world:
        result = await stageport(world, "sandbox", "port", "--host", "nosuch.invalid", "--port", "0")
    assert result.code == Exit.FAILED
    assert "Cannot listen on nosuch.invalid:0" in result.err
    assert "Unknown error" not in result.err


@pytest.mark.parametrize("place", ["some.yaml", "folder", "some.yaml/below"])
async def test_a_state_file_that_is_none_is_said_and_left_alone(place: str, tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("what: no database\n" * 100)
    (tmp_path / "folder").mkdir()
    async with serve_world([]) as world:
        result = await stageport(world, "sandbox", "port", "--port", "0", "--state", str(tmp_path / place))
    assert result.code == Exit.USAGE
    assert f"The state cannot be kept in {tmp_path / place}: " in result.err
    assert "that a stand-in wrote before" in result.err
    assert (tmp_path / "some.yaml").read_text() == "what: no database\n" * 100


async def test_a_state_file_of_another_program_is_said(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "theirs")) as theirs:
        theirs.execute("CREATE TABLE blueprints (document BLOB)")
        theirs.execute("INSERT INTO blueprints VALUES ('no such thing')")
        theirs.commit()
    async with serve_world([]) as world:
        result = await stageport(world, "sandbox", "port", "--port", "0", "--state", str(tmp_path / "theirs"))
    assert result.code == Exit.USAGE
    assert "The state cannot be kept in" in result.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize(
    "words",
    [("plan", "--quiet", "--output", "json"), ("plan", "--quiet"), ("check",), ("schema", "mapping"), ("--help",)],
    ids=str,
)
async def test_output_to_a_full_disk_is_said(words: tuple[str, ...], tmp_path: Path) -> None:
    async with serve_world(SOURCES) as world:
        with Path("/dev/full").open("wb") as full:  # noqa: ASYNC230 - nothing is ever written to it
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "stageport", *words),
                env=environment_of(world, str(tmp_path)),
                cwd=tmp_path,
                stdout=full,
                stderr=asyncio.subprocess.PIPE,
            )
            _, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == Exit.FAILED
    assert err.decode().splitlines() == [
        "Error: The output cannot be written: No space left on device",
        "  Send it to a place that has room, and run it again.",
    ]


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
async def test_without_an_output_the_work_is_done_all_the_same(closed: str, tmp_path: Path) -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        process = await asyncio.create_subprocess_shell(
            f"exec {shlex.quote(sys.executable)} -m stageport sync {closed}",
            env=environment_of(world, str(tmp_path)),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert (await finish(process)).code == Exit.OK
        assert len(world.present()) == 4


async def test_version_and_help() -> None:
    async with serve_world([]) as world:
        shown = await stageport(world, "--version")
        assert (shown.code, shown.err) == (Exit.OK, "")
        assert re.fullmatch(r"stageport \d+\.\d+\.\d+\n", shown.out)
        for words in ((), ("sync",), ("sandbox",)):
            result = await stageport(world, *words, "--help")
            assert result.code == Exit.OK
            assert "Usage:" in result.out


# Summaries


async def test_the_result_is_added_to_the_summary_of_a_job(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("what another step wrote\n")
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await stageport(world, "plan", "--quiet", "--summary", str(summary))
        await stageport(world, "sync", "--quiet", "--summary", str(summary))
    text = summary.read_text()
    assert text.startswith("what another step wrote\n### Stageport plan\n")
    assert f"| + | service | {ref('component', 'pay')} |  |" in text
    assert "### Stageport sync: completed\n\n| created |" in text
    assert "\n| 4 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |\n" in text


@pytest.mark.parametrize("command", ["plan", "sync"])
async def test_a_summary_that_cannot_be_written_is_said_before_anything_is_done(command: str) -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        result = await stageport(world, command, "--quiet", "--summary", "/nowhere/summary.md")
        assert world.present() == set()
        assert list(world.requests()) == []
    assert result.code == Exit.FAILED
    assert "The summary /nowhere/summary.md cannot be written" in result.err
