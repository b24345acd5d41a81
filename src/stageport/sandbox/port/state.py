"""A Port stand-in's whole state: the store, what was seen, and the parts that answer from them."""

import random
from collections.abc import Sequence

from stageport.model.entities import Json
from stageport.sandbox.faults import FaultPlan
from stageport.sandbox.port.blueprint_rules import check_blueprint
from stageport.sandbox.port.catalog import Catalog
from stageport.sandbox.port.entity_request import RequestReader
from stageport.sandbox.port.integrations import IntegrationDesk
from stageport.sandbox.port.journal import Journal
from stageport.sandbox.port.links import LinkResolver
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.paths import PathWalker
from stageport.sandbox.port.projection import Fields, Projector
from stageport.sandbox.port.query import QueryCompiler
from stageport.sandbox.port.records import EntityKey, StoredEntity, iso_time
from stageport.sandbox.port.removal import EntityRemover
from stageport.sandbox.port.store import Store, open_store
from stageport.sandbox.port.system_blueprints import system_documents
from stageport.sandbox.port.tokens import TokenDesk
from stageport.sandbox.port.upsert import EntityWriter, WriteMode


class PortState:
    """Everything behind the routes. Tests read it, and set it, without going through a socket."""

    def __init__(self, options: PortOptions) -> None:
        self.options = options
        self.store: Store = open_store(options.state_file)
        self.journal = Journal()
        self.faults = FaultPlan(options.faults)
        self.tokens = TokenDesk(options)
        self.catalog = Catalog(self.store, options.leniency)
        self.walker = PathWalker(self.store, self.catalog)
        self.reader = RequestReader(options)
        self.integrations = IntegrationDesk(self.store, options)
        self.chance = random.Random(options.seed)  # noqa: S311 - identifiers that repeat from run to run
        self._seed_system_blueprints()

    def _seed_system_blueprints(self) -> None:
        now = self.now()
        for document in system_documents():
            if self.store.blueprint(document["identifier"]) is None:
                checked = check_blueprint(document, exists=self.catalog.exists)
                self.store.put_blueprint({**checked, "createdAt": now, "updatedAt": now})
        self.store.commit()

    def now(self) -> str:
        """Return the time, written as Port writes it."""
        return iso_time(self.options.clock())

    @property
    def actor(self) -> str:
        """Who writes: the organization's only machine user."""
        return f"machine|{self.options.organization_id}"

    def queries(self) -> QueryCompiler:
        """Return a compiler of search queries, for one request."""
        return QueryCompiler(now=self.options.clock(), walker=self.walker)

    def writer(self, mode: WriteMode) -> EntityWriter:
        """Return a writer of entities, for one request."""
        links = LinkResolver(self.store, self.catalog, self.options, self.queries(), create_missing=mode.create_missing)
        return EntityWriter(self.store, self.options, links, self.walker, mode=mode, chance=self.chance)

    def projector(self, fields: Fields) -> Projector:
        """Return a projector of entities, for one request."""
        return Projector(self.catalog, self.walker, self.options.behaviour, fields)

    def remove(self, keys: Sequence[EntityKey], *, delete_dependents: bool) -> list[EntityKey]:
        """Delete entities, counting them."""
        entities = {entity.key: entity for key in keys if (entity := self.store.entity(*key)) is not None}
        removed = EntityRemover(self.store, self.walker).remove(entities, delete_dependents=delete_dependents)
        now = self.now()
        for entity in removed:
            self.journal.deleted(entity, at=now)
        return [entity.key for entity in removed]

    def entity(self, blueprint: str, identifier: str) -> StoredEntity | None:
        """Return an entity as stored."""
        return self.store.entity(blueprint, identifier)

    def entities(self, blueprint: str) -> dict[str, StoredEntity]:
        """Return the entities of a blueprint by identifier."""
        return {entity.identifier: entity for entity in self.store.entities(blueprint)}

    def blueprints(self) -> dict[str, Json]:
        """Return the documents of all blueprints by identifier."""
        return {document["identifier"]: document for document in self.store.blueprints()}

    def expire_tokens(self) -> None:
        """Let the token that is out there expire."""
        self.tokens.expire()

    def reset(self) -> None:
        """Forget everything that was written, seen and planned."""
        self.store.clear()
        self.journal.clear()
        self.faults.clear()
        self._seed_system_blueprints()

    def export(self) -> dict[str, Json]:
        """Return all entities by blueprint, with their datasource, and the integrations."""
        projector = self.projector(Fields())
        return {
            "blueprints": self.store.blueprints(),
            "entities": {
                document["identifier"]: [
                    {**projector.show(entity), "$datasource": entity.datasource}
                    for entity in self.store.entities(document["identifier"])
                ]
                for document in self.store.blueprints()
            },
            "integrations": self.integrations.all(),
        }

    def stats(self) -> dict[str, Json]:
        """Return the counts of what was seen and done."""
        journal = self.journal
        return {
            "routes": dict(journal.routes),
            "statuses": {str(status): count for status, count in journal.statuses.items()},
            "entities": dict(journal.entities),
            "refusals": dict(journal.refusals),
            "stored": {one: self.store.count(one) for one in self.blueprints()},
            "tokensIssued": self.tokens.issued,
            "faults": self.faults.describe()["injected"],
            "crashes": len(journal.crashes),
        }
