"""Deleting: in which order, and never more than was said."""

import pytest
from tests.unit.sync.scripted_target import ScriptedTarget, key

from stageport.ledger.sqlite import SqliteLedger
from stageport.model.blueprints import Blueprint, Relation
from stageport.model.changes import Change, Operation, WriteOptions
from stageport.model.errors import TargetUnreachableError
from stageport.model.events import ignore
from stageport.model.ledger import UNKNOWN, TargetRecord
from stageport.model.refs import TargetKey
from stageport.plan.plan import Plan
from stageport.sync.erase import Eraser, requiring
from stageport.sync.write import Applied

A, B, C, THEIRS = key("a"), key("b"), key("c"), key("theirs", "fork")
REQUIRED = frozenset({"service"})
KNOWN = b"k" * 16


class Bench:
    """An eraser, and a Port that holds all there is."""

    def __init__(self, target: ScriptedTarget, *, cascade: bool = True, required: frozenset[str] = REQUIRED) -> None:
        self.target = target
        target.held.update({one: {} for one in (A, B, C, THEIRS)})
        self.ledger = SqliteLedger.in_memory()
        self.ledger.acknowledge([TargetRecord(one, KNOWN) for one in (A, B, C)])
        self.applied = Applied()
        self.eraser = Eraser(
            target,
            self.ledger,
            options=WriteOptions(delete_dependents=cascade),
            required=required,
            applied=self.applied,
            listener=ignore,
        )

    async def erase(self, *keys: TargetKey, **relations: list[TargetKey]) -> None:
        related = {key(name): tuple(ends) for name, ends in relations.items()}
        deletes = tuple(Change(Operation.DELETE, *one) for one in keys)
        await self.eraser.erase(Plan(deletes=deletes, relations=related))

    @property
    def refused(self) -> list[TargetKey]:
        return [change.key for change, _ in self.applied.refused]


def test_blueprints_that_relations_require() -> None:
    relations = {"must": Relation("team", required=True), "may": Relation("person")}
    assert requiring({"service": Blueprint("service", relations=relations)}) == {"team"}


async def test_where_nothing_is_required_all_goes_at_once_with_the_switch_as_it_is() -> None:
    bench = Bench(ScriptedTarget(), required=frozenset())
    await bench.erase(A, B, a=[B])
    assert bench.target.deleted == [([A, B], True)]


@pytest.mark.parametrize("cascade", [True, False])
async def test_dependents_go_first_and_port_is_not_asked_to_take_them_along(cascade: bool) -> None:
    target = ScriptedTarget()
    target.dependents = {A: {B}, B: {C}}
    bench = Bench(target, cascade=cascade)
    await bench.erase(A, B, C, b=[A], c=[B])
    assert [keys for keys, _ in target.deleted] == [[C], [B], [A]]
    assert not any(switch for _, switch in target.deleted)
    assert (bench.applied.deleted, bench.refused) == (3, [])


@pytest.mark.parametrize("cascade", [True, False])
async def test_what_somebody_else_requires_stays_and_so_does_theirs(cascade: bool) -> None:
    target = ScriptedTarget()
    target.dependents = {A: {THEIRS}}
    bench = Bench(target, cascade=cascade)
    await bench.erase(A, B)
    assert set(target.held) == {A, C, THEIRS}
    assert bench.refused == [A]
    assert bench.ledger.targets([A, B]) == {A: TargetRecord(A, KNOWN)}


async def test_a_circle_is_deleted_with_the_switch_and_then_what_it_required() -> None:
    target = ScriptedTarget()
    target.dependents = {A: {B}, B: {A}, C: {A}}
    bench = Bench(target)
    await bench.erase(A, B, C, a=[B, C], b=[A])
    assert set(target.held) == {THEIRS}
    assert bench.refused == []
    assert ([C], False) in target.deleted


async def test_without_the_switch_a_circle_stays() -> None:
    target = ScriptedTarget()
    target.dependents = {A: {B}, B: {A}}
    bench = Bench(target, cascade=False)
    await bench.erase(A, B, a=[B], b=[A])
    assert sorted(bench.refused) == [A, B]
    assert {A, B} <= set(target.held)


async def test_an_answer_that_never_came_leaves_no_word_of_what_port_holds() -> None:
    class Down(ScriptedTarget):
        async def delete(self, *_: object, **__: object) -> dict[str, object]:
            raise TargetUnreachableError("Port is down")

    bench = Bench(Down())
    with pytest.raises(TargetUnreachableError):
        await bench.erase(A)
    assert bench.ledger.targets([A]) == {A: TargetRecord(A, UNKNOWN)}


async def test_nothing_to_delete_asks_nothing() -> None:
    bench = Bench(ScriptedTarget())
    await bench.erase()
    assert bench.target.deleted == []
