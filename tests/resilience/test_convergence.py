"""Whatever happens to the two catalogs, one pass makes them agree again, and the next one has nothing to write.

``make property`` runs it, with ``STAGEPORT_SEQUENCES`` sequences for each test here; it is not part of ``make test``.
A failure prints its steps; ``STAGEPORT_SHRINK=1`` has Hypothesis look for the shortest way to it.
"""

import asyncio
import os
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.resilience.convergence_machine import Convergence
from tests.resilience.convergence_world import serve_lives

from stageport.sandbox.port.options import Behaviour

SEQUENCES = int(os.environ.get("STAGEPORT_SEQUENCES", "50"))
STEPS = 8
PHASES = [Phase.generate, *([Phase.shrink] if "STAGEPORT_SHRINK" in os.environ else [])]
OTHERWISE = Behaviour(
    reversed_bulk=True,
    datasource_listing=False,
    unset_properties_as_null=True,
    title_defaults_to_identifier=True,
    updated_status=201,
    all_failed_status=422,
    unchanged_moves_updated_at=False,
)
"""A Port that answers otherwise wherever nobody outside of Port knows."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("behaviour", [Behaviour(), OTHERWISE], ids=["port", "another port"])
@pytest.mark.parametrize("part", [1, 2])
def test_both_sides_agree_after_whatever_happened(behaviour: Behaviour, part: int) -> None:
    """``part`` tells apart two runs of the same, for two processors."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        lives = runner.run(stack.enter_async_context(serve_lives(behaviour)))
        try:
            run_state_machine_as_test(
                lambda: Convergence(lives, runner.run),
                settings=settings(
                    max_examples=SEQUENCES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    print_blob=False,
                    phases=PHASES,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(stack.aclose())
