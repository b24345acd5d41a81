"""The eight rules of safety, each switched off in this process: what the convergence machine has to notice.

Each function takes a ``MonkeyPatch`` and puts in the product's place what a product without the rule would do.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from stageport.model.ledger import TargetRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.plan.safety import Evidence, Verdict
from stageport.sync import conclude, erase, passes, weigh, write
from stageport.sync.conclude import Conclusion
from stageport.sync.write import Writer

Switch = Callable[[pytest.MonkeyPatch], None]


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

    async def write_believing(self: Writer, blueprint: str, batch: Sequence[Any]) -> None:
        acknowledge = self._ledger.acknowledge

        class Believing:
            def __getattr__(self, name: str) -> Any:
                return getattr(ledger, name)

            def acknowledge(self, records: Sequence[TargetRecord]) -> None:
                known = {one.change.key: one.fingerprint for one in batch}
                acknowledge([one._replace(acknowledged=known.get(one.key, one.acknowledged)) for one in records])

        ledger = self._ledger
        self._ledger = Believing()  # type: ignore[assignment]
        try:
            await send(self, blueprint, batch)
        finally:
            self._ledger = ledger

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


RULES_OFF: dict[str, tuple[Switch, str]] = {
    "1 nothing after an incomplete read": (
        _with_evidence(complete=True),
        "not everything could be read|incomplete|is wanted",
    ),
    "2 an empty source holds": (_with_evidence(sources=1, emptied=lambda _: ()), "not allowed to see|is gone|empty"),
    "2 an emptied kind holds": (_with_evidence(emptied=lambda _: ()), "is gone|not allowed to see"),
    "3 only what is ours": (_owned_by_whoever, "is not ours"),
    "3 no more than the threshold": (_with_evidence(threshold=1.0), "were deleted"),
    "4 a failed mapping protects": (_with_evidence(is_protected=lambda _: False), "whose mapping failed"),
    "5 a second look": (_no_second_look, "is wanted"),
    "6 what is related to stays": (_with_evidence(is_related=lambda _: False), r"still related to|relations\.owner"),
    "6 nothing goes along": (_cascade, ""),
    "7 a crash before the answer": (_acknowledged_before_the_answer, ""),
    "7 a crash before the write": (_settled_before_it_is_written, ""),
    "7 nothing in vain": (_never_acknowledged, ""),
}
"""Each rule's switch, and the words in which the machine has to notice; any will do where there are none."""
