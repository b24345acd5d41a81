"""A guard that cannot fail guards nothing: with any rule of safety switched off, the convergence machine fails."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.contract import test_safety_rules as rules
from tests.resilience.convergence_machine import Convergence
from tests.resilience.rules_off import RULES_OFF, lead
from tests.resilience.sizes import SEED, SEQUENCES_WITHOUT_RULE, SHORT
from tests.resilience.test_convergence import run_sequences, running_machine

from stageport.mapping import worker, worker_process
from stageport.mapping.program import SHADOW
from stageport.mapping.worker_process import Limits
from stageport.model.errors import InterruptedPassError

WITHOUT_BOUNDS = Limits(cpu_seconds=1e3, slow_seconds=1e6, stall_seconds=1e3)


@pytest.fixture
def machine() -> Iterator[Convergence]:
    with running_machine() as made:
        yield made()


@pytest.mark.parametrize("name", RULES_OFF)
def test_with_all_rules_on_both_sides_come_to_agree_where_each_is_needed(name: str, machine: Convergence) -> None:
    lead(machine, RULES_OFF[name][1])


@pytest.mark.parametrize("name", RULES_OFF)
def test_the_machine_notices_that_a_rule_is_off(
    name: str, machine: Convergence, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch, steps, words = RULES_OFF[name]
    switch(monkeypatch)
    with pytest.raises(AssertionError, match=rf"^[^\n]*({words})") as caught:
        lead(machine, steps)
    print(f"\nwithout {name}: {str(caught.value).splitlines()[0][:200]}")


@pytest.mark.skipif(SHORT, reason="chance may take minutes to come to a rule that is off")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", RULES_OFF)
def test_chance_finds_out_that_a_rule_is_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    RULES_OFF[name][0](monkeypatch)
    with pytest.raises(AssertionError) as caught:
        run_sequences(count=SEQUENCES_WITHOUT_RULE, beginning=SEED)
    print(f"\nwithout {name}: {str(caught.value).splitlines()[0][:200]}")


# Rule 8 is kept by processes, which the machine does without


def without_shadows(folder: Path) -> SimpleNamespace:
    """Copy the package with its second line of defence taken away; a worker started from it sees its environment."""
    package = Path(worker.__file__).parents[1]
    shutil.copytree(package, folder / "stageport", ignore=shutil.ignore_patterns("__pycache__"))
    program = folder / "stageport/mapping/program.py"
    text = program.read_text()
    assert "{} as $ENV | " in SHADOW
    program.write_text(text.replace("def env: {};", "").replace(" {} as $ENV | ", " "))
    return SimpleNamespace(__file__=str(folder / "stageport/mapping/worker.py"))


@pytest.mark.parametrize("expression", rules.LEAKS)
async def test_rule_8_is_noticed_when_workers_see_the_environment(
    expression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT_CLIENT_SECRET", rules.SECRET)
    monkeypatch.setattr(worker_process, "ENVIRONMENT", dict(os.environ))
    monkeypatch.setattr(worker_process, "worker", without_shadows(tmp_path))
    with pytest.raises(AssertionError):
        await rules.test_rule_8_expressions_see_no_environment(expression, monkeypatch)


async def test_rule_8_is_noticed_when_expressions_have_no_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "QUICK", WITHOUT_BOUNDS)
    monkeypatch.setattr(rules, "ENDLESS_SECONDS", 3)
    with pytest.raises(InterruptedPassError):
        await rules.test_rule_8_an_endless_loop_is_stopped_and_named_and_all_others_are_written()
