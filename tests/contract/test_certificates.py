"""A private certificate authority, from the setting to both connections."""

from pathlib import Path

import pytest
from tests.contract.command import stageport
from tests.contract.harness import SERVICE, SERVICES, component, serve_world
from tests.tls_relay import make_certificate, relay_tls

from stageport.model.exits import Exit
from stageport.settings import load_settings
from stageport.wiring import open_bus


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "unknown"])
async def test_a_private_authority_is_trusted_when_the_setting_names_its_folder(tmp_path: Path, trusted: bool) -> None:
    certificate = make_certificate(tmp_path)
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    (authorities / "company.crt").write_bytes((certificate / "cert.pem").read_bytes())
    async with (
        serve_world([component("pay")]) as world,
        relay_tls(world.backstage.url, certificate) as backstage,
        relay_tls(world.port.url, certificate) as port,
    ):
        world.install(SERVICES, blueprints=[SERVICE])
        given = {"STAGEPORT_CA_CERTIFICATES": str(authorities)} if trusted else {}
        result = await stageport(world, "sync", "--quiet", BACKSTAGE_URL=backstage, PORT_BASE_URL=port, **given)
        assert result.code == (Exit.OK if trusted else Exit.TARGET), result.err
        assert ("certificate is not trusted" in result.err) is not trusted


async def test_the_event_bus_trusts_the_same_authorities(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with (
        serve_world([component("pay")], backstage={"bus_seconds": 0.1}) as world,
        relay_tls(world.backstage.url, certificate) as backstage,
    ):
        given = {
            **world.given,
            "integration.config.backstage_url": backstage,
            "ca_certificates": str(certificate / "cert.pem"),
        }
        settings = load_settings(given, environ={}, directory=tmp_path).settings
        async with open_bus(settings) as bus:
            await bus.subscribe()
        assert world.backstage.bus.subscriptions


async def test_a_place_that_is_not_there_is_said_even_where_no_connection_needs_it(tmp_path: Path) -> None:
    missing, there = f"{tmp_path}/missing.crt", str(tmp_path)
    async with serve_world([component("pay")]) as world:
        assert world.port.url.startswith("http://")
        result = await stageport(world, "sync", STAGEPORT_CA_CERTIFICATES=f"{there}:{missing}")
        assert result.code == Exit.SETTINGS
        origin = "environment: STAGEPORT_CA_CERTIFICATES"
        assert f"ca_certificates ({origin}) names {missing}, and there is no such file or folder" in result.err
        assert there + "," not in result.err
        assert (await stageport(world, "check", STAGEPORT_CA_CERTIFICATES=there)).code == Exit.OK
