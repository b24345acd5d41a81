from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from tests.unit.http.responses import answer

from stageport.http.messages import NoAnswerError, Trouble
from stageport.http.retry import Effort, Outcome, RetryPolicy, asked_wait, read_reset, wait_before_retry

EPOCH = 1_700_000_000.0


def wait(
    outcome: Outcome,
    *,
    attempts: int = 1,
    seconds: float = 0.0,
    retryable: bool = True,
    reached: bool = False,
    draw: float = 0.5,
    policy: RetryPolicy | None = None,
) -> float | None:
    return wait_before_retry(
        outcome,
        policy=policy or RetryPolicy(),
        effort=Effort(attempts, seconds, reached),
        retryable=retryable,
        epoch=EPOCH,
        draw=draw,
    )


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_retried(status: int) -> None:
    assert wait(answer(status)) == pytest.approx(0.3)


@pytest.mark.parametrize("status", [200, 207, 301, 400, 401, 403, 404, 409, 413, 422, 431, 501])
def test_a_status_that_stays_is_not_retried(status: int) -> None:
    assert wait(answer(status)) is None


@pytest.mark.parametrize("trouble", [Trouble.UNREACHABLE, Trouble.TIMEOUT, Trouble.BROKEN, Trouble.CUT_SHORT])
def test_a_lost_connection_is_retried(trouble: Trouble) -> None:
    assert wait(NoAnswerError("lost", trouble=trouble)) is not None


@pytest.mark.parametrize("trouble", [Trouble.CERTIFICATE, Trouble.BAD_URL])
def test_what_a_person_must_mend_is_not_retried(trouble: Trouble) -> None:
    assert wait(NoAnswerError("no", trouble=trouble)) is None


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (answer(429), True),
        (answer(503), False),
        (answer(500), False),
        (NoAnswerError("refused", trouble=Trouble.UNREACHABLE), True),
        (NoAnswerError("broke", trouble=Trouble.BROKEN), False),
        (NoAnswerError("slow", trouble=Trouble.TIMEOUT), False),
    ],
)
def test_a_request_that_must_not_be_done_twice_is_sent_again_only_if_it_was_not_done(
    outcome: Outcome, again: bool
) -> None:
    assert (wait(outcome, retryable=False) is not None) is again


def test_waits_double_up_to_the_longest() -> None:
    waits = [wait(answer(503), attempts=attempts) for attempts in range(1, 10)]
    assert waits == pytest.approx([0.3, 0.6, 1.2, 2.4, 4.8, 9.6, 19.2, 38.4, 60.0])


def test_the_draw_spreads_waits_by_a_tenth_either_way() -> None:
    assert wait(answer(503), draw=0.0) == pytest.approx(0.27)
    assert wait(answer(503), draw=1.0) == pytest.approx(0.33)


def test_attempts_have_a_limit() -> None:
    assert wait(answer(503), attempts=9) is not None
    assert wait(answer(503), attempts=10) is None


def test_500_has_a_shorter_limit_for_it_is_mostly_the_answer_to_this_very_request() -> None:
    assert wait(answer(500), attempts=3) is not None
    assert wait(answer(500), attempts=4) is None


def test_the_whole_effort_has_a_limit_in_seconds() -> None:
    assert wait(answer(503), seconds=599.6) is not None
    assert wait(answer(503), seconds=599.8) is None


def test_an_address_that_answers_nothing_is_given_up_sooner() -> None:
    refused = NoAnswerError("refused", trouble=Trouble.UNREACHABLE)
    assert wait(refused, seconds=29.0) is not None
    assert wait(refused, seconds=29.9) is None


def test_an_address_that_has_answered_before_is_given_the_time_of_a_restart() -> None:
    refused = NoAnswerError("refused", trouble=Trouble.UNREACHABLE)
    assert wait(refused, seconds=100.0, attempts=9, reached=True) == pytest.approx(60.0)


def test_retry_after_in_seconds_comes_first() -> None:
    assert wait(answer(429, retry_after="7", x_ratelimit_reset="99"), draw=0.0) == 7.0


def test_retry_after_as_a_date() -> None:
    date = format_datetime(datetime.fromtimestamp(EPOCH + 30, UTC), usegmt=True)
    assert asked_wait(answer(503, retry_after=date), epoch=EPOCH) == 30.0


def test_a_retry_after_in_the_past_asks_for_nothing() -> None:
    date = format_datetime(datetime.fromtimestamp(EPOCH - 30, UTC), usegmt=True)
    assert wait(answer(503, retry_after=date)) == pytest.approx(0.3)


@pytest.mark.parametrize("nonsense", ["", "soon", "-5", "nan", "inf", "Mon, 99 Foo 2026"])
def test_a_retry_after_that_means_nothing_is_left_aside(nonsense: str) -> None:
    assert wait(answer(503, retry_after=nonsense)) == pytest.approx(0.3)


def test_the_reset_of_the_rate_limit_may_be_a_span_or_a_moment() -> None:
    assert read_reset({"x-ratelimit-reset": "42"}, epoch=EPOCH) == 42.0
    assert read_reset({"x-ratelimit-reset": str(EPOCH + 42)}, epoch=EPOCH) == 42.0
    assert read_reset({"x-ratelimit-reset": str(EPOCH - 42)}, epoch=EPOCH) == 0.0
    assert read_reset({}, epoch=EPOCH) is None


@pytest.mark.parametrize("skew", [-86_400, -60, 60, 86_400], ids=["a day behind", "behind", "ahead", "a day ahead"])
def test_a_moment_is_read_by_the_clock_of_whoever_names_it(skew: int) -> None:
    theirs = EPOCH + skew
    date = format_datetime(datetime.fromtimestamp(theirs, UTC), usegmt=True)
    later = format_datetime(datetime.fromtimestamp(theirs + 30, UTC), usegmt=True)
    assert asked_wait(answer(503, retry_after=later, date=date), epoch=EPOCH) == 30.0
    assert asked_wait(answer(429, x_ratelimit_reset=str(theirs + 30), date=date), epoch=EPOCH) == 30.0
    assert asked_wait(answer(429, x_ratelimit_reset=str(EPOCH + 30), date="nonsense"), epoch=EPOCH) == 30.0


def test_the_reset_counts_for_429_only_because_port_sends_it_with_every_answer() -> None:
    assert wait(answer(429, x_ratelimit_reset="42"), draw=0.0) == 42.0
    assert wait(answer(502, x_ratelimit_reset="42")) == pytest.approx(0.3)


def test_what_is_asked_for_is_capped_and_spread_by_a_second_at_most() -> None:
    assert wait(answer(429, retry_after="9000"), draw=1.0) == 301.0
    assert wait(answer(429, retry_after="2"), draw=1.0) == pytest.approx(2.2)
