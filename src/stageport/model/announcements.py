"""What a sender of hints may say: docs/reference/events.md describes the bodies.

Ours name changes one by one, or say that the sender has lost track; a plain list of refs is for scripts; and events of
Backstage's own event bus are taken as they are, in the shapes in which the bus and its transports hand them on.
"""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from stageport.model.entities import Json
from stageport.model.hints import OVERFLOW
from stageport.model.refs import SourceRef, parse_ref, source_ref

CHANGED: Literal["stageport.catalog.changed"] = "stageport.catalog.changed"
LOST_TRACK: Literal["stageport.catalog.overflow"] = "stageport.catalog.overflow"
"""The types of our own messages."""

MOST_REFS = 500
LONGEST_REF = 800
"""Characters. Backstage's own rules allow 63 for each part; a backend may have others."""

_REF = re.compile(r"[^\s:/#,=\x00-\x1f\x7f]+:[^\s:/#,=\x00-\x1f\x7f]+/[^\s:/#,=\x00-\x1f\x7f]+")


class MalformedAnnouncementError(ValueError):
    """A message is none of those known; the words say what is wrong with it."""


class TooManyRefsError(ValueError):
    """A message names more refs than one may."""


class NamedChange(msgspec.Struct, rename="camel"):
    """One change: ``uid``, ``etag`` and ``sequence`` are for the sender and its logs."""

    entity_ref: str
    operation: Literal["upsert", "delete"]
    uid: str | None = None
    etag: str | None = None
    sequence: int | None = None


class Changed(msgspec.Struct, tag_field="type", tag=CHANGED):
    """These source entities changed."""

    changes: list[NamedChange]
    source: str = ""


class Overflow(msgspec.Struct, tag_field="type", tag=LOST_TRACK):
    """More changed than could be named."""

    source: str = ""


def read_announcement(body: bytes) -> list[SourceRef]:
    """Return the refs that a message names, each once, in lower case; ``OVERFLOW`` for one that asks for everything.

    Raises:
        TooManyRefsError: it names more than ``MOST_REFS``.
        ValueError: it is none of the messages known; the words say what is wrong with it.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnnouncementError(f"The body is no JSON: {error}.") from None
    return read_document(document)


def read_document(document: Json) -> list[SourceRef]:
    """Do the same for a message that was decoded already."""
    if not isinstance(document, dict):
        raise MalformedAnnouncementError("The body is no JSON object.")
    refs = list(dict.fromkeys(_refs(document)))
    if len(refs) > MOST_REFS:
        raise TooManyRefsError(f"A message names at most {MOST_REFS} refs, not {len(refs)}.")
    return refs


def _refs(document: Json) -> Iterator[SourceRef]:
    if "type" in document:
        yield from _of_message(document)
    elif "entityRefs" in document:
        yield from _of_list(document["entityRefs"])
    elif "topic" in document:
        yield from _of_event(document)
    elif "event" in document:
        yield from _of_event(document["event"])
    elif isinstance(document.get("events"), list):
        for event in document["events"]:
            yield from _of_event(event)
    else:
        raise MalformedAnnouncementError('The body has neither "type" nor "entityRefs" nor "topic".')


def _of_message(document: Json) -> Iterator[SourceRef]:
    try:
        message: Changed | Overflow = msgspec.convert(document, Changed | Overflow)  # type: ignore[arg-type, unused-ignore]
    except msgspec.ValidationError as error:
        raise MalformedAnnouncementError(f"The message is malformed: {error}.") from None
    if isinstance(message, Overflow):
        yield OVERFLOW
        return
    for change in message.changes:
        yield _read_ref(change.entity_ref)


def _of_list(given: Json) -> Iterator[SourceRef]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise MalformedAnnouncementError("entityRefs is no list of texts.")
    yield from map(_read_ref, given)


def _of_event(event: Json) -> Iterator[SourceRef]:
    """Read an event of Backstage's bus; one that names no entity is nobody's business, and no mistake."""
    if not isinstance(event, dict) or not isinstance(event.get("topic"), str):
        raise MalformedAnnouncementError("An event has no topic.")
    payload = event.get("eventPayload", event.get("payload"))
    if not isinstance(payload, dict):
        return
    if payload.get("type") in (CHANGED, LOST_TRACK):
        yield from _of_message(payload)
        return
    if isinstance(payload.get("entityRef"), str):
        yield _read_ref(payload["entityRef"])
    if "entityRefs" in payload:
        yield from _of_list(payload["entityRefs"])
    for name in ("entity", "unprocessedEntity"):
        if isinstance(payload.get(name), dict):
            yield _of_entity(payload[name])


def _of_entity(entity: Json) -> SourceRef:
    metadata = entity.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    kind, namespace, name = entity.get("kind"), names.get("namespace") or "default", names.get("name")
    if not (isinstance(kind, str) and isinstance(namespace, str) and isinstance(name, str)):
        raise MalformedAnnouncementError("An event's entity has no kind or no name.")
    return _checked(source_ref(kind, namespace, name))


def _read_ref(text: str) -> SourceRef:
    return _checked(parse_ref(text))


def _checked(ref: SourceRef) -> SourceRef:
    if len(ref) > LONGEST_REF or not _REF.fullmatch(ref):
        raise MalformedAnnouncementError(f"{ref[:80]!r} is no entity ref: it should read kind:namespace/name")
    return ref
