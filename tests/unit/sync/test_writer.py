"""The writer: batches, the order of writes of one target entity, and when a source entity counts as settled."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from tests.unit.sync.scripted_target import MISMATCH, MISSING, ScriptedTarget, key, settle, source, upsert, want

from stageport.ledger.sqlite import SqliteLedger
from stageport.model.blueprints import Blueprint, Relation
from stageport.model.changes import Operation, WriteOptions
from stageport.model.errors import MissingBlueprintError, TargetUnreachableError
from stageport.model.events import ignore
from stageport.model.ledger import UNKNOWN, SourceRecord, TargetRecord
from stageport.model.refs import TargetKey
from stageport.sync.write import UPSERT_BATCH, Writer

A, B = source("a"), source("b")
STREAMING = WriteOptions()
ORDERED = WriteOptions(create_missing_related=False)
SERVICES = {"service": Blueprint("service", relations={"uses": Relation("service", many=True)})}


class Desk:
    """A writer with everything around it."""

    def __init__(self, target: ScriptedTarget, options: WriteOptions = STREAMING) -> None:
        self.target = target
        self.ledger = SqliteLedger.in_memory()
        self.number = self.ledger.begin_pass(mapping=b"m" * 16)
        self.writer = Writer(target, self.ledger, options=options, number=self.number, listener=ignore)

    def open(self, *records: SourceRecord, wanting: Sequence[TargetKey] = ()) -> None:
        """Announce source entities, as a pass does: in the ledger first."""
        entries = [(record, [want(record, target) for target in wanting]) for record in records]
        self.ledger.open_sources(entries, number=self.number)
        for record in records:
            self.writer.open_source(record)

    def close(self, *records: SourceRecord) -> None:
        self.writer.close_sources([record.ref for record in records])

    def settled(self, record: SourceRecord) -> bool:
        """Whether the next pass would pass it over."""
        found = self.ledger.sources([record.ref])[record.ref]
        return found.digest == record.digest and not found.failed

    def failed(self, record: SourceRecord) -> bool:
        return self.ledger.sources([record.ref])[record.ref].failed

    def acknowledged(self, identifier: str) -> bytes | None:
        record = self.ledger.targets([key(identifier)]).get(key(identifier))
        return record.acknowledged if record else None


MakeDesk = Callable[..., Desk]


@pytest.fixture
async def make_desk() -> AsyncIterator[MakeDesk]:
    desks: list[Desk] = []

    def make(*given: Any) -> Desk:
        desks.append(Desk(*given))
        return desks[-1]

    yield make
    for desk in desks:
        await desk.writer.stop()
        desk.ledger.close()


# Batches


async def test_full_batches_leave_at_once_and_the_rest_when_flushed(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    for number in range(UPSERT_BATCH + 3):
        await desk.writer.put(upsert(f"s{number}", number), refs=())
    await desk.writer.push()
    await settle()
    assert [len(batch) for batch in desk.target.sent] == [UPSERT_BATCH]
    await desk.writer.flush()
    assert [len(batch) for batch in desk.target.sent] == [UPSERT_BATCH, 3]
    assert desk.writer.applied.updated == UPSERT_BATCH + 3


async def test_a_request_speaks_of_one_blueprint(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    await desk.writer.put(upsert("a"), refs=())
    await desk.writer.put(upsert("a", blueprint="team"), refs=())
    await desk.writer.flush()
    assert len(desk.target.sent) == 2
    assert set(desk.target.held) == {key("a"), key("a", "team")}


# Two writes of one target entity


async def test_a_later_body_takes_the_place_of_one_that_was_not_sent_yet(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    for value in (1, 2, 3):
        await desk.writer.put(upsert("x", value), refs=())
    await desk.writer.flush()
    assert desk.target.values() == [[3]]


async def test_a_later_body_waits_for_one_that_is_under_way(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    fill = [upsert(f"s{number}") for number in range(UPSERT_BATCH - 1)]
    for one in [upsert("x", "first"), *fill]:
        await desk.writer.put(one, refs=())
    await desk.writer.push()
    await settle()
    for value in ("second", "third"):
        await desk.writer.put(upsert("x", value), refs=())
    for number in range(UPSERT_BATCH):
        await desk.writer.put(upsert(f"t{number}"), refs=())
    await desk.writer.push()
    await settle()
    sent = [document["identifier"] for batch in desk.target.sent for document in batch]
    assert sent.count("x") == 1, "the second body must not overtake the first"
    desk.target.gated = False
    await desk.target.answer()
    await desk.target.answer()
    await desk.writer.flush()
    assert desk.target.held[key("x")]["properties"] == {"v": "third"}
    assert [v for values in desk.target.values() for v in values if v in ("first", "second", "third")] == [
        "first",
        "third",
    ]


async def test_what_is_under_way_is_not_sent_twice(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    desk.open(A, B)
    for number in range(UPSERT_BATCH):
        await desk.writer.put(upsert(f"s{number}"), refs=[A.ref])
    await desk.writer.push()
    await settle()
    await desk.writer.put(upsert("s0"), refs=[B.ref])
    desk.close(A, B)
    assert not desk.settled(B)
    await desk.target.answer()
    await desk.writer.flush()
    assert len(desk.target.sent) == 1
    assert desk.settled(B)


async def test_a_late_body_takes_the_place_of_a_queued_one(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    await desk.writer.put(upsert("x", "early"), refs=())
    await desk.writer.put(upsert("x", "late"), refs=(), late=True)
    await desk.writer.flush()
    assert desk.target.sent == []
    await desk.writer.finish({})
    assert desk.target.values() == [["late"]]


async def test_what_was_taken_back_is_not_sent_wherever_it_waited(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    desk.open(A)
    await desk.writer.put(upsert("queued"), refs=[A.ref])
    await desk.writer.put(upsert("late"), refs=[A.ref], late=True)
    desk.close(A)
    for identifier in ("queued", "late", "never put"):
        desk.writer.cancel(key(identifier))
    assert desk.settled(A), "nobody waits for what was taken back"
    await desk.writer.finish({})
    assert desk.target.sent == []


async def test_what_was_taken_back_after_a_refusal_is_not_tried_again(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(lambda document: MISSING if document["properties"]["v"] == "bad" else None))
    await desk.writer.put(upsert("x", "bad"), refs=())
    await desk.writer.flush()
    desk.writer.cancel(key("x"))
    await desk.writer.finish({})
    assert desk.target.values() == [["bad"]]
    assert desk.writer.applied.refused == []


async def test_what_is_under_way_cannot_be_taken_back(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    desk.open(A)
    for number in range(UPSERT_BATCH):
        await desk.writer.put(upsert(f"s{number}"), refs=[A.ref])
    await desk.writer.push()
    await settle()
    desk.writer.cancel(key("s0"))
    desk.close(A)
    assert not desk.settled(A)
    await desk.target.answer()
    await desk.writer.flush()
    assert desk.settled(A)


# Settling


async def test_a_source_entity_is_settled_when_all_it_wants_was_acknowledged_and_not_before(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    desk.open(A)
    await desk.writer.put(upsert("x"), refs=[A.ref])
    await desk.writer.put(upsert("y", blueprint="team"), refs=[A.ref])
    desk.close(A)
    flushing = asyncio.ensure_future(desk.writer.flush())
    await settle()
    assert not desk.settled(A)
    await desk.target.answer()
    assert not desk.settled(A), "one of two is under way"
    await desk.target.answer()
    await flushing
    assert desk.settled(A)


async def test_nothing_is_settled_that_more_may_come_for(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    desk.open(A)
    await desk.writer.put(upsert("x"), refs=[A.ref])
    await desk.writer.flush()
    assert not desk.settled(A)
    desk.close(A)
    assert desk.settled(A)


async def test_a_source_entity_that_wants_nothing_is_settled_at_once(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    desk.open(A)
    desk.close(A)
    assert desk.settled(A)


async def test_one_that_was_announced_anew_waits_for_what_came_since(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    desk.open(A)
    await desk.writer.put(upsert("x", 1), refs=[A.ref], late=True)
    desk.close(A)
    desk.open(A)
    await desk.writer.put(upsert("x", 1), refs=[A.ref])
    await desk.writer.put(upsert("y", 1), refs=[A.ref], late=True)
    desk.close(A)
    desk.writer.cancel(key("x"))
    assert not desk.settled(A), "y was not written yet"
    await desk.writer.finish({})
    assert desk.settled(A)


@pytest.mark.parametrize("forgotten", [True, False], ids=["forgotten and announced", "announced twice"])
async def test_what_is_held_for_one_counts_not_for_the_same_one_announced_anew(
    forgotten: bool, make_desk: MakeDesk
) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    desk.open(A)
    await desk.writer.put(upsert("x"), refs=[A.ref], late=True)
    desk.close(A)
    if forgotten:
        desk.writer.forget_sources([A.ref])
    desk.open(A)
    for number in range(UPSERT_BATCH):
        await desk.writer.put(upsert(f"s{number}"), refs=[A.ref] if number == 0 else ())
    await desk.writer.push()
    desk.close(A)
    await settle()
    desk.writer.cancel(key("x"))
    assert not desk.settled(A), "s0 was not answered yet"
    await desk.target.answer()
    await desk.writer.flush()
    assert desk.settled(A)


async def test_one_that_waits_for_several_is_settled_as_it_was_announced(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    desk.open(A, B)
    await desk.writer.put(upsert("held"), refs=[A.ref, B.ref], late=True)
    await desk.writer.put(upsert("held too"), refs=[A.ref], late=True)
    await desk.writer.put(upsert("held", "anew"), refs=[A.ref])
    await desk.writer.put(upsert("sent"), refs=[A.ref])
    desk.close(A, B)
    desk.writer.cancel(key("held too"))
    await desk.writer.flush()
    assert not desk.settled(A)
    await desk.writer.finish({})
    assert desk.settled(A)
    assert desk.settled(B)
    assert desk.target.held[key("held")]["properties"] == {"v": "anew"}


async def test_the_sharers_of_a_target_entity_all_wait_for_its_last_body(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    desk.open(A, B)
    for number in range(UPSERT_BATCH):
        await desk.writer.put(upsert(f"s{number}"), refs=[A.ref])
    await desk.writer.push()
    desk.close(A)
    await settle()
    await desk.writer.put(upsert("s0", "both"), refs=[A.ref, B.ref], late=True)
    desk.close(B)
    await desk.target.answer()
    assert not desk.settled(A)
    assert not desk.settled(B)
    desk.target.gated = False
    await desk.writer.finish({})
    assert desk.settled(A)
    assert desk.settled(B)


# Refusals


async def test_the_sources_of_what_port_refuses_are_flagged_and_nobody_else(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(lambda document: MISMATCH if document["identifier"] == "bad" else None))
    desk.open(A, B)
    await desk.writer.put(upsert("bad"), refs=[A.ref])
    await desk.writer.put(upsert("good"), refs=[A.ref, B.ref])
    desk.close(A, B)
    await desk.writer.finish({})
    assert desk.failed(A)
    assert desk.settled(B)
    assert [(change.identifier, refusal) for change, refusal in desk.writer.applied.refused] == [("bad", MISMATCH)]


async def test_what_was_refused_for_want_of_another_is_tried_again_when_that_has_come(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    desk.target.judge = lambda document: (
        MISSING if document["identifier"] == "x" and key("y") not in desk.target.held else None
    )
    desk.open(A)
    await desk.writer.put(upsert("x"), refs=[A.ref])
    await desk.writer.flush()
    await desk.writer.put(upsert("y"), refs=[A.ref], late=True)
    desk.close(A)
    await desk.writer.finish({})
    assert desk.settled(A)
    assert desk.writer.applied.refused == []


async def test_after_a_refusal_the_ledger_knows_what_it_knew_before(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(lambda _: MISMATCH))
    known = TargetRecord(key("x"), b"a" * 16, b"s" * 16)
    desk.ledger.acknowledge([known])
    await desk.writer.put(upsert("x"), refs=())
    await desk.writer.put(upsert("new"), refs=())
    await desk.writer.finish({})
    assert desk.ledger.targets([key("x"), key("new")]) == {key("x"): known}


async def test_a_blueprint_that_is_gone_refuses_its_entities_and_not_the_pass(make_desk: MakeDesk) -> None:
    class Gone(ScriptedTarget):
        async def upsert(self, *_: object, **__: object) -> list[object]:
            raise MissingBlueprintError("service is gone")

    desk = make_desk(Gone())
    desk.open(A)
    await desk.writer.put(upsert("x"), refs=[A.ref])
    desk.close(A)
    await desk.writer.finish({})
    assert desk.failed(A)


# Crashes


async def test_before_port_answers_the_ledger_does_not_claim_to_know(make_desk: MakeDesk) -> None:
    """A crash there, and a source that turns back meanwhile: the old body must not pass for the present."""
    desk = make_desk(ScriptedTarget(gated=True))
    old = upsert("x", "old")
    desk.ledger.acknowledge([TargetRecord(key("x"), old.fingerprint)])
    await desk.writer.put(upsert("x", "new"), refs=())
    flushing = asyncio.ensure_future(desk.writer.flush())
    await settle()
    assert desk.acknowledged("x") == UNKNOWN
    await desk.target.answer()
    await flushing
    assert desk.acknowledged("x") == upsert("x", "new").fingerprint


async def test_an_error_of_port_ends_the_pass_and_settles_nobody(make_desk: MakeDesk) -> None:
    class Down(ScriptedTarget):
        async def upsert(self, *_: object, **__: object) -> list[object]:
            raise TargetUnreachableError("Port is down")

    desk = make_desk(Down())
    desk.open(A)
    await desk.writer.put(upsert("x"), refs=[A.ref])
    desk.close(A)
    with pytest.raises(TargetUnreachableError):
        await desk.writer.finish({})
    with pytest.raises(TargetUnreachableError):
        await desk.writer.put(upsert("y"), refs=())
    await desk.writer.stop()
    assert not desk.settled(A)
    assert desk.acknowledged("x") is None


async def test_stopping_hears_what_is_under_way_and_sends_nothing_more(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    desk.open(A, B)
    for number in range(UPSERT_BATCH):
        await desk.writer.put(upsert(f"s{number}"), refs=[A.ref])
    await desk.writer.push()
    await settle()
    await desk.writer.put(upsert("more"), refs=[B.ref])
    desk.close(A, B)
    stopping = asyncio.ensure_future(desk.writer.stop())
    await settle()
    await desk.target.answer()
    await stopping
    assert desk.settled(A)
    assert not desk.settled(B)
    assert len(desk.target.sent) == 1


# Where Port refuses relations to what is not there


async def test_related_ones_are_written_first(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(), ORDERED)
    await desk.writer.put(upsert("x", operation=Operation.CREATE, relations={"uses": ["y"]}), refs=())
    await desk.writer.put(upsert("y", operation=Operation.CREATE, relations={"uses": ["z"]}), refs=())
    await desk.writer.put(upsert("z", operation=Operation.CREATE), refs=())
    await desk.writer.finish(SERVICES)
    assert [document["identifier"] for batch in desk.target.sent for document in batch] == ["z", "y", "x"]


async def test_a_circle_is_written_loose_and_then_whole_and_never_loose_again(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(lambda document: MISSING if document["relations"] else None), ORDERED)
    desk.open(A)
    for one, other in (("x", "y"), ("y", "x")):
        await desk.writer.put(upsert(one, operation=Operation.CREATE, relations={"uses": [other]}), refs=[A.ref])
    desk.close(A)
    await desk.writer.finish(SERVICES)
    assert desk.failed(A)
    assert set(desk.target.held) == {key("x"), key("y")}
    # The next pass finds them known, so they are updates, which are only ever sent whole.
    assert desk.acknowledged("x") not in (None, UNKNOWN, upsert("x", relations={"uses": ["y"]}).fingerprint)


# What is about to be decided anew


async def test_what_is_withheld_is_not_sent_until_it_is_put_again(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    desk.open(A)
    await desk.writer.put(upsert("x", 1), refs=[A.ref])
    desk.close(A)
    assert desk.writer.withhold([key("x")]) == set()
    await desk.writer.flush()
    assert desk.target.sent == []
    assert not desk.settled(A)
    await desk.writer.put(upsert("x", 2), refs=())
    await desk.writer.flush()
    assert desk.target.values() == [[2]]
    assert desk.settled(A)


async def test_what_is_withheld_settles_nobody_when_an_earlier_body_arrives(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    desk.open(A)
    for number in range(UPSERT_BATCH):
        await desk.writer.put(upsert(f"s{number}"), refs=[A.ref])
    await desk.writer.push()
    await desk.writer.put(upsert("s0", "second"), refs=[A.ref])
    desk.close(A)
    await settle()
    assert desk.writer.withhold([key("s0"), key("other")]) == {key("s0")}
    await desk.target.answer()
    assert not desk.settled(A)
    desk.target.gated = False
    await desk.writer.put(upsert("s0", "third"), refs=())
    await desk.writer.finish({})
    assert desk.target.held[key("s0")]["properties"] == {"v": "third"}
    assert desk.settled(A)


async def test_what_was_to_follow_is_taken_back_though_what_is_under_way_is_not(make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    desk.open(A)
    for number in range(UPSERT_BATCH):
        await desk.writer.put(upsert(f"s{number}"), refs=[A.ref])
    await desk.writer.push()
    await desk.writer.put(upsert("s0", "second"), refs=[A.ref])
    desk.close(A)
    await settle()
    desk.writer.cancel(key("s0"))
    await desk.target.answer()
    await desk.writer.finish({})
    assert desk.target.held[key("s0")]["properties"] == {"v": 1}
    assert desk.settled(A)


@pytest.mark.parametrize("late", [True, False])
async def test_what_comes_back_to_the_body_that_is_under_way_is_not_sent_again(late: bool, make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget(gated=True))
    for number in range(UPSERT_BATCH):
        await desk.writer.put(upsert(f"s{number}"), refs=())
    await desk.writer.push()
    await settle()
    await desk.writer.put(upsert("s0", "other"), refs=(), late=True)
    await desk.writer.put(upsert("s0"), refs=(), late=late)
    await desk.target.answer()
    await desk.writer.finish({})
    assert len(desk.target.sent) == 1


@pytest.mark.parametrize("late", [True, False])
async def test_one_that_is_forgotten_is_looked_at_again_by_the_next_pass(late: bool, make_desk: MakeDesk) -> None:
    desk = make_desk(ScriptedTarget())
    desk.open(A, B)
    await desk.writer.put(upsert("x"), refs=[A.ref, B.ref], late=late)
    desk.close(A, B)
    desk.writer.forget_sources([A.ref])
    await desk.writer.finish({})
    assert not desk.settled(A)
    assert desk.settled(B)
