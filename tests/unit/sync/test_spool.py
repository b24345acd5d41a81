"""What is kept until the end of a pass comes back as it was put, also from disk."""

from contextlib import closing

import pytest

from stageport.model.changes import Change, Operation
from stageport.model.ledger import Fingerprint
from stageport.model.refs import SourceRef, TargetKey
from stageport.sync.spool import KeyLog, Spool, Ticket, Upsert


def upsert(name: str, body: bytes) -> Upsert:
    return Upsert(Change(Operation.UPDATE, "service", name, body=body), Fingerprint(b"f"))


@pytest.mark.parametrize("weight", [1, 3_000_000], ids=["in memory", "on disk"])
def test_the_latest_upsert_of_each_target_comes_back_with_its_body(weight: int) -> None:
    with closing(Spool()) as spool:
        for name in ("a", "b", "c"):
            spool.put(upsert(name, b"{}"))
        spool.put(upsert("b", b"x" * weight))
        spool.drop(TargetKey("service", "c"))
        assert [key.identifier for key in spool] == ["a", "b"]
        assert spool.fetch(TargetKey("service", "b")).upsert.change.body == b"x" * weight
        assert spool.fetch(TargetKey("service", "a")).upsert.change.body == b"{}"


def test_who_waits_for_an_upsert_waits_for_the_one_that_takes_its_place() -> None:
    first, second = (Ticket(number, SourceRef(f"component:default/{number}"), None) for number in (1, 2))
    with closing(Spool()) as spool:
        spool.put(upsert("a", b"1"), tickets=[first])
        spool.put(upsert("a", b"2"), tickets=[second, first])
        assert spool.fetch(TargetKey("service", "a")).tickets == (first, second, first)
        spool.drop(TargetKey("service", "a"))
        assert TargetKey("service", "a") not in spool
        spool.put(upsert("a", b"3"))
        assert spool.fetch(TargetKey("service", "a")).tickets == ()


def test_names_come_back_by_blueprint() -> None:
    with closing(KeyLog()) as log:
        for place in range(4):
            log.note(TargetKey("service" if place % 2 else "api", str(place)))
        assert list(log.chunks(size=500)) == [
            [TargetKey("api", "0"), TargetKey("api", "2")],
            [TargetKey("service", "1"), TargetKey("service", "3")],
        ]


@pytest.mark.parametrize("count", [0, 5, 120_000], ids=["none", "a few", "more than stays in memory"])
def test_every_name_that_was_noted_comes_back_once_in_order(count: int) -> None:
    keys = [TargetKey("service", f'ß "{number}"\n/component:default') for number in range(count)]
    with closing(KeyLog()) as log:
        for key in keys:
            log.note(key)
        chunks = list(log.chunks(size=500))
        assert [key for chunk in chunks for key in chunk] == keys
        assert all(len(chunk) <= 500 for chunk in chunks)
        log.note(TargetKey("service", "late"))
        assert sum(map(len, log.chunks(size=500))) == count + 1
