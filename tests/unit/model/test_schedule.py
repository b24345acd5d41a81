"""When resyncs are due: by an interval, or by cron in a time zone, also when clocks are changed."""

from datetime import UTC, datetime, timedelta

import pytest

from stageport.model.schedule import Cron, Every, cron_expression, minutes_between, time_zone

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_intervals_are_counted_from_their_start_however_late_one_asks() -> None:
    every = Every(timedelta(minutes=30), since=START)
    assert every.after(START) == START + timedelta(minutes=30)
    assert every.after(START + timedelta(minutes=30)) == START + timedelta(minutes=60)
    assert every.after(START + timedelta(minutes=95)) == START + timedelta(minutes=120)
    assert every.after(START - timedelta(days=1)) == START + timedelta(minutes=30)
    assert minutes_between(every, START) == 30


def test_less_than_a_minute_is_told_as_one() -> None:
    assert minutes_between(Every(timedelta(seconds=5), since=START), START) == 1


def test_cron_is_in_utc_unless_a_zone_is_said() -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert Cron("0 3 * * *").after(noon) == datetime(2026, 7, 2, 3, tzinfo=UTC)
    assert Cron("0 3 * * *", "Europe/Berlin").after(noon) == datetime(2026, 7, 2, 1, tzinfo=UTC)
    assert Cron("0 3 * * *", "America/New_York").after(noon) == datetime(2026, 7, 2, 7, tzinfo=UTC)


def test_a_moment_of_the_schedule_is_followed_by_the_next_one() -> None:
    cron = Cron("*/15 * * * *")
    moment = cron.after(START + timedelta(microseconds=1))
    assert moment == START + timedelta(minutes=15)
    assert cron.after(moment) == START + timedelta(minutes=30)
    assert cron.after(moment + timedelta(microseconds=5)) == START + timedelta(minutes=30)


def test_a_time_that_the_clock_change_leaves_out_is_made_up_for() -> None:
    # In Berlin 02:00 became 03:00 on 29 March 2026.
    cron = Cron("30 2 * * *", "Europe/Berlin")
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert cron.after(before) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert minutes_between(Cron("0 3 * * *", "Europe/Berlin"), before) == 24 * 60


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("0 3 * * *", "0 3 * * *"),
        ("'*/60 * * * *'", "*/60 * * * *"),
        (" 0 3 * * MON-FRI ", "0 3 * * MON-FRI"),
        ("@Daily", "0 0 * * *"),
    ],
)
def test_what_is_understood(given: str, understood: str) -> None:
    assert cron_expression(given) == understood


@pytest.mark.parametrize("given", ["", "soon", "61 * * * *", "0 3 * *", "* * * * * *", "0 0 30 2 *", "@reboot"])
def test_what_is_no_schedule(given: str) -> None:
    with pytest.raises(ValueError, match=r"should be|ever comes true"):
        cron_expression(given)


def test_a_time_zone_has_to_be_known() -> None:
    assert time_zone("Europe/Berlin") == "Europe/Berlin"
    for wrong in ("Middle/Earth", "", "../etc/passwd"):
        with pytest.raises(ValueError, match="time zone"):
            time_zone(wrong)
