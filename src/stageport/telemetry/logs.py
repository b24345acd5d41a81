"""Log lines: text on a terminal, JSON elsewhere, never a secret.

The core emits events; ``log_listener`` turns those a person would read into lines. There is no line for each entity.
"""

import logging
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import structlog

from stageport.model.events import ChangeRefused, Event, Listener, Noticed, PassEnded, PassStarted, Waiting
from stageport.telemetry.log_records import is_worth_a_line
from stageport.telemetry.redaction import Redactor


def configure_logs(*, level: str, style: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Set logging up for this process; ``style`` is ``text``, ``json`` or ``auto`` (text on a terminal)."""
    out = stream or sys.stderr
    as_text = style == "text" or (style == "auto" and out.isatty())
    render: Any = structlog.dev.ConsoleRenderer(colors=out.isatty()) if as_text else structlog.processors.JSONRenderer()
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
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


def log_listener() -> Listener:
    """Return a listener that logs what a person would want to read."""
    log = structlog.get_logger()

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
            case Waiting():
                log.info("waiting", side=event.side, seconds=round(event.seconds, 1), reason=event.reason)
            case Noticed("warning", message):
                log.warning(message)
            case Noticed(_, message):
                log.info(message)
            case _:
                pass

    return listen
