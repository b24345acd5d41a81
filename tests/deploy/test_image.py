"""The image without an engine: its file tree as the Dockerfile installs it, started by any user, its root read-only."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.contract.command import environment_of
from tests.contract.harness import IDENTIFIER, World, component, group, serve_world
from tests.deploy.container import (
    DOCKERFILE,
    TREE,
    Container,
    can_unshare,
    image_command,
    image_environment,
    image_healthcheck,
    instructions,
)
from tests.shell_blocks import ROOT
from tests.tls_relay import make_certificate, relay_tls

SOURCES = [component("pay"), component("bill"), group("team-a")]
CERTIFICATE = "/usr/local/share/ca-certificates/cert.crt"

needs_namespaces = pytest.mark.skipif(not can_unshare(), reason="this machine allows no mount namespaces")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def given(world: World) -> dict[str, str]:
    """Return what a chart or `docker run` would give it."""
    outer = environment_of(world, "/")
    names = ("BACKSTAGE_URL", "BACKSTAGE_TOKEN", "PORT_BASE_URL", "PORT_CLIENT_ID", "PORT_CLIENT_SECRET")
    chosen = {name: outer[name] for name in names}
    return {**chosen, "OCEAN__INTEGRATION__IDENTIFIER": IDENTIFIER, "APPLICATION__PORT": str(free_port())}


@asynccontextmanager
async def started(container: Container, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *container.words(*command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(container: Container, *command: str) -> tuple[int, str]:
    async with started(container, *command) as process:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, out.decode()


async def until_synced(world: World) -> None:
    while world.resync_state() != "completed":
        await asyncio.sleep(0.05)


# The tree


def test_the_tree_holds_the_product_and_nothing_of_its_making() -> None:
    packages = next(TREE.glob("lib/python3*/site-packages"))
    names = {path.name.partition("-")[0].lower() for path in packages.iterdir()}
    assert {"stageport", "aiohttp", "jq", "pydantic", "confluent_kafka"} <= names
    assert not names & {"pytest", "mypy", "ruff", "hatchling", "pip", "uv", "tests", "bench"}
    assert (packages / "stageport" / "__pycache__").is_dir(), "compiled, because nothing can be written later"
    assert not [path for path in TREE.rglob("*") if path.is_file() and not path.stat().st_mode & 0o004]
    assert not [path for path in TREE.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]


def test_the_tree_does_not_name_the_machine_that_made_it() -> None:
    for script in ("stageport", "activate"):
        assert str(ROOT) not in (TREE / "bin" / script).read_text(encoding="utf-8")


def test_the_image_starts_the_service_as_a_numeric_user() -> None:
    found = dict(instructions())
    assert image_command() == ["stageport", "run"]
    assert found["USER"] == "1001:1001"
    assert found["STOPSIGNAL"] == "SIGTERM"
    assert found["WORKDIR"] == "/app"
    assert image_environment()["HOME"] == "/tmp/ocean"
    labels = " ".join(words for keyword, words in instructions() if keyword == "LABEL")
    for name in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in labels


def test_hadolint_finds_nothing(tools: Path) -> None:
    result = subprocess.run([tools / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_shellcheck_finds_nothing(tools: Path) -> None:
    scripts = sorted((ROOT / "deploy").rglob("*.sh"))
    result = subprocess.run([tools / "shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


# Started


@needs_namespaces
@pytest.mark.parametrize("user", [1001, 1_000_770_000], ids=["its own user", "a user of the cluster's choice"])
async def test_it_serves_with_a_read_only_root(user: int) -> None:
    async with serve_world(SOURCES) as world:
        container = Container(given(world), user=user)
        async with started(container) as process:
            await asyncio.wait_for(until_synced(world), 60)
            assert ("component", "component:default/pay") in world.present()
            code, _ = await ended(container, *image_healthcheck())
            assert code == 0
            process.terminate()
            out, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, out.decode()
        code, _ = await ended(container, *image_healthcheck())
        assert code != 0, "nobody answers any more"
        assert b"memory only" not in out


@needs_namespaces
async def test_nothing_can_be_written_but_the_two_places() -> None:
    container = Container({}, volumes=("/tmp/ocean", "/var/lib/stageport"))
    places = "/ /app /etc /home /mnt /opt /opt/stageport /root /tmp /usr /usr/local/share /var /var/tmp"
    script = (
        f'for one in {places} /tmp/ocean /var/lib/stageport; do touch $one/x 2>/dev/null && echo "$one"; done; true'
    )
    code, out = await ended(container, "sh", "-c", script)
    assert (code, out.split()) == (0, ["/tmp/ocean", "/var/lib/stageport"])


@needs_namespaces
async def test_the_ledger_lies_on_its_volume() -> None:
    async with serve_world(SOURCES) as world:
        ledger = {"STAGEPORT_LEDGER": "/var/lib/stageport/ledger.sqlite3"}
        container = Container({**given(world), **ledger}, volumes=("/tmp/ocean", "/var/lib/stageport"))
        code, out = await ended(
            container, "sh", "-c", "stageport sync -q && stageport sync -o json && ls /var/lib/stageport"
        )
        assert code == 0, out
        assert '"pass": "resync"' in out, "the second pass goes by the ledger"
        assert "ledger.sqlite3" in out


@needs_namespaces
async def test_one_pass_in_the_style_of_ports_action_among_the_whole_environment_of_a_runner() -> None:
    async with serve_world(SOURCES) as world:
        plain = given(world)
        oceans = {
            "OCEAN__PORT__CLIENT_ID": plain["PORT_CLIENT_ID"],
            "OCEAN__PORT__CLIENT_SECRET": plain["PORT_CLIENT_SECRET"],
            "OCEAN__PORT__BASE_URL": plain["PORT_BASE_URL"],
            "OCEAN__EVENT_LISTENER": '{"type":"ONCE"}',
            "OCEAN__INITIALIZE_PORT_RESOURCES": "true",
            "OCEAN__INTEGRATION__IDENTIFIER": IDENTIFIER,
            "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL": plain["BACKSTAGE_URL"],
            "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN": plain["BACKSTAGE_TOKEN"],
        }
        runner = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ENV": "/home/runner/work/_temp/_runner_file_commands/set_env",
            "GITHUB_EVENT_NAME": "schedule",
            "RUNNER_TEMP": "/home/runner/work/_temp",
            "JAVA_HOME_17_X64": "/usr/lib/jvm/temurin-17-jdk-amd64",
            "XDG_CONFIG_HOME": "/home/runner/.config",
            "PORT": "8080",
            "LEDGER": "x",
        }
        code, out = await ended(Container({**runner, **oceans}))
        assert code == 0, out
        assert len(world.present()) == 3


# Certificates


@needs_namespaces
@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "missing"])
async def test_a_certificate_mounted_where_ports_chart_mounts_it_is_trusted(tmp_path: Path, mounted: bool) -> None:
    certificate = make_certificate(tmp_path)
    async with (
        serve_world(SOURCES) as world,
        relay_tls(world.backstage.url, certificate) as backstage,
        relay_tls(world.port.url, certificate) as port,
    ):
        chart = {
            "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
            "REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
        }
        environment = {**given(world), **chart, "BACKSTAGE_URL": backstage, "PORT_BASE_URL": port}
        container = Container(environment, files={CERTIFICATE: certificate / "cert.pem"} if mounted else {})
        code, out = await ended(container, "stageport", "sync", "--quiet")
        assert (code == 0) is mounted, out
        assert ("not trusted" in out) is not mounted
