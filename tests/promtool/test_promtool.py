"""Prometheus' own tool on a real scrape, the alert rules and their tests: `make promtool` fetches it and runs this."""

import asyncio
import os
import subprocess
from pathlib import Path

import aiohttp
from tests.contract.harness import serve_world

from stageport.model.entities import Json
from stageport.model.events import LedgerMeasured, PassEnded
from stageport.telemetry.metrics import Metrics
from stageport.web.server import serve_web
from stageport.web.watched import Readiness

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"


class Idle:
    """A service that does nothing but be there."""

    def is_alive(self) -> bool:
        return True

    def readiness(self) -> Readiness:
        return Readiness(ok=True)

    def status(self) -> Json:
        return {}

    async def request_resync(self, reason: str) -> None:
        raise NotImplementedError


def promtool(*arguments: str, given: bytes = b"") -> str:
    """Run promtool; whatever it complains of fails the test."""
    done = subprocess.run(
        [os.environ["PROMTOOL"], *arguments], input=given, capture_output=True, cwd=FOLDER, check=False
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


async def scrape_after_a_pass() -> bytes:
    metrics = Metrics(version="1.2.3")
    async with serve_world() as world:
        outcome = await world.sync()
        for event in world.heard:
            metrics(event)
    assert outcome.applied.written
    metrics(PassEnded(outcome.kind, outcome.state, 1.5, outcome.applied.written, 0, 0))
    metrics(LedgerMeasured(65536))
    async with (
        serve_web(Idle(), host="127.0.0.1", port=0, metrics=metrics, version="1.2.3") as running,
        aiohttp.ClientSession() as session,
        session.get(f"{running.url}/metrics") as answer,
    ):
        return await answer.read()


def test_a_real_scrape_has_no_fault_of_style() -> None:
    scraped = asyncio.run(scrape_after_a_pass())
    assert b'stageport_source_entities_read_total{kind="component"}' in scraped
    assert promtool("check", "metrics", given=scraped) == ""


def test_the_rules_are_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml")


def test_the_rules_raise_what_they_are_for() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yaml")
