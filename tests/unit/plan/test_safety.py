"""The rules of safety that are decided on paper; the others: tests/contract/test_safety_rules.py."""

from dataclasses import replace

import pytest

from stageport.model.changes import Hold, Operation
from stageport.model.refs import TargetKey
from stageport.plan.safety import Evidence, judge_stale

GONE = [TargetKey("component", f"component:default/{name}") for name in ("a", "b")]
CALM = Evidence(stale=GONE, owned=10, sources=8, threshold=0.9, complete=True)


def holds(evidence: Evidence) -> list[Hold | None]:
    return [change.hold for change in judge_stale(evidence).kept]


def test_stale_target_entities_are_deleted_when_no_rule_speaks() -> None:
    verdict = judge_stale(CALM)
    assert [change.key for change in verdict.deletes] == GONE
    assert {change.operation for change in verdict.deletes} == {Operation.DELETE}
    assert verdict.kept == ()
    assert verdict.notes == ()


def test_rule_1_nothing_is_deleted_after_an_incomplete_read() -> None:
    verdict = judge_stale(replace(CALM, complete=False))
    assert verdict.deletes == ()
    assert {change.hold for change in verdict.kept} == {Hold.INCOMPLETE_READ}


def test_rule_1_cannot_be_released() -> None:
    assert judge_stale(replace(CALM, complete=False, released=True)).deletes == ()


def test_rule_2_an_empty_source_holds_all_deletes() -> None:
    verdict = judge_stale(replace(CALM, sources=0))
    assert verdict.deletes == ()
    assert {change.hold for change in verdict.kept} == {Hold.EMPTY_SOURCE}
    assert "--release-deletes" in verdict.notes[0]


def test_rule_2_a_kind_that_lost_everything_holds_all_deletes() -> None:
    verdict = judge_stale(replace(CALM, emptied=lambda _: ["component"]))
    assert verdict.deletes == ()
    assert "component" in verdict.notes[0]


def test_rule_3_the_threshold_is_a_share_of_all_that_is_ours() -> None:
    assert holds(replace(CALM, owned=2, threshold=0.9)) == [Hold.THRESHOLD] * 2
    assert holds(replace(CALM, owned=2, threshold=1.0)) == []
    assert holds(replace(CALM, owned=10, threshold=0.2)) == []
    assert holds(replace(CALM, owned=10, threshold=0.19)) == [Hold.THRESHOLD] * 2


def test_rule_3_a_threshold_of_zero_deletes_nothing() -> None:
    assert holds(replace(CALM, owned=1_000_000, threshold=0)) == [Hold.THRESHOLD] * 2


@pytest.mark.parametrize("change", [{"sources": 0}, {"emptied": lambda _: ["component"]}, {"owned": 2}])
def test_rules_2_and_3_can_be_released_by_a_person(change: dict[str, object]) -> None:
    verdict = judge_stale(replace(CALM, **change, released=True))
    assert len(verdict.deletes) == 2


def test_rule_4_a_failed_mapping_protects_its_own_targets_and_nobody_elses() -> None:
    verdict = judge_stale(replace(CALM, is_protected=lambda key: key == GONE[0]))
    assert [(change.key, change.hold) for change in verdict.kept] == [(GONE[0], Hold.MAPPING_FAILED)]
    assert [change.key for change in verdict.deletes] == [GONE[1]]


def test_rule_4_holds_against_a_release() -> None:
    assert len(judge_stale(replace(CALM, is_protected=lambda _: True, released=True)).kept) == 2


def test_rule_6_what_others_still_relate_to_is_kept() -> None:
    verdict = judge_stale(replace(CALM, is_related=lambda key: key == GONE[1]))
    assert [(change.key, change.hold) for change in verdict.kept] == [(GONE[1], Hold.STILL_RELATED)]
    assert [change.key for change in verdict.deletes] == [GONE[0]]


def test_nothing_stale_leaves_nothing_to_say() -> None:
    verdict = judge_stale(Evidence(stale=[], owned=0, sources=0, threshold=0.9, complete=False))
    assert (verdict.deletes, verdict.kept, verdict.notes) == ((), (), ())


def test_what_is_kept_for_its_relations_is_no_reason_to_hold_the_rest() -> None:
    """A stub for an owner that Backstage does not know is stale in every pass, and its kind is always empty."""
    stub = TargetKey("group", "group:default/nobody")
    evidence = replace(
        CALM,
        stale=[*GONE, stub],
        owned=3,
        threshold=0.7,
        emptied=lambda key: ["group"] if key == stub else (),
        is_related=lambda key: key == stub,
    )
    verdict = judge_stale(evidence)
    assert [change.key for change in verdict.deletes] == GONE
    assert [(change.key, change.hold) for change in verdict.kept] == [(stub, Hold.STILL_RELATED)]
    assert verdict.notes == ()


def test_rule_1_holds_what_other_rules_would_keep_too() -> None:
    verdict = judge_stale(replace(CALM, complete=False, is_related=lambda _: True))
    assert {change.hold for change in verdict.kept} == {Hold.INCOMPLETE_READ}
