"""Relations: what descriptors say of each other, seen from both sides.

Backstage's processor for the built-in kinds turns fields of ``spec`` into pairs of relations; the pair belongs to
the entity that wrote the field, and goes when that entity goes. An entity lists every relation that starts at it,
whoever wrote it and whether or not its target exists.
"""

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import NamedTuple

from stageport.model.entities import Json
from stageport.model.refs import DEFAULT_NAMESPACE, SourceRef, source_ref
from stageport.sandbox.backstage.refs import parse_entity_ref


class Relation(NamedTuple):
    """One relation as its source lists it."""

    type: str
    target: SourceRef


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


def declared_relations(entity: Json) -> list[Relation]:
    """Return the relations that an entity's own fields declare, as it lists them itself.

    Raises:
        ValueError: a field holds something that is no entity ref.
    """
    spec = entity.get("spec") or {}
    namespace = entity["metadata"].get("namespace") or DEFAULT_NAMESPACE
    return [
        Relation(field.relation, parse_entity_ref(text, default_kind=field.default_kind, default_namespace=namespace))
        for field in _FIELDS.get(entity["kind"], _OTHER_KINDS)
        for text in _texts(spec.get(field.name))
    ]


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


class RelationGraph:
    """All relations of a catalog, kept by the entity that declared them."""

    def __init__(self) -> None:
        self._declared: dict[SourceRef, Sequence[Relation]] = {}
        self._listed: dict[SourceRef, dict[Relation, int]] = {}

    def declare(self, ref: SourceRef, relations: Sequence[Relation]) -> set[SourceRef]:
        """Replace what an entity declares; return whose lists of relations changed by that."""
        before = set(self._declared.get(ref, ()))
        after = set(relations)
        if after:
            self._declared[ref] = tuple(after)
        else:
            self._declared.pop(ref, None)
        for gone in before - after:
            self._drop(ref, gone)
            self._drop(gone.target, Relation(INVERSE[gone.type], ref))
        for new in after - before:
            self._list(ref, new)
            self._list(new.target, Relation(INVERSE[new.type], ref))
        changed = before ^ after
        return {relation.target for relation in changed} | ({ref} if changed else set())

    def listed(self, ref: SourceRef) -> list[Relation]:
        """Return what an entity lists, by type and then by target, as Backstage sorts them."""
        return sorted(self._listed.get(ref, ()))

    def _list(self, ref: SourceRef, relation: Relation) -> None:
        # Both sides may declare the same pair (memberOf and members): it stays until neither does.
        counts = self._listed.setdefault(ref, {})
        counts[relation] = counts.get(relation, 0) + 1

    def _drop(self, ref: SourceRef, relation: Relation) -> None:
        counts = self._listed[ref]
        counts[relation] -= 1
        if not counts[relation]:
            del counts[relation]
        if not counts:
            del self._listed[ref]
