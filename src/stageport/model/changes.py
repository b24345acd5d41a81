"""A plan's lines: what becomes of one target entity, and what came of writing it."""

from enum import StrEnum

import msgspec

from stageport.model.entities import Json
from stageport.model.refs import SourceRef, TargetKey


class Operation(StrEnum):
    """What is done to a target entity. ``KEEP`` is a delete that a safety rule holds back."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    KEEP = "keep"


class Hold(StrEnum):
    """Why a stale target entity is kept: the safety rules of docs/explanation/safety.md, by number."""

    INCOMPLETE_READ = "incomplete-read"
    EMPTY_SOURCE = "empty-source"
    EMPTY_KIND = "empty-kind"
    THRESHOLD = "threshold"
    MAPPING_FAILED = "mapping-failed"
    STILL_RELATED = "still-related"


class FieldChange(msgspec.Struct, frozen=True):
    """One field that differs: ``path`` is ``title``, ``properties.type``, ``relations.system`` and so on."""

    path: str
    before: Json
    after: Json


class Change(msgspec.Struct, frozen=True):
    """One line of a plan.

    ``body`` is the JSON to send (creates and updates); its identifier may be a search query, ``identifier`` is then
    that of the entity which the query found. ``source`` is the source entity it came from, None where nobody knows.
    """

    operation: Operation
    blueprint: str
    identifier: str
    source: SourceRef | None = None
    body: bytes = b""
    fields: tuple[FieldChange, ...] = ()
    hold: Hold | None = None

    @property
    def key(self) -> TargetKey:
        """What the entity is called at Port."""
        return TargetKey(self.blueprint, self.identifier)


class Refusal(msgspec.Struct, frozen=True):
    """What Port said of one entity that it did not take; ``code`` is Port's ``error`` (``relation_many_violation``)."""

    status: int
    code: str
    message: str

    @property
    def is_sure(self) -> bool:
        """Whether Port surely holds what it held before: it looked at the entity and did not like it."""
        return 400 <= self.status < 500


class Written(msgspec.Struct, frozen=True):
    """What came of one upsert: ``refusal`` is None when Port took it.

    ``identifier`` is what Port calls the entity (for a search identifier, the entity it found).
    """

    identifier: str | None
    created: bool = False
    refusal: Refusal | None = None


class WriteOptions(msgspec.Struct, frozen=True):
    """How Port is to take upserts and deletes: the mapping's three switches, and the pass they belong to."""

    merge: bool = True
    create_missing_related: bool = True
    delete_dependents: bool = True
    pass_id: str = ""
