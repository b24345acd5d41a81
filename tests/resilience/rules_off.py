"""The eight rules of safety, each switched off in this process: what the convergence machine has to notice.

Each function takes a ``MonkeyPatch`` and puts in the product's place what a product without the rule would do.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.resilience.convergence_machine import Convergence
from tests.resilience.mapping_family import Shape

from stageport.model.ledger import TargetRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.plan.safety import Evidence, Verdict
from stageport.sync import conclude, erase, passes, weigh, write
from stageport.sync.conclude import Conclusion
from stageport.sync.passes import PassKind
from stageport.sync.write import Writer

Switch = Callable[[pytest.MonkeyPatch], None]
Steps = Callable[[Convergence], None]
Words = str

SPEC = {"type": "service", "lifecycle": "a", "owner": "g0"}
OTHER = {**SPEC, "lifecycle": "b"}
RESYNC = PassKind.RESYNC


def _with_evidence(**changed: Any) -> Switch:
    """Judge what is stale as if something else had been seen."""

    def off(patch: pytest.MonkeyPatch) -> None:
        judge = conclude.judge_stale

        def judge_stale(evidence: Evidence) -> Verdict:
            return judge(replace(evidence, **changed))

        patch.setattr(conclude, "judge_stale", judge_stale)

    return off


def _owned_by_whoever(patch: pytest.MonkeyPatch) -> None:
    """Rule 3: what we once wrote is ours for ever."""

    async def still_ours(self: Conclusion, stale: Sequence[TargetKey], *, doomed: object) -> list[TargetKey]:
        return list(stale)

    judged = Conclusion._stale

    def stale(self: Conclusion, lost: Sequence[SourceRef]) -> list[TargetKey]:
        return sorted({*judged(self, lost), *self._ledger.unwanted_targets(), *self._exclusive(lost)})

    patch.setattr(Conclusion, "_still_ours", still_ours)
    patch.setattr(Conclusion, "_stale", stale)


def _no_second_look(patch: pytest.MonkeyPatch) -> None:
    """Rule 5: what the scan did not show is gone."""

    async def confirm_gone(self: Conclusion, gone: Sequence[SourceRef]) -> list[SourceRef]:
        return list(gone)

    async def look_for_unknown_sources(self: Conclusion, stale: object) -> None:
        """Look for nothing."""

    patch.setattr(Conclusion, "_confirm_gone", confirm_gone)
    patch.setattr(Conclusion, "_look_for_unknown_sources", look_for_unknown_sources)


def _cascade(patch: pytest.MonkeyPatch) -> None:
    """Rule 6: what requires a deleted entity goes along with it."""
    for room in (erase, passes):
        patch.setattr(room, "requiring", lambda _: frozenset())


def _acknowledged_before_the_answer(patch: pytest.MonkeyPatch) -> None:
    """Rule 7: the ledger believes that Port has what is only on its way."""
    send = Writer._write

    async def write_believing(self: Writer, blueprint: str, batch: Sequence[Any], *rest: Any) -> None:
        self._ledger.acknowledge([TargetRecord(one.change.key, one.fingerprint) for one in batch])
        await send(self, blueprint, batch, *rest)

    patch.setattr(Writer, "_write", write_believing)


def _settled_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    """Rule 7: a source entity counts as done before what it wants was written."""
    announce = Writer.open_source

    def open_source(self: Writer, record: Any) -> None:
        announce(self, record)
        self._ledger.settle_sources([record], number=self._number)

    patch.setattr(Writer, "open_source", open_source)


def _never_acknowledged(patch: pytest.MonkeyPatch) -> None:
    """Rule 7: nobody notes what Port took, so it is written again in vain."""

    def leave(self: Writer, waiters: object, *, failed: bool = False) -> None:
        """Settle nobody."""

    patch.setattr(Writer, "_leave", leave)
    for room in (weigh, write):
        patch.setattr(room, "TargetRecord", lambda key, *_: TargetRecord(key, b""))


# The shortest way to where each rule is needed


def _break_and_forget(state: Convergence) -> None:
    state.put_component("c0", {**SPEC, "broken": "selector"})
    state.lose_ledger()
    state.sync_in_peace(kind=None, release=True)


def _require_and_delete(state: Convergence) -> None:
    state.change_mapping_to(owner=False)
    state.sync_in_peace(kind=None, release=True)
    state.require_a_team("g0")
    state.delete_source("group:default/g0")
    state.sync_in_peace(kind=RESYNC, release=True)


def _crash_before_an_update(state: Convergence) -> None:
    state.crash_at_an_update(kind=RESYNC, spec=OTHER, taken=False)


def _slip_past_the_scan(state: Convergence) -> None:
    state.change_mapping_to(group=False)
    state.recreate_while_it_is_read(kind=RESYNC, how="slipped")


RULES_OFF: dict[str, tuple[Switch, Steps, Words]] = {
    "1 nothing after an incomplete read": (
        _with_evidence(complete=True),
        lambda state: state.read_incompletely(kind=None, only="roup", read=1, lost=True),
        "not everything could be read|incomplete|is wanted",
    ),
    "2 an empty source holds": (
        _with_evidence(sources=1, emptied=lambda _: ()),
        lambda state: state.empty_suddenly(kind=RESYNC, emptied="everything"),
        "not allowed to see|is gone|is wanted|empty",
    ),
    "2 an emptied kind holds": (
        _with_evidence(emptied=lambda _: ()),
        lambda state: state.empty_suddenly(kind=RESYNC, emptied="component"),
        "is gone",
    ),
    "3 only what is ours": (
        _owned_by_whoever,
        lambda state: state.take_over_and_delete(kind=RESYNC, name="c0", spec=SPEC),
        "is not ours",
    ),
    "3 no more than the threshold": (
        _with_evidence(threshold=1.0),
        lambda state: state.lose_most(kind=RESYNC, left="c0"),
        "were deleted",
    ),
    "4 a failed mapping protects": (_with_evidence(is_protected=lambda _: False), _break_and_forget, "mapping failed"),
    "5 a second look": (
        _no_second_look,
        _slip_past_the_scan,
        "is wanted",
    ),
    "6 what is related to stays": (
        _with_evidence(is_related=lambda _: False),
        lambda state: state.delete_an_owner(kind=RESYNC, name="g0", spec=SPEC),
        r"still related to|relations\.owner",
    ),
    "6 nothing goes along": (_cascade, _require_and_delete, "is not ours"),
    "7 a crash before the answer": (_acknowledged_before_the_answer, _crash_before_an_update, "properties.life"),
    "7 a crash before the write": (_settled_before_it_is_written, _crash_before_an_update, "properties.life"),
    "7 nothing in vain": (_never_acknowledged, lambda _: None, ""),
}
"""Each rule's switch, the shortest way to where it is needed, and in which words the machine then notices."""


def lead(state: Convergence, steps: Steps) -> None:
    """Lead a machine there, from two catalogs that agree to two that have to agree again."""
    state.begin(shape=Shape(), components=[SPEC] * 3, groups=2, first=True)
    steps(state)
    state.teardown()
