import os
import stat
from pathlib import Path

import pytest

from stageport.ledger.place import file_name, find_place, make_file, make_parent, make_private

IDENTITY = "backstage/main@api.getport.io"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_state_folder_comes_first(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path / "home")}
    place = find_place(IDENTITY, environ=environ, last_resort=tmp_path / "ocean")
    assert place == tmp_path / "state" / "stageport" / file_name(IDENTITY)
    assert mode(place.parent) == 0o700
    assert not (tmp_path / "ocean").exists()


def test_then_the_one_of_the_home(tmp_path: Path) -> None:
    place = find_place(IDENTITY, environ={"HOME": str(tmp_path)}, last_resort=tmp_path / "ocean")
    assert place.parent == tmp_path / ".local" / "state" / "stageport"


@pytest.mark.parametrize("environ", [{}, {"HOME": "/"}, {"HOME": "//"}, {"HOME": ""}, {"XDG_STATE_HOME": "state"}])
def test_without_a_home_the_last_resort(tmp_path: Path, environ: dict[str, str]) -> None:
    assert find_place(IDENTITY, environ=environ, last_resort=tmp_path).parent == tmp_path / "stageport"


def test_what_cannot_be_made_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {"XDG_STATE_HOME": str(tmp_path / "file"), "HOME": "/proc/nowhere"}
    assert find_place(IDENTITY, environ=environ, last_resort=tmp_path).parent == tmp_path / "stageport"


def test_nowhere_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        find_place(IDENTITY, environ={}, last_resort=tmp_path / "file")


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "stageport").symlink_to(tmp_path / "theirs")
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        find_place(IDENTITY, environ={}, last_resort=tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "stageport").mkdir()
    os.chown(tmp_path / "stageport", 65534, 65534)
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        find_place(IDENTITY, environ={}, last_resort=tmp_path)


def test_the_last_resort_itself_may_be_no_link(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ocean").symlink_to(tmp_path / "theirs")
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        find_place(IDENTITY, environ={}, last_resort=tmp_path / "ocean")
    assert list((tmp_path / "theirs").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_last_resort_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "ocean").mkdir()
    os.chown(tmp_path / "ocean", 65534, 65534)
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        find_place(IDENTITY, environ={}, last_resort=tmp_path / "ocean")
    assert list((tmp_path / "ocean").iterdir()) == []


def test_an_own_folder_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "stageport").mkdir(mode=0o755)
    assert mode(find_place(IDENTITY, environ={}, last_resort=tmp_path).parent) == 0o700


def test_a_file_name_is_readable_and_safe() -> None:
    assert file_name(IDENTITY).startswith("backstage-main-api.getport.io-")
    for identity in ("../../etc/passwd", "a\0b", "", ".", "☃", "x" * 1000, "A B\nC"):
        name = file_name(identity)
        assert name == Path(name).name
        assert name.isascii()
        assert name.isprintable()
        assert not name.startswith(".")
        assert len(name) < 120


def test_every_identity_has_a_file_of_its_own() -> None:
    identities = ["a/b", "a-b", "A/B", "a/b ", "a@b", "x" * 100, "x" * 101]
    assert len({file_name(one) for one in identities}) == len(identities)


def test_a_chosen_folder_is_made_private_and_left_alone_later(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "ledger.sqlite3"
    make_parent(path)
    assert mode(path.parent) == 0o700
    path.parent.chmod(0o755)
    make_parent(path)
    assert mode(path.parent) == 0o755


def test_a_file_is_for_its_owner(tmp_path: Path) -> None:
    made, found = tmp_path / "made", tmp_path / "found"
    make_file(made)
    found.write_bytes(b"kept")
    found.chmod(0o644)
    make_file(found)
    assert (mode(made), mode(found), found.read_bytes()) == (0o600, 0o644, b"kept")
    make_private(found)
    assert mode(found) == 0o600
