import io

from rich.console import Console

from stageport.model.changes import Change, Operation
from stageport.model.events import ChangesApplied, ChangesFound, Event, PageMapped, PageRead, Waiting
from stageport.telemetry.fan_out import fan_out
from stageport.telemetry.progress import show_progress

CHANGE = Change(Operation.CREATE, "component", "a")
PASS: list[Event] = [
    PageRead("component", 500, 700),
    PageMapped("component", 500, 500),
    PageRead("component", 200, 700),
    PageMapped("component", 200, 200),
    ChangesFound(2),
    ChangesApplied((CHANGE,)),
]


def shown(events: list[Event], *, terminal: bool = False, quiet: bool = False, step: float = 1.0) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=120)
    ticks = iter(range(10_000))
    with show_progress(console, quiet=quiet, clock=lambda: next(ticks) * step) as listener:
        for event in events:
            listener(event)
    return stream.getvalue()


def test_without_a_terminal_there_is_a_line_every_few_seconds_and_not_more() -> None:
    assert shown(PASS, step=3.0).splitlines() == [
        "read 500/700, mapped 500",
        "read 700/700, mapped 700",
        "read 700/700, mapped 700, written 1/2",
    ]


def test_a_quick_pass_needs_no_line_at_all() -> None:
    assert shown(PASS, step=0.01) == ""


def test_a_wait_is_said_at_once() -> None:
    assert shown([Waiting("Port", 12.0, "429")], step=0.01) == "waiting for Port: 429, again in 12 s\n"


def test_a_wait_of_many_requests_is_said_once_a_round() -> None:
    one = Waiting("Backstage", 12.0, "nobody is there")
    waits: list[Event] = [one, one, one, Waiting("Port", 12.0, "nobody is there"), one, one]
    lines = shown(waits, step=3.0).splitlines()
    assert lines == [
        f"waiting for {side}: nobody is there, again in 12 s" for side in ("Backstage", "Port", "Backstage")
    ]


def test_where_events_are_logged_progress_is_too_and_waits_are_left_to_the_log() -> None:
    logged: list[str] = []
    ticks = iter(range(10_000))
    console = Console(file=io.StringIO())
    with show_progress(console, quiet=False, log=logged.append, clock=lambda: next(ticks) * 3.0) as listener:
        for event in [*PASS, Waiting("Port", 12.0, "429")]:
            listener(event)
    assert logged[-1] == "read 700/700, mapped 700, written 1/2"
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]  # it is the stream from above


def test_quiet_says_nothing() -> None:
    assert shown([*PASS, Waiting("Port", 12.0, "429")], quiet=True, step=100) == ""


def test_a_terminal_gets_bars() -> None:
    assert "Reading Backstage" in shown(PASS, terminal=True)


def test_every_listener_hears_every_event() -> None:
    first: list[Event] = []
    second: list[Event] = []
    fan_out(first.append, second.append)(PASS[0])
    assert first == second == PASS[:1]
