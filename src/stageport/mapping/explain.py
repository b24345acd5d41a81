"""What a mapping makes of one source entity, told step by step: which resources take it, and what each field gives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from stageport.mapping.complaints import explain_complaint
from stageport.mapping.culprit import Span, find_culprits, was_stopped
from stageport.mapping.layout import Slot
from stageport.mapping.resource import Resource
from stageport.mapping.workers import NO_SLOT, ExpressionFault, Limits, SlotTrace, WorkerPool
from stageport.model.entities import Json, MappedSource, SourceEntity, TargetEntity

SELECTOR = "selector.query"
MOST_PLACES = 20
"""Errors of one source entity whose place is sought; a mapping with more has one fault in common, mostly."""


class Fate(StrEnum):
    """What became of a source entity, or of one of its items, in one resource."""

    MAPPED = "mapped"
    FILTERED_OUT = "filtered out"
    DROPPED = "dropped"
    FAILED = "failed"
    ORPHANED = "orphaned"
    BROKEN = "broken"
    STOPPED = "stopped"
    NO_ITEMS = "no items"


@dataclass(frozen=True, slots=True)
class FieldValue:
    """What one expression gave: a value (JSON), or an error and the part of the expression at which it arose."""

    slot: Slot
    value: bytes | None
    error: str = ""
    hint: str = ""
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class ItemTold:
    """One item of a source entity (the source entity itself, without ``itemsToParse``)."""

    fate: Fate
    fields: tuple[FieldValue, ...]
    target: TargetEntity | None = None

    def field(self, name: str) -> FieldValue | None:
        """Return what a field gave."""
        return next((one for one in self.fields if one.slot.field == name), None)


@dataclass(frozen=True, slots=True)
class ResourceTold:
    """What one resource made of a source entity. ``fate`` is that of the source entity before its items.

    ``items_value`` is what ``itemsToParse`` gave, None without one.
    """

    index: int
    resource: Resource
    fate: Fate
    mapped: MappedSource
    items: tuple[ItemTold, ...] = ()
    items_value: FieldValue | None = None


async def explain_source(
    pool: WorkerPool, source: SourceEntity, *, resources: Sequence[int], limits: Limits | None = None
) -> tuple[ResourceTold, ...]:
    """Map one source entity through these resources of the pool's document and tell every step."""
    kinds = [pool.document.resources[index].kind for index in resources]
    traces = [await pool.trace(kind, source, resources=[index]) for kind, index in zip(kinds, resources, strict=True)]
    uncompiled = {fault.slot.path: _uncompiled(fault) for fault in pool.faults}
    values = [value for trace in traces for value in trace.values]
    failed = [one for one in values if one.error and one.slot.path not in uncompiled][:MOST_PLACES]
    places = await find_culprits(pool.document, source, failed, limits=limits)
    found = {
        id(one): FieldValue(one.slot, None, one.error, span=span) for one, span in zip(failed, places, strict=True)
    }

    def tell(one: SlotTrace) -> tuple[int, FieldValue]:
        plain = FieldValue(one.slot, one.value, one.error)
        return one.item, uncompiled.get(one.slot.path) or found.get(id(one)) or plain

    return tuple(
        _resource(
            index,
            pool.document.resources[index],
            mapped=trace.mapped,
            values=[tell(one) for one in trace.values],
            raw=source.raw,
        )
        for index, trace in zip(resources, traces, strict=True)
    )


def _uncompiled(fault: ExpressionFault) -> FieldValue:
    complaint = explain_complaint(fault.slot.expression, fault.error)
    span = Span(complaint.start, complaint.end)
    return FieldValue(fault.slot, None, f"does not compile: {complaint.message}", complaint.hint, span)


def _resource(
    index: int,
    resource: Resource,
    *,
    mapped: MappedSource,
    values: Sequence[tuple[int, FieldValue]],
    raw: bytes,
) -> ResourceTold:
    items_value = next((value for item, value in values if item == NO_SLOT), None)
    numbers = sorted({item for item, _ in values if item != NO_SLOT})
    targets = iter(mapped.targets)
    skipped = _why_skipped(resource, raw)
    items = tuple(
        _item([value for item, value in values if item == number], targets, skipped=skipped) for number in numbers
    )
    fate = _fate(mapped, items, skipped=skipped)
    return ResourceTold(index, resource, fate, mapped, items, items_value)


def _fate(mapped: MappedSource, items: Sequence[ItemTold], *, skipped: Fate | None) -> Fate:
    if items:
        return Fate.MAPPED if mapped.targets else items[0].fate
    if mapped.filtered_out and skipped:
        return skipped
    return Fate.FAILED if mapped.errors else Fate.NO_ITEMS


def _item(fields: Sequence[FieldValue], targets: Iterator[TargetEntity], *, skipped: Fate | None) -> ItemTold:
    told = {one.slot.field: one for one in fields}
    selected = told[SELECTOR]
    if selected.error:
        return ItemTold(Fate.FAILED, tuple(fields))
    if selected.value != b"true":
        # A selector that gave something else has an error; one that was not asked has neither value nor error.
        return ItemTold(skipped if skipped and selected.value != b"false" else Fate.FILTERED_OUT, tuple(fields))
    stopped = [one for name in ("identifier", "blueprint") if (one := told.get(name)) and was_stopped(one.error)]
    if stopped:
        return ItemTold(Fate.STOPPED, tuple(fields))
    named = all(_is_given(told, name) for name in ("identifier", "blueprint"))
    target = next(targets, None) if named else None
    return ItemTold(Fate.MAPPED if target else Fate.DROPPED, tuple(fields), target)


def _is_given(told: Mapping[str, FieldValue], name: str) -> bool:
    """Tell whether a field has a value that counts; a search query always does."""
    one = told.get(name)
    return one is None or (one.value is not None and bool(msgspec.json.decode(one.value)))


def _why_skipped(resource: Resource, raw: bytes) -> Fate | None:
    """Return which switch of ours skips a source entity, None when none does."""
    document = msgspec.json.decode(raw)
    if resource.selector.skip_orphans and _is_orphan(document):
        return Fate.ORPHANED
    return Fate.BROKEN if resource.selector.skip_broken and _is_broken(document) else None


def _is_orphan(document: Json) -> bool:
    annotations = (document.get("metadata") or {}).get("annotations")
    return isinstance(annotations, dict) and annotations.get("backstage.io/orphan") == "true"


def _is_broken(document: Json) -> bool:
    status = document.get("status")
    items = status.get("items") if isinstance(status, dict) else None
    return any(isinstance(one, dict) and one.get("level") == "error" for one in items or ())
