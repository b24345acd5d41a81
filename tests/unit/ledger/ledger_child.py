"""A process of its own that works on a ledger: ``python ledger_child.py JOB PATH``. What it says is one JSON a line."""

import json
import os
import resource
import sys
from pathlib import Path

from stageport.ledger.opening import OpenedLedger, open_ledger
from stageport.model.errors import LedgerError
from stageport.model.ledger import SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey

NOBODY = 65534
MOST_TURNS = 30
REFS = [SourceRef(f"component:default/n{number:03}") for number in range(200)]
KEYS = [TargetKey("service", ref) for ref in REFS]


def fingerprint(turn: int) -> bytes:
    return turn.to_bytes(16, "big")


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def opened(path: Path) -> OpenedLedger:
    found = open_ledger(path=path, identity="child", engine="1", environ={})
    say(place=str(found.place), messages=[one.message for one in found.messages], empty=found.ledger.is_empty)
    return found


def turn_over(found: OpenedLedger, turn: int) -> None:
    """Three transactions, each of which leaves all of its rows with the fingerprint of the turn."""
    ledger, mark = found.ledger, fingerprint(turn)
    records = [SourceRecord(ref, str(turn), "", mark) for ref in REFS]
    ledger.open_sources([(one, [WantRecord(one.ref, KEYS[0], (0,), mark)] * 3) for one in records], number=turn)
    ledger.acknowledge([TargetRecord(key, mark, mark) for key in KEYS])
    ledger.settle_sources(records, number=turn)
    ledger.keep()
    say(turn=turn)


def write_for_ever(path: Path) -> None:
    found = opened(path)
    for turn in range(1, 1_000_000):
        turn_over(found, turn)


def gather_for_ever(path: Path) -> None:
    found = opened(path)
    with found.ledger.gathered():
        for turn in range(1, 1_000_000):
            turn_over(found, turn)


def fill_the_disk(path: Path, *, room: int) -> None:
    """Let no file grow beyond ``room`` bytes: SQLite meets errors as on a disk that fails or is full."""
    sys.dont_write_bytecode = True  # what is imported from here on would be cut short, and stay so
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    found = opened(path)
    try:
        for turn in range(1, MOST_TURNS + 1):
            turn_over(found, turn)
    except LedgerError as error:
        say(error=error.message, hint=error.hint, targets=found.ledger.count_targets())
    found.ledger.close()


def look_as_nobody(path: Path) -> None:
    """Open as a user who may not write; root may always."""
    if os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    found = opened(path)
    turn_over(found, 1)
    found.ledger.close()


if __name__ == "__main__":
    job, place = sys.argv[1], Path(sys.argv[2])
    if job == "write":
        write_for_ever(place)
    elif job == "gather":
        gather_for_ever(place)
    elif job == "fill":
        fill_the_disk(place, room=int(sys.argv[3]))
    else:
        look_as_nobody(place)
