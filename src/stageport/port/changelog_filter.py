"""Which messages of Port's change log ask this integration for a resync, as Port's own integration reads them.

A message: ``{action, resourceType, context: {integrationId}, diff: {before, after}, changelogDestination: {type}}``.
Two kinds count: a request (``action`` is ``RESYNC`` and the context names us), and a change of our record. A report of
a resync's state changes the record too: it leaves ``updatedAt`` of both equal, and is left aside.
"""

from typing import Final

import msgspec

from stageport.model.entities import Json

REQUESTED: Final = "Port requested it"
CHANGED: Final = "the integration was changed at Port"


def resync_reason(message: bytes, *, identifier: str, requests_only: bool = False) -> str | None:
    """Say why a message asks for a resync; None when it does not.

    ``requests_only``: the topic holds nothing but requests, whatever their action is called.
    """
    try:
        told = msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError):
        return None
    if _at(told, "context", "integrationId") == identifier and (requests_only or _at(told, "action") == "RESYNC"):
        return REQUESTED
    return CHANGED if not requests_only and _is_our_change(told, identifier) else None


def _is_our_change(told: Json, identifier: str) -> bool:
    after = _at(told, "diff", "after")
    return bool(
        _at(after, "identifier") == identifier
        and _at(after, "updatedAt") != _at(after, "resyncState", "updatedAt")
        and _at(told, "changelogDestination", "type") == "KAFKA"
    )


def _at(value: Json, *path: str) -> Json:
    """Return what lies at a path, None where the path ends early."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
