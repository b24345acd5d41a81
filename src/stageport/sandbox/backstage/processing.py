"""From a descriptor to a final entity: processing and stitching, the two steps of Backstage's catalog.

*Processing* looks at one descriptor alone: it fills in the namespace and the annotations of its location, sorts the
lists of refs and checks the result. *Stitching* adds what only the catalog as a whole can tell: uid, relations,
processing errors, and the etag over all of it.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from stageport.model.entities import Json
from stageport.model.refs import DEFAULT_NAMESPACE
from stageport.sandbox.backstage.acceptance import RejectedError, check_descriptor
from stageport.sandbox.backstage.descriptors import Descriptor
from stageport.sandbox.backstage.locations import LOCATION, NOWHERE, ORIGIN, defuse_scripts, location_annotations
from stageport.sandbox.backstage.placeholders import resolve_placeholders
from stageport.sandbox.backstage.relations import Relation

ORPHAN = "backstage.io/orphan"

# BuiltinKindsEntityProcessor.preProcessEntity sorts these, so that a reordered list is no change.
_SORTED_FIELDS = ("providesApis", "consumesApis", "dependsOn", "dependencyOf", "memberOf", "children", "members")


class ProcessingError(NamedTuple):
    """An error of processing, as the ``status`` of an entity shows it; ``cause`` is the error within."""

    name: str
    message: str
    cause: "ProcessingError | None" = None

    def told(self) -> Json:
        """Return the error as JSON has it."""
        told = {"name": self.name, "message": self.message}
        return told if self.cause is None else {**told, "cause": self.cause.told()}


class Condition(NamedTuple):
    """What the catalog knows of an entity beside its descriptor."""

    orphan: bool = False
    errors: tuple[ProcessingError, ...] = ()


HEALTHY = Condition()


def process_descriptor(descriptor: Descriptor) -> Json:
    """Return the processed entity: a copy, with ``metadata.uid`` of the source dropped.

    The order of keys is that of the real one: metadata stands first, because it is merged into.

    Raises:
        RejectedError: the catalog does not take it.
    """
    metadata = descriptor.get("metadata")
    if not isinstance(metadata, dict):
        raise RejectedError("/metadata must be object")
    entity = resolve_placeholders(descriptor)
    metadata = {key: value for key, value in entity["metadata"].items() if key not in ("uid", "annotations")}
    namespace = {} if "namespace" in metadata else {"namespace": DEFAULT_NAMESPACE}
    merged = {**namespace, "annotations": _annotations(entity["metadata"].get("annotations")), **metadata}
    entity = {"metadata": merged, **{key: value for key, value in entity.items() if key != "metadata"}}
    check_descriptor(entity)
    _check_location_type(entity)
    _sort_refs(entity.get("spec"))
    return entity


def _check_location_type(entity: Json) -> None:
    """Refuse what only a module for another kind of location could read (``github-discovery``, say)."""
    if entity["kind"] != "Location":
        return
    own_type = entity["metadata"]["annotations"][LOCATION].partition(":")[0]
    if entity["spec"].get("type", own_type) not in ("url", own_type):
        raise RejectedError('Registered locations must be of an allowed type ["url"]')


def _annotations(written: Json) -> Json:
    if written is None:
        written = {}
    if not isinstance(written, dict):
        raise RejectedError("metadata.annotations must be a valid object")
    location = written.get(LOCATION, NOWHERE)
    return {**location_annotations(location, origin=written.get(ORIGIN, location)), **written}


def _sort_refs(spec: Json) -> None:
    for name in _SORTED_FIELDS if spec else ():
        values = spec.get(name)
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            values.sort()


def processing_error(error: RejectedError) -> ProcessingError:
    """Wrap the reason of a rejection as Backstage does."""
    if not error.context:
        return ProcessingError("InputError", str(error))
    cause = ProcessingError(error.kind, str(error))
    return ProcessingError("InputError", f"{error.context}; caused by {error.kind}: {error}", cause)


class Stitched(NamedTuple):
    """A final entity: its etag and its JSON."""

    etag: str
    body: bytes


def stitch(entity: Json, *, uid: str, relations: Sequence[Relation], condition: Condition = HEALTHY) -> Stitched:
    """Finish a processed entity (which is changed by that) and encode it.

    The etag is the SHA-1 of the stable JSON of the entity, uid, relations and status included; an etag that the
    source wrote is left alone (performStitching does the same, hence an etag that does not move).
    """
    metadata = entity["metadata"]
    metadata["uid"] = uid
    if condition.orphan:
        metadata["annotations"][ORPHAN] = "true"
    defuse_scripts(metadata["annotations"])
    entity["relations"] = relations
    if condition.errors:
        entity["status"] = {"items": [_status_item(error) for error in condition.errors]}
    if not metadata.get("etag"):
        metadata["etag"] = hashlib.sha1(msgspec.json.encode(entity, order="sorted"), usedforsecurity=False).hexdigest()
    return Stitched(metadata["etag"], msgspec.json.encode(entity))


def unstitch(body: bytes, *, own_etag: bool, condition: Condition) -> Json:
    """Return the processed entity that a final entity was made of."""
    entity = msgspec.json.decode(body)
    metadata = entity["metadata"]
    del entity["relations"], metadata["uid"]
    entity.pop("status", None)
    if not own_etag:
        del metadata["etag"]
    if condition.orphan:
        metadata["annotations"].pop(ORPHAN, None)
    return entity


def _status_item(error: ProcessingError) -> Json:
    return {
        "type": "backstage.io/catalog-processing",
        "level": "error",
        "message": f"{error.name}: {error.message}",
        "error": error.told(),
    }
