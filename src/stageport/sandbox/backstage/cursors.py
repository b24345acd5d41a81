"""Cursors of by-query: base64 of JSON, readable and forgeable, as in Backstage.

A cursor holds the whole query (all but ``limit`` and ``fields``), the sort values of the row that it stands behind,
those of the very first row, and the number of items counted with the first page.
"""

import base64
import binascii
import re

import msgspec

from stageport.model.entities import Json
from stageport.sandbox.backstage.answers import InputError


class OrderField(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field to sort by. A cursor made without an order cannot be read again: that is so in Backstage."""

    field: str
    order: str | None = None


class FullTextFilter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text to look for, and where."""

    term: str = msgspec.field(default_factory=str)
    fields: list[str] | None = None


class Cursor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A query and a place in its results; the order of fields is that of Backstage's JSON."""

    order_fields: tuple[OrderField, ...] = msgspec.field(default_factory=tuple)
    is_previous: bool | None = None
    query: Json = None
    full_text_filter: FullTextFilter | None = None
    order_field_values: list[str | None] | None = None
    first_sort_field_values: list[str | None] | None = None
    total_items: int | float | None = None


def encode_cursor(cursor: Cursor, *, reread: bool) -> str:
    """Write a cursor; one made from a cursor that was ``reread`` has its query in another place."""
    document = _plain(cursor)
    if reread and "query" in document:
        tail = {name: document.pop(name) for name in ("query", "firstSortFieldValues", "totalItems")}
        document.update(tail)
    return base64.b64encode(msgspec.json.encode(document)).decode()


def _plain(cursor: Cursor) -> dict[str, Json]:
    """Turn a cursor into the JSON that Backstage writes: absent where undefined, present where empty."""
    document: dict[str, Json] = {
        "orderFields": [msgspec.to_builtins(item) for item in cursor.order_fields],
        "isPrevious": bool(cursor.is_previous),
    }
    if cursor.query is not None:
        document["query"] = cursor.query
    if cursor.full_text_filter is not None:
        document["fullTextFilter"] = {"term": cursor.full_text_filter.term}
        if cursor.full_text_filter.fields is not None:
            document["fullTextFilter"]["fields"] = cursor.full_text_filter.fields
    document["orderFieldValues"] = cursor.order_field_values
    document["firstSortFieldValues"] = cursor.first_sort_field_values
    document["totalItems"] = cursor.total_items
    return document


def decode_cursor(text: str) -> Cursor:
    """Read a cursor.

    Raises:
        InputError: it is no base64, no JSON, or lacks a part.
    """
    try:
        document = msgspec.json.decode(_decode_base64(text), type=dict[str, Json])
        _check_shape(document)
        return msgspec.convert(document, Cursor)
    except (ValueError, msgspec.MsgspecError) as error:
        raise InputError(f"Malformed cursor: {type(error).__name__}: {error}") from error


def _check_shape(document: dict[str, Json]) -> None:
    for name in ("orderFields", "orderFieldValues", "isPrevious"):
        if document.get(name) is None:
            raise ValueError(f"{name}: Required")
    for item in document["orderFields"]:
        if not isinstance(item, dict) or item.get("order") not in ("asc", "desc"):
            raise ValueError("orderFields.order: Required")


def _decode_base64(text: str) -> bytes:
    """Decode as Node does: either alphabet, padding or none, and whatever is neither is passed over."""
    clean = re.sub(r"[^A-Za-z0-9+/]", "", text.split("=", 1)[0].replace("-", "+").replace("_", "/"))
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    try:
        return base64.b64decode(clean + "=" * (-len(clean) % 4))
    except binascii.Error as error:
        raise ValueError(str(error)) from error
