"""How an entity is called on either side.

Backstage calls an entity ``kind:namespace/name``. The three parts compare case-insensitively, so the lower-cased
form is its identity (Backstage's ``stringifyEntityRef`` lower-cases too). Port calls an entity by its blueprint
and its identifier, both case-sensitive.
"""

from collections.abc import Iterable
from typing import NamedTuple, NewType

SourceRef = NewType("SourceRef", str)
"""The lower-cased ``kind:namespace/name`` of a source entity."""

DEFAULT_NAMESPACE = "default"


class TargetKey(NamedTuple):
    """What a target entity is called at Port."""

    blueprint: str
    identifier: str

    def __str__(self) -> str:
        return f"{self.blueprint}/{self.identifier}"


def by_blueprint(keys: Iterable[TargetKey]) -> dict[str, list[str]]:
    """Group keys: the identifiers under each blueprint, in their order."""
    grouped: dict[str, list[str]] = {}
    for blueprint, identifier in keys:
        grouped.setdefault(blueprint, []).append(identifier)
    return grouped


def source_ref(kind: str, namespace: str | None, name: str) -> SourceRef:
    """Return the canonical ref; a missing namespace is ``default``, as in Backstage."""
    return SourceRef(f"{kind}:{namespace or DEFAULT_NAMESPACE}/{name}".lower())


def parse_ref(text: str, *, default_kind: str | None = None) -> SourceRef:
    """Read what a person or a webhook wrote: ``[kind:][namespace/]name``.

    Raises:
        ValueError: there is no name, or no kind and no default for it.
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon:
        kind, rest = default_kind or "", text.strip()
    namespace, slash, name = rest.partition("/")
    if not slash:
        namespace, name = DEFAULT_NAMESPACE, rest
    if not kind or not namespace or not name:
        raise ValueError(f"{text!r} is no entity ref: it should read kind:namespace/name")
    return source_ref(kind, namespace, name)
