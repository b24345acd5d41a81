"""Cursors of listings: opaque to clients, stable while entities come and go.

A listing goes by blueprint and, inside one, by the sequence of creation. A cursor names the last entity served, so
an entity deleted meanwhile shifts nothing.
"""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from stageport.sandbox.port.problems import invalid
from stageport.sandbox.port.query import Query
from stageport.sandbox.port.records import StoredEntity
from stageport.sandbox.port.store import Store


@dataclass(frozen=True, slots=True)
class Page:
    """Some entities, and the cursor of those that follow; None at the end."""

    entities: list[StoredEntity]
    next: str | None


def encode_cursor(entity: StoredEntity) -> str:
    """Return the cursor that stands behind an entity."""
    return base64.urlsafe_b64encode(msgspec.json.encode((entity.blueprint, entity.sequence))).decode()


def decode_cursor(cursor: str) -> tuple[str, int]:
    """Return the blueprint and the sequence a cursor stands behind.

    Raises:
        PortProblem: 422, it is none of ours.
    """
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[str, int])
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise invalid('"from" is no cursor of this listing') from error


Listing = Callable[[str], Sequence[StoredEntity]]
"""The entities of a blueprint, by sequence."""


def candidates(store: Store, query: Query) -> Listing:
    """Return the listing in which a query can have matches: by key where it names identifiers."""
    if query.identifiers is None:
        return store.entities
    identifiers = dict.fromkeys(query.identifiers)

    def named(blueprint: str) -> Sequence[StoredEntity]:
        found = (store.entity(blueprint, identifier) for identifier in identifiers)
        return sorted((entity for entity in found if entity is not None), key=lambda entity: entity.sequence)

    return named


def list_page(
    listing: Listing,
    blueprints: Sequence[str],
    *,
    after: str | None,
    limit: int,
    accepts: Callable[[StoredEntity], bool],
) -> Page:
    """Return the next entities of some blueprints that are accepted, at most so many."""
    found: list[StoredEntity] = []
    for entity in _from(listing, sorted(blueprints), after):
        if accepts(entity):
            if len(found) == limit:
                return Page(found, encode_cursor(found[-1]))
            found.append(entity)
    return Page(found, None)


def _from(listing: Listing, blueprints: Sequence[str], after: str | None) -> Iterator[StoredEntity]:
    start, sequence = ("", 0) if after is None else decode_cursor(after)
    for blueprint in blueprints:
        if blueprint < start:
            continue
        entities = listing(blueprint)
        first = bisect_right(entities, sequence, key=lambda entity: entity.sequence) if blueprint == start else 0
        for index in range(first, len(entities)):
            yield entities[index]
