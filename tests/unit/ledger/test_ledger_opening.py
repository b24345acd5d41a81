import json
import os
import shutil
import socket
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stageport.ledger.aside import set_aside
from stageport.ledger.database import COPY_MARK, Database
from stageport.ledger.faults import UnusableLedgerError
from stageport.ledger.lock import LedgerLock
from stageport.ledger.opening import OpenedLedger, open_ledger
from stageport.ledger.place import file_name
from stageport.ledger.reading import read_runs
from stageport.ledger.schema import APPLICATION, MIGRATIONS, migrate
from stageport.ledger.sqlite import SqliteLedger
from stageport.model.errors import LedgerBusyError, LedgerError, SettingsError
from stageport.model.exits import Exit
from stageport.model.fingerprint import digest_of
from stageport.model.ledger import SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
IDENTITY = "backstage/main@api.getport.io"
REFS = [SourceRef(f"component:default/n{number:04}") for number in range(2000)]


def opened(path: Path | None, *, identity: str = IDENTITY, engine: str = "1", home: str = "") -> OpenedLedger:
    return open_ledger(path=path, identity=identity, engine=engine, environ={"HOME": home}, now=lambda: NOON)


def fill(ledger: SqliteLedger) -> None:
    number = ledger.begin_pass(mapping=b"mapping")
    digest = digest_of(b"")
    records = [SourceRecord(ref, "uid", "etag", digest) for ref in REFS]
    wants = {ref: [WantRecord(ref, TargetKey("service", ref), (0,), digest)] for ref in REFS}
    ledger.open_sources([(record, wants[record.ref]) for record in records], number=number)
    ledger.settle_sources(records, number=number)
    ledger.acknowledge([TargetRecord(TargetKey("service", ref), digest) for ref in REFS])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def filled(path: Path) -> Path:
    first = opened(path)
    fill(first.ledger)
    first.ledger.close()
    return path


def asides(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir() if "set-aside" in one.name)


def assert_replaced(path: Path, *, because: str, **how: str) -> None:
    again = opened(path, **how)
    assert again.ledger.is_empty
    assert again.place == path
    (message,) = again.messages
    assert message.level == "warning"
    assert because in message.message
    assert f"{path.name}.set-aside-20260102T120000Z" in message.message
    again.ledger.close()
    kept = opened(path, **how)
    assert kept.messages == ()
    kept.ledger.close()


def test_what_is_remembered_stays(filled: Path) -> None:
    again = opened(filled)
    assert (again.place, again.messages) == (filled, ())
    assert len(again.ledger.sources(REFS)) == len(REFS)
    assert again.ledger.begin_pass(mapping=b"mapping") == 2
    again.ledger.close()


def test_the_default_place_is_named_for_the_integration(tmp_path: Path) -> None:
    first = opened(None, home=str(tmp_path))
    assert first.place == tmp_path / ".local/state/stageport" / file_name(IDENTITY)
    other = opened(None, identity="backstage/other@api.getport.io", home=str(tmp_path))
    assert other.place != first.place
    first.ledger.close()
    other.ledger.close()


def test_its_files_are_for_their_owner(path: Path) -> None:
    path.touch(mode=0o644)
    ledger = opened(path).ledger
    fill(ledger)
    modes = {one.name.removeprefix(path.name): stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == dict.fromkeys(["", "-wal", "-shm", ".lock"], 0o600)
    ledger.close()


# One writer


def test_the_lock_names_its_holder(path: Path) -> None:
    first = opened(path)
    with pytest.raises(LedgerBusyError) as caught:
        opened(path)
    assert f"process {os.getpid()} on {socket.gethostname()} since 2026-01-02T12:00:00" in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert caught.value.exit is Exit.FAILED
    first.ledger.close()
    first.ledger.close()
    second = opened(path)
    second.ledger.close()


def test_a_lock_without_words_locks_all_the_same(path: Path) -> None:
    first = opened(path)
    path.with_name(f"{path.name}.lock").write_text("{")
    with pytest.raises(LedgerBusyError, match=r"is in use\.$"):
        opened(path)
    first.ledger.close()


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path, path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.with_name(f"{path.name}.lock").symlink_to(victim)
    with pytest.raises(SettingsError, match="another program's file"):
        opened(path)
    assert victim.read_text() == "precious"
    assert not path.exists()


def test_another_programs_lock_is_not_written_over(path: Path) -> None:
    lock = path.with_name(f"{path.name}.lock")
    lock.write_text('{"version": 3}')
    with pytest.raises(SettingsError, match=f"{lock.name}, which would go with it, is another program's file"):
        opened(path)
    assert lock.read_text() == '{"version": 3}'
    assert not path.exists()


def test_a_lock_is_let_go_when_opening_fails(path: Path) -> None:
    foreign(path)
    LedgerLock.take(path, now=NOON).release()  # so that its tables are looked for
    with pytest.raises(SettingsError, match="database of another program"):
        opened(path)
    lock = LedgerLock.take(path, now=NOON)
    assert json.loads(path.with_name(f"{path.name}.lock").read_text())["pid"] == os.getpid()
    lock.release()
    lock.release()


def test_another_program_with_the_file_open_is_not_damage(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stageport.ledger.database.BUSY_SECONDS", 0.01)
    other = sqlite3.connect(filled, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusyError, match="locked") as caught:
        opened(filled)
    assert "Close the other program" in caught.value.hint
    other.execute("COMMIT")
    other.close()
    again = opened(filled)
    assert not again.ledger.is_empty
    again.ledger.close()


# Set aside


def test_a_ledger_of_another_integration_is_replaced(filled: Path) -> None:
    assert_replaced(filled, because=f"another integration ({IDENTITY})", identity="backstage/other@api.getport.io")
    assert len(asides(filled)) == 1


def test_a_ledger_of_another_engine_is_replaced(filled: Path) -> None:
    assert_replaced(filled, because="another version of the mapping engine", engine="2")


def test_a_ledger_of_a_later_schema_is_replaced(filled: Path) -> None:
    connection = sqlite3.connect(filled)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    assert_replaced(filled, because="a later version wrote it")


def test_a_ledger_that_is_no_database_any_more_is_replaced_and_kept_as_it_was(filled: Path) -> None:
    filled.write_bytes(b"not a database, " * 1000)
    assert_replaced(filled, because="not a database")
    assert (filled.parent / asides(filled)[0]).read_bytes() == b"not a database, " * 1000


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 200)


def lose_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE ledger")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [cut, scribble, lose_a_table])
def test_a_damaged_ledger_is_replaced(filled: Path, damage: Callable[[Path], None]) -> None:
    damage(filled)
    assert_replaced(filled, because="")


def test_the_log_goes_with_the_ledger(path: Path) -> None:
    first = opened(path)
    fill(first.ledger)
    copied = path.with_name("copied.sqlite3")
    for side in ("", "-wal"):
        shutil.copy(path.with_name(path.name + side), copied.with_name(copied.name + side))
    first.ledger.close()
    assert_replaced(copied, because="engine", engine="2")
    aside = opened(path.parent / asides(path)[0])
    assert aside.messages == ()
    assert len(aside.ledger.sources(REFS)) == len(REFS)
    aside.ledger.close()


def test_several_are_set_aside_in_one_second(filled: Path) -> None:
    for engine in "234":
        opened(filled, engine=engine).ledger.close()
    assert len(asides(filled)) == 3


def test_nothing_is_renamed_to_where_a_link_leads(filled: Path) -> None:
    taken = filled.with_name(f"{filled.name}.set-aside-20260102T120000Z")
    taken.symlink_to(filled.with_name("nowhere"))
    opened(filled, engine="2").ledger.close()
    assert taken.is_symlink()
    assert asides(filled) == [taken.name, f"{taken.name}-2"]


def test_a_ledger_that_a_link_leads_to_stays_where_it_is(filled: Path) -> None:
    link = filled.with_name("link.sqlite3")
    link.symlink_to(filled)
    same = opened(link)
    assert (same.messages, same.ledger.is_empty) == ((), False)
    same.ledger.close()
    opened(link, engine="2").ledger.close()
    assert (link.is_symlink(), filled.exists()) == (False, True)
    kept = opened(filled)
    assert not kept.ledger.is_empty
    kept.ledger.close()


def test_damage_met_on_the_way_is_one_clear_error_and_set_aside_at_the_end(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribble(filled)
    monkeypatch.setattr("stageport.ledger.opening.CHECKED_BYTES", 0)
    first = opened(filled)
    assert first.messages == ()
    with pytest.raises(LedgerError, match="malformed") as caught:
        first.ledger.sources(REFS)
    assert "Run it again" in caught.value.hint
    first.ledger.close()
    assert len(asides(filled)) == 1
    again = opened(filled)
    assert (again.ledger.is_empty, again.messages) == (True, ())
    again.ledger.close()


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE precious (x)")
    connection.commit()
    connection.close()
    path.chmod(0o644)


@pytest.mark.parametrize("locked", [False, True])
def test_another_programs_database_is_left_alone(path: Path, *, locked: bool) -> None:
    foreign(path)
    if locked:
        LedgerLock.take(path, now=NOON).release()
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="another program") as caught:
        opened(path)
    assert caught.value.hint
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert asides(path) == []


def test_another_programs_database_is_left_alone_damaged(path: Path) -> None:
    foreign(path)
    cut(path)
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="another program's file"):
        opened(path)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["mapping.yaml", "log.txt", "aliases.db", "ledger.sqlite3"])
def test_any_other_file_is_left_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("resources: []")
    with pytest.raises(SettingsError, match="another program's file"):
        opened(path)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert path.read_text() == "resources: []"


# What is no file


def listening_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def link_to_a_folder(path: Path) -> None:
    path.symlink_to(path.parent)


def link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


ODDITIES: dict[str, Callable[[Path], None]] = {
    "a folder": Path.mkdir,
    "a named pipe": os.mkfifo,
    "a socket": listening_socket,
    "a device": link_to_a_device,
    "a folder behind a link": link_to_a_folder,
    "a symbolic link that cannot be followed": link_to_nowhere,
}


@pytest.mark.parametrize("kind", ODDITIES)
@pytest.mark.parametrize("side", ["", "-wal", "-shm", ".lock"])
def test_what_is_no_file_is_no_place_for_a_ledger(
    tmp_path: Path, path: Path, kind: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # addresses of sockets are short
    oddity = path.with_name(path.name + side)
    ODDITIES[kind](oddity.relative_to(tmp_path) if kind == "a socket" else oddity)
    with pytest.raises(SettingsError, match=kind.removesuffix(" behind a link")) as caught:
        opened(path)
    assert str(path) in caught.value.message
    assert oddity.name in caught.value.message
    assert "Choose another path" in caught.value.hint
    assert [one.name for one in tmp_path.iterdir()] == [oddity.name], "nothing was made or renamed"
    with pytest.raises(SettingsError, match="is no ledger"):
        read_runs(path=path, identity=IDENTITY)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, listening_socket, link_to_a_folder, link_to_a_device])
def test_setting_aside_renames_files_only(
    tmp_path: Path, path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path.touch()
    make(Path(f"{path.name}-wal"))
    with pytest.raises(OSError, match=f"{path.name}-wal"):
        set_aside(path, mark="set-aside")
    assert sorted(one.name for one in tmp_path.iterdir()) == [path.name, f"{path.name}-wal"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_may_be_anybodys_and_is_not_renamed(filled: Path) -> None:
    filled.chmod(0)
    memory = opened(filled)
    assert (memory.place, asides(filled)) == (None, [])
    assert "delete it when it can be" in memory.messages[0].message
    memory.ledger.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_without_its_lock_a_ledger_may_be_in_use_and_is_not_renamed(filled: Path) -> None:
    filled.with_name(f"{filled.name}.lock").chmod(0o400)
    memory = opened(filled)
    assert (memory.place, asides(filled)) == (None, [])
    memory.ledger.close()


@pytest.mark.parametrize("name", ["ledger", "ledger.sqlite3"])
def test_an_empty_file_becomes_a_ledger(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    first = opened(tmp_path / name)
    assert (first.place, first.messages) == (tmp_path / name, ())
    fill(first.ledger)
    first.ledger.close()
    again = opened(tmp_path / name)
    assert not again.ledger.is_empty
    again.ledger.close()


# Schema


def version(database: Database) -> int:
    return int(database.value("PRAGMA user_version"))


def test_version_0_becomes_the_present_one(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.close()
    assert opened_version(path) == len(MIGRATIONS)
    first = opened(path)
    assert first.messages == ()
    fill(first.ledger)
    first.ledger.close()


def opened_version(path: Path) -> int:
    database = Database(path)
    migrate(database)
    found = version(database)
    database.close()
    return found


def test_a_further_migration_keeps_what_is_there(filled: Path) -> None:
    database = Database(filled)
    further = (*MIGRATIONS, "ALTER TABLE sources ADD COLUMN note TEXT NOT NULL DEFAULT 'kept';", "DROP TABLE facts;")
    migrate(database, migrations=further)
    assert version(database) == len(further)
    assert database.value("SELECT count(*) FROM sources WHERE note = 'kept'") == len(REFS)
    migrate(database, migrations=further)
    with pytest.raises(UnusableLedgerError):
        migrate(database)
    database.close()


def test_a_migration_that_fails_leaves_the_version_before(filled: Path) -> None:
    database = Database(filled)
    with pytest.raises(LedgerError):
        migrate(database, migrations=(*MIGRATIONS, "DROP TABLE facts; DROP TABLE nothing;"))
    assert version(database) == len(MIGRATIONS)
    migrate(database)
    assert database.rows("SELECT * FROM facts") == []
    database.close()


# Where nothing can be written


def test_no_folder_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = opened(tmp_path / "file" / "ledger.sqlite3")
    assert memory.place is None
    assert [one.level for one in memory.messages] == ["warning"]
    assert "the next run will read everything again" in memory.messages[0].message
    fill(memory.ledger)
    memory.ledger.close()


# In the middle of a pass


def test_a_full_disk_is_one_clear_error_and_loses_nothing(filled: Path) -> None:
    ledger = opened(filled).ledger
    pages = ledger._database.value("PRAGMA page_count")
    ledger._database.run(f"PRAGMA max_page_count = {pages + 2}")
    many = [TargetRecord(TargetKey("other", str(number)), b"x" * 16) for number in range(5000)]
    with pytest.raises(LedgerError, match="full") as caught:
        ledger.acknowledge(many)
    assert "Make room" in caught.value.hint
    assert ledger.count_targets() == len(REFS)
    ledger.write_fact("still", "there")
    ledger.close()
    again = opened(filled)
    assert again.messages == ()
    assert (again.ledger.count_targets(), again.ledger.read_fact("still")) == (len(REFS), "there")
    again.ledger.close()


def test_together_is_all_or_nothing(path: Path) -> None:
    ledger = opened(path).ledger
    with ledger.together():
        ledger.write_fact("a", "1")
        with ledger.together():
            ledger.write_fact("b", "1")

    def stopped() -> None:
        with ledger.together():
            ledger.write_fact("a", "2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert (ledger.read_fact("a"), ledger.read_fact("b")) == ("1", "1")
    ledger.write_fact("a", "3")
    assert ledger.read_fact("a") == "3"
    ledger.close()


def seen_by_others(path: Path, name: str) -> str | None:
    with closing(sqlite3.connect(path)) as other:
        row = other.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def test_what_is_gathered_is_on_disk_when_it_is_to_be_kept_and_at_the_end(path: Path) -> None:
    ledger = opened(path).ledger
    with ledger.gathered():
        with ledger.together():
            ledger.write_fact("a", "1")
        assert seen_by_others(path, "a") is None
        ledger.keep()
        with ledger.together():
            ledger.write_fact("b", "1")
        assert (seen_by_others(path, "a"), seen_by_others(path, "b")) == ("1", None)
    assert seen_by_others(path, "b") == "1"
    ledger.write_fact("c", "1")
    assert seen_by_others(path, "c") == "1"
    ledger.close()


def test_what_could_not_be_kept_is_not_built_upon(filled: Path) -> None:
    ledger = opened(filled).ledger

    def gather() -> None:
        with ledger.gathered():
            ledger.write_fact("a", "1")
            pages = ledger._database.value("PRAGMA page_count")
            ledger._database.run(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(LedgerError, match="full"):
                ledger.acknowledge([TargetRecord(TargetKey("x" * 50, f"{n}"), b"1" * 16) for n in range(20_000)])
            ledger._database.run("PRAGMA max_page_count = 1000000")
            ledger.write_fact("b", "1")

    with pytest.raises(LedgerError, match="lost what was noted last"):
        gather()
    ledger.write_fact("c", "1")
    assert [seen_by_others(filled, name) for name in "bc"] == [None, "1"]
    ledger.close()


def test_a_failing_call_undoes_itself_and_nothing_else_that_was_gathered(path: Path) -> None:
    ledger = opened(path).ledger

    def stopped() -> None:
        with ledger.together():
            ledger.write_fact("a", "2")
            raise KeyboardInterrupt

    with ledger.gathered():
        with ledger.together():
            ledger.write_fact("a", "1")
        with pytest.raises(KeyboardInterrupt):
            stopped()
        assert ledger.read_fact("a") == "1"
    assert seen_by_others(path, "a") == "1"
    ledger.close()


def test_hashes_that_are_not_whole_are_refused(path: Path) -> None:
    ledger = opened(path).ledger
    record = SourceRecord(REFS[0], "", "", b"")
    broken = WantRecord(REFS[0], TargetKey("a", "b"), (0,), b"", b"1234567")
    with pytest.raises(LedgerError, match="CHECK"):
        ledger.open_sources([(record, [broken])], number=1)
    assert ledger.is_empty
    ledger.close()


def test_after_closing_it_says_so(path: Path) -> None:
    ledger = opened(path).ledger
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.count_targets()


def test_a_large_scratch_lies_beside_the_ledger_without_a_name(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stageport.ledger.database.COPIED_IN_MEMORY", 0)
    ledger = opened(filled).ledger
    before = set(filled.parent.iterdir())
    scratch = ledger.scratch()
    scratch.drop_sources(REFS[:500])
    with scratch.together():
        scratch.write_fact("a", "b")
    assert set(filled.parent.iterdir()) == before
    assert len(ledger.sources(REFS)) == len(scratch.sources(REFS)) + 500
    scratch.close()
    ledger.close()


def test_copies_that_a_killed_process_left_are_cleared_away(filled: Path) -> None:
    left, *others = (
        filled.with_name(name)
        for name in (
            f"{filled.name}{COPY_MARK}x1y2z3_0",
            f"other.sqlite3{COPY_MARK}x1y2z3_0",
            f"{filled.name}.copy-20260102",
        )
    )
    for one in (left, *others):
        one.touch()
    opened(filled).ledger.close()
    assert (left.exists(), [one.exists() for one in others]) == (False, [True, True])
