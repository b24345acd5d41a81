"""Everything that can go wrong, sorted by consequence.

    StageportError                     a message, a hint, an exit code
    ├── UsageError                     options that contradict each other: nothing was done
    ├── SettingsError                  settings missing or invalid: nothing was done
    ├── MappingError                   the mapping document cannot be used: nothing was done
    │   └── ExpressionError            one expression does not compile (resource, field, line, column)
    ├── SourceError                    Backstage could not be read: nothing is deleted
    │   ├── SourceUnreachableError     no connection, or it never started up
    │   ├── SourceRefusedError         401, 403: the token
    │   ├── SourceAnswerError          an answer that is no catalog (HTML, cut short, 4xx, 5xx)
    │   └── IncompleteReadError        fewer entities came than were announced
    ├── TargetError                    Port could not be used
    │   ├── TargetUnreachableError     no connection, or 5xx after all retries
    │   ├── TargetRefusedError         401, 403: client id and secret
    │   ├── TargetAnswerError          a status or body that Port should not give; carries ``status`` and ``code``
    │   └── MissingBlueprintError      the mapping names a blueprint that Port does not have
    ├── LedgerError                    the ledger failed: what was acknowledged before stays noted
    │   └── LedgerBusyError            another process has it open
    └── InterruptedPassError           a signal stopped the pass; what was written stays written

A message says what happened and where; the hint says what to do. Neither ever holds a secret, and no body of an
answer is quoted beyond 300 characters (see ``excerpt``).
"""

from collections.abc import Sequence
from typing import NamedTuple

from stageport.model.exits import Exit

EXCERPT_LENGTH = 300


def excerpt(text: str | bytes, *, limit: int = EXCERPT_LENGTH) -> str:
    """Shorten a body for a message: one line, at most ``limit`` characters."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    line = " ".join(words.split())
    return line if len(line) <= limit else f"{line[:limit]}… ({len(words)} characters)"


def sentences(*parts: str) -> str:
    """Put what was said one after the other; each part ends as a sentence does, empty ones are left out."""
    return " ".join(part if part[-1] in ".!?…" else f"{part}." for part in map(str.strip, parts) if part)


class StageportError(Exception):
    """The root: every error of ours that a person may see."""

    exit: Exit = Exit.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(StageportError):
    """Options that contradict each other."""

    exit = Exit.USAGE


class SettingsError(StageportError):
    """Settings are missing or invalid."""

    exit = Exit.SETTINGS


class MappingFault(NamedTuple):
    """One thing that is wrong with a mapping document.

    ``path`` leads to it (``("resources", 0, "kind")``); ``line`` and ``column`` count from 1 in the file, and are 0
    when the document came from Port and has no file.
    """

    path: tuple[str | int, ...]
    message: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}" if self.line else self.message


class MappingError(StageportError):
    """The mapping document is empty, malformed, or holds values of the wrong shape; ``faults`` are all of them."""

    exit = Exit.MAPPING

    def __init__(self, message: str, *, hint: str = "", faults: Sequence[MappingFault] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)


class ExpressionError(MappingError):
    """One jq expression does not compile; ``line`` and ``column`` count from 1 within the expression."""

    def __init__(self, message: str, *, line: int = 1, column: int = 1, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


class SourceError(StageportError):
    """Backstage could not be read. Whatever was read before, nothing may be deleted."""

    exit = Exit.SOURCE


class SourceUnreachableError(SourceError):
    """No connection to Backstage, or it never got past its start-up."""


class SourceRefusedError(SourceError):
    """Backstage answered 401 or 403."""


class SourceAnswerError(SourceError):
    """Backstage answered something that is no catalog answer."""


class IncompleteReadError(SourceError):
    """A kind announced more entities than it served, even after reading it again."""


class TargetError(StageportError):
    """Port could not be used."""

    exit = Exit.TARGET


class TargetUnreachableError(TargetError):
    """No connection to Port, or only 5xx and 429 after all retries."""


class TargetRefusedError(TargetError):
    """Port refused the credentials, or this account may not do that."""


class TargetAnswerError(TargetError):
    """Port answered with an error; ``status`` is HTTP's, ``code`` is Port's (``error`` in the body)."""

    def __init__(self, message: str, *, status: int, code: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


class MissingBlueprintError(TargetError):
    """The mapping writes to a blueprint that does not exist at Port."""


class LedgerError(StageportError):
    """The ledger could not be read or written (disk full, I/O error, damage). The pass ends; the next one goes on."""


class LedgerBusyError(LedgerError):
    """Another process has the ledger open; the message says which."""


class InterruptedPassError(StageportError):
    """SIGINT or SIGTERM arrived; the pass stopped between two requests."""

    exit = Exit.INTERRUPTED
