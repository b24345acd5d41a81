"""What the catalog accepts: the entity policies and the schemas of the built-in kinds, as Backstage enforces them.

A descriptor that fails here never appears in the catalog; if an earlier version of it was good, that one stays and
carries the error in its ``status``.
"""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from stageport.model.entities import Json
from stageport.sandbox.backstage.kinds import is_recognized, is_text, kind_problems, processor_of

_OBJECT_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DNS_LABEL = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+)*")
_KIND = re.compile(r"[a-zA-Z][a-z0-9A-Z]*")
_TAG = re.compile(r"[a-z0-9:+#]+(-[a-z0-9:+#]+)*")
_VERSION = re.compile(r"[a-z0-9A-Z]+")
_ROOT_FIELDS = frozenset({"apiVersion", "kind", "metadata", "spec"})


class RejectedError(ValueError):
    """The catalog does not take this descriptor.

    The message says why. ``context`` is what Backstage was about when it found out, ``kind`` the name of the error
    within: both show in the status of an entity whose earlier version stays.
    """

    def __init__(self, message: str, *, context: str = "", kind: str = "Error") -> None:
        super().__init__(message)
        self.context = context
        self.kind = kind


def check_descriptor(entity: Json) -> None:
    """Return if the catalog takes this descriptor; the namespace is to be filled in already.

    Kinds that Backstage does not know are taken as they are, as by a processor that validates any kind.

    Raises:
        RejectedError: it does not.
    """
    ref = f"{entity.get('kind')}:{entity['metadata'].get('namespace')}/{entity['metadata'].get('name')}".lower()
    for problem in _policy_problems(entity):
        raise RejectedError(problem, context=f"Policy check failed for {ref}")
    if not is_recognized(entity):
        raise RejectedError(
            f"No processor recognized the entity {ref} as valid, possibly caused by a foreign kind or apiVersion"
        )
    for problem in kind_problems(entity):
        context = f"Processor {processor_of(entity['kind'])} threw an error while validating the entity {ref}"
        raise RejectedError(problem, context=context, kind="TypeError")
    for problem in _casing_problems(entity):
        raise RejectedError(problem)


def _policy_problems(entity: Json) -> Iterator[str]:
    yield from _envelope_problems(entity)
    metadata = entity["metadata"]
    yield from _metadata_shape_problems(metadata)
    yield from (f"Unknown field {name}" for name in entity if name not in _ROOT_FIELDS)
    if not _is_prefixed(entity["apiVersion"], _VERSION):
        yield _format_problem("apiVersion", entity["apiVersion"])
    if not _fits(entity["kind"], _KIND):
        yield _format_problem("kind", entity["kind"])
    if not _fits(metadata["name"], _OBJECT_NAME):
        yield _format_problem("metadata.name", metadata["name"])
    if not _fits(metadata["namespace"], _DNS_LABEL):
        yield _format_problem("metadata.namespace", metadata["namespace"])
    yield from _metadata_format_problems(metadata)


def _envelope_problems(entity: Json) -> Iterator[str]:
    for name in ("apiVersion", "kind"):
        if not is_text(entity.get(name)):
            yield f"/{name} must be string"
    metadata = entity.get("metadata")
    if not isinstance(metadata, dict):
        yield "/metadata must be object"
    elif not is_text(metadata.get("name")):
        yield "/metadata/name must be string"
    elif not is_text(metadata.get("namespace")):
        yield "/metadata/namespace must be string"
    if "spec" in entity and not isinstance(entity["spec"], dict):
        yield "/spec must be object"


def _metadata_shape_problems(metadata: Json) -> Iterator[str]:
    if "title" in metadata and not is_text(metadata["title"]):
        yield "/metadata/title must be string"
    if "description" in metadata and not isinstance(metadata["description"], str):
        yield "/metadata/description must be string"
    for name in ("labels", "annotations"):
        held = metadata.get(name, {})
        if not isinstance(held, dict):
            yield f"/metadata/{name} must be object"
            continue
        yield from (f"/metadata/{name}/{key} must be string" for key in held if not isinstance(held[key], str))
    for name, is_item in (("tags", is_text), ("links", _is_link)):
        items = metadata.get(name, [])
        if not isinstance(items, list):
            yield f"/metadata/{name} must be array"
            continue
        yield from (f"/metadata/{name}/{index} is not valid" for index, item in enumerate(items) if not is_item(item))


def _metadata_format_problems(metadata: Json) -> Iterator[str]:
    for key, value in metadata.get("labels", {}).items():
        if not _is_prefixed(key, _OBJECT_NAME) or not (value == "" or _fits(value, _OBJECT_NAME)):
            yield _format_problem(f"labels.{key}", value)
    for key in metadata.get("annotations", {}):
        if not _is_prefixed(key, _OBJECT_NAME):
            yield _format_problem(f"annotations.{key}", key)
    for index, tag in enumerate(metadata.get("tags", [])):
        if not _fits(tag, _TAG):
            yield _format_problem(f"tags.{index}", tag)
    for index, link in enumerate(metadata.get("links", [])):
        if not _is_url(link["url"]):
            yield _format_problem(f"links.{index}.url", link["url"])


def _casing_problems(entity: Json) -> Iterator[str]:
    """Find keys that the search index, which knows no casing, cannot tell apart."""
    casings: dict[str, set[str]] = {}
    for key in _index_keys("", entity):
        casings.setdefault(key.lower(), set()).add(key)
    doubled = ", ".join(f"'{lower}'" for lower, keys in casings.items() if len(keys) > 1)
    if doubled:
        yield f"Entity has duplicate keys that vary only in casing, {doubled}"


def _index_keys(path: str, value: Json) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _index_keys(path, item)
    elif isinstance(value, dict):
        for key, held in value.items():
            yield from _index_keys(f"{path}.{key}" if path else key, held)
    else:
        yield path


def _format_problem(field: str, value: Json) -> str:
    return f'"{field}" is not valid; found "{value}".'


def _is_link(value: Json) -> bool:
    if not isinstance(value, dict) or not is_text(value.get("url")):
        return False
    named = all(is_text(value[name]) for name in ("title", "icon", "type") if name in value)
    return named and all(value[name].strip() for name in ("title", "icon") if name in value)


def _is_url(text: str) -> bool:
    """Tell whether this is an absolute URL; those of the web need a host, ``mailto:`` and the like do not."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) and (parts.scheme not in ("http", "https", "ftp", "ws", "wss") or bool(parts.netloc))


def _fits(value: Json, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and len(value) <= 63 and pattern.fullmatch(value) is not None


def _is_prefixed(text: str, suffix: re.Pattern[str]) -> bool:
    """Tell whether this is ``suffix`` or ``prefix/suffix``, where the prefix is a DNS subdomain."""
    prefix, slash, rest = text.rpartition("/")
    if not slash:
        return _fits(rest, suffix)
    return _is_subdomain(prefix) and _fits(rest, suffix)


def _is_subdomain(text: str) -> bool:
    is_label: Callable[[str], bool] = lambda part: _fits(part, _DNS_LABEL)  # noqa: E731 - a partial, with its type
    return 1 <= len(text) <= 253 and all(is_label(part) for part in text.split("."))
