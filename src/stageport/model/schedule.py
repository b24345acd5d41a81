"""When resyncs happen by themselves: every so often, or by a cron expression in a time zone.

A schedule is a value: the loop that keeps it and the report that tells Port of the next resync ask the same one, and
so name the same moment.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
CRON_FIELDS = 5


class Schedule(Protocol):
    """Moments, one after the other, all of them aware of their time zone."""

    def after(self, moment: datetime) -> datetime:
        """Return the first moment of the schedule that is later than this one."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Every so often, counted from ``since``."""

    interval: timedelta
    since: datetime

    def after(self, moment: datetime) -> datetime:
        """Return the next whole interval after a moment."""
        passed = max(0, (moment - self.since) // self.interval)
        return self.since + (passed + 1) * self.interval


@dataclass(frozen=True, slots=True)
class Cron:
    """By a cron expression, read as Debian's cron does, also on days when clocks are changed."""

    expression: str
    zone: str = "UTC"

    def after(self, moment: datetime) -> datetime:
        """Return the next moment that the expression names."""
        from zoneinfo import ZoneInfo

        from cronsim import CronSim

        # It may start from a fraction of a second, and must not name the second it starts from again.
        return next(CronSim(self.expression, moment.astimezone(ZoneInfo(self.zone)).replace(microsecond=0)))


def cron_expression(text: str) -> str:
    """Return a cron expression as it is understood here: five fields, shorthands written out.

    Raises:
        ValueError: it is none, or none that ever comes true.
    """
    from cronsim import CronSim, CronSimError

    plain = text.strip().strip("'\"").strip()
    expression = SHORTHANDS.get(plain.lower(), plain)
    if len(expression.split()) != CRON_FIELDS:
        raise ValueError(f"should be a number of minutes or a cron expression of five fields, not {plain!r}")
    try:
        next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"is no cron expression that ever comes true: {str(error) or plain}") from None
    return expression


def time_zone(name: str) -> str:
    """Return the name of a time zone that this machine knows.

    Raises:
        ValueError: it does not.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"should be a time zone like Europe/Berlin or UTC, and {name!r} is not known here") from None
    return name


def minutes_between(schedule: Schedule, moment: datetime) -> int:
    """Return the minutes between the next two moments after this one, at least 1: what Port shows as the interval."""
    first = schedule.after(moment)
    return max(1, round((schedule.after(first) - first) / timedelta(minutes=1)))
