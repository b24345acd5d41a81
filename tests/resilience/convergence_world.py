"""Both stand-ins, kept for thousands of short lives; passes between them that may be cut off anywhere."""

import asyncio
import inspect
import resource
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr
from tests.contract.harness import HURRIED, TOKEN, Config, World, serve_world
from tests.resilience.mapping_family import BLUEPRINTS, Key, Shape
from tests.resilience.moody_port import refuse_items

from stageport.ledger.database import Database
from stageport.ledger.opening import open_ledger
from stageport.ledger.sqlite import SqliteLedger
from stageport.mapping.assembly import Budget
from stageport.mapping.document import MappingDocument
from stageport.mapping.evaluation import SourceMapper
from stageport.mapping.layout import plan_document
from stageport.mapping.translation.functions import Functions
from stageport.model.entities import MappedSource, SourceEntity
from stageport.model.errors import StageportError
from stageport.model.events import ignore
from stageport.model.hints import Hint
from stageport.sandbox.backstage.access import Access
from stageport.sandbox.port.options import Behaviour, PortOptions, RateLimit
from stageport.sync.passes import PassKind
from stageport.sync.service import Outcome, PassOptions, run_pass
from stageport.sync.surroundings import Surroundings
from stageport.wiring import open_surroundings, pass_options

BLIND = "a-token-that-sees-nothing"


class Crash(BaseException):
    """The process is gone."""


class Ending(StrEnum):
    """What happens when a fuse has burnt down."""

    CRASH = "crash"
    STOP = "stop"
    READ_ONLY = "read-only"
    """The disk under the ledger can no longer be written, and the pass has to see what it makes of that."""


class Fuse:
    """Burns down with each call of a seam, once before it and once after; then something happens to the process.

    With ``only``, calls by other names do not count.
    """

    def __init__(self, length: int | None, *, ending: Ending = Ending.CRASH, only: str = "") -> None:
        self.left = length
        self.ending = ending
        self.only = only
        self.dead = False
        self.task: asyncio.Task[Any] | None = None
        self.ledger: SqliteLedger | None = None

    def burn(self, name: str) -> None:
        if self.dead:
            raise Crash
        if self.left is None or self.only not in ("", name):
            return
        self.left -= 1
        if self.left >= 0:
            return
        self.left = None
        match self.ending:
            case Ending.STOP:
                assert self.task is not None
                self.task.cancel()
            case Ending.READ_ONLY:
                assert self.ledger is not None
                allow_writes(self.ledger, allowed=False)
            case Ending.CRASH:
                self.dead = True
                raise Crash


def allow_writes(ledger: SqliteLedger, *, allowed: bool) -> None:
    """Make SQLite refuse writes as on a disk that is mounted read-only, or no longer."""
    ledger._database.run(f"PRAGMA query_only = {not allowed}")


@contextmanager
def room_on_disk(size: int) -> Iterator[None]:
    """Let this process write no file beyond so many bytes, as on a disk that is full there."""
    usual, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python would keep what it compiles as far as there is room, and run that half of it ever after.
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_none
        resource.setrlimit(resource.RLIMIT_FSIZE, (usual, most))


class Fused:
    """A seam whose calls burn a fuse."""

    def __init__(self, seam: Any, fuse: Fuse) -> None:
        self._seam = seam
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._seam, name)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            self._fuse.burn(name)
            answer = found(*given, **named)
            if inspect.iscoroutine(answer):
                return self._finish(name, answer)
            if hasattr(answer, "__aiter__"):
                return self._pages(name, answer)
            self._fuse.burn(name)
            return answer

        return call

    async def _finish(self, name: str, answer: Any) -> Any:
        value = await answer
        self._fuse.burn(name)
        return value

    async def _pages(self, name: str, pages: Any) -> AsyncIterator[Any]:
        try:
            async for page in pages:
                self._fuse.burn(name)
                yield page
        finally:
            await pages.aclose()


class NoClock:
    """Limits nothing: these expressions end, and this process is not to be ended."""

    slow = 1e9

    def start(self, *, share: float = 1.0) -> None:
        """Let it run."""

    def stop(self) -> None:
        """Let it be."""


class LocalMapper:
    """The worker's own code, in this process: starting one for each pass would take longer than the pass."""

    def __init__(self, document: MappingDocument) -> None:
        self._document = document
        self._mapper = SourceMapper(
            marker="\x01error-here", clock=NoClock(), functions=Functions(enabled=True), heartbeat=lambda: None
        )
        self._mapper.prepare([planned.plan for planned in plan_document(document)])

    async def map_page(
        self, kind: str, sources: Sequence[SourceEntity], *, resources: Sequence[int] | None = None
    ) -> Sequence[MappedSource]:
        indices = [
            index for index, resource in enumerate(self._document.resources) if resource.kind.lower() == kind.lower()
        ]
        asked = tuple(indices if resources is None else resources)
        await asyncio.sleep(0)
        return [self._map(source, asked) for source in sources]

    def _map(self, source: SourceEntity, resources: tuple[int, ...]) -> MappedSource:
        wire = self._mapper.map_source(source.ref, source.raw, resources=resources, budget=Budget(given=10_000))
        return msgspec.msgpack.decode(msgspec.msgpack.encode(wire), type=MappedSource)


@dataclass
class Ran:
    """What came of a pass: an outcome, or the error that ended it; none of both when the process was gone."""

    outcome: Outcome | None = None
    error: StageportError | None = None
    deleted: dict[Key, str] = field(default_factory=dict)
    """What was deleted, with whose it was."""
    writes: int = 0
    """How many entities were written, changed or not, and deleted."""

    @property
    def went_through(self) -> bool:
        """Whether it came to its end and had read everything."""
        return self.outcome is not None and not self.outcome.plan.failures


class Lives:
    """A world that can be born again and again, and what is remembered between its passes."""

    def __init__(self, world: World, stack: AsyncExitStack) -> None:
        self.world = world
        self.ledger = SqliteLedger.in_memory()
        self._stack = stack
        self._opened: dict[tuple[int, str], Surroundings] = {}
        self._mappers: dict[bytes, LocalMapper] = {}
        self._mood = ExitStack()

    def begin(self, shape: Shape) -> None:
        """Start anew: an empty Backstage, a Port that holds nothing but blueprints and the mapping."""
        for ref in self.world.catalog.refs():
            self.world.catalog.delete(ref)
        self.calm()
        self.world.state.reset()
        self.world.install(shape.config(), blueprints=BLUEPRINTS)
        self.lose_ledger()

    def calm(self) -> None:
        """Stop all faults."""
        self.world.port.faults.clear()
        self.world.backstage.faults.clear()
        self._mood.close()
        traps = self.world.backstage.traps
        traps.count_off_by = traps.overlap = traps.lose = 0
        traps.reversed_pages, traps.before_page = False, None

    def refuse_items(self, seed: int) -> None:
        """Let Port refuse some items of whatever it is sent, until all is calm again."""
        self._mood.enter_context(refuse_items(self.world, seed))

    def lose_ledger(self) -> None:
        """Forget what was remembered."""
        self.ledger.close()
        self.ledger = SqliteLedger.in_memory()

    def remap(self, config: Config) -> None:
        """Change the mapping at Port, as people do."""
        self.world.state.integrations.patch("my-backstage", {"config": config}, skip_resync=True)

    async def sync(
        self,
        *,
        kind: PassKind | None,
        kinds: frozenset[str] = frozenset(),
        release: bool = False,
        fuse: Fuse | None = None,
        page_size: int = 2,
        token: str = TOKEN,
        hints: tuple[Hint, ...] = (),
        room: int | None = None,
    ) -> Ran:
        """Run one pass with the ledger as it is; with ``room``, on a disk that has so many bytes for any file."""
        fuse = fuse or Fuse(None)
        options = replace(self._options, release_deletes=release, kind=kind, kinds=kinds, hints=hints)
        with self._on_disk(room) if room is not None else nullcontext(self.ledger) as fuse.ledger:
            try:
                return await self._watch(self._pass(options, fuse, page_size=page_size, token=token), fuse)
            finally:
                allow_writes(fuse.ledger, allowed=True)

    async def _watch(self, passing: Coroutine[None, None, Outcome], fuse: Fuse) -> Ran:
        """Run a pass to its end, whichever that is, and say what came of it."""
        state = self.world.state
        state.journal.clear()
        ran = Ran()
        fuse.task = asyncio.ensure_future(passing)
        try:
            ran.outcome = await fuse.task
        except StageportError as error:
            ran.error = error
        except Crash:
            pass
        except asyncio.CancelledError:
            # Stopped while it reported its end: there is no outcome, and nothing is wrong.
            if not fuse.task.cancelled():
                raise
        except BaseExceptionGroup as group:
            if group.split(Crash)[1] is not None:
                raise
        assert state.journal.crashes == []
        ran.deleted = {
            (one.blueprint, one.identifier): one.datasource for one in state.journal.arrivals if one.fate == "deleted"
        }
        ran.writes = sum(count for fate, count in state.journal.entities.items() if fate != "refused")
        return ran

    async def _pass(self, options: PassOptions, fuse: Fuse, *, page_size: int, token: str) -> Outcome:
        opened = await self._surroundings(page_size, token)
        around = replace(
            opened,
            source=Fused(opened.source, fuse),
            target=Fused(opened.target, fuse),
            ledger=Fused(fuse.ledger, fuse),
            start_mapper=self._start_mapper,
        )
        return await run_pass(around, options)

    @contextmanager
    def _on_disk(self, room: int) -> Iterator[SqliteLedger]:
        """Lay the ledger on such a disk; what the disk holds of it in the end is what is remembered."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "ledger.sqlite3"
            self.ledger._database.run("VACUUM INTO ?", (str(place),))
            with room_on_disk(room):
                opened = open_ledger(path=place, identity="lives", engine="").ledger
                try:
                    yield opened
                finally:
                    opened.close()
            self.lose_ledger()
            if place.exists():
                self.ledger.close()
                self.ledger = _in_memory(place)

    @cached_property
    def _options(self) -> PassOptions:
        return replace(pass_options(self.world.settings), send_examples=False)

    async def _surroundings(self, page_size: int, token: str) -> Surroundings:
        """Connect; connections outlive a pass here, because making them would take as long as the pass."""
        if (page_size, token) not in self._opened:
            integration = self.world.settings.integration
            config = integration.config.model_copy(update={"backstage_token": SecretStr(token)})
            settings = self.world.settings.model_copy(
                update={"page_size": page_size, "integration": integration.model_copy(update={"config": config})}
            )
            context = open_surroundings(settings, ignore, policy=HURRIED)
            self._opened[page_size, token] = await self._stack.enter_async_context(context)
        return self._opened[page_size, token]

    @asynccontextmanager
    async def _start_mapper(self, document: MappingDocument) -> AsyncIterator[LocalMapper]:
        name = msgspec.json.encode(document.to_config(), order="sorted")
        if name not in self._mappers:
            self._mappers[name] = LocalMapper(document)
        yield self._mappers[name]


def _in_memory(place: Path) -> SqliteLedger:
    """Return what a ledger on disk holds."""
    with closing(Database(place)) as found:
        copy = found.copy()
    return SqliteLedger(copy, release=copy.close)


@asynccontextmanager
async def serve_lives(behaviour: Behaviour | None = None) -> AsyncIterator[Lives]:
    """Run both stand-ins for many lives: no rate limit but the faults' lasts longer than one of them."""
    port = PortOptions(rate_limit=RateLimit(limit=10**9), behaviour=behaviour or Behaviour())
    served = serve_world([], port=port, backstage={"tokens": {BLIND: Access.BLIND}, "compress": False})
    async with served as world, AsyncExitStack() as stack:
        lives = Lives(world, stack)
        try:
            yield lives
        finally:
            lives.ledger.close()
