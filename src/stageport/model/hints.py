"""Hints: refs of source entities that somebody says have changed.

A hint is never believed. It says where to look; what is true is read from Backstage, and a hint that comes twice, or
for nothing, costs a question and changes nothing.
"""

from typing import NamedTuple

from stageport.model.refs import SourceRef

OVERFLOW = SourceRef("*")
"""Stands for everything: whoever sends hints has lost track, and a whole delta has to look."""


class Hint(NamedTuple):
    """A ref that waits to be looked at.

    ``number`` grows with every hint that comes; ``received`` is when the oldest hint came that is not dealt with yet,
    in seconds since the Unix epoch; ``looks`` is how often it was looked at in vain.
    """

    ref: SourceRef
    number: int
    received: float
    looks: int = 0


class Delivery(NamedTuple):
    """A message that brought hints, by the id its sender gave it; remembered until ``forgotten`` (Unix epoch)."""

    id: str
    forgotten: float


class Backlog(NamedTuple):
    """How many refs wait, and since when the oldest does (Unix epoch; 0 when none waits)."""

    waiting: int
    oldest: float
