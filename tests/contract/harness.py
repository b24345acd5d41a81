"""Both stand-ins over real sockets, and the very passes that ``stageport sync`` and ``plan`` run between them.

What Port should hold is worked out in plain Python (``tests.expectation``), never by the product's own code.
"""

import asyncio
import copy
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from tests.expectation import Key, differences, expected_catalog, expected_stubs

from stageport.http.retry import RetryPolicy
from stageport.mapping.document import MappingDocument
from stageport.mapping.workers import Limits, WorkerPool
from stageport.model.events import Event
from stageport.plan.plan import Plan
from stageport.sandbox.backstage.server import BackstageOptions, RunningBackstage, serve_backstage
from stageport.sandbox.port.blueprint_rules import check_blueprint
from stageport.sandbox.port.journal import SeenRequest
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.server import RunningPort, serve_port
from stageport.sandbox.port.state import PortState
from stageport.sandbox.port.upsert import WriteMode
from stageport.settings import Settings, load_settings
from stageport.sync.passes import PassKind
from stageport.sync.seams import Mapper
from stageport.sync.service import Outcome, plan_pass, run_pass
from stageport.sync.surroundings import Surroundings
from stageport.wiring import open_surroundings, pass_options

TOKEN = "a-backstage-token"
IDENTIFIER = "my-backstage"
OURS = f"port-ocean/backstage/9.9.9/{IDENTIFIER}/exporter"
FOREIGN = "port-ocean/github/1.0.0/somebody-else/exporter"
HURRIED = RetryPolicy(attempts=4, seconds=10, unreachable_seconds=0.3, first_wait=0.005, longest_wait=0.02)
SEEN_WITHIN = 15.0
"""Seconds within which what a running service is waited for has to come about."""

Descriptor = dict[str, Any]
Config = dict[str, Any]


@dataclass
class World:
    """One Backstage and one Port, and what was heard of the passes between them."""

    backstage: RunningBackstage
    port: RunningPort
    given: dict[str, object]
    settings: Settings
    kept: AsyncExitStack
    kind: PassKind | None = None
    again: bool = True
    """Whether deltas look at what came to nothing before."""
    limits: Limits | None = None
    """What expressions may use, where a test would else have to wait for the usual limits."""
    workers: dict[bytes, WorkerPool] = field(default_factory=dict)
    heard: list[Event] = field(default_factory=list)

    # What is done in it

    async def sync(
        self, *, release_deletes: bool = False, kinds: frozenset[str] = frozenset(), **changed: object
    ) -> Outcome:
        """Run one pass, of the kind the world is for where its ledger allows; ``changed`` settings are for it alone."""
        settings = self.settings.model_copy(update=changed)
        options = pass_options(settings, release_deletes=release_deletes)
        options = replace(options, kind=self.kind, again=self.again, kinds=kinds)
        async with open_surroundings(settings, self.heard.append, policy=HURRIED) as around:
            outcome = await run_pass(self._with_workers(around), options)
        assert self.state.journal.crashes == []
        return outcome

    def _with_workers(self, around: Surroundings) -> Surroundings:
        return replace(around, start_mapper=self._mapper)

    @asynccontextmanager
    async def _mapper(self, document: MappingDocument) -> AsyncIterator[Mapper]:
        """Start the worker of a mapping once and keep it: starting it is most of what a small pass costs."""
        key = msgspec.json.encode(document.to_config())
        if key not in self.workers:
            pool = WorkerPool(document, workers=1, limits=self.limits, listener=self.heard.append)
            self.workers[key] = await self.kept.enter_async_context(pool)
        yield self.workers[key]

    async def plan(self, *, release_deletes: bool = False, **changed: object) -> Plan:
        """Plan one pass."""
        settings = self.settings.model_copy(update=changed)
        options = pass_options(settings, release_deletes=release_deletes)
        async with open_surroundings(settings, self.heard.append, policy=HURRIED) as around:
            plan, _ = await plan_pass(self._with_workers(around), options)
        assert self.state.journal.crashes == []
        return plan

    def install(self, config: Config, *, blueprints: Iterable[Config] = ()) -> None:
        """Make this the mapping at Port, as an integration that was set up long ago has it."""
        self.add_blueprints(*blueprints)
        registered = {
            "installationId": IDENTIFIER,
            "installationAppType": "backstage",
            "version": "9.9.9",
            "changelogDestination": {},
            "config": config,
            "createPortResourcesOrigin": "Default",
        }
        self.state.integrations.create(registered, upsert=True)
        self.state.integrations.patch(IDENTIFIER, {"arePortResourcesInitialized": True}, skip_resync=True)

    def add_blueprints(self, *documents: Config) -> None:
        """Put blueprints into Port, in any order: bare first, so that they may relate to each other."""
        now = self.state.now()
        for step in ({"relations": {}}, {}):
            for document in documents:
                checked = check_blueprint({**document, **step}, exists=self.state.catalog.exists)
                self.state.store.put_blueprint({**checked, "createdAt": now, "updatedAt": now})

    def write_as(self, agent: str, blueprint: str, *entities: Config) -> None:
        """Write entities under another ``$datasource``."""
        mode = WriteMode(datasource=agent, merge=True, create_missing=True, actor="someone", now=self.state.now())
        for entity in entities:
            request = self.state.reader.read(copy.deepcopy(entity))
            self.state.writer(mode).write(self.state.catalog.get(blueprint), request)

    # What is seen in it

    @property
    def state(self) -> PortState:
        return self.port.state

    @property
    def catalog(self) -> Any:
        return self.backstage.catalog

    def held(self) -> dict[Key, dict[str, Any]]:
        """Return every entity at Port by blueprint and identifier, but for Port's own blueprints."""
        return {
            (blueprint, entity["identifier"]): entity
            for blueprint, entities in self.state.export()["entities"].items()
            for entity in entities
            if not blueprint.startswith("_")
        }

    def present(self) -> set[Key]:
        return set(self.held())

    def entity(self, blueprint: str, identifier: str) -> dict[str, Any]:
        return self.held()[blueprint, identifier]

    def snapshot(self) -> dict[Key, dict[str, Any]]:
        """Return what Port holds without the times of writing, to compare two states."""
        kept = ("title", "icon", "team", "properties", "relations")
        return {key: {name: entity.get(name) for name in kept} for key, entity in self.held().items()}

    def sources(self) -> list[dict[str, Any]]:
        """Return what Backstage serves."""
        return [entity.decoded() for entity in self.catalog]

    def wrong(self) -> list[str]:
        """Name all that Port should hold and does not, or holds and should not, under the default mapping."""
        expected = expected_catalog(self.sources())
        stubs = expected_stubs(expected)
        return differences(expected, {key: one for key, one in self.held().items() if key not in stubs})

    def writes(self) -> Counter[str]:
        """Return what became of entities since the last call: created, updated, deleted, refused, stub, …"""
        counts = Counter({str(fate): count for fate, count in self.state.journal.entities.items()})
        self.state.journal.entities.clear()
        return counts

    def arrived(self) -> dict[str, set[Key]]:
        """Return which entities were written or deleted since the last call, by what became of them."""
        found: dict[str, set[Key]] = {}
        for one in self.state.journal.arrivals:
            found.setdefault(str(one.fate), set()).add((one.blueprint, one.identifier))
        self.state.journal.arrivals.clear()
        return found

    def requests(self, start: str = "") -> list[SeenRequest]:
        """Return the requests that Port saw whose route starts so."""
        return [seen for seen in self.state.journal.requests if seen.route.startswith(start)]

    def forget(self) -> None:
        """Start counting anew."""
        self.state.journal.clear()
        self.backstage.requests.clear()
        self.heard.clear()

    def resync_state(self) -> str | None:
        """Return the state of the resync that Port was told last."""
        record = self.state.integrations.find(IDENTIFIER)
        status: str | None = (record or {}).get("resyncState", {}).get("status")
        return status


@asynccontextmanager
async def serve_world(
    descriptors: Sequence[Descriptor] | None = None,
    *,
    entities: int | None = None,
    port: PortOptions | None = None,
    backstage: Mapping[str, Any] | None = None,
    kind: PassKind | None = None,
    **settings: object,
) -> AsyncIterator[World]:
    """Run both stand-ins; ``settings`` by their names, ``.`` written as ``__``. No descriptors: the sample catalog.

    With a ``kind`` of pass, a ledger is kept from one pass to the next; without, each pass knows nothing of the others
    and is a verify.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stageport-test-")))
        asked = {"token": TOKEN, "descriptors": descriptors, "entities": entities, **(backstage or {})}
        source = await stack.enter_async_context(serve_backstage(BackstageOptions(**asked)))
        assert dict(source.catalog.rejected) == {}, "a test's descriptors must be such as Backstage takes"
        target = await stack.enter_async_context(serve_port(port or PortOptions()))
        given: dict[str, object] = {
            "port.base_url": target.url,
            "port.client_id": target.state.options.client_id,
            "port.client_secret": target.state.options.client_secret,
            "integration.config.backstage_url": source.url,
            "integration.config.backstage_token": TOKEN,
            "integration.identifier": IDENTIFIER,
            "workers": 1,
            "ledger": "memory" if kind is None else str(folder / "ledger.db"),
            "start_timeout": 5,
            # What Port is told beside the passes has tests of its own; elsewhere requests are counted.
            "enable_http_logging": False,
            "send_sync_metrics": False,
            **{name.replace("__", "."): value for name, value in settings.items()},
        }
        # An environment and a folder with nothing in them: no setting of whoever runs the tests counts.
        loaded = load_settings(given, environ={}, directory=folder)
        yield World(source, target, given, loaded.settings, stack, kind)


async def until(true: Callable[[], bool], seconds: float = SEEN_WITHIN) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


# Words for catalogs and mappings


def described(kind: str, name: str, *, namespace: str = "default", title: str | None = None, **spec: Any) -> Descriptor:
    """Describe a source entity."""
    metadata = {"name": name, "namespace": namespace, **({} if title is None else {"title": title})}
    return {"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def component(name: str, *, owner: str = "team-a", **more: Any) -> Descriptor:
    """Describe a component."""
    return described("Component", name, **{"type": "service", "lifecycle": "production", "owner": owner, **more})


def group(name: str, **more: Any) -> Descriptor:
    """Describe a group."""
    return described("Group", name, **{"type": "team", "children": [], **more})


def ref(kind: str, name: str, namespace: str = "default") -> str:
    return f"{kind}:{namespace}/{name}".lower()


def resource(kind: str, onto: str, *, query: str = "true", selector: Config | None = None, **mappings: Any) -> Config:
    """Write one resource of a mapping; the identifier is the ref unless told otherwise."""
    port = {name: mappings.pop(name) for name in list(mappings) if name.startswith("itemsToParse")}
    whole = {"identifier": ".metadata.identifier", "blueprint": f'"{onto}"', **mappings}
    return {
        "kind": kind,
        "selector": {"query": query, **(selector or {})},
        "port": {**port, "entity": {"mappings": whole}},
    }


def mapping(*resources: Config, **switches: Any) -> Config:
    """Write a mapping document."""
    return {**switches, "resources": list(resources)}


def blueprint(identifier: str, properties: Mapping[str, Any] | None = None, **more: Any) -> Config:
    """Write a blueprint; a property may be given by its type alone, a relation as ``target`` or ``[target]`` (many)."""
    schema = {name: {"type": kind} if isinstance(kind, str) else kind for name, kind in (properties or {}).items()}
    relations = {name: _relation(end) for name, end in more.pop("relations", {}).items()}
    required = more.pop("required", [])
    return {
        "identifier": identifier,
        "title": identifier.title(),
        "schema": {"properties": schema, "required": required},
        "relations": relations,
        **more,
    }


def _relation(end: Any) -> Config:
    if isinstance(end, dict):
        return end
    many = isinstance(end, list)
    return {"target": end[0] if many else end, "many": many, "required": False}


TYPE_ONLY = {"type": ".spec.type"}
SERVICE = blueprint("service", {"type": "string"})
SERVICES = mapping(resource("Component", "service", title=".metadata.title // .metadata.name", properties=TYPE_ONLY))
"""A mapping of components to a blueprint of one property, for tests that need no more."""
