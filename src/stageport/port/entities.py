"""Port's catalog of entities: the ``TargetCatalog`` of a pass, put together from its reading and writing halves."""

from collections.abc import AsyncIterator, Mapping, Sequence

from stageport.model.changes import WriteOptions, Written
from stageport.model.entities import Json
from stageport.model.refs import TargetKey
from stageport.port.deletes import Deleter
from stageport.port.searches import PortSearches
from stageport.port.session import PortSession
from stageport.port.upserts import Upserter


class PortCatalog:
    """Reads and writes entities under the identity of the session."""

    def __init__(self, session: PortSession) -> None:
        self._session = session
        self._searches = PortSearches(session)
        self._upserters: dict[str, Upserter] = {}
        self._upsert_options: WriteOptions | None = None

    def read_owned(self) -> AsyncIterator[Sequence[TargetKey]]:
        """Yield every entity whose ``$datasource`` is ours, over all blueprints, page by page."""
        return self._searches.read_owned()

    async def still_owned(self, keys: Sequence[TargetKey]) -> set[TargetKey]:
        """Return those keys that Port has and whose ``$datasource`` is ours."""
        return await self._searches.still_owned(keys)

    async def read_entities(
        self, blueprint: str, identifiers: Sequence[str], *, fields: Sequence[str]
    ) -> Mapping[str, Json]:
        """Return the named entities that exist, by identifier, whoever owns them.

        Raises:
            MissingBlueprintError: there is no such blueprint.
        """
        return await self._searches.read_entities(blueprint, identifiers, fields=fields)

    async def find_entities(self, blueprint: str, query: Json, *, fields: Sequence[str]) -> Sequence[Json]:
        """Return the entities of a blueprint that a search query matches, at most 2 (one is the point)."""
        return await self._searches.find_entities(blueprint, query, fields=fields)

    async def upsert(self, blueprint: str, bodies: Sequence[bytes], *, options: WriteOptions) -> Sequence[Written]:
        """Write target entities; one answer for each body, in the same order.

        Raises:
            MissingBlueprintError: there is no such blueprint.
            TargetError: Port cannot be used at all.
        """
        return await self._upserter(blueprint, options).write(bodies)

    async def delete(
        self, blueprint: str, identifiers: Sequence[str], *, options: WriteOptions
    ) -> Mapping[str, Written]:
        """Delete target entities; one answer for each identifier. Gone already counts as deleted."""
        return await Deleter(self._session, self._searches, blueprint, options).delete(identifiers)

    def _upserter(self, blueprint: str, options: WriteOptions) -> Upserter:
        """Keep one for each blueprint as long as the pass, and with it the options, stay the same."""
        if options != self._upsert_options:
            self._upsert_options = options
            self._upserters.clear()
        if blueprint not in self._upserters:
            self._upserters[blueprint] = Upserter(self._session, blueprint, options)
        return self._upserters[blueprint]
