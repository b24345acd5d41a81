"""A ledger whose process is killed, whose disk is full, whose folder is read-only: never wrong, at worst empty."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ledger.ledger_child import KEYS, MOST_TURNS, REFS, fingerprint

from stageport.ledger.opening import open_ledger

CHILD = Path(__file__).with_name("ledger_child.py")


def run(job: str, path: Path, *more: str) -> list[dict[str, Any]]:
    command = [sys.executable, str(CHILD), job, str(path), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_whole(path: Path, *, at_least: int) -> int:
    """Every transaction is there whole or not at all; return the last turn that is settled."""
    again = open_ledger(path=path, identity="child", engine="1", environ={})
    assert again.messages == ()
    assert again.place == path
    sources, targets, wants = (again.ledger.sources(REFS), again.ledger.targets(KEYS), again.ledger.wants_of(REFS))
    again.ledger.close()
    turns = {int(one.uid) for one in sources.values()}
    assert len(sources) == len(wants) == len(targets) == len(REFS)
    assert len(turns) == 1
    turn = turns.pop()
    assert turn >= at_least
    assert {want.fingerprint for held in wants.values() for want in held} == {fingerprint(turn)}
    assert {len(held) for held in wants.values()} == {3}
    assert {one.digest for one in sources.values()} <= {fingerprint(turn), b""}
    assert len({one.digest for one in sources.values()}) == 1
    acknowledged = {one.acknowledged for one in targets.values()}
    assert acknowledged in ({fingerprint(turn)}, {fingerprint(turn - 1)})
    return turn


@pytest.mark.parametrize(("job", "turns"), [("write", (1, 2, 5, 9, 14)), ("gather", (1, 6, 13))])
def test_killed_in_the_middle_again_and_again(tmp_path: Path, job: str, turns: tuple[int, ...]) -> None:
    path = tmp_path / "ledger.sqlite3"
    for spared in turns:
        with subprocess.Popen([sys.executable, str(CHILD), job, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(spared + 1)]
            child.kill()
        # Each child begins its turns anew: what is there is of this one.
        assert_whole(path, at_least=json.loads(lines[-1])["turn"])


def test_a_disk_that_fills_up_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    *said, last = run("fill", path, "400000")
    assert said[0] == {"place": str(path), "messages": [], "empty": True}
    assert str(path) in last["error"]
    assert "what was noted stays noted" in last["hint"]
    assert last["targets"] == len(KEYS)
    assert_whole(path, at_least=said[-1]["turn"])


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    said, *turns = run("fill", path, "8192")
    assert said["place"] == "None"
    assert "cannot be written" in said["messages"][0]
    assert "the next run will read everything again" in said["messages"][0]
    assert len(turns) == MOST_TURNS
    again = open_ledger(path=path, identity="child", engine="1", environ={})
    assert again.ledger.is_empty
    again.ledger.close()


def test_what_a_full_disk_kept_from_knowing_is_not_believed_later(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    run("fill", path, "400000")
    said, *_ = run("fill", path, "8192")
    assert said["place"] == "None"
    assert [one for one in tmp_path.iterdir() if ".set-aside-" in one.name]
    again = open_ledger(path=path, identity="child", engine="1", environ={})
    assert again.ledger.is_empty
    again.ledger.close()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Return a folder that another user reaches, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("filled", [True, False])
def test_a_folder_that_is_read_only(public_folder: Path, *, filled: bool) -> None:
    path = public_folder / "ledger.sqlite3"
    if filled:
        run("fill", path, "400000")
    for one in public_folder.iterdir():
        one.chmod(0o644)
    public_folder.chmod(0o555)
    said, *_ = run("look", path)
    assert said["place"] == "None"
    assert "the next run will read everything again" in said["messages"][0]
    assert str(path) in said["messages"][0]
    assert ("delete it when it can be" in said["messages"][0]) is filled
