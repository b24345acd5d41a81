"""The weigher: what it hands to the sink, given what Port holds and what is under way there."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from tests.contract.harness import mapping, resource
from tests.unit.sync.scripted_target import key

from stageport.ledger.sqlite import SqliteLedger
from stageport.mapping.document import parse_mapping
from stageport.mapping.static import reads_of
from stageport.model.blueprints import Blueprint
from stageport.model.entities import Json, MappedSource, SourceEntity, TargetEntity
from stageport.model.events import ignore
from stageport.model.fingerprint import digest_of
from stageport.model.ledger import SourceRecord, TargetRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.sync.findings import Findings
from stageport.sync.spool import Upsert
from stageport.sync.surroundings import Ground, Surroundings
from stageport.sync.weigh import Weigher

DOCUMENT = parse_mapping(mapping(resource("Component", "service", title=".t", properties={"v": ".v"})))
GROUND = Ground(DOCUMENT, {"service": Blueprint("service")})
READ = reads_of(DOCUMENT)[0]


@dataclass
class Catalogs:
    """Both catalogs and the mapping at once: a source entity is the body of the one target entity it wants."""

    held: dict[str, Json] = field(default_factory=dict)
    sources: dict[SourceRef, SourceEntity] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def put(self, ref: str, body: Json) -> SourceEntity:
        one = SourceEntity(SourceRef(ref), msgspec.json.encode(body))
        self.sources[one.ref] = one
        return one

    async def read_refs(self, refs: Sequence[SourceRef]) -> Mapping[SourceRef, SourceEntity | None]:
        return {ref: self.sources.get(ref) for ref in refs}

    async def read_entities(self, blueprint: str, identifiers: Sequence[str], *, fields: object) -> dict[str, Json]:
        self.calls.append("read")
        return {name: self.held[name] for name in identifiers if name in self.held}

    async def map_page(
        self, kind: str, sources: Sequence[SourceEntity], *, resources: object = None
    ) -> Sequence[MappedSource]:
        return [
            MappedSource(one.ref, (TargetEntity("service", msgspec.json.decode(one.raw)["identifier"], one.raw),))
            for one in sources
        ]


@dataclass
class Tray:
    """A sink that shows what it was given; ``busy`` are under way."""

    calls: list[str]
    busy: set[TargetKey] = field(default_factory=set)
    put_: list[tuple[Json, bool]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    forgotten: set[SourceRef] = field(default_factory=set)

    def open_source(self, record: SourceRecord) -> None:
        """Take note of nothing."""

    def close_sources(self, refs: Iterable[SourceRef]) -> None:
        """Take note of nothing."""

    def forget_sources(self, refs: Iterable[SourceRef]) -> None:
        self.forgotten.update(refs)

    def withhold(self, keys: Iterable[TargetKey]) -> set[TargetKey]:
        self.calls.append("withhold")
        return self.busy & set(keys)

    def cancel(self, key: TargetKey) -> None:
        self.cancelled.append(key.identifier)

    async def put(self, upsert: Upsert, *, refs: Iterable[SourceRef], late: bool = False) -> None:
        self.put_.append((msgspec.json.decode(upsert.change.body), late))

    async def push(self) -> None:
        """Take note of nothing."""


class Scales:
    """A weigher with everything around it."""

    def __init__(self, *, looks: bool = True, empty: Collection[str] = ()) -> None:
        self.catalogs = Catalogs()
        self.tray = Tray(self.catalogs.calls)
        self.ledger = SqliteLedger.in_memory()
        around = Surroundings(*[self.catalogs] * 4, None, self.ledger, ignore)
        self.weigher = Weigher(
            around,
            GROUND,
            self.catalogs,
            ledger=self.ledger,
            sink=self.tray,
            findings=Findings(ignore),
            number=self.ledger.begin_pass(mapping=b"m" * 16),
            looks=looks,
            empty=empty,
        )

    async def take(self, *sources: SourceEntity) -> None:
        await self.weigher.take(0, READ, sources)

    def acknowledged(self, identifier: str) -> TargetRecord | None:
        return self.ledger.targets([key(identifier)]).get(key(identifier))


def body(identifier: str, value: object, **more: Json) -> Json:
    return {"identifier": identifier, "properties": {"v": value}, **more}


A, B = "component:default/a", "component:default/b"


async def test_what_port_holds_as_wanted_is_recorded_and_not_written() -> None:
    scales = Scales()
    scales.catalogs.held["x"] = body("x", 1)
    await scales.take(scales.catalogs.put(A, body("x", 1)))
    assert (scales.tray.cancelled, scales.tray.put_) == (["x"], [])
    assert scales.acknowledged("x") is not None


async def test_what_port_holds_as_wanted_is_written_while_another_body_is_on_its_way_there() -> None:
    scales = Scales()
    scales.catalogs.held["x"] = body("x", 1)
    scales.tray.busy.add(key("x"))
    await scales.take(scales.catalogs.put(A, body("x", 1)))
    assert scales.tray.cancelled == []
    assert scales.tray.put_ == [(body("x", 1), True)]
    assert scales.acknowledged("x") is None


async def test_nothing_is_sent_between_the_look_and_the_decision() -> None:
    scales = Scales()
    await scales.take(scales.catalogs.put(A, body("x", 1)))
    assert scales.tray.calls == ["withhold", "read"]


@pytest.mark.parametrize(
    ("held", "late"),
    [
        (None, False),
        ({"identifier": "x"}, False),
        ({"identifier": "x", "title": "x", "properties": {"v": None, "other": 1}}, False),
        (body("x", 2), True),
        ({"identifier": "x", "title": "A title"}, True),
    ],
    ids=["absent", "a stub", "a stub as some routes show it", "another value", "something that v would not replace"],
)
async def test_only_what_replaces_something_waits_for_the_end(held: Json, late: bool) -> None:
    scales = Scales()
    if held is not None:
        scales.catalogs.held["x"] = held
    await scales.take(scales.catalogs.put(A, body("x", 1)))
    assert scales.tray.put_ == [(body("x", 1), late)]


async def test_of_a_blueprint_that_was_empty_the_ledger_tells_enough() -> None:
    scales = Scales(empty=["service"])
    await scales.take(scales.catalogs.put(A, body("x", 1)))
    assert scales.tray.put_ == [(body("x", 1), False)]
    scales.ledger.acknowledge([TargetRecord(TargetKey("service", "x"), digest_of(msgspec.json.encode(body("x", 1))))])
    await scales.take(scales.catalogs.put(A, body("x", 1)))
    assert len(scales.tray.put_) == 1
    await scales.take(scales.catalogs.put(A, body("x", 2)))
    assert scales.tray.put_[1:] == [(body("x", 2), False)]
    assert "read" not in scales.tray.calls


async def test_without_a_look_nothing_waits() -> None:
    scales = Scales(looks=False)
    scales.catalogs.held["x"] = body("x", 2)
    await scales.take(scales.catalogs.put(A, body("x", 1)))
    assert scales.tray.put_ == [(body("x", 1), False)]


async def test_the_sharers_of_what_one_lets_go_are_not_settled_by_what_was_put_before() -> None:
    scales = Scales(looks=False)
    await scales.take(scales.catalogs.put(A, body("x", 1)), scales.catalogs.put(B, body("x", 2)))
    await scales.take(scales.catalogs.put(B, body("y", 2)))
    assert scales.tray.forgotten == {A}
    assert scales.tray.put_[-2:] == [(body("y", 2), False), (body("x", 1), False)]
