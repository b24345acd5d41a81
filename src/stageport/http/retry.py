"""When a request is worth sending again, and how long to wait before it. Pure: no clock, no chance of its own.

The statuses and the order of the headers are those of Port's own integration (``Retry-After``, then
``x-ratelimit-reset``, then exponential backoff). Ours differs in three ways: 500 is retried a few times, because all
that we send again is idempotent; the reset of the rate limit counts for 429 only, since Port sends it with every
answer; and the whole effort has a limit in seconds, not only in attempts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from stageport.http.messages import NoAnswerError, Response, Trouble

EPOCH_THRESHOLD = 10_000
"""A reset above this is a moment (seconds since 1970), below it a span: Port's documents and clients disagree."""

REFUSED_UNPROCESSED = frozenset({429})
RETRIED = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be with one request.

    ``attempts`` counts the first one too. ``seconds`` limits the whole effort, waits included;
    ``unreachable_seconds`` limits it where no connection has ever come about (a typo in an address should not take
    minutes to show, a restart under way should be sat out). ``fault_attempts`` is for 500, which is often the answer
    to this very request and stays.
    """

    attempts: int = 10
    seconds: float = 600.0
    unreachable_seconds: float = 30.0
    fault_attempts: int = 4
    first_wait: float = 0.3
    longest_wait: float = 60.0
    longest_asked_wait: float = 300.0


@dataclass(frozen=True, slots=True)
class Effort:
    """What a request has cost so far: attempts made, and seconds since the first of them began.

    ``reached``: the other side has answered something before, this request or another.
    """

    attempts: int
    seconds: float
    reached: bool = False


Outcome = Response | NoAnswerError


def wait_before_retry(
    outcome: Outcome, *, policy: RetryPolicy, effort: Effort, retryable: bool, epoch: float, draw: float
) -> float | None:
    """Return how many seconds to wait before sending again, None when this outcome is final.

    ``draw`` is a random number from 0 to 1; it spreads requests that failed together.
    """
    if not _worth_retrying(outcome, retryable=retryable) or effort.attempts >= _attempts_allowed(outcome, policy):
        return None
    asked = asked_wait(outcome, epoch=epoch) if isinstance(outcome, Response) else None
    wait = _spread_asked(asked, policy, draw) if asked else _backoff(effort.attempts, policy, draw)
    return wait if effort.seconds + wait <= _seconds_allowed(outcome, policy, effort) else None


def asked_wait(response: Response, *, epoch: float) -> float | None:
    """Return the seconds that the other side asks us to wait, None when it does not say."""
    after = _read_retry_after(response.headers, epoch=epoch)
    if after is not None:
        return after
    return read_reset(response.headers, epoch=epoch) if response.status == 429 else None


def read_reset(headers: Mapping[str, str], *, epoch: float) -> float | None:
    """Return the seconds until the rate limit is reset, from ``x-ratelimit-reset`` in either of its meanings."""
    reset = _read_number(headers.get("x-ratelimit-reset"))
    if reset is None:
        return None
    return max(0.0, reset - _their_time(headers, epoch=epoch) if reset > EPOCH_THRESHOLD else reset)


def _read_retry_after(headers: Mapping[str, str], *, epoch: float) -> float | None:
    """Read ``Retry-After``: seconds, or an HTTP date (RFC 9110, 10.2.3); nonsense counts as absent."""
    text = headers.get("Retry-After")
    if text is None:
        return None
    seconds = _read_number(text)
    if seconds is not None:
        return seconds
    moment = _read_date(text)
    return None if moment is None else max(0.0, moment - _their_time(headers, epoch=epoch))


def _their_time(headers: Mapping[str, str], *, epoch: float) -> float:
    """Return the time on the clock by which a moment in these headers was written; ours where they do not tell."""
    date = _read_date(headers.get("Date"))
    return epoch if date is None else date


def _read_date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _read_number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _worth_retrying(outcome: Outcome, *, retryable: bool) -> bool:
    if isinstance(outcome, Response):
        return outcome.status in (RETRIED if retryable else REFUSED_UNPROCESSED)
    if outcome.trouble in (Trouble.CERTIFICATE, Trouble.BAD_URL):
        return False
    return retryable or outcome.trouble is Trouble.UNREACHABLE


def _attempts_allowed(outcome: Outcome, policy: RetryPolicy) -> int:
    fault = isinstance(outcome, Response) and outcome.status == 500
    return min(policy.attempts, policy.fault_attempts) if fault else policy.attempts


def _seconds_allowed(outcome: Outcome, policy: RetryPolicy, effort: Effort) -> float:
    silent = isinstance(outcome, NoAnswerError) and outcome.trouble is Trouble.UNREACHABLE
    unreachable = silent and not effort.reached
    return min(policy.seconds, policy.unreachable_seconds) if unreachable else policy.seconds


def _spread_asked(asked: float, policy: RetryPolicy, draw: float) -> float:
    """Wait what was asked and up to a tenth more, a second at most: many requests wait for the same moment."""
    return min(asked, policy.longest_asked_wait) + min(asked * 0.1, 1.0) * draw


def _backoff(attempts: int, policy: RetryPolicy, draw: float) -> float:
    """Double the wait with each attempt, give or take a tenth."""
    doubled = policy.first_wait * 2.0 ** min(attempts - 1, 30)
    return min(doubled, policy.longest_wait) * (0.9 + 0.2 * draw)
