"""One suite for both stores of the Port stand-in: they answer alike, and one of them remembers."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from stageport.model.errors import UsageError
from stageport.sandbox.port.records import EntityKey, StoredEntity
from stageport.sandbox.port.store import MemoryStore, Store, open_store

Opener = Callable[[], Store]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = open_store(None if request.param == "memory" else tmp_path / "state.sqlite")
    yield store
    store.close()


def entity(store: Store, identifier: str, *, blueprint: str = "thing", **relations: object) -> StoredEntity:
    made = StoredEntity(
        sequence=store.next_sequence(),
        blueprint=blueprint,
        identifier=identifier,
        title=None,
        icon=None,
        team=[],
        properties={"p": [1, {"q": None}]},
        relations=relations,  # type: ignore[arg-type]
        datasource="test",
        created_at="2026-01-01T00:00:00.000Z",
        created_by="me",
        updated_at="2026-01-01T00:00:00.000Z",
        updated_by="me",
    )
    store.put_entity(made)
    return made


def identifiers(store: Store, blueprint: str = "thing") -> list[str]:
    return [one.identifier for one in store.entities(blueprint)]


def pointing(store: Store, identifier: str) -> list[str]:
    return sorted(one.identifier for one in store.pointing_at(identifier))


def test_blueprints_keep_their_order(store: Store) -> None:
    for identifier in ("b", "a"):
        store.put_blueprint({"identifier": identifier, "title": "old"})
    store.put_blueprint({"identifier": "b", "title": "new"})
    assert [one["identifier"] for one in store.blueprints()] == ["b", "a"]
    assert store.blueprint("b") == {"identifier": "b", "title": "new"}
    assert store.blueprint("c") is None


def test_entities_are_listed_by_sequence(store: Store) -> None:
    first, _second = entity(store, "z"), entity(store, "a")
    store.put_entity(structs.replace(first, title="changed"))
    assert identifiers(store) == ["z", "a"]
    store.drop_entity(first.key)
    store.drop_entity(EntityKey("thing", "never was"))
    entity(store, "z")
    assert identifiers(store) == ["a", "z"]
    assert (store.count("thing"), store.count("other")) == (2, 0)
    assert store.entity("thing", "a") is not None
    assert store.entity("other", "a") is None
    assert identifiers(store, "other") == []


def test_the_reverse_of_relations_follows_every_change(store: Store) -> None:
    first = entity(store, "a", one="x", many=["x", "y"], none=None)
    entity(store, "b", one="x")
    assert (pointing(store, "x"), pointing(store, "y"), pointing(store, "z")) == (["a", "b"], ["a"], [])
    store.put_entity(structs.replace(first, relations={"one": "z"}))
    assert (pointing(store, "x"), pointing(store, "y"), pointing(store, "z")) == (["b"], [], ["a"])
    store.drop_entity(first.key)
    assert pointing(store, "z") == []


def test_a_blueprint_takes_its_entities_along(store: Store) -> None:
    store.put_blueprint({"identifier": "thing"})
    entity(store, "a", one="x")
    entity(store, "a", blueprint="other")
    store.drop_blueprint("thing")
    assert (store.blueprints(), identifiers(store), identifiers(store, "other")) == ([], [], ["a"])
    assert pointing(store, "x") == []


def test_records_by_kind(store: Store) -> None:
    store.put_record("integration", "a", {"x": 1})
    store.put_record("integration", "a", {"x": 2})
    store.put_record("cursor", "a", {"x": 3})
    store.drop_record("cursor", "b")
    assert (store.record("integration", "a"), store.record("integration", "b")) == ({"x": 2}, None)
    store.drop_record("cursor", "a")
    assert (store.records("integration"), store.records("cursor")) == ({"a": {"x": 2}}, {})


def test_clearing_keeps_the_sequence_going(store: Store) -> None:
    before = entity(store, "a", one="x")
    store.put_blueprint({"identifier": "thing"})
    store.put_record("integration", "a", {})
    store.clear()
    assert (store.blueprints(), identifiers(store), store.records("integration")) == ([], [], {})
    assert pointing(store, "x") == []
    assert store.next_sequence() > before.sequence


def test_sqlite_remembers_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.sqlite"
    store = open_store(path)
    for identifier in ("b", "a"):
        store.put_blueprint({"identifier": identifier})
    kept, dropped = entity(store, "a", one="x"), entity(store, "b")
    store.drop_entity(dropped.key)
    store.put_record("integration", "a", {"x": [1]})
    store.close()
    again = open_store(path)
    assert [one["identifier"] for one in again.blueprints()] == ["b", "a"]
    assert list(again.entities("thing")) == [kept]
    assert pointing(again, "x") == ["a"]
    assert again.record("integration", "a") == {"x": [1]}
    assert again.next_sequence() > kept.sequence
    again.clear()
    again.close()
    assert open_store(path).blueprints() == []


def test_what_was_not_committed_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    store = open_store(path)
    entity(store, "a")
    store.commit()
    entity(store, "b")
    other = open_store(path)
    assert identifiers(other) == ["a"]
    other.close()
    store.close()


def test_memory_is_the_default() -> None:
    assert type(open_store(None)) is MemoryStore


def theirs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE entities (x)")
        connection.commit()


@pytest.mark.parametrize("make", [theirs, lambda path: path.write_text("resources: []"), Path.mkdir])
def test_what_is_no_store_is_left_as_it_is(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "state.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(UsageError, match="The state cannot be kept") as caught:
        open_store(path)
    assert "one that does not exist yet" in caught.value.hint
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert (path.read_bytes() if path.is_file() else b"") == before
