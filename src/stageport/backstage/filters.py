"""Catalog filters: what the mapping may add to a kind, as a query string or as the predicate that POST takes.

Backstage's grammar: commas are AND, the same key twice is OR, several ``filter`` parameters are OR, a key alone means
that it exists.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from stageport.model.entities import Json
from stageport.model.errors import MappingError

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def kind_filters(kind: str, filters: Sequence[str]) -> list[str]:
    """Return the filters for a kind, each alternative narrowing it.

    Raises:
        MappingError: the kind is no kind, or a filter names a kind itself (the same key twice would widen the read).
    """
    if not _KIND.fullmatch(kind):
        raise MappingError(
            f"{kind!r} is no Backstage kind", hint="A kind is a word of letters and digits, like component or Fleet."
        )
    alternatives = [part for part in (text.strip().strip(",") for text in filters) if part]
    for text in alternatives:
        _check_alternative(kind, text)
    return [f"kind={kind},{text}" for text in alternatives] or [f"kind={kind}"]


def filter_query(alternatives: Sequence[str]) -> str:
    """Encode alternatives as query parameters."""
    return "&".join(f"filter={quote(text, safe=':/@')}" for text in alternatives)


def filter_predicate(alternatives: Sequence[str]) -> Json:
    """Say the same as a predicate for ``POST /entities/by-query``, which no URL limit cuts off."""
    every = [_conjunction(text) for text in alternatives]
    return every[0] if len(every) == 1 else {"$any": every}


def _conjunction(text: str) -> Json:
    values: dict[str, list[str | None]] = {}
    for term in text.split(","):
        key, equals, value = term.partition("=")
        values.setdefault(key.strip(), []).append(value.strip() if equals else None)
    return {"$all": [{key: _condition(given)} for key, given in values.items()]}


def _condition(given: Sequence[str | None]) -> Json:
    texts = [value for value in given if value is not None]
    if len(texts) < len(given):
        return {"$exists": True}
    return texts[0] if len(texts) == 1 else {"$in": texts}


def _check_alternative(kind: str, text: str) -> None:
    keys = [term.partition("=")[0].strip().lower() for term in text.split(",")]
    if "" in keys:
        raise MappingError(
            f"The filter {text!r} of kind {kind} has an empty term",
            hint="Write key=value terms with commas between them, like spec.type=service,metadata.namespace=default.",
        )
    if "kind" in keys:
        raise MappingError(
            f"The filter {text!r} of kind {kind} names a kind itself",
            hint="The resource's kind narrows the read already; give each kind a resource of its own.",
        )
