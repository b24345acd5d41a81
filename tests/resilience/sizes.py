"""How much is tried: thoroughly, or with ``RESILIENCE_SHORT=1`` in short, as for every change.

An environment variable sets each of them for itself: ``RESILIENCE_KILLS=50``.
"""

import os

SHORT = bool(os.environ.get("RESILIENCE_SHORT"))


def size(name: str, thorough: int, short: int | None = None) -> int:
    """Return the number that ``RESILIENCE_<NAME>`` asks for, else the usual one."""
    return int(os.environ.get(f"RESILIENCE_{name}", thorough if short is None or not SHORT else short))


SEQUENCES = size("SEQUENCES", 10_000, 2_000)
"""Sequences of what may happen to the two catalogs, over all parts of the convergence test."""
SEQUENCES_WITHOUT_RULE = size("SEQUENCES_WITHOUT_RULE", 2_000)
"""After so many at most a rule that is switched off must have been noticed; most are after some dozens."""
KILLS = size("KILLS", 200, 20)
"""SIGKILLs in all, over as many first syncs as that takes."""
STOPS = size("STOPS", 4, 1)
"""SIGTERMs and SIGINTs at random moments."""
KILLED_ENTITIES = size("KILLED_ENTITIES", 2_000)
SEEDS = size("SEEDS", 100, 10)
"""Runs with 20 % of all requests failing."""
REAL_SEEDS = size("REAL_SEEDS", 1)
"""The same with real processes, which are more patient."""
UNCHANGED = size("UNCHANGED", 20_000)
"""Source entities of which nothing, or one, has changed."""
SMALL = size("SMALL", 20_000, 15_000)
LARGE = size("LARGE", 100_000, 45_000)
"""Memory is compared between catalogs of these two sizes."""
SEED = size("SEED", 1)
"""Where the chance of kills and of sequences begins."""
BURST = size("BURST", 4_000)
"""Changes that live events tell of within a moment."""
