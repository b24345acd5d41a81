"""Query parameters and request bodies, checked as Backstage's OpenAPI validator checks them.

Unknown parameters, empty ones and wrong types are each a 400 with a message of their own; only the first problem is
told.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, assert_never
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from stageport.model.entities import Json
from stageport.sandbox.backstage.answers import InputError

BODY_LIMIT = 102_400
"""100 kB, the default of ``express.json``."""

_MOST_PARAMETERS = 1000


class Kind(Enum):
    """What a query parameter holds: ``LIST`` may be repeated, ``CSV`` may be repeated or separated by commas."""

    COUNT = "count"
    TEXT = "text"
    LONG_TEXT = "long-text"
    LIST = "list"
    CSV = "csv"
    TOTAL = "total"


Parameters = Mapping[str, Json]

BY_QUERY = MappingProxyType(
    {
        "fields": Kind.CSV,
        "limit": Kind.COUNT,
        "offset": Kind.COUNT,
        "orderField": Kind.LIST,
        "cursor": Kind.TEXT,
        "filter": Kind.LIST,
        "totalItems": Kind.TOTAL,
        "fullTextFilterTerm": Kind.LONG_TEXT,
        "fullTextFilterFields": Kind.CSV,
    }
)
ENTITIES = MappingProxyType(
    {
        "fields": Kind.CSV,
        "limit": Kind.COUNT,
        "filter": Kind.LIST,
        "offset": Kind.COUNT,
        "after": Kind.TEXT,
        "order": Kind.LIST,
    }
)
FACETS = MappingProxyType({"facet": Kind.LIST, "filter": Kind.LIST})
FILTER = MappingProxyType({"filter": Kind.LIST})
NOTHING: Mapping[str, Kind] = MappingProxyType({})


def read_parameters(request: web.Request, declared: Mapping[str, Kind], *, required: Sequence[str] = ()) -> Parameters:
    """Return the query parameters of a request by name, each in its type.

    Raises:
        InputError: one of them is unknown, empty, missing or of the wrong type.
    """
    given = _given(request.rel_url.raw_query_string)
    for name, value in given.items():
        if name not in declared:
            raise InputError(f"Unknown query parameter '{name}'")
        if value == "":
            raise InputError(f"Empty value found for query parameter '{name}'")
    for name in required:
        if name not in given:
            raise InputError(f"request/query must have required property '{name}'")
    return {name: _read(name, kind, given[name]) for name, kind in declared.items() if name in given}


def _given(query_string: str) -> dict[str, str | list[str]]:
    given: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(query_string, keep_blank_values=True)[:_MOST_PARAMETERS]:
        plain, bracket, _ = name.partition("[")
        held = given.get(plain)
        if held is None:
            given[plain] = [value] if bracket else value
        else:
            given[plain] = [*([held] if isinstance(held, str) else held), value]
    return given


def _read(name: str, kind: Kind, value: str | list[str]) -> Json:
    match kind:
        case Kind.COUNT:
            return _count(name, value)
        case Kind.TEXT | Kind.LONG_TEXT:
            return _one(name, value)
        case Kind.TOTAL:
            if _one(name, value) not in ("include", "exclude"):
                raise InputError(f"request/query/{name} must be equal to one of the allowed values: include, exclude")
            return value
        case Kind.LIST:
            return [value] if isinstance(value, str) else value
        case Kind.CSV:
            return value.split(",") if isinstance(value, str) else value
        case unknown:
            assert_never(unknown)


def _one(name: str, value: str | list[str]) -> str:
    if not isinstance(value, str):
        raise InputError(f"request/query/{name} must be string")
    return value


def _count(name: str, value: str | list[str]) -> int:
    number = None if not isinstance(value, str) or "_" in value else _whole(value)
    if number is None:
        raise InputError(f"request/query/{name} must be integer")
    if number < 0:
        raise InputError(f"request/query/{name} must be >= 0")
    return number


def _whole(text: str) -> int | None:
    """Read a number as JavaScript does, if it is a whole one: ``5.0`` and ``1e2`` are."""
    try:
        number = float(text)
        return int(number) if number.is_integer() else None
    except (ValueError, OverflowError):
        return None


async def read_body(request: web.Request, *, required: bool = False) -> dict[str, Json]:
    """Return the JSON object of a request; nothing sent counts as an empty one.

    Raises:
        InputError: too long, no JSON, or of another type. Too long is no 413 here: Backstage turns every error of
            its body parser into a 400.
    """
    media_type = request.headers.get("Content-Type", "").split(";")[0].strip().lower()
    body = await request.read()
    if media_type == "application/json":
        if len(body) > BODY_LIMIT:
            raise InputError("request entity too large")
        return _object(body)
    if media_type or required:
        raise InputError(f"unsupported media type {media_type or 'undefined'}")
    return {}


def _object(body: bytes) -> dict[str, Json]:
    if not body:
        return {}
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"Unexpected token in JSON ({error})") from error
    if isinstance(document, list):
        raise InputError("request/body must be object")
    if not isinstance(document, dict):
        raise InputError(f"Unexpected token in JSON: {document!r} is no object")
    return document


class Field(NamedTuple):
    """One field of a body: its JSON type, and whether it must be there."""

    type: str
    required: bool = False


_TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {"string": (str,), "number": (int, float), "object": (dict,), "array": (list,)}
)


def check_body(body: Mapping[str, Json], declared: Mapping[str, Field], *, closed: bool = False) -> None:
    """Return if a body has the declared shape; arrays hold strings, but for ``orderBy``.

    Raises:
        InputError: it has not.
    """
    for name, field in declared.items():
        if field.required and name not in body:
            raise InputError(f"request/body must have required property '{name}'")
    if closed and any(name not in declared for name in body):
        raise InputError("request/body must NOT have additional properties")
    for name, field in declared.items():
        if name in body:
            _check_field(name, field, body[name])


def _check_field(name: str, field: Field, value: Json) -> None:
    if not isinstance(value, _TYPES[field.type]) or isinstance(value, bool):
        raise InputError(f"request/body/{name} must be {field.type}")
    if isinstance(value, list) and name != "orderBy":
        for index, item in enumerate(value):
            if not isinstance(item, str):
                raise InputError(f"request/body/{name}/{index} must be string")
