"""What a stand-in saw and did, for tests and for the page: requests, entities, telemetry."""

from collections import Counter, deque
from dataclasses import dataclass, field

from stageport.model.entities import Json
from stageport.sandbox.port.records import StoredEntity
from stageport.sandbox.port.upsert import Fate, Outcome

KEPT_REQUESTS = 2_000
KEPT_ARRIVALS = 200
KEPT_TELEMETRY = 2_000


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request. ``route`` is the template that it matched, ``POST /v1/blueprints/{bp}/entities/bulk``."""

    route: str
    path: str
    status: int
    user_agent: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """One entity that was written or deleted."""

    at: str
    blueprint: str
    identifier: str
    fate: str
    datasource: str


@dataclass(slots=True)
class Journal:
    """Counts since the start or the last reset, and the latest of everything.

    ``routes`` counts requests by route template, ``statuses`` by status. ``entities`` counts item by item:
    ``created``, ``updated``, ``unchanged``, ``validated``, ``stub``, ``refused``, ``deleted``. ``refusals`` counts by
    code. ``crashes`` holds the tracebacks of requests that ended in 500: there should be none.
    """

    routes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    requests: deque[SeenRequest] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=KEPT_ARRIVALS))
    logs: deque[Json] = field(default_factory=lambda: deque(maxlen=KEPT_TELEMETRY))
    metrics: deque[Json] = field(default_factory=lambda: deque(maxlen=KEPT_TELEMETRY))
    heartbeats: deque[Json] = field(default_factory=lambda: deque(maxlen=KEPT_TELEMETRY))
    crashes: list[str] = field(default_factory=list)

    @property
    def entity_writes(self) -> int:
        """How many entities were sent and accepted, changed or not."""
        return sum(self.entities[fate] for fate in (Fate.CREATED, Fate.UPDATED, Fate.UNCHANGED))

    def saw(self, request: SeenRequest) -> None:
        """Count a request."""
        self.routes[request.route] += 1
        self.statuses[request.status] += 1
        self.requests.append(request)

    def wrote(self, outcome: Outcome) -> None:
        """Count an accepted item and the stubs that came with it."""
        self.entities[outcome.fate] += 1
        for stub in outcome.stubs:
            self.entities["stub"] += 1
            self._arrived(stub, "stub", at=stub.updated_at)
        if outcome.fate is not Fate.VALIDATED:
            self._arrived(outcome.entity, outcome.fate, at=outcome.entity.updated_at)

    def refused(self, code: str) -> None:
        """Count an item that was refused."""
        self.entities["refused"] += 1
        self.refusals[code] += 1

    def deleted(self, entity: StoredEntity, *, at: str) -> None:
        """Count a deleted entity."""
        self.entities["deleted"] += 1
        self._arrived(entity, "deleted", at=at)

    def _arrived(self, entity: StoredEntity, fate: str, *, at: str) -> None:
        self.arrivals.append(Arrival(at, entity.blueprint, entity.identifier, fate, entity.datasource))

    def clear(self) -> None:
        """Start counting anew."""
        for counts in (self.routes, self.statuses, self.entities, self.refusals):
            counts.clear()
        for latest in (self.requests, self.arrivals, self.logs, self.metrics, self.heartbeats):
            latest.clear()
        self.crashes.clear()
