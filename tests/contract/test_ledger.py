"""What every ledger answers, on a file and in memory; ``sync.seams.Ledger`` is the contract."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stageport.ledger.database import Database
from stageport.ledger.schema import migrate
from stageport.ledger.sqlite import SqliteLedger
from stageport.model.fingerprint import digest_of, key_hash
from stageport.model.ledger import UNKNOWN, SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey
from stageport.model.runs import KEPT_RUNS, RefusedEntity, Run
from stageport.sync.seams import Ledger

MAPPING = digest_of(b"mapping")
ODD_NAMES = [
    "o'hare",
    'say "hi"',
    "Ünïcode-☃-😀",
    "UPPER",
    "upper",
    "%_*?",
    "a\0b",
    "a",
    "x" * 4000,
    " ",
    "'; DROP TABLE",
]


def on_file(folder: Path) -> SqliteLedger:
    database = Database(folder / "ledger.sqlite3")
    migrate(database)
    return SqliteLedger(database, release=database.close)


MAKERS: dict[str, Callable[[Path], SqliteLedger]] = {"file": on_file, "memory": lambda _: SqliteLedger.in_memory()}


@pytest.fixture(params=MAKERS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    made = MAKERS[request.param](tmp_path)
    yield made
    made.close()


def ref(name: str, kind: str = "component") -> SourceRef:
    return SourceRef(f"{kind}:default/{name}")


def key(identifier: str, blueprint: str = "service") -> TargetKey:
    return TargetKey(blueprint, identifier)


def record(name: str, *, content: bytes = b"content", failed: bool = False, kind: str = "component") -> SourceRecord:
    return SourceRecord(ref(name, kind), f"uid-{name}", f"etag-{name}", digest_of(content), failed)


def want(name: str, identifier: str, *rank: int, related: bytes = b"") -> WantRecord:
    return WantRecord(ref(name), key(identifier), rank or (0,), digest_of(identifier.encode()), related)


def opened(ledger: Ledger, *names: str, number: int = 1) -> None:
    ledger.open_sources([(record(name), [want(name, name)]) for name in names], number=number)


def taken(*identifiers: str) -> list[TargetRecord]:
    return [TargetRecord(key(one), digest_of(b"body"), digest_of(b"stored")) for one in identifiers]


def test_pass_numbers_grow(ledger: Ledger) -> None:
    numbers = [ledger.begin_pass(mapping=MAPPING) for _ in range(3)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0


def test_its_size_grows_with_what_it_remembers(ledger: SqliteLedger) -> None:
    before = ledger.size_bytes()
    ledger.note_owned([TargetKey("component", f"component:default/{index}") for index in range(5000)], number=1)
    assert 0 < before < ledger.size_bytes() - 5000 * 20


def test_a_new_mapping_makes_every_digest_unknown_and_keeps_the_rest(ledger: Ledger) -> None:
    number = ledger.begin_pass(mapping=MAPPING)
    opened(ledger, "a", "b", number=number)
    ledger.settle_sources([record("a"), record("b")], number=number)
    ledger.acknowledge(taken("a"))
    ledger.begin_pass(mapping=MAPPING)
    assert ledger.sources([ref("a")])[ref("a")].digest == digest_of(b"content")
    ledger.begin_pass(mapping=digest_of(b"another"))
    assert ledger.sources([ref("a"), ref("b")]) == {
        ref("a"): record("a")._replace(digest=UNKNOWN),
        ref("b"): record("b")._replace(digest=UNKNOWN),
    }
    assert ledger.wants_of([ref("a")]) == {ref("a"): [want("a", "a")]}
    assert ledger.targets([key("a")])[key("a")].acknowledged == digest_of(b"body")
    ledger.settle_sources([record("a")], number=3)
    ledger.begin_pass(mapping=digest_of(b"another"))
    assert ledger.sources([ref("a")])[ref("a")].digest == digest_of(b"content")


def test_it_is_empty_until_something_is_known(ledger: Ledger) -> None:
    assert ledger.is_empty
    ledger.begin_pass(mapping=MAPPING)
    ledger.write_fact("verified-at", "now")
    assert ledger.is_empty
    ledger.settle_sources([record("a")], number=1)
    assert not ledger.is_empty
    ledger.drop_sources([ref("a")])
    assert ledger.is_empty
    ledger.acknowledge(taken("a"))
    assert not ledger.is_empty
    ledger.drop_targets([key("a")])
    assert ledger.is_empty


def test_a_fact_is_read_as_it_was_last_written(ledger: Ledger) -> None:
    assert ledger.read_fact("verified-at") == ""
    ledger.write_fact("verified-at", "2026-01-01T00:00:00Z")
    ledger.write_fact("it's", "☃")
    ledger.write_fact("verified-at", "2026-01-02T00:00:00Z")
    assert (ledger.read_fact("verified-at"), ledger.read_fact("it's")) == ("2026-01-02T00:00:00Z", "☃")


def test_nothing_asked_is_nothing_answered(ledger: Ledger) -> None:
    ledger.touch([], number=1)
    ledger.open_sources([], number=1)
    ledger.settle_sources([], number=1)
    ledger.drop_sources([])
    ledger.acknowledge([])
    ledger.drop_targets([])
    ledger.note_owned([], number=1)
    assert (ledger.sources([]), ledger.wants_of([]), ledger.wanters_of([]), ledger.targets([])) == ({}, {}, {}, {})
    assert (ledger.related_among([]), ledger.owned_among([], number=1)) == (set(), set())
    assert (ledger.count_targets(), ledger.count_wanted(), ledger.count_owned(number=1)) == (0, 0, 0)
    assert ledger.is_empty


def test_lookups_answer_what_is_known_and_nothing_else(ledger: Ledger) -> None:
    opened(ledger, "a")
    ledger.acknowledge(taken("a"))
    assert set(ledger.sources([ref("a"), ref("b"), ref("a")])) == {ref("a")}
    assert set(ledger.wants_of([ref("a"), ref("b")])) == {ref("a")}
    assert set(ledger.wanters_of([key("a"), key("b"), key("a", "other")])) == {key("a")}
    assert set(ledger.targets([key("a"), key("b"), key("a", "other")])) == {key("a")}


def test_a_source_counts_only_once_it_is_settled(ledger: Ledger) -> None:
    ledger.open_sources([(record("a"), [want("a", "x")])], number=1)
    assert ledger.sources([ref("a")]) == {ref("a"): record("a")._replace(digest=UNKNOWN)}
    ledger.settle_sources([record("a", failed=True)], number=1)
    assert ledger.sources([ref("a")]) == {ref("a"): record("a", failed=True)}
    assert ledger.wants_of([ref("a")]) == {ref("a"): [want("a", "x")]}
    ledger.open_sources([(record("a"), [want("a", "y")])], number=2)
    assert ledger.sources([ref("a")])[ref("a")].digest == UNKNOWN
    assert ledger.wants_of([ref("a")]) == {ref("a"): [want("a", "y")]}
    assert ledger.wanters_of([key("x")]) == {}


def test_of_one_source_opened_twice_at_once_the_last_counts(ledger: Ledger) -> None:
    later = record("a", content=b"later")._replace(etag="later")
    ledger.open_sources([(record("a"), [want("a", "x")]), (later, [want("a", "y")])], number=1)
    assert ledger.sources([ref("a")])[ref("a")].etag == "later"
    assert ledger.wants_of([ref("a")]) == {ref("a"): [want("a", "y")]}


def test_a_source_that_wants_nothing_is_known(ledger: Ledger) -> None:
    ledger.open_sources([(record("a"), [])], number=1)
    ledger.settle_sources([record("a")], number=1)
    assert ledger.sources([ref("a")]) == {ref("a"): record("a")}
    assert ledger.wants_of([ref("a")]) == {}


def test_wants_come_in_order_of_rank(ledger: Ledger) -> None:
    ranks = [(1, 0), (0, 2), (0, 10), (0,), (2,), (256, 1), (0, 2, 0), (70000,)]
    ledger.open_sources([(record("a"), [want("a", str(rank), *rank) for rank in ranks])], number=1)
    assert [one.rank for one in ledger.wants_of([ref("a")])[ref("a")]] == sorted(ranks)


def test_wanters_come_in_order_of_rank_whoever_wants(ledger: Ledger) -> None:
    ledger.open_sources([(record("a"), [want("a", "x", 3, 1), want("a", "y")])], number=1)
    ledger.open_sources([(record("b"), [want("b", "x", 0, 9)]), (record("c"), [want("c", "x", 3, 0)])], number=1)
    assert [one.ref for one in ledger.wanters_of([key("x")])[key("x")]] == [ref("b"), ref("c"), ref("a")]
    assert ledger.count_wanted() == 2


def test_one_source_may_want_one_target_twice(ledger: Ledger) -> None:
    wants = [want("a", "x", 0, 0), want("a", "x", 0, 1), want("a", "x", 0, 1)]
    ledger.open_sources([(record("a"), wants)], number=1)
    assert ledger.wants_of([ref("a")])[ref("a")] == wants
    assert ledger.wanters_of([key("x")])[key("x")] == wants
    assert ledger.count_wanted() == 1


def test_what_two_want_is_wanted_until_both_let_go(ledger: Ledger) -> None:
    ledger.open_sources([(record("a"), [want("a", "x")]), (record("b"), [want("b", "x")])], number=1)
    ledger.acknowledge(taken("x"))
    ledger.drop_sources([ref("a"), ref("unknown")])
    assert [one.ref for one in ledger.wanters_of([key("x")])[key("x")]] == [ref("b")]
    assert list(ledger.unwanted_targets()) == []
    ledger.drop_sources([ref("b")])
    assert ledger.wanters_of([key("x")]) == {}
    assert list(ledger.unwanted_targets()) == [key("x")]
    assert ledger.targets([key("x")]) == {key("x"): taken("x")[0]}


def test_a_kind_is_read_in_order_and_alone(ledger: Ledger) -> None:
    for kind in ("api", "component", "componentx", "component-x", "componen"):
        ledger.settle_sources([record(name, kind=kind) for name in ("b", "a", "é", "z", "b#1")], number=1)
    refs = list(ledger.kind_refs("Component"))
    assert refs == [ref("a"), ref("b"), ref("b#1"), ref("z"), ref("é")]
    assert list(ledger.kind_refs("nothing")) == []


def test_unseen_are_those_that_the_pass_neither_touched_nor_recorded(ledger: Ledger) -> None:
    opened(ledger, "a", "b", "c", "d", number=1)
    assert list(ledger.unseen(number=1)) == []
    ledger.touch([ref("a"), ref("unknown")], number=2)
    opened(ledger, "b", number=2)
    ledger.settle_sources([record("c")], number=2)
    assert list(ledger.unseen(number=2)) == [ref("d")]
    assert set(ledger.sources([ref("unknown")])) == set()


def test_acknowledging_replaces_what_was_known(ledger: Ledger) -> None:
    ledger.acknowledge(taken("a", "b"))
    newer = TargetRecord(key("a"), UNKNOWN, digest_of(b"seen"))
    ledger.acknowledge([TargetRecord(key("a"), digest_of(b"old")), newer])
    assert ledger.targets([key("a"), key("b")]) == {key("a"): newer, key("b"): taken("b")[0]}
    assert ledger.count_targets() == 2
    ledger.drop_targets([key("a"), key("never")])
    assert ledger.targets([key("a"), key("b")]) == {key("b"): taken("b")[0]}
    assert ledger.count_targets() == 1


def test_what_a_want_relates_to_is_known_as_long_as_the_want(ledger: Ledger) -> None:
    ends = [key("team", "group"), key("other", "group"), key("Team", "group")]
    related = key_hash(ends[0]) + key_hash(ends[1])
    ledger.open_sources([(record("a"), [want("a", "a", related=related), want("a", "b")])], number=1)
    assert ledger.related_among([*ends, key("a")]) == {ends[0], ends[1]}
    ledger.drop_sources([ref("a")])
    assert ledger.related_among(ends) == set()


def test_who_wants_what_relates_to_something_is_known_as_long_as_the_want(ledger: Ledger) -> None:
    ends = [key("team", "group"), key("other", "group")]
    related = key_hash(ends[0]) + key_hash(ends[1])
    ledger.open_sources([(record("a"), [want("a", "a", related=related), want("a", "b")])], number=1)
    ledger.open_sources([(record("b"), [want("b", "a", related=key_hash(ends[1]))])], number=1)
    assert sorted(ledger.relating_to(ends)) == [(ref("a"), key("a")), (ref("b"), key("a"))]
    assert list(ledger.relating_to(ends[:1])) == [(ref("a"), key("a"))]
    assert list(ledger.relating_to([key("a"), key("team", "Group")])) == []
    ledger.drop_sources([ref("a")])
    assert list(ledger.relating_to(ends)) == [(ref("b"), key("a"))]


def test_a_hash_counts_only_where_one_begins(ledger: Ledger) -> None:
    end = key("team", "group")
    shifted = b"1234" + key_hash(end) + b"5678"
    ledger.open_sources([(record("a"), [want("a", "a", related=shifted)])], number=1)
    assert ledger.related_among([end]) == set()
    assert list(ledger.relating_to([end])) == []


def test_relations_of_some_sources_can_be_left_aside(ledger: Ledger) -> None:
    end = key("team", "group")
    for name in ("a", "b"):
        ledger.open_sources([(record(name), [want(name, name, related=key_hash(end))])], number=1)
    assert ledger.related_among([end], without=[ref("a")]) == {end}
    assert ledger.related_among([end], without=[ref("a"), ref("b")]) == set()


def test_what_an_unsettled_source_wants_no_more_may_have_been_written(ledger: Ledger) -> None:
    opened(ledger, "a", "b", number=1)
    ledger.settle_sources([record("b")], number=1)
    ledger.open_sources([(record(name), [want(name, "other")]) for name in ("a", "b")], number=1)
    assert ledger.targets([key("a"), key("b")]) == {key("a"): TargetRecord(key("a"), UNKNOWN)}
    assert list(ledger.unwanted_targets()) == [key("a")]


def test_what_a_forgotten_unsettled_source_wanted_may_have_been_written(ledger: Ledger) -> None:
    opened(ledger, "a", "b", "known", number=1)
    ledger.settle_sources([record("b")], number=1)
    ledger.acknowledge(taken("known"))
    ledger.drop_sources([ref("a"), ref("b"), ref("known")])
    assert ledger.targets([key("a"), key("b")]) == {key("a"): TargetRecord(key("a"), UNKNOWN)}
    assert ledger.targets([key("known")]) == {key("known"): taken("known")[0]}


def test_what_port_holds_is_noted_of_what_is_known(ledger: Ledger) -> None:
    ledger.acknowledge(taken("a", "b"))
    ledger.note_stored({key("a"): digest_of(b"seen"), key("never"): digest_of(b"seen")})
    assert ledger.targets([key("a"), key("b"), key("never")]) == {
        key("a"): TargetRecord(key("a"), digest_of(b"body"), digest_of(b"seen")),
        key("b"): taken("b")[0],
    }


@pytest.mark.parametrize("begun", [False, True], ids=["grown", "empty at first"])
def test_who_else_wants_what_one_has_just_noted(ledger: Ledger, begun: bool) -> None:
    if begun:
        ledger.begin_pass(mapping=MAPPING)
    mine = [want("a", "mine"), want("a", "shared", 1), want("a", "gone", 2)]
    ledger.open_sources([(record("a"), mine)], number=1)
    assert ledger.wanters_of([key("mine"), key("shared")], mine=mine) == {
        key("mine"): [mine[0]],
        key("shared"): [mine[1]],
    }
    ledger.open_sources([(record("b"), [want("b", "shared")])], number=1)
    ledger.open_sources([(record("a"), mine[:2])], number=1)
    assert ledger.wanters_of([key("gone"), key("mine"), key("shared")], mine=mine) == {
        key("mine"): [mine[0]],
        key("shared"): [want("b", "shared"), mine[1]],
    }


NAMES = st.sampled_from("abcde")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=3, unique=True)), max_size=3)),
        st.tuples(st.sampled_from(["settle", "unsettle", "drop", "acknowledge", "store", "forget"]), st.lists(NAMES)),
    ),
    max_size=12,
)


def play(ledger: Ledger, step: str, names: list[Any]) -> None:
    """Make one call."""
    match step:
        case "open":
            entries = [
                (record(name), [want(name, one, place) for place, one in enumerate(wants)]) for name, wants in names
            ]
            ledger.open_sources(entries, number=1)
        case "settle":
            ledger.settle_sources([record(name) for name in names if ledger.sources([ref(name)])], number=1)
        case "unsettle":
            ledger.unsettle_sources([ref(name) for name in names])
        case "drop":
            ledger.drop_sources([ref(name) for name in names])
        case "acknowledge":
            ledger.acknowledge(taken(*names))
        case "store":
            ledger.note_stored(dict.fromkeys(map(key, names), digest_of(b"seen")))
        case _:
            ledger.drop_targets([key(name) for name in names])


@given(STEPS)
def test_a_ledger_that_was_empty_answers_as_any_other(steps: list[tuple[str, list[Any]]]) -> None:
    empty, other = SqliteLedger.in_memory(), SqliteLedger.in_memory()
    other.acknowledge(taken("there before"))
    with closing(empty), closing(other):
        for ledger in (empty, other):
            ledger.begin_pass(mapping=MAPPING)
        for step, names in steps:
            play(empty, step, names)
            play(other, step, names)
            refs, keys = [ref(name) for name in "abcde"], [key(name) for name in "abcde"]
            assert empty.sources(refs) == other.sources(refs)
            assert empty.wants_of(refs) == other.wants_of(refs)
            assert empty.targets(keys) == other.targets(keys)
            mine = [want for wants in other.wants_of(refs[:2]).values() for want in wants]
            assert empty.wanters_of(keys, mine=mine) == other.wanters_of(keys)


def test_what_port_lists_as_ours(ledger: Ledger) -> None:
    opened(ledger, "wanted", "lost", "unacknowledged", number=1)
    ledger.acknowledge([*taken("wanted", "lost", "unwanted"), TargetRecord(key("unacknowledged"), UNKNOWN)])
    ledger.note_owned([key("wanted")], number=1)
    ledger.note_owned([key("stray"), key("unwanted"), key("wanted"), key("wanted", "other")], number=1)
    assert ledger.count_owned(number=1) == 4
    assert list(ledger.unowned(number=1)) == [key("lost")]
    assert list(ledger.unwanted_owned(number=1)) == [key("wanted", "other"), key("stray"), key("unwanted")]
    assert list(ledger.unwanted_targets()) == [key("unwanted")]
    assert ledger.owned_among([key("wanted"), key("lost"), key("stray")], number=1) == {key("wanted"), key("stray")}


def test_a_new_listing_forgets_the_old_one(ledger: Ledger) -> None:
    ledger.note_owned([key("a"), key("b")], number=1)
    assert ledger.count_owned(number=2) == 0
    assert ledger.owned_among([key("a")], number=2) == set()
    assert list(ledger.unwanted_owned(number=2)) == []
    ledger.note_owned([key("b")], number=2)
    assert (ledger.count_owned(number=1), ledger.count_owned(number=2)) == (0, 1)
    assert list(ledger.unwanted_owned(number=2)) == [key("b")]


def test_an_empty_listing_is_a_listing(ledger: Ledger) -> None:
    opened(ledger, "a")
    ledger.acknowledge(taken("a"))
    ledger.note_owned([key("a")], number=1)
    ledger.note_owned([], number=2)
    assert (ledger.count_owned(number=1), ledger.count_owned(number=2)) == (0, 0)
    assert list(ledger.unowned(number=2)) == [key("a")]


@pytest.mark.parametrize("count", [1, 2, 16, 17, 512, 513, 5000])
def test_many_at_once(ledger: Ledger, count: int) -> None:
    names = [f"n{number:05}" for number in range(count)]
    opened(ledger, *names)
    ledger.settle_sources([record(name) for name in names], number=1)
    ledger.acknowledge(taken(*names))
    refs, keys = [ref(name) for name in names], [key(name) for name in names]
    ledger.note_owned(keys, number=1)
    assert list(ledger.sources(refs)) == refs
    assert list(ledger.wants_of(refs)) == refs
    assert set(ledger.wanters_of(keys)) == set(keys)
    assert set(ledger.targets(keys)) == set(keys)
    assert ledger.owned_among(keys, number=1) == set(keys)
    assert list(ledger.kind_refs("component")) == refs
    assert list(ledger.unseen(number=2)) == refs
    ledger.touch(refs[1:], number=2)
    assert list(ledger.unseen(number=2)) == refs[:1]
    ledger.drop_sources(refs)
    assert list(ledger.unwanted_targets()) == list(ledger.unwanted_owned(number=1)) == keys
    ledger.drop_targets(keys)
    assert ledger.is_empty


def test_what_walks_yield_may_be_dropped_meanwhile(ledger: Ledger) -> None:
    names = [f"n{number:05}" for number in range(2500)]
    opened(ledger, *names)
    walked = []
    for one in ledger.unseen(number=2):
        walked.append(one)
        ledger.drop_sources([one])
    assert walked == [ref(name) for name in names]
    ledger.acknowledge(taken(*names))
    gone = []
    for one_key in ledger.unwanted_targets():
        gone.append(one_key)
        ledger.drop_targets([one_key])
    assert gone == [key(name) for name in names]
    assert ledger.is_empty


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_stay_what_they_are(ledger: Ledger, name: str) -> None:
    blob = b"\0'\"\xff" * 4
    source = SourceRecord(ref(name), name, name, blob)
    wanted = WantRecord(ref(name), TargetKey(name, name), (0,), blob, blob[:8])
    target = TargetRecord(TargetKey(name, name), blob, blob)
    opened(ledger, *(other for other in ODD_NAMES if other != name))
    ledger.open_sources([(source, [wanted])], number=1)
    ledger.settle_sources([source], number=1)
    ledger.acknowledge([target])
    ledger.note_owned([target.key], number=1)
    assert ledger.sources([ref(name)]) == {ref(name): source}
    assert ledger.wants_of([ref(name)]) == {ref(name): [wanted]}
    assert ledger.wanters_of([target.key]) == {target.key: [wanted]}
    assert ledger.targets([target.key]) == {target.key: target}
    assert ledger.owned_among([target.key], number=1) == {target.key}
    ledger.drop_sources([ref(name)])
    assert list(ledger.unwanted_owned(number=1)) == list(ledger.unwanted_targets()) == [target.key]
    ledger.drop_targets([target.key])
    assert len(ledger.sources([ref(other) for other in ODD_NAMES])) == len(ODD_NAMES) - 1
    assert ledger.count_targets() == 0


def test_a_scratch_goes_its_own_way(ledger: Ledger) -> None:
    number = ledger.begin_pass(mapping=MAPPING)
    opened(ledger, "a", "b", number=number)
    ledger.acknowledge(taken("a"))
    scratch = ledger.scratch()
    assert scratch.wants_of([ref("a"), ref("b")]) == ledger.wants_of([ref("a"), ref("b")])
    assert scratch.begin_pass(mapping=digest_of(b"another")) == number + 1
    scratch.drop_sources([ref("a")])
    scratch.acknowledge(taken("c"))
    assert set(ledger.sources([ref("a"), ref("b")])) == {ref("a"), ref("b")}
    assert ledger.count_targets() == 1
    ledger.drop_sources([ref("b")])
    assert set(scratch.sources([ref("a"), ref("b")])) == {ref("b")}
    scratch.close()
    assert ledger.begin_pass(mapping=MAPPING) == number + 1


def run(run_id: str, **changed: object) -> Run:
    return msgspec.structs.replace(Run(id=run_id, trigger="a test", started="2026-01-01T00:00:00.000Z"), **changed)


def test_runs_come_back_as_they_were_the_newest_first(ledger: Ledger) -> None:
    refused = RefusedEntity("service", "o'hare", None, 422, "invalid_request", "Ünïcode ☃")
    first = run("1", kind="verify", state="failed", exit=7, counts={"create": 2}, refused=(refused,), notes=("a", "b"))
    ledger.runs.put(first)
    ledger.runs.put(run("2"))
    assert ledger.runs.latest() == [run("2"), first]
    assert ledger.runs.latest(limit=1) == [run("2")]
    ledger.runs.put(run("1", state="completed"))
    assert [one.state for one in ledger.runs.latest()] == ["running", "completed"]
    ledger.runs.drop("2")
    assert [one.id for one in ledger.runs.latest()] == ["1"]


def test_only_the_latest_runs_are_kept_whatever_was_dropped_between(ledger: Ledger) -> None:
    with ledger.together():
        for number in range(KEPT_RUNS + 30):
            ledger.runs.put(run(str(number)))
    assert [one.id for one in ledger.runs.latest()] == [str(number) for number in reversed(range(30, KEPT_RUNS + 30))]


def test_a_run_that_never_ended_is_closed_and_no_other(ledger: Ledger) -> None:
    ledger.runs.put(run("ended", state="completed", exit=0))
    ledger.runs.put(run("killed"))
    ledger.runs.close_open()
    killed, ended = ledger.runs.latest()
    assert (killed.state, killed.exit, bool(killed.error)) == ("aborted", None, True)
    assert ended == run("ended", state="completed", exit=0)


def test_runs_are_no_part_of_what_is_known_of_the_catalogs(ledger: Ledger) -> None:
    ledger.runs.put(run("1"))
    assert ledger.is_empty
