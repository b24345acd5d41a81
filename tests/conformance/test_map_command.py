"""Every conformance case once more, through ``stageport map FILE --mapping FILE --output json``, and some as a process.

What the command prints is a contract for scripts. All cases share one worker process, which spares a minute; the cases
that run as processes of their own do without.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest
from tests.conformance.test_mapping_cases import CASES, REJECTED, Case, as_doubles

from stageport.cli import mapping_run
from stageport.cli.map_request import MapRequest
from stageport.mapping.worker_process import WorkerProcess
from stageport.mapping.workers import WorkerPool
from stageport.model.exits import Exit

KEYS = {
    "entities": "entities",
    "filteredOut": "filtered_out",
    "dropped": "dropped",
    "errors": "errors",
    "resourceFailed": "resource_failed",
}


class FrugalPool(WorkerPool):
    """A pool that takes over the worker of the pool before it, and leaves it to the next."""

    kept: WorkerProcess | None = None

    async def __aenter__(self) -> Self:
        self._runners[0]._process, FrugalPool.kept = FrugalPool.kept, None
        await super().__aenter__()
        return self

    async def close(self) -> None:
        FrugalPool.kept, self._runners[0]._process = self._runners[0]._process, None
        await super().close()


@pytest.mark.timeout(180)
def test_every_case_through_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping_run, "WorkerPool", FrugalPool)
    wrong = asyncio.run(run_all(CASES, tmp_path, capsys))
    assert wrong == {}
    assert len(CASES) >= 472


async def run_all(cases: list[Case], folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    wrong = {}
    for case in cases:
        code = await mapping_run.map_and_print(request_of(case, folder))
        printed = json.loads(capsys.readouterr().out)
        if not agrees(case, printed, code):
            wrong[case["id"]] = (code, printed, case["expect"])
    if FrugalPool.kept is not None:
        await FrugalPool.kept.close()
        FrugalPool.kept = None
    return wrong


def request_of(case: Case, folder: Path) -> MapRequest:
    mapping, entities = folder / "mapping.json", folder / "entities.json"
    mapping.write_text(json.dumps(case["mapping"]), encoding="utf-8")
    entities.write_text(json.dumps(case["entities"]), encoding="utf-8")
    return MapRequest(what=str(entities), mapping=mapping, output="json")


def agrees(case: Case, printed: Any, code: int) -> bool:
    rejected = case["topic"] == REJECTED
    counts = {ours: printed[theirs] for theirs, ours in KEYS.items()}
    return (
        as_doubles(counts) == as_doubles(case["expect"])
        and code == (Exit.MAPPING if rejected else Exit.OK)
        and bool(printed["problems"]) >= rejected
        and all(problem.keys() >= {"resource", "field", "ref", "message"} for problem in printed["problems"])
    )


ALONE = (
    *("everyday-org-parts", "enrichment-no-kind", "config-rejected-property-null", "env-secrets", "env-tojson"),
    *("selector-null", "identifier-big-number", "items-to-parse-numbers", "enrichment-kind-case"),
)
CHOSEN = [case for case in CASES if case["id"] in ALONE]


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case["id"])
def test_as_a_process(case: Case, tmp_path: Path) -> None:
    request = request_of(case, tmp_path)
    command = [sys.executable, "-m", "stageport", "map", "-", "--mapping", str(request.mapping), "--output", "json"]
    # No settings and no home: whatever is printed was worked out without network.
    done = subprocess.run(
        command, input=json.dumps(case["entities"]).encode(), capture_output=True, env={}, check=False
    )
    assert agrees(case, json.loads(done.stdout), done.returncode), (done.stdout, done.stderr)
    assert done.stderr == b""
