"""The catalog: final entities by ref and by uid, kept as the bytes in which they are served.

Tests and the demo change it as an entity provider would, with ``put`` and ``delete``; whatever follows from that
(relations of peers, etags, uids, errors) follows here as it does in Backstage.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec

from stageport.model.entities import Json
from stageport.model.refs import SourceRef
from stageport.sandbox.backstage.acceptance import RejectedError
from stageport.sandbox.backstage.descriptors import Descriptor
from stageport.sandbox.backstage.order import UidOrder
from stageport.sandbox.backstage.processing import (
    HEALTHY,
    Condition,
    ProcessingError,
    process_descriptor,
    processing_error,
    stitch,
    unstitch,
)
from stageport.sandbox.backstage.relations import Relation, RelationGraph, RelationReader, entity_ref, written_ref


class FinalEntity(msgspec.Struct, frozen=True, gc=False):
    """One entity as the catalog serves it; ``body`` is its JSON. ``kind`` is in the entity's own casing."""

    ref: SourceRef
    kind: str
    uid: str
    etag: str
    body: bytes
    own_etag: bool = False
    condition: Condition = HEALTHY

    def decoded(self) -> Json:
        """Return the entity as a value of its own."""
        return msgspec.json.decode(self.body)


class Catalog:
    """The catalog of one Backstage.

    ``version`` moves with every change. ``rejected`` says why a descriptor did not get in.
    """

    def __init__(self, descriptors: Iterable[Descriptor] = (), *, seed: int = 0) -> None:
        self.version = 0
        self.rejected: dict[SourceRef, str] = {}
        self.order = UidOrder()
        self._entities: dict[SourceRef, FinalEntity] = {}
        self._by_uid: dict[str, FinalEntity] = {}
        self._reader = RelationReader()
        self._graph = RelationGraph()
        self._added: dict[SourceRef, list[Relation]] = {}
        self._chance = random.Random(seed)  # noqa: S311 - uids that can be told again, no secrets
        self.load(descriptors)

    # -- reading ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._entities)

    def __contains__(self, ref: str) -> bool:
        return ref in self._entities

    def __iter__(self) -> Iterator[FinalEntity]:
        return iter(self._entities.values())

    def find(self, ref: str) -> FinalEntity | None:
        """Return the entity of a ref, which is compared as it stands: lower-case."""
        return self._entities.get(SourceRef(ref))

    def by_uid(self, uid: str) -> FinalEntity | None:
        """Return the entity of a uid."""
        return self._by_uid.get(uid)

    def entity(self, ref: str) -> Json:
        """Return an entity as it is served, decoded.

        Raises:
            KeyError: there is none.
        """
        return self._entities[SourceRef(ref)].decoded()

    def refs(self) -> list[SourceRef]:
        """Return the refs of all entities, sorted."""
        return sorted(self._entities)

    def counts(self) -> Counter[str]:
        """Return how many entities of each kind there are, kinds in their own casing."""
        return Counter(entity.kind for entity in self._entities.values())

    # -- changing, as a provider does ---------------------------------------------------------------------------

    def put(self, descriptor: Descriptor) -> SourceRef:
        """Create an entity, or replace the one of the same ref.

        A descriptor that is not accepted leaves the earlier version in place, with the error in its status; if
        there is none, the entity is absent and ``rejected`` has the reason.
        """
        ref = written_ref(descriptor)
        try:
            processed = process_descriptor(descriptor)
            relations = self._relations(ref, processed)
        except RejectedError as error:
            return self._reject(ref, error)
        self.rejected.pop(ref, None)
        known = self._entities.get(ref)
        condition = Condition(orphan=known.condition.orphan) if known else HEALTHY
        uid = known.uid if known else self._new_uid()
        peers = self._graph.declare(ref, relations)
        self._store(ref, processed, uid=uid, condition=condition)
        self._restitch(peers - {ref})
        return ref

    def update(self, ref: str, change: Callable[[Descriptor], object]) -> SourceRef:
        """Change an entity by editing its descriptor in place: ``lambda d: d["spec"].update(owner="b")``.

        Raises:
            KeyError: there is no such entity.
        """
        descriptor = self.descriptor(ref)
        change(descriptor)
        return self.put(descriptor)

    def descriptor(self, ref: str) -> Descriptor:
        """Return what a provider would have to put to get this very entity."""
        known = self._entities[SourceRef(ref)]
        descriptor: Descriptor = unstitch(known.body, own_etag=known.own_etag, condition=known.condition)
        return descriptor

    def delete(self, ref: str) -> None:
        """Remove an entity; its peers lose the relations that it declared, and keep their own.

        Raises:
            KeyError: there is no such entity.
        """
        gone = self._entities.pop(SourceRef(ref))
        del self._by_uid[gone.uid]
        self.order.remove(gone.kind, gone.uid)
        self.version += 1
        self._restitch(self._graph.declare(gone.ref, ()))

    def recreate(self, ref: str) -> SourceRef:
        """Delete an entity and put it again: the same, with a new uid."""
        descriptor = self.descriptor(ref)
        self.delete(ref)
        return self.put(descriptor)

    def relate(self, ref: str, relation: str, target: str) -> None:
        """Add a relation as a custom processor would: it belongs to the entity, and comes back when that is put."""
        known = self._entities[SourceRef(ref)]
        self._added.setdefault(known.ref, []).append(Relation(relation, SourceRef(target)))
        self.put(self.descriptor(ref))

    def set_orphan(self, ref: str, *, orphan: bool = True) -> None:
        """Mark an entity that no location holds any more (``catalog.orphanStrategy: keep``)."""
        known = self._entities[SourceRef(ref)]
        self._change_condition(known, known.condition._replace(orphan=orphan))

    def fail(self, ref: str, message: str, *, name: str = "InputError") -> None:
        """Let processing of an entity fail: it stays as it was, with the error in its status."""
        known = self._entities[SourceRef(ref)]
        self._change_condition(known, known.condition._replace(errors=(ProcessingError(name, message),)))

    def heal(self, ref: str) -> None:
        """Take the errors of processing away."""
        known = self._entities[SourceRef(ref)]
        self._change_condition(known, known.condition._replace(errors=()))

    def renew_uids(self) -> None:
        """Give every entity a new uid and etag, as a restart with an in-memory database does."""
        known = list(self._entities.values())
        self._by_uid.clear()
        self.order = UidOrder()
        for entity in known:
            processed = unstitch(entity.body, own_etag=entity.own_etag, condition=entity.condition)
            self._store(entity.ref, processed, uid=self._new_uid(), condition=entity.condition)

    def load(self, descriptors: Iterable[Descriptor]) -> None:
        """Put many at once: each entity is finished once, when all relations are known."""
        self.load_processed(self._accepted(descriptors))

    def load_processed(self, entities: Iterable[Json]) -> None:
        """Put many at once that are processed already; only their refs are still looked at."""
        pending: dict[SourceRef, bytes] = {}
        for processed in entities:
            ref = entity_ref(processed)
            try:
                self._graph.declare(ref, self._relations(ref, processed))
            except RejectedError as error:
                self._reject(ref, error)
            else:
                pending[ref] = msgspec.json.encode(processed)
        for ref in list(pending):
            known = self._entities.get(ref)
            processed = msgspec.json.decode(pending.pop(ref))
            self._store(ref, processed, uid=known.uid if known else self._new_uid(), condition=HEALTHY)

    # -- inside -------------------------------------------------------------------------------------------------

    def _accepted(self, descriptors: Iterable[Descriptor]) -> Iterator[Json]:
        for descriptor in descriptors:
            try:
                yield process_descriptor(descriptor)
            except RejectedError as error:
                self._reject(written_ref(descriptor), error)

    def _relations(self, ref: SourceRef, processed: Json) -> list[Relation]:
        return [*self._reader.declared(processed), *self._added.get(ref, ())]

    def _store(self, ref: SourceRef, processed: Json, *, uid: str, condition: Condition) -> None:
        own_etag = bool(processed["metadata"].get("etag"))
        final = stitch(processed, uid=uid, relations=self._graph.listed(ref), condition=condition)
        known = self._by_uid.get(uid)
        if known and known.etag == final.etag and (known.body == final.body or not own_etag):
            return  # an unchanged hash: nothing is written, not even another order of keys
        entity = FinalEntity(
            ref=ref,
            kind=processed["kind"],
            uid=uid,
            etag=final.etag,
            body=final.body,
            own_etag=own_etag,
            condition=condition,
        )
        if known is None:
            self.order.add(entity.kind, uid)
        self._entities[ref] = self._by_uid[uid] = entity
        self.version += 1

    def _restitch(self, refs: Iterable[SourceRef]) -> None:
        for ref in refs:
            known = self._entities.get(ref)
            if known is not None:
                self._change_condition(known, known.condition)

    def _change_condition(self, known: FinalEntity, condition: Condition) -> None:
        processed = unstitch(known.body, own_etag=known.own_etag, condition=known.condition)
        self._store(known.ref, processed, uid=known.uid, condition=condition)

    def _reject(self, ref: SourceRef, error: RejectedError) -> SourceRef:
        self.rejected[ref] = str(error)
        known = self._entities.get(ref)
        if known is not None:
            self._change_condition(known, known.condition._replace(errors=(processing_error(error),)))
        return ref

    def _new_uid(self) -> str:
        bits = self._chance.getrandbits(128)
        bits = bits & ~(0xF << 76) | (4 << 76)
        bits = bits & ~(0x3 << 62) | (0x2 << 62)
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


__all__ = ["Catalog", "FinalEntity", "RejectedError"]
