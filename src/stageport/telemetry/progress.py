"""How far a pass is: bars on a terminal, a line every few seconds elsewhere, nothing when asked to be quiet."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stageport.model.events import (
    ChangeRefused,
    ChangesApplied,
    ChangesFound,
    Event,
    Listener,
    PageMapped,
    PageRead,
    Waiting,
    ignore,
)
from stageport.telemetry.waits import wait_filter

LINE_SECONDS = 5.0
Say = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """Counts what happened so far; ``announced`` is how many entities each kind is said to have."""

    announced: dict[str, int] = field(default_factory=dict)
    read: int = 0
    mapped: int = 0
    to_write: int = 0
    written: int = 0
    refused: int = 0
    waiting: str = ""

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case PageRead(kind, count, total):
                self.announced[kind] = total
                self.read += count
            case PageMapped():
                self.mapped += event.sources
            case ChangesFound():
                self.to_write += event.count
            case ChangesApplied():
                self.written += len(event.changes)
            case ChangeRefused():
                self.refused += 1
            case Waiting():
                soon = f"in {event.seconds:.0f} s" if event.seconds >= 1 else "in a moment"
                self.waiting = f"{event.side}: {event.reason}, again {soon}"
            case _:
                pass

    @property
    def total(self) -> int:
        """How many source entities all kinds read so far are said to have."""
        return sum(self.announced.values())

    def line(self) -> str:
        """Say it in one line."""
        words = f"read {self.read}/{self.total}, mapped {self.mapped}"
        if self.to_write:
            words += f", written {self.written}/{self.to_write}"
        if self.refused:
            words += f", refused {self.refused}"
        return words


@contextmanager
def show_progress(
    console: Console, *, quiet: bool, log: Say | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Listener]:
    """Show progress on a console while the block runs; the listener it gives takes the core's events.

    Where the events are logged beside it, ``log`` writes a line there: then there are no lines between those of the
    log, and no wait is told twice.
    """
    if quiet:
        yield ignore
    elif console.is_terminal:
        with _bars(console) as listener:
            yield listener
    else:
        yield _lines(log or _printer(console), clock, waits=log is None)


@contextmanager
def _bars(console: Console) -> Iterator[Listener]:
    tally = Tally()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("[dim]{task.fields[words]}"), console=console, transient=True) as progress:
        reading = progress.add_task("Reading Backstage", total=None, words="")
        writing = progress.add_task("Writing Port", total=None, words="", visible=False)

        def listen(event: Event) -> None:
            tally(event)
            progress.update(reading, completed=tally.read, total=tally.total or None, words=tally.waiting)
            if tally.to_write:
                done = tally.written + tally.refused
                progress.update(writing, completed=done, total=tally.to_write, visible=True)
            if not isinstance(event, Waiting):
                tally.waiting = ""

        yield listen


def _printer(console: Console) -> Say:
    return partial(console.print, markup=False, highlight=False, soft_wrap=True)


def _lines(say: Say, clock: Callable[[], float], *, waits: bool) -> Listener:
    tally, is_news = Tally(), wait_filter(clock)
    last = clock()

    def listen(event: Event) -> None:
        nonlocal last
        tally(event)
        if isinstance(event, Waiting):
            if waits and is_news(event):
                say(f"waiting for {tally.waiting}")
                last = clock()
        elif clock() - last >= LINE_SECONDS:
            say(tally.line())
            last = clock()

    return listen
