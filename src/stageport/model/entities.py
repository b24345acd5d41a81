"""Source entities as Backstage serves them, target entities as Port is to have them.

Both stay in the bytes they travel in for as long as possible: a page of a catalog is sliced, not parsed, and a
mapped entity is encoded once, in the worker that mapped it. Parsing is the dearest step after jq.
"""

from typing import Any

import msgspec

from stageport.model.refs import SourceRef, TargetKey

Json = Any
"""A decoded JSON value. The only place where the type system gives up."""


class SourceEntity(msgspec.Struct, frozen=True):
    """One entity of the Backstage catalog.

    ``raw`` is the JSON object as Backstage sent it, byte for byte (without the ``metadata.identifier`` that the
    mapping sees). ``uid`` and ``etag`` are empty strings where Backstage gave none.
    """

    ref: SourceRef
    raw: bytes
    uid: str = ""
    etag: str = ""


class TargetEntity(msgspec.Struct, frozen=True, array_like=True):
    """One entity as Port is to have it.

    ``identifier`` is None when the mapping identifies the entity by a search query; the query then stands in
    ``body``. ``body`` is the JSON object exactly as it is sent: a key the mapping does not name is absent, a
    field that came to nothing is an explicit null (Port's docs: null clears, absence keeps under merge).
    """

    blueprint: str
    identifier: str | None
    body: bytes

    @property
    def key(self) -> TargetKey | None:
        """What the entity is called at Port; None when only a search can tell."""
        return None if self.identifier is None else TargetKey(self.blueprint, self.identifier)


class FieldProblem(msgspec.Struct, frozen=True, array_like=True):
    """An expression that gave no value, with what jq said of it.

    ``field`` is the path in the resource: ``selector.query``, ``identifier``, ``properties.links``,
    ``relations.system``, ``port.itemsToParse``. ``resource`` is the index in the mapping's ``resources``.
    """

    resource: int
    field: str
    ref: SourceRef
    message: str


class MappedSource(msgspec.Struct, frozen=True, array_like=True):
    """What all resources of the mapping made of one source entity.

    ``targets`` are in resource order, then item order. ``filtered_out``: the selector gave false. ``dropped``:
    identifier or blueprint came to nothing. ``errors``: the selector failed or gave no boolean, or the entity
    could not be mapped at all; a source entity with errors protects its own targets from deletion.
    """

    ref: SourceRef
    targets: tuple[TargetEntity, ...] = ()
    filtered_out: int = 0
    dropped: int = 0
    errors: int = 0
    problems: tuple[FieldProblem, ...] = ()


class SourcePage(msgspec.Struct, frozen=True):
    """A page of source entities of one kind; ``total`` is how many Backstage announced for the whole kind."""

    kind: str
    entities: tuple[SourceEntity, ...]
    total: int
