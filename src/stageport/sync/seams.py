"""What a pass needs from its surroundings, as protocols; ``wiring`` decides what stands behind them."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from stageport.model.blueprints import Blueprint
from stageport.model.changes import WriteOptions, Written
from stageport.model.entities import Json, MappedSource, SourceEntity, SourcePage
from stageport.model.ledger import Fingerprint, SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.model.runs import KEPT_RUNS, Run
from stageport.sync.hint_seams import HintQueue


class SourceCatalog(Protocol):
    """The catalog to read."""

    def read_kind(self, kind: str, *, filters: Sequence[str] = ()) -> AsyncGenerator[SourcePage, None]:
        """Yield every entity of a kind, page by page, each exactly as served.

        ``filters`` are further Backstage filters (``spec.type=service``), each narrowing the kind; several are
        alternatives, as in Backstage.

        Raises:
            IncompleteReadError: fewer entities came than the catalog announces, even when asked again.
            SourceError: the catalog could not be read.
        """
        ...

    def read_inventory(self, kind: str, *, filters: Sequence[str] = ()) -> AsyncGenerator[Sequence[SourceEntity], None]:
        """Yield ref, uid and etag of every entity of a kind, page by page; ``raw`` stays empty.

        Raises:
            SourceError: the catalog could not be read.
        """
        ...

    async def read_refs(self, refs: Sequence[SourceRef]) -> Mapping[SourceRef, SourceEntity | None]:
        """Return the entities that these refs name; None for those that do not exist."""
        ...

    async def count_kind(self, kind: str, *, filters: Sequence[str] = ()) -> int:
        """Return how many entities of a kind there are; ``filters`` as in ``read_kind``."""
        ...

    async def count_kinds(self) -> Mapping[str, int]:
        """Return how many entities of each kind there are, kinds in the catalog's own casing."""
        ...


class Mapper(Protocol):
    """The mapping, ready to be run."""

    async def map_page(
        self, kind: str, sources: Sequence[SourceEntity], *, resources: Sequence[int] | None = None
    ) -> Sequence[MappedSource]:
        """Map source entities of one kind; answers in the same order.

        ``resources`` are indices into the document's resources; None stands for all that map this kind.
        """
        ...


class TargetCatalog(Protocol):
    """The catalog to write."""

    def read_owned(self) -> AsyncIterator[Sequence[TargetKey]]:
        """Yield the key of every entity whose ``$datasource`` is ours, over all blueprints, page by page."""
        ...

    async def still_owned(self, keys: Sequence[TargetKey]) -> set[TargetKey]:
        """Return those keys that Port has and whose ``$datasource`` is ours."""
        ...

    async def read_entities(
        self, blueprint: str, identifiers: Sequence[str], *, fields: Sequence[str]
    ) -> Mapping[str, Json]:
        """Return the named entities that exist, by identifier, whoever owns them.

        ``fields`` are paths to include (``title``, ``team``, ``properties.type``, ``relations.system``).

        Raises:
            MissingBlueprintError: there is no such blueprint.
        """
        ...

    async def find_entities(self, blueprint: str, query: Json, *, fields: Sequence[str]) -> Sequence[Json]:
        """Return the entities of a blueprint that a search query matches, at most 2 (one is the point)."""
        ...

    async def upsert(self, blueprint: str, bodies: Sequence[bytes], *, options: WriteOptions) -> Sequence[Written]:
        """Write target entities; one answer for each body, in the same order.

        A refusal of one entity is an answer, not an exception. A request that Port refuses whole (413, 422) is
        split until the culprit stands alone.

        Raises:
            MissingBlueprintError: there is no such blueprint.
            TargetError: Port cannot be used at all.
        """
        ...

    async def delete(
        self, blueprint: str, identifiers: Sequence[str], *, options: WriteOptions
    ) -> Mapping[str, Written]:
        """Delete target entities; one answer for each identifier. Gone already counts as deleted."""
        ...


class BlueprintStore(Protocol):
    """The blueprints at Port."""

    async def read_blueprints(self) -> Sequence[Blueprint]:
        """Return all blueprints."""
        ...

    async def create_blueprint(self, document: Json) -> None:
        """Create a blueprint from its whole document."""
        ...

    async def patch_blueprint(self, identifier: str, patch: Json) -> None:
        """Change a blueprint; ``patch`` holds whole top-level objects (``relations`` entire, not one of them)."""
        ...


class IntegrationStore(Protocol):
    """The integration's record at Port: where the mapping document lives, and where passes are reported."""

    @property
    def resources_origin(self) -> str:
        """Who creates blueprints and the mapping, by what we would register: ``Default`` or ``Empty``."""
        ...

    async def read_integration(self) -> Json | None:
        """Return the record as Port gives it, None when there is none."""
        ...

    async def create_integration(self, *, config: Json) -> Json:
        """Register the integration with its first mapping document."""
        ...

    async def patch_integration(self, patch: Json) -> Json:
        """Change the record (``config``, ``version``, ``changelogDestination``, …)."""
        ...

    async def report_state(self, status: str, *, started: str | None, ended: str | None) -> None:
        """Set the resync state: ``running``, ``completed``, ``failed`` or ``aborted``; times in ISO 8601."""
        ...

    async def read_resync_request(self) -> Json | None:
        """Return the latest request for a resync (``id``, ``updatedAt``), None when there was none."""
        ...

    async def send_examples(self, kind: str, examples: Sequence[Json]) -> None:
        """Show Port up to 5 raw source entities of a kind, secrets masked, for its mapping playground."""
        ...


class ChangeLogHearer(Protocol):
    """Who is told of what the change log says."""

    async def accept(self, reason: str) -> None:
        """Take a request for a resync; when this returns it will not be told again."""
        ...

    async def note_duty(self, *, works: bool) -> None:
        """Take note of whether this instance works, or stands by for another one."""
        ...


class ChangeLog(Protocol):
    """Port's change log."""

    async def follow(self, hearer: ChangeLogHearer) -> None:
        """Tell of every request until cancelled.

        Raises:
            SettingsError: this account has none.
            TargetError: it cannot be followed now.
        """
        ...


class RunHistory(Protocol):
    """The latest passes, as people are to be told of them."""

    def put(self, run: Run) -> None:
        """Remember a pass, or what became of it, by its id; only the latest are kept."""
        ...

    def drop(self, run_id: str) -> None:
        """Forget a pass."""
        ...

    def latest(self, *, limit: int = KEPT_RUNS) -> Sequence[Run]:
        """Return the latest passes, the newest first."""
        ...

    def close_open(self) -> None:
        """Say of every pass that is noted as running that it was cut short."""
        ...


class Ledger(Protocol):
    """What is remembered between passes. Every call is one transaction; calls are quick and never wait for others.

    What a call notes is on disk when it returns; inside of ``gathered`` once ``keep`` returns: a process that is killed
    forgets the last calls, never one before another.

    Answers to lookups hold only what is known. A *pass number* is given out by ``begin_pass`` and grows.
    """

    @property
    def runs(self) -> RunHistory:
        """The history of passes; it is no part of what the next pass needs to know."""
        ...

    @property
    def hints(self) -> HintQueue:
        """The queue of hints."""
        ...

    def gathered(self) -> AbstractContextManager[None]:
        """Put what is noted inside on disk when ``keep`` is called, and at the end."""
        ...

    def keep(self) -> None:
        """Put what was gathered on disk now.

        Raises:
            LedgerError: that failed, and what was gathered is lost.
        """
        ...

    def begin_pass(self, *, mapping: Fingerprint) -> int:
        """Open a pass and return its number. A new mapping makes every digest ``UNKNOWN``; the rest stays."""
        ...

    @property
    def is_empty(self) -> bool:
        """True when nothing is known: a new ledger, or one that was set aside."""
        ...

    def read_fact(self, name: str) -> str:
        """Return a remembered fact (``verified-at``, …), an empty string when there is none."""
        ...

    def write_fact(self, name: str, value: str) -> None:
        """Remember a fact."""
        ...

    def sources(self, refs: Sequence[SourceRef]) -> Mapping[SourceRef, SourceRecord]:
        """Look source entities up."""
        ...

    def kind_refs(self, kind: str) -> Iterator[SourceRef]:
        """Yield the ref of every known source entity of a kind, in order."""
        ...

    def touch(self, refs: Sequence[SourceRef], *, number: int) -> None:
        """Note that these were seen in a pass."""
        ...

    def unseen(self, *, number: int) -> Iterator[SourceRef]:
        """Yield the known source entities that the pass has not touched or recorded."""
        ...

    def open_sources(self, entries: Sequence[tuple[SourceRecord, Sequence[WantRecord]]], *, number: int) -> None:
        """Replace what source entities want, before any of it is written.

        Their digests are ``UNKNOWN`` until settled, whatever the records say. What one that was not settled wants no
        more may have been written already: it becomes known, with nothing acknowledged.
        """
        ...

    def settle_sources(self, records: Sequence[SourceRecord], *, number: int) -> None:
        """Note that all these source entities want has been acknowledged: their digests count from now on."""
        ...

    def unsettle_sources(self, refs: Sequence[SourceRef]) -> None:
        """Make the digests of these ``UNKNOWN``: the next pass that sees them maps them again."""
        ...

    def failed_sources(self) -> Iterator[SourceRef]:
        """Yield the source entities whose mapping failed, or of which Port refused something."""
        ...

    def drop_sources(self, refs: Sequence[SourceRef]) -> None:
        """Forget source entities and what they wanted; the target entities stay known, or become so as above."""
        ...

    def wants_of(self, refs: Sequence[SourceRef]) -> Mapping[SourceRef, Sequence[WantRecord]]:
        """Return what source entities want, by ref, in order of rank."""
        ...

    def wanters_of(
        self, keys: Sequence[TargetKey], *, mine: Sequence[WantRecord] = ()
    ) -> Mapping[TargetKey, Sequence[WantRecord]]:
        """Return who wants target entities, in order of rank.

        ``mine`` are wants that the caller has just put there, of source entities that nobody opens meanwhile: where
        there can be no others, they are the answer.
        """
        ...

    def related_among(self, keys: Sequence[TargetKey], *, without: Sequence[SourceRef] = ()) -> set[TargetKey]:
        """Return those keys that some want relates to, wants of the source entities ``without`` left aside."""
        ...

    def relating_to(self, keys: Sequence[TargetKey]) -> Sequence[tuple[SourceRef, TargetKey]]:
        """Return who wants a target entity that relates to one of these, and which."""
        ...

    def targets(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, TargetRecord]:
        """Look target entities up."""
        ...

    def acknowledge(self, records: Sequence[TargetRecord]) -> None:
        """Note what Port took, or was seen to hold."""
        ...

    def note_stored(self, stored: Mapping[TargetKey, Fingerprint]) -> None:
        """Note what Port was seen to hold of target entities; those that are not known stay so."""
        ...

    def drop_targets(self, keys: Sequence[TargetKey]) -> None:
        """Forget target entities: they are gone from Port."""
        ...

    def count_wanted(self) -> int:
        """Count the target entities that somebody wants."""
        ...

    def count_targets(self) -> int:
        """Count the target entities known to be at Port."""
        ...

    def note_owned(self, keys: Sequence[TargetKey], *, number: int) -> None:
        """Note that Port lists these as ours in this pass. Listings of earlier passes are forgotten."""
        ...

    def count_owned(self, *, number: int) -> int:
        """Count what Port listed as ours in this pass."""
        ...

    def owned_among(self, keys: Sequence[TargetKey], *, number: int) -> set[TargetKey]:
        """Return those keys that Port listed as ours in this pass."""
        ...

    def unowned(self, *, number: int) -> Iterator[TargetKey]:
        """Yield target entities that were acknowledged and are wanted, but that Port did not list in this pass."""
        ...

    def unwanted_owned(self, *, number: int) -> Iterator[TargetKey]:
        """Yield what Port listed as ours in this pass and nobody wants."""
        ...

    def unwanted_targets(self) -> Iterator[TargetKey]:
        """Yield known target entities that nobody wants."""
        ...

    def size_bytes(self) -> int:
        """Return how many bytes the ledger takes."""
        ...

    def scratch(self) -> "Ledger":
        """Return a copy that may be changed without changing this one; close it when done."""
        ...

    def close(self) -> None:
        """Close the ledger and let go of its lock."""
        ...
