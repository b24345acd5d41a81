"""Whatever happens to the two catalogs, one pass makes them agree again, and the next one has nothing to write.

``make resilience`` runs it, with ``RESILIENCE_SEQUENCES`` sequences; it is not part of ``make test``. A failure prints
its steps; ``RESILIENCE_SHRINK=1`` has Hypothesis look for the shortest way to it.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.resilience.convergence_machine import Convergence
from tests.resilience.convergence_world import serve_lives
from tests.resilience.mapping_family import Shape
from tests.resilience.sizes import SEED, SEQUENCES

from stageport.sandbox.port.options import Behaviour

STEPS = 8
PHASES = [Phase.generate, *([Phase.shrink] if "RESILIENCE_SHRINK" in os.environ else [])]
PARTS = [1, 2]
"""Runs of the same from different beginnings, for two processors."""
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
BEHAVIOURS = {"port": Behaviour(), "another port": OTHERWISE}


@pytest.mark.timeout(60 + SEQUENCES)
@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=list(BEHAVIOURS))
@pytest.mark.parametrize("part", PARTS)
def test_both_sides_agree_after_whatever_happened(behaviour: Behaviour, part: int) -> None:
    run_sequences(behaviour, count=SEQUENCES // len(PARTS) // len(BEHAVIOURS), beginning=SEED + part)


def test_of_what_port_refuses_the_next_pass_writes_no_more_than_the_first() -> None:
    """An orphan of ours, tied to itself and refused for want of another, which a later pass cannot see at Port."""
    shape = Shape(uses=True, second="other", create_missing=False, threshold=0.4)
    unmapped = {"type": "lib", "lifecycle": "a", "owner": "g1", "dependsOn": [], "broken": "selector"}
    tied = {"type": "service", "lifecycle": "a", "owner": "g1", "dependsOn": ["component:c1", "component:c0"]}
    with running_machine() as make:
        machine = make()
        machine.begin(shape=shape, components=[unmapped, tied], groups=3, first=False)
        machine.leave_an_orphan(key=("service", "component:default/c1"))
        machine.steps = 3  # so that the second pass is one that does not look at Port
        machine.teardown()


@contextmanager
def running_machine(behaviour: Behaviour | None = None) -> Iterator[Callable[[], Convergence]]:
    """Run both stand-ins; what it gives makes machines between them, one after the other."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        lives = runner.run(stack.enter_async_context(serve_lives(behaviour)))
        try:
            yield lambda: Convergence(lives, runner.run)
        finally:
            runner.run(stack.aclose())


def run_sequences(behaviour: Behaviour | None = None, *, count: int, beginning: int) -> None:
    """Run so many sequences; the first that goes wrong is run once more, and told."""
    chosen = settings(
        max_examples=count,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=False,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    with running_machine(behaviour) as make:
        run_state_machine_as_test(seed(beginning)(make), settings=chosen)
