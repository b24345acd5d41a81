"""Log records for Port: what a person would read there, and no line for each entity."""

from collections.abc import Callable
from datetime import datetime

from stageport.model.entities import Json
from stageport.model.events import ChangeRefused, Event, Noticed, PassEnded, PassStarted, WorkerReplaced
from stageport.model.wording import kept_answer, kept_words

BRIEF = frozenset({"delta", "hinted"})
"""Passes that come every few seconds: one that found nothing is not worth a line."""
NAMED = 10
"""Of entities that Port refused in one pass so many are named."""
RELEASE = "Look whether they may go, and release them with `stageport sync --release-deletes`."


def is_worth_a_line(ended: PassEnded) -> bool:
    """Tell whether a person would want to read of the end of this pass."""
    return ended.kind not in BRIEF or bool(ended.written or ended.refused)


class RecordMaker:
    """Turns events into records; refused entities are gathered until their pass is over."""

    def __init__(self, *, now: Callable[[], datetime], redact: Callable[[str], str]) -> None:
        self._now = now
        self._redact = redact
        self._refused: list[str] = []

    def records(self, event: Event) -> list[Json]:
        """Return the records that an event is worth."""
        match event:
            case PassStarted(pass_id, kinds):
                self._refused.clear()
                return [self._record("INFO", f"A pass begins, over the kinds {', '.join(kinds)}.", pass_id=pass_id)]
            case ChangeRefused(change, refusal):
                if len(self._refused) < NAMED:
                    self._refused.append(f"{change.key}: {refusal.code} {kept_answer(refusal.message, change)}")
                return []
            case PassEnded():
                return self._end(event)
            case Noticed(level, message):
                return [self._record(level.upper(), message)]
            case WorkerReplaced(cause):
                return [self._record("WARNING", f"A mapping process was replaced: {cause}")]
            case _:
                return []

    def _end(self, ended: PassEnded) -> list[Json]:
        if not is_worth_a_line(ended):
            return []
        details = {"pass_id": ended.pass_id, "pass": ended.kind, "seconds": round(ended.seconds, 3)}
        words = f"The {ended.kind} {ended.state}: {ended.written} written, {ended.refused} not written."
        made = [self._record("INFO" if ended.state == "completed" else "WARNING", words, **details)]
        if self._refused:
            more = max(0, ended.refused - len(self._refused))
            names = "; ".join(self._refused) + (f"; and {more} more" if more else "")
            made.append(self._record("WARNING", f"Port did not take: {names}", **details))
        if ended.held:
            made.append(self._record("WARNING", f"{ended.held} deletes are held back. {RELEASE}", **details))
        self._refused.clear()
        return made

    def _record(self, level: str, message: str, **extra: Json) -> Json:
        stamp = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        said = self._redact(message if message.startswith("Port did not take") else kept_words(message))
        return {"message": said, "level": level, "timestamp": stamp, "extra": extra}
