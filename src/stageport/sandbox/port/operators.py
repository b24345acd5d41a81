"""The comparison operators of Port's search rules, on values.

``stored`` is what the entity has, ``wanted`` what the rule says. A list that is compared with a text is searched
for it, as Port does with ``$team``.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from stageport.model.entities import Json
from stageport.sandbox.port.problems import invalid
from stageport.sandbox.port.records import iso_time, read_time
from stageport.sandbox.port.shapes import need_object, need_text

Comparison = Callable[[Json, Json], bool]

_DAYS = {
    "lastDay": -1,
    "lastWeek": -7,
    "last2Weeks": -14,
    "lastMonth": -30,
    "last3Months": -91,
    "last6Months": -182,
    "last12Months": -365,
    "last2Years": -730,
    "last3Years": -1095,
    "nextDay": 1,
    "nextWeek": 7,
    "next2Weeks": 14,
    "nextMonth": 30,
    "next3Months": 91,
    "next6Months": 182,
    "next12Months": 365,
}
_WHOLE_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


def equals(stored: Json, wanted: Json) -> bool:
    """Compare as JSON does: true is not 1. A list equals a list, and holds a text that is in it."""
    if isinstance(stored, bool) is not isinstance(wanted, bool):
        return False
    if isinstance(stored, list) and not isinstance(wanted, list):
        return wanted in stored
    return bool(stored == wanted)


def contains(stored: Json, wanted: Json) -> bool:
    """Find a part of a text, or one or all members of a list."""
    if isinstance(wanted, list):
        return all(contains(stored, one) for one in wanted)
    if isinstance(stored, str):
        return isinstance(wanted, str) and wanted in stored
    return isinstance(stored, list) and wanted in stored


def contains_any(stored: Json, wanted: Json) -> bool:
    """Find at least one of several in a list or a text."""
    return any(contains(stored, one) for one in wanted)


def is_in(stored: Json, wanted: Json) -> bool:
    """Find the value, or a member of it, among several."""
    if isinstance(stored, str):
        return stored in wanted
    return any(equals(stored, one) for one in wanted)


def begins_with(stored: Json, wanted: Json) -> bool:
    """Compare the beginnings of texts."""
    return isinstance(stored, str) and isinstance(wanted, str) and stored.startswith(wanted)


def ends_with(stored: Json, wanted: Json) -> bool:
    """Compare the ends of texts."""
    return isinstance(stored, str) and isinstance(wanted, str) and stored.endswith(wanted)


def is_empty(stored: Json) -> bool:
    """Tell whether there is no value: null, or nothing in it."""
    return stored is None or stored in ("", [], {})


def _ordered(compare: Callable[[Json, Json], bool]) -> Comparison:
    def check(stored: Json, wanted: Json) -> bool:
        numbers = isinstance(stored, int | float) and isinstance(wanted, int | float)
        if numbers and not isinstance(stored, bool):
            return compare(stored, wanted)
        if isinstance(stored, str) and isinstance(wanted, str):
            return compare(_as_time(stored), _as_time(wanted))
        return False

    return check


def _as_time(text: str) -> str:
    try:
        return read_time(text)
    except ValueError:
        return text


def _not(comparison: Comparison) -> Comparison:
    return lambda stored, wanted: not comparison(stored, wanted)


COMPARISONS: dict[str, Comparison] = {
    "=": equals,
    "!=": _not(equals),
    "contains": contains,
    "doesNotContains": _not(contains),
    "containsAny": contains_any,
    "beginsWith": begins_with,
    "doesNotBeginsWith": _not(begins_with),
    "endsWith": ends_with,
    "doesNotEndsWith": _not(ends_with),
    "in": is_in,
    "notIn": _not(is_in),
    ">": _ordered(lambda stored, wanted: stored > wanted),
    ">=": _ordered(lambda stored, wanted: stored >= wanted),
    "<": _ordered(lambda stored, wanted: stored < wanted),
    "<=": _ordered(lambda stored, wanted: stored <= wanted),
}
LIST_OPERATORS = frozenset({"in", "notIn", "containsAny"})
ORDER_OPERATORS = frozenset({">", ">=", "<", "<="})


def time_range(value: Json, *, now: float) -> tuple[str, str]:
    """Return the range a date rule names: two times, or a preset around now.

    Raises:
        PortProblem: 422, it names neither.
    """
    given = need_object(value, "value")
    if "preset" not in given:
        try:
            return read_time(need_text(given.get("from"), "from")), read_time(need_text(given.get("to"), "to"))
        except ValueError as error:
            raise invalid('"from" and "to" must match format "date-time"') from error
    preset = given["preset"]
    if preset in _WHOLE_DAYS:
        midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        start = midnight + timedelta(days=_WHOLE_DAYS[preset])
        return iso_time(start.timestamp()), iso_time((start + timedelta(days=1)).timestamp())
    if preset not in _DAYS:
        raise invalid('"preset" must be equal to one of the allowed values')
    ends = sorted((now, now + timedelta(days=_DAYS[preset]).total_seconds()))
    return iso_time(ends[0]), iso_time(ends[1])


def is_within(stored: Json, bounds: tuple[str, str]) -> bool:
    """Tell whether a time lies in a range, ends included."""
    return isinstance(stored, str) and bounds[0] <= _as_time(stored) <= bounds[1]
