"""Log lines: text on a terminal, JSON elsewhere, never a secret.

The core emits events; ``log_listener`` turns those a person would read into lines. There is no line for each entity.
"""

import logging
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO, cast

import structlog

from stageport.model.errors import StageportError
from stageport.model.events import ChangeRefused, Event, Listener, Noticed, PassEnded, PassStarted, Waiting
from stageport.telemetry.colours import wants_colours
from stageport.telemetry.log_records import is_worth_a_line
from stageport.telemetry.redaction import Redactor
from stageport.telemetry.waits import wait_filter


class CurrentStderr:
    """Standard error as it is when something is written.

    While a progress bar is shown, another stream stands there, which puts lines above the bar instead of into it.
    """

    def write(self, text: str) -> int:
        """Write to what is standard error now."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flush what is standard error now."""
        sys.stderr.flush()


def is_text(style: str, stream: TextIO) -> bool:
    """Tell whether a style (``text``, ``json``, ``auto``) means text on this stream."""
    return style == "text" or (style == "auto" and stream.isatty())


def configure_logs(*, level: str, style: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Set logging up for this process; ``style`` is ``text``, ``json`` or ``auto`` (text on a terminal)."""
    out = stream or sys.stderr
    as_text = is_text(style, out)
    colours = wants_colours(out, os.environ)
    render: Any = structlog.dev.ConsoleRenderer(colors=colours) if as_text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            Redactor(secrets),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(stream or cast("TextIO", CurrentStderr())),
        cache_logger_on_first_use=False,
    )


def log_words(words: str) -> None:
    """Log a line that is no event, such as how far a pass is."""
    structlog.get_logger().info(words)


def log_failure(error: StageportError) -> None:
    """Log what ended the process."""
    structlog.get_logger().critical(error.message, hint=error.hint, exit=int(error.exit))


def log_listener() -> Listener:
    """Return a listener that logs what a person would want to read."""
    log = structlog.get_logger()
    is_news = wait_filter()

    def listen(event: Event) -> None:
        match event:
            case PassStarted():
                log.info("pass started", pass_id=event.pass_id, kinds=list(event.kinds))
            case PassEnded() if is_worth_a_line(event):
                log.info(
                    "pass ended",
                    kind=event.kind,
                    state=event.state,
                    seconds=round(event.seconds, 2),
                    written=event.written,
                    refused=event.refused,
                    held=event.held,
                )
            case ChangeRefused(change, refusal):
                log.warning(
                    "Port refused an entity",
                    entity=str(change.key),
                    source=change.source,
                    status=refusal.status,
                    code=refusal.code,
                    reason=refusal.message,
                )
            case Waiting() if is_news(event):
                log.info("waiting", side=event.side, seconds=round(event.seconds, 1), reason=event.reason)
            case Noticed("warning", message):
                log.warning(message)
            case Noticed(_, message):
                log.info(message)
            case _:
                pass

    return listen
