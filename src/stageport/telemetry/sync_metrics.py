"""What Port is told of a pass in numbers, kind by kind, in the shape that Port's own integration gives it.

Counts are by resource of the mapping (``kind-index``). Resources of one kind share what was read of it; what was
written is told apart by blueprint. What did not change counts as transformed and skipped.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from stageport.model.changes import Change, Operation
from stageport.model.entities import Json
from stageport.model.events import ChangeRefused, ChangesApplied, Event, PageMapped, PageRead, PassEnded, PassStarted

RECONCILIATION = "__reconciliation__"
RUNTIME = "__runtime__"


@dataclass(slots=True)
class PassCounts:
    """The counts of one pass, from the events it sends out."""

    started: PassStarted
    read: Counter[str] = field(default_factory=Counter)
    announced: dict[str, int] = field(default_factory=dict)
    mapped: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)
    loaded: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    deleted: int = 0

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case PageRead(kind, count, total):
                self.read[kind.lower()] += count
                self.announced[kind.lower()] = total
            case PageMapped(kind, sources, targets, filtered_out):
                self.mapped[kind.lower()] += sources
                self.targets[kind.lower()] += targets
                self.filtered[kind.lower()] += filtered_out
            case ChangesApplied(changes):
                written = [_place(change) for change in changes if change.operation is not Operation.DELETE]
                self.loaded.update(written)
                self.deleted += len(changes) - len(written)
            case ChangeRefused(change):
                self.refused[_place(change)] += 1
            case _:
                pass

    def pending(self) -> list[Json]:
        """Return what is told when the pass begins."""
        return [
            {**self._head(name, kind, index, blueprint), "syncState": "syncing", "metrics": {"phase": {}}}
            for name, kind, index, blueprint in self._parts()
        ]

    def final(self, ended: PassEnded) -> list[Json]:
        """Return what is told when the pass is over."""
        return [
            {
                **self._head(name, kind, index, blueprint),
                "syncState": self._state(kind, blueprint, ended) if index >= 0 else ended.state,
                "metrics": {"phase": self._phases(name, kind, blueprint, ended)},
            }
            for name, kind, index, blueprint in self._parts()
        ]

    def _parts(self) -> Iterator[tuple[str, str, int, str]]:
        for index, (kind, blueprint) in enumerate(self.started.resources):
            yield f"{kind}-{index}", kind, index, blueprint
        yield RECONCILIATION, RECONCILIATION, -1, ""
        yield RUNTIME, RUNTIME, -1, ""

    def _head(self, name: str, kind: str, index: int, blueprint: str) -> dict[str, Json]:
        head: dict[str, Json] = {"eventId": self.started.pass_id, "kindIdentifier": name, "kind": kind}
        if index >= 0:
            head["kindIndex"] = index
        return {**head, "blueprint": blueprint} if blueprint else head

    def _state(self, kind: str, blueprint: str, ended: PassEnded) -> str:
        if ended.state == "aborted":
            return "aborted"
        lowered = kind.lower()
        whole = lowered in self.announced and self.read[lowered] >= self.announced[lowered]
        broken = ended.state == "failed" and not whole
        return "failed" if broken or self._sum(self.refused, lowered, blueprint) else "completed"

    def _phases(self, name: str, kind: str, blueprint: str, ended: PassEnded) -> Json:
        resync = {"duration_seconds": round(ended.seconds, 3), "success": int(ended.state == "completed")}
        if name == RUNTIME:
            return {"resync": resync}
        if name == RECONCILIATION:
            return {"delete": _counted(deleted=self.deleted), "resync": resync}
        lowered = kind.lower()
        unchanged = max(0, self.read[lowered] - self.mapped[lowered])
        transformed = self.targets[lowered] + unchanged
        loaded = self._sum(self.loaded, lowered, blueprint)
        failed = self._sum(self.refused, lowered, blueprint)
        skipped = max(0, transformed - loaded - failed)
        return {
            "extract": _counted(raw_extracted=self.read[lowered]),
            "transform": _counted(transformed=transformed, filtered_out=self.filtered[lowered]),
            "load": _counted(loaded=loaded, failed=failed, skipped=skipped),
            "resync": resync,
        }

    def _sum(self, counts: Counter[tuple[str, str]], kind: str, blueprint: str) -> int:
        if blueprint:
            return counts[kind, blueprint]
        return sum(count for (of, _), count in counts.items() if of == kind)


def _place(change: Change) -> tuple[str, str]:
    kind, _, _ = (change.source or "").partition(":")
    return kind, change.blueprint


def _counted(**counts: int) -> Json:
    return {"object_count_type": {name: {"object_count": count} for name, count in counts.items()}}
