"""What log records and sync metrics look like; anything else is refused."""

import re
from typing import Final

from stageport.model.entities import Json
from stageport.sandbox.port.problems import invalid
from stageport.sandbox.port.shapes import need_keys, need_object, need_one_of, need_text, only_keys

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_STATES: Final = ("pending", "syncing", "completed", "failed", "aborted")
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_TEXTS: Final = (
    "integrationType",
    "installationType",
    "executionMode",
    "integrationIdentifier",
    "integrationVersion",
    "oceanVersion",
    "kindIdentifier",
    "kind",
    "eventId",
    "syncState",
    "blueprint",
)
_COUNTED: Final = ("extract", "transform", "load", "delete")
_COUNTS: Final = ("skipped", "failed", "loaded", "raw_extracted", "transformed", "filtered_out", "deleted")


def check_log(record: Json) -> None:
    """Pass a log record.

    Raises:
        PortProblem: 422, it is none.
    """
    given = need_object(record, "logs")
    need_keys(given, "logs", required=("message", "level", "timestamp", "extra"))
    only_keys(given, ("message", "level", "timestamp", "extra"))
    need_text(given["message"], "message", shortest=1)
    need_one_of(given["level"], "level", _LEVELS)
    need_object(given["extra"], "extra")
    if not _STAMP.fullmatch(need_text(given["timestamp"], "timestamp")):
        raise invalid('"timestamp" must match format "date-time" with microseconds in UTC')


def check_metric(metric: Json) -> dict[str, Json]:
    """Pass the metrics of one kind.

    Raises:
        PortProblem: 422, they are none.
    """
    given = need_object(metric, "syncKindMetrics")
    need_keys(given, "syncKindMetrics", required=("eventId", "kindIdentifier"))
    only_keys(given, (*_TEXTS, "kindIndex", "metrics"))
    for key in _TEXTS:
        if given.get(key) is not None:
            need_text(given[key], key)
    need_one_of(given.get("syncState", "pending"), "syncState", _STATES)
    if not isinstance(given.get("kindIndex") or 0, int):
        raise invalid('"kindIndex" must be integer')
    _check_phases(need_object(need_object(given.get("metrics", {}), "metrics").get("phase", {}), "phase"))
    return given


def _check_phases(phases: dict[str, Json]) -> None:
    only_keys(phases, ("resync", *_COUNTED))
    resync = need_object(phases.get("resync", {}), "resync")
    only_keys(resync, ("duration_seconds", "success"))
    for key, value in resync.items():
        _need_count(value, key)
    for phase in _COUNTED:
        if phase in phases:
            _check_counts(need_object(phases[phase], phase))


def _check_counts(phase: dict[str, Json]) -> None:
    need_keys(phase, "phase", required=("object_count_type",))
    only_keys(phase, ("object_count_type",))
    counts = need_object(phase["object_count_type"], "object_count_type")
    only_keys(counts, _COUNTS)
    for name, count in counts.items():
        only_keys(need_object(count, name), ("object_count",))
        _need_count(count.get("object_count"), "object_count")


def _need_count(value: Json, name: str) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise invalid(f'"{name}" must be number >= 0')
