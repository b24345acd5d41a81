"""What is measured: the scenarios, in the order in which one repeat goes through them.

Each begins where the one before left off. The first starts from an empty Port and no memory of earlier passes; the
last edits the mapping. ``options`` are what a person would type after ``stageport sync``; a scenario whose options
this version of the command does not have is left out.
"""

from dataclasses import dataclass
from enum import StrEnum

EVERY = 100
"""One entity in so many is edited, and as many others are deleted."""


class Change(StrEnum):
    """What happens before a scenario's command is run."""

    START_OVER = "start over"
    NOTHING = "nothing"
    SHARE = "1 % edited, 1 % deleted"
    MAPPING = "mapping edited"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One measurement of a repeat. ``expects`` is the pass that the command should say it ran."""

    name: str
    title: str
    change: Change
    options: tuple[str, ...] = ()
    expects: str | None = None


SCENARIOS = (
    Scenario("first", "first sync", Change.START_OVER),
    Scenario("verify", "unchanged, verify", Change.NOTHING, ("--verify",), "verify"),
    Scenario("resync", "unchanged, resync", Change.NOTHING, ("--since-ledger",), "resync"),
    Scenario("delta", "unchanged, delta", Change.NOTHING, ("--delta",), "delta"),
    Scenario("changed", "1 % changed, 1 % deleted, resync", Change.SHARE, ("--since-ledger",), "resync"),
    Scenario("changed-delta", "1 % changed, 1 % deleted, delta", Change.SHARE, ("--delta",), "delta"),
    Scenario("changed-verify", "1 % changed, 1 % deleted, verify", Change.SHARE, ("--verify",), "verify"),
    Scenario("remap", "all changed by a mapping edit", Change.MAPPING),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
PLAIN = frozenset({"verify", "changed-verify"})
"""Can be run without their option where the command has none yet: a verify pass is then all there is."""

OCEAN_SCENARIOS = ("first", "resync", "changed")
"""What can be done with Port's own integration, which knows one kind of pass only."""
