"""What source entities are called in the ledger."""

import pytest

from stageport.mapping.static import Read
from stageport.model.refs import SourceRef
from stageport.sync.names import LedgerNames

PAY, TEAM = SourceRef("component:default/pay"), SourceRef("group:default/team")
ONCE = LedgerNames([Read("Component"), Read("Group")])
TWICE = LedgerNames([Read("Component"), Read("Group"), Read("component", ("spec.type=service",))])


def test_a_kind_that_is_read_once_goes_by_its_refs() -> None:
    assert ONCE.name(PAY, 0) == PAY
    assert ONCE.place(PAY) == (0, Read("Component"))


def test_a_kind_that_is_read_twice_has_a_name_for_each_read() -> None:
    names = [TWICE.name(PAY, number) for number in (0, 2)]
    assert len(set(names)) == 2
    assert [TWICE.ref(name) for name in names] == [PAY, PAY]
    assert [TWICE.place(name) for name in names] == [TWICE.places[0], TWICE.places[2]]


def test_other_kinds_keep_their_refs_when_one_is_read_twice() -> None:
    assert TWICE.name(TEAM, 1) == TEAM
    assert TWICE.place(TEAM) == TWICE.places[1]


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (ONCE, TWICE.name(PAY, 0)),  # read twice before, once now
        (TWICE, ONCE.name(PAY, 0)),  # and the other way round
        (TWICE, SourceRef(f"{PAY}#1")),  # the numbers of the reads have moved
        (TWICE, SourceRef(f"{PAY}#7")),
        (ONCE, SourceRef("api:default/pay")),  # not mapped any more
    ],
)
def test_a_name_of_another_mapping_has_no_place(names: LedgerNames, name: SourceRef) -> None:
    assert names.place(name) is None


def test_names_are_sorted_by_the_reads_they_belong_to() -> None:
    mine = [TWICE.name(PAY, 0), TWICE.name(PAY, 2), TEAM, SourceRef("api:default/x")]
    assert TWICE.by_place(mine) == {
        TWICE.places[0]: [f"{PAY}#0"],
        TWICE.places[2]: [f"{PAY}#2"],
        TWICE.places[1]: [TEAM],
    }
