"""Where a pass puts what it wants written: to Port (``write``), or, for a plan, into a list."""

from collections.abc import Iterable
from typing import Protocol

from stageport.model.changes import Change
from stageport.model.ledger import SourceRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.sync.spool import Upsert


class Sink(Protocol):
    """Where a pass puts what it wants written."""

    def open_source(self, record: SourceRecord) -> None:
        """Announce a source entity; it is settled when it was given to ``close_sources`` and nothing of it is open."""
        ...

    async def put(self, upsert: Upsert, *, refs: Iterable[SourceRef], late: bool = False) -> None:
        """Take an upsert that these source entities wait for.

        ``late``: not before everything is read, because another source entity may want the same target entity.
        """
        ...

    async def push(self) -> None:
        """Say that a page is done: what makes whole requests may leave."""
        ...

    def withhold(self, keys: Iterable[TargetKey]) -> set[TargetKey]:
        """Send nothing of these before they are put or cancelled; return those of which something is under way.

        What Port is seen to hold of those says nothing: it may be about to change.
        """
        ...

    def cancel(self, key: TargetKey) -> None:
        """Take back an upsert that is not under way: together with what came since, Port has it already."""
        ...

    def close_sources(self, refs: Iterable[SourceRef]) -> None:
        """Say that nothing more will come for these source entities."""
        ...

    def forget_sources(self, refs: Iterable[SourceRef]) -> None:
        """Settle these not, whatever they wait for: more is to come than they were announced for."""
        ...


class Collector:
    """A sink that writes nothing: what ``plan`` shows is what it was given."""

    def __init__(self) -> None:
        self._changes: dict[TargetKey, Change] = {}

    def open_source(self, record: SourceRecord) -> None:
        """Announce a source entity; nothing is remembered of it."""

    def close_sources(self, refs: Iterable[SourceRef]) -> None:
        """Say that nothing more will come."""

    def forget_sources(self, refs: Iterable[SourceRef]) -> None:
        """Settle nothing: nothing is ever settled."""

    async def put(self, upsert: Upsert, *, refs: Iterable[SourceRef], late: bool = False) -> None:
        """Keep a change; a later one of the same target entity replaces it."""
        del refs, late
        self._changes[upsert.change.key] = upsert.change

    async def push(self) -> None:
        """Send nothing."""

    def withhold(self, keys: Iterable[TargetKey]) -> set[TargetKey]:
        """Withhold nothing: nothing is ever sent."""
        del keys
        return set()

    def cancel(self, key: TargetKey) -> None:
        """Drop a change: it came to nothing."""
        self._changes.pop(key, None)

    def changes(self) -> tuple[Change, ...]:
        """Return what was put, creates and updates alike, in order of blueprint and identifier."""
        return tuple(self._changes[key] for key in sorted(self._changes))
