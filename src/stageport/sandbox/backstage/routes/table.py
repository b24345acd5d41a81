"""Which request leads to which route. Paths match in any casing and with a slash at the end, as in Express."""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import web

from stageport.sandbox.backstage.answers import InputError
from stageport.sandbox.backstage.routes.by_query import get_by_query, post_by_query
from stageport.sandbox.backstage.routes.facets import get_facets, post_facets
from stageport.sandbox.backstage.routes.lists import get_entities, post_by_refs
from stageport.sandbox.backstage.routes.single import (
    delete_by_uid,
    get_ancestry,
    get_by_name,
    get_by_uid,
    get_locations,
    post_refresh,
)

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

Answer = Callable[..., Awaitable[web.Response]]


class Match(NamedTuple):
    """A route, and what the variable parts of its path say."""

    answer: Answer
    variables: tuple[str, ...]


class _Route(NamedTuple):
    method: str
    path: str
    answer: Answer


_ROUTES = (
    _Route("GET", "entities", get_entities),
    _Route("GET", "entities/by-query", get_by_query),
    _Route("POST", "entities/by-query", post_by_query),
    _Route("POST", "entities/by-refs", post_by_refs),
    _Route("GET", "entities/by-uid/*", get_by_uid),
    _Route("DELETE", "entities/by-uid/*", delete_by_uid),
    _Route("GET", "entities/by-name/*/*/*", get_by_name),
    _Route("GET", "entities/by-name/*/*/*/ancestry", get_ancestry),
    _Route("GET", "entity-facets", get_facets),
    _Route("POST", "entity-facets", post_facets),
    _Route("POST", "refresh", post_refresh),
    _Route("GET", "locations", get_locations),
)


def _decoded(part: str) -> str:
    """Decode a part of a path.

    Raises:
        InputError: it is no percent-encoded UTF-8; the quote in the message stands there in Backstage, too.
    """
    try:
        if _STRAY_PERCENT.search(part):
            raise InputError("malformed uri'")
        return unquote(part, errors="strict")
    except UnicodeDecodeError as error:
        raise InputError("malformed uri'") from error


def find_route(method: str, path: str) -> Match | None:
    """Return the route of a request, by its path below the mount; None when there is none.

    Raises:
        InputError: the path is not encoded as it should be.
    """
    parts = path.strip("/").split("/")
    wanted = "GET" if method == "HEAD" else method
    for route in _ROUTES:
        if route.method == wanted and (variables := _variables(route.path.split("/"), parts)) is not None:
            return Match(route.answer, variables)
    return None


def _variables(pattern: list[str], parts: list[str]) -> tuple[str, ...] | None:
    if len(pattern) != len(parts):
        return None
    found = []
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted == "*":
            found.append(_decoded(part))
        elif wanted != part.lower():
            return None
    return tuple(found) if all(found) else None
