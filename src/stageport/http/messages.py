"""What goes over the wire and what comes back, as plain values, and the ways of getting no answer at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``retryable`` is false when doing it twice is not the same as doing it once."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    retryable: bool = True


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, read to its end and decompressed. ``headers`` are found whatever the case of their names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The content type without its parameters, lower-cased."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


class Trouble(StrEnum):
    """Why there was no answer; each asks for its own patience and its own hint."""

    UNREACHABLE = "unreachable"
    """No connection came about (refused, no such host, proxy down): nothing was sent."""
    CERTIFICATE = "certificate"
    """The other side's TLS certificate is not trusted: trying again changes nothing."""
    TIMEOUT = "timeout"
    """The answer did not end within the time limit."""
    BROKEN = "broken"
    """The connection broke before an answer began."""
    CUT_SHORT = "cut short"
    """The answer began and broke off before its announced end."""
    BAD_URL = "bad url"
    """The address is no HTTP address."""


class NoAnswerError(Exception):
    """A request that got no whole answer. Rooms that use the transport turn it into an error for people."""

    def __init__(self, reason: str, *, trouble: Trouble) -> None:
        super().__init__(reason)
        self.reason = reason
        self.trouble = trouble
