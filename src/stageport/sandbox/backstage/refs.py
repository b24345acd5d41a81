"""Entity refs as descriptors write them: ``[kind:][namespace/]name``, the missing parts given by the context."""

from stageport.model.refs import SourceRef, source_ref


def parse_entity_ref(text: str, *, default_kind: str | None, default_namespace: str) -> SourceRef:
    """Return the full, lower-cased ref that a field of a descriptor means.

    Raises:
        ValueError: a part is empty, or the kind is neither written nor implied. Backstage then rejects the whole
            entity that says so.
    """
    kind, namespace, name = _split(text)
    kind = default_kind if kind is None else kind
    if not kind:
        raise ValueError(
            f'Entity reference "{text}" had missing or empty kind (e.g. did not start with "component:" or similar)'
        )
    return source_ref(kind, namespace or default_namespace, name)


def _split(text: str) -> tuple[str | None, str | None, str]:
    """Split at the first colon and the first slash; a colon behind the slash belongs to the name."""
    colon, slash = text.find(":"), text.find("/")
    if slash != -1 and slash < colon:
        colon = -1
    kind = None if colon == -1 else text[:colon]
    namespace = None if slash == -1 else text[colon + 1 : slash]
    name = text[max(colon, slash) + 1 :]
    if kind == "" or namespace == "" or not name:
        raise ValueError(f'Entity reference "{text}" was not on the form [<kind>:][<namespace>/]<name>')
    return kind, namespace, name
