"""Relations: what descriptors say of each other, seen from both sides.

Backstage's processor for the built-in kinds turns fields of ``spec`` into pairs of relations; the pair belongs to
the entity that wrote the field, and goes when that entity goes. An entity lists every relation that starts at it,
whoever wrote it and whether or not its target exists.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from stageport.model.entities import Json
from stageport.model.refs import DEFAULT_NAMESPACE, SourceRef, source_ref
from stageport.sandbox.backstage.acceptance import RejectedError
from stageport.sandbox.backstage.refs import parse_entity_ref


class Relation(msgspec.Struct, frozen=True, order=True, gc=False):
    """One relation as its source lists it, and as JSON has it."""

    type: str
    target: SourceRef = msgspec.field(name="targetRef")


class _Field(NamedTuple):
    name: str
    relation: str
    default_kind: str | None = None


_OWNER = _Field("owner", "ownedBy", "Group")
_SYSTEM = _Field("system", "partOf", "System")
_DEPENDENCIES = (_Field("dependsOn", "dependsOn"), _Field("dependencyOf", "dependencyOf"))

_FIELDS = MappingProxyType(
    {
        "Component": (
            _OWNER,
            _Field("subcomponentOf", "partOf", "Component"),
            _Field("providesApis", "providesApi", "API"),
            _Field("consumesApis", "consumesApi", "API"),
            *_DEPENDENCIES,
            _SYSTEM,
        ),
        "API": (_OWNER, _SYSTEM),
        "Resource": (_OWNER, *_DEPENDENCIES, _SYSTEM),
        "User": (_Field("memberOf", "memberOf", "Group"),),
        "Group": (
            _Field("parent", "childOf", "Group"),
            _Field("children", "parentOf", "Group"),
            _Field("members", "hasMember", "User"),
        ),
        "System": (_OWNER, _Field("domain", "partOf", "Domain")),
        "Domain": (_OWNER, _Field("subdomainOf", "partOf", "Domain")),
        "Location": (),
    }
)
_OTHER_KINDS = (_OWNER,)

_ONE_WAY = {
    "ownedBy": "ownerOf",
    "partOf": "hasPart",
    "providesApi": "apiProvidedBy",
    "consumesApi": "apiConsumedBy",
    "dependsOn": "dependencyOf",
    "memberOf": "hasMember",
    "parentOf": "childOf",
}
INVERSE = MappingProxyType({**_ONE_WAY, **{back: forth for forth, back in _ONE_WAY.items()}})
"""The relation that the target lists, for each relation that the source lists."""


def entity_ref(entity: Json) -> SourceRef:
    """Return the ref of an entity or a descriptor."""
    metadata = entity["metadata"]
    return source_ref(entity["kind"], metadata.get("namespace"), metadata["name"])


def written_ref(descriptor: Json) -> SourceRef:
    """Return what a descriptor calls itself, however little it says: refs of rejected ones need not be valid."""
    metadata = descriptor.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    namespace, name = metadata.get("namespace"), metadata.get("name")
    return source_ref(str(descriptor.get("kind")), namespace if isinstance(namespace, str) else None, str(name))


class RelationReader:
    """Reads relations from the fields of entities; what recurs (owners, systems) is read once and shared."""

    def __init__(self) -> None:
        self._read = lru_cache(maxsize=100_000)(_relation)

    def declared(self, entity: Json) -> list[Relation]:
        """Return the relations that an entity's own fields declare, as it lists them itself.

        Raises:
            RejectedError: a field holds something that is no entity ref.
        """
        spec = entity.get("spec") or {}
        namespace = entity["metadata"].get("namespace") or DEFAULT_NAMESPACE
        return [
            self._read(field, text, namespace)
            for field in _FIELDS.get(entity["kind"], _OTHER_KINDS)
            if field.name in spec
            for text in _texts(spec[field.name])
        ]


def _relation(field: _Field, text: str, namespace: str) -> Relation:
    try:
        ref = parse_entity_ref(text, default_kind=field.default_kind, default_namespace=namespace)
    except ValueError as error:
        context = "Processor BuiltinKindsEntityProcessor threw an error while postprocessing"
        raise RejectedError(str(error), context=context, kind="TypeError") from error
    return Relation(field.relation, ref)


def _texts(value: Json) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else ()


class RelationGraph:
    """All relations of a catalog, kept by the entity that declared them."""

    def __init__(self) -> None:
        self._declared: dict[SourceRef, tuple[Relation, ...]] = {}
        self._listed: dict[SourceRef, list[Relation]] = {}

    def declare(self, ref: SourceRef, relations: Sequence[Relation]) -> set[SourceRef]:
        """Replace what an entity declares; return whose lists of relations changed by that."""
        before, after = set(self._declared.pop(ref, ())), set(relations)
        if after:
            self._declared[ref] = tuple(after)
        for gone in before - after:
            self._drop(ref, gone)
            self._drop(gone.target, Relation(INVERSE[gone.type], ref))
        for new in after - before:
            # Both sides may declare the same pair (memberOf and members): it stays until neither does.
            self._listed.setdefault(ref, []).append(new)
            self._listed.setdefault(new.target, []).append(Relation(INVERSE[new.type], ref))
        changed = before ^ after
        return {relation.target for relation in changed} | ({ref} if changed else set())

    def listed(self, ref: SourceRef) -> list[Relation]:
        """Return what an entity lists, by type and then by target, as Backstage sorts them."""
        return sorted(set(self._listed.get(ref, ())))

    def _drop(self, ref: SourceRef, relation: Relation) -> None:
        held = self._listed[ref]
        held.remove(relation)
        if not held:
            del self._listed[ref]
