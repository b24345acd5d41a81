"""A Backstage catalog as a source of entities: the ``SourceCatalog`` of a pass."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from stageport.backstage.address import entity_path
from stageport.backstage.answers import read_entity, read_facets, read_items, read_named
from stageport.backstage.connection import CatalogConnection, MissingRouteError
from stageport.backstage.filters import kind_filters
from stageport.backstage.pages import BY_QUERY, PageReader, Query
from stageport.http.messages import Response
from stageport.http.names import cut_names
from stageport.http.sender import Sender
from stageport.model.entities import SourceEntity, SourcePage
from stageport.model.errors import IncompleteReadError, SourceAnswerError
from stageport.model.refs import SourceRef

INVENTORY_FIELDS: Final = ("kind", "metadata.namespace", "metadata.name", "metadata.uid", "metadata.etag")
INVENTORY_PAGE: Final = 1_000
REFS_PER_REQUEST: Final = 500
REFS_BYTES: Final = 90_000
"""Backstage's JSON bodies are limited to 100 kB (Express's default); over it, it answers 400."""
SCANS: Final = 3


class BackstageCatalog:
    """Reads a Backstage catalog.

    ``token`` is a static token (``backend.auth.externalAccess``), None or empty for a backend that asks for none.
    ``starting_seconds``: how long a starting backend is waited for.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        sender: Sender,
        page_size: int = 500,
        starting_seconds: float = 120.0,
    ) -> None:
        self._connection = CatalogConnection(url, token=token, sender=sender, starting_seconds=starting_seconds)
        self._page_size = page_size

    @property
    def url(self) -> str:
        """The address of the catalog API."""
        return self._connection.url

    async def read_kind(self, kind: str, *, filters: Sequence[str] = ()) -> AsyncGenerator[SourcePage, None]:
        """Yield every entity of a kind, each ref once, exactly as served when it was first seen.

        When the count does not add up, the kind is read again, and what had not been seen yet is yielded.

        Raises:
            IncompleteReadError: fewer entities came than the catalog announces, even when asked again.
            SourceError: the catalog could not be read.
        """
        query = Query(kind_filters(kind, filters))
        async with aclosing(self._scan(kind, query, page_size=self._page_size)) as pages:
            async for page in pages:
                yield page

    async def read_inventory(
        self, kind: str, *, filters: Sequence[str] = ()
    ) -> AsyncGenerator[Sequence[SourceEntity], None]:
        """Yield ref, uid and etag of every entity of a kind; ``raw`` stays empty. Errors as in ``read_kind``."""
        query = Query(kind_filters(kind, filters), INVENTORY_FIELDS)
        async with aclosing(self._scan(kind, query, page_size=max(self._page_size, INVENTORY_PAGE))) as pages:
            async for page in pages:
                yield [SourceEntity(entity.ref, b"", entity.uid, entity.etag) for entity in page.entities]

    async def read_refs(self, refs: Sequence[SourceRef]) -> Mapping[SourceRef, SourceEntity | None]:
        """Return the entities that these refs name, by lower-cased ref; None for those that do not exist."""
        answer: dict[SourceRef, SourceEntity | None] = {}
        for chunk in _cut(refs):
            try:
                answer.update(await self._read_chunk(chunk))
            except MissingRouteError:
                answer.update(await self._read_by_name(chunk))
        return answer

    async def count_kind(self, kind: str, *, filters: Sequence[str] = ()) -> int:
        """Return how many entities of a kind there are; no entity is sent for that."""
        return await PageReader(self._connection, Query(kind_filters(kind, filters)), page_size=1).count()

    async def count_kinds(self) -> Mapping[str, int]:
        """Return how many entities of each kind there are, kinds in the catalog's own casing."""
        answer = await self._connection.get("/entity-facets?facet=kind", read=read_facets)
        return {one.value: one.count for one in answer.facets.get("kind", ())}

    async def _scan(self, kind: str, query: Query, *, page_size: int) -> AsyncGenerator[SourcePage, None]:
        reader = PageReader(self._connection, query, page_size=page_size)
        yielded: set[SourceRef] = set()
        for scan in range(SCANS):
            # The first scan yields all that it sees: one set does for both.
            scanned = set[SourceRef]() if scan else yielded
            announced = 0
            async with aclosing(reader.read()) as pages:
                async for page in pages:
                    announced = page.total_items if not scanned else announced
                    entities = tuple(read_entity(bytes(item)) for item in page.items)
                    unseen = tuple(_unseen(entities, yielded))
                    scanned.update(entity.ref for entity in entities)
                    if unseen:
                        yield SourcePage(kind, unseen, announced)
            if len(scanned) == announced:
                return
            # Entities come and go while we read; only a count from after the read tells whether some are missing.
            announced = await reader.count()
            if len(scanned) >= announced:
                return
        raise IncompleteReadError(
            f"Backstage announces {announced} entities of kind {kind} but served {len(scanned)}, {SCANS} times over",
            hint="Nothing is deleted. If it stays so, see the log of the Backstage backend.",
        )

    async def _read_chunk(self, refs: Sequence[SourceRef]) -> dict[SourceRef, SourceEntity | None]:
        items = await self._connection.post_newer(
            "/entities/by-refs", {"entityRefs": list(refs)}, read=read_items, probe=self._probe
        )
        if len(items) != len(refs):
            raise SourceAnswerError(
                f"Backstage was asked for {len(refs)} entities by ref and answered {len(items)}",
                hint="Its answer should be as long as the question; is there a proxy that changes it?",
            )
        return {ref: _read_or_none(item) for ref, item in zip(refs, items, strict=True)}

    async def _read_by_name(self, refs: Sequence[SourceRef]) -> dict[SourceRef, SourceEntity | None]:
        """Ask one by one, as releases before catalog-backend 1.6 want it."""
        return {ref: await self._connection.get(entity_path(ref), read=_read_named, found=_is_missing) for ref in refs}

    async def _probe(self) -> None:
        await self._connection.get(f"{BY_QUERY}?limit=0", read=lambda response: response)


def _unseen(entities: Iterable[SourceEntity], seen: set[SourceRef]) -> Iterator[SourceEntity]:
    """Drop what was yielded before: an entity recreated while it is read can stand on two pages."""
    for entity in entities:
        if entity.ref not in seen:
            seen.add(entity.ref)
            yield entity


def _cut(refs: Sequence[SourceRef]) -> Iterator[list[SourceRef]]:
    """Cut refs, lower-cased (they are matched exactly), into bodies that Backstage takes."""
    return cut_names((SourceRef(ref.lower()) for ref in refs), most=REFS_PER_REQUEST, most_bytes=REFS_BYTES)


def _read_or_none(item: msgspec.Raw) -> SourceEntity | None:
    raw = bytes(item)
    return None if raw == b"null" else read_entity(raw)


def _read_named(response: Response) -> SourceEntity | None:
    return read_named(response) if response.ok else None


def _is_missing(response: Response) -> bool:
    """Say whether this is "no such entity"; a 404 without a body or from a proxy is something else."""
    return response.status == 404 and b"NotFoundError" in response.body
