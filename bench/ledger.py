"""What the ledger costs: ``python -m bench.ledger [--count 100000]``.

Microseconds of CPU for each row, on a file and in memory, in batches as the passes make them; every source entity
wants one target entity that relates to six. Names come in order, as a catalog gives them, and then shuffled.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from stageport.ledger.opening import open_ledger
from stageport.ledger.sqlite import SqliteLedger
from stageport.model.fingerprint import digest_of, key_hash
from stageport.model.ledger import SourceRecord, TargetRecord, WantRecord
from stageport.model.refs import SourceRef, TargetKey

PAGE = 500
BULK = 20
STALE = 50


def measure(ledger: SqliteLedger, count: int) -> None:
    """Print a line for each call."""
    refs = [SourceRef(f"component:default/service-name-{number:07}") for number in range(count)]
    keys = [TargetKey("service", ref.partition(":")[2]) for ref in refs]
    records = [
        SourceRecord(ref, f"{place:036x}", f"{place:040x}", digest_of(ref.encode())) for place, ref in enumerate(refs)
    ]
    ends = [key_hash(key) for key in keys]
    entries = [
        (record, [WantRecord(record.ref, key, (0, 0), record.digest, b"".join(ends[place : place + 6]))])
        for place, (record, key) in enumerate(zip(records, keys, strict=True))
    ]
    targets = [TargetRecord(key, digest_of(b"a"), digest_of(b"b")) for key in keys]

    def each(name: str, call: Callable[[Any], object], rows: Sequence[Any], *, size: int = PAGE) -> None:
        started = time.process_time()
        for start in range(0, count, size):
            call(rows[start : start + size])
        print(f"  {name:<34} {(time.process_time() - started) / count * 1e6:6.2f} us a row")

    def whole(name: str, call: Callable[[], Iterable[object]]) -> None:
        started = time.process_time()
        found = sum(1 for _ in call())
        print(f"  {name:<34} {(time.process_time() - started) * 1e3:6.0f} ms, {found:,} found")

    ledger.begin_pass(mapping=b"m")
    each("open_sources, new", lambda part: ledger.open_sources(part, number=1), entries)
    each("open_sources, again", lambda part: ledger.open_sources(part, number=1), entries)
    each("settle_sources", lambda part: ledger.settle_sources(part, number=1), records)
    each("acknowledge, new, 20 at once", ledger.acknowledge, targets, size=BULK)
    each("acknowledge, again", ledger.acknowledge, targets)
    each("note_owned", lambda part: ledger.note_owned(part, number=1), keys)
    each("touch", lambda part: ledger.touch(part, number=2), refs)
    for order in ("in order", "shuffled"):
        each(f"sources, {order}", ledger.sources, refs)
        each(f"targets, {order}", ledger.targets, keys)
        each(f"wants_of, {order}", ledger.wants_of, refs)
        each(f"wanters_of, {order}", ledger.wanters_of, keys)
        random.Random(1).shuffle(refs)
        random.Random(1).shuffle(keys)
    whole("kind_refs", lambda: ledger.kind_refs("component"))
    whole("unseen", lambda: ledger.unseen(number=2))
    whole("unowned", lambda: ledger.unowned(number=2))
    whole("unwanted_owned", lambda: ledger.unwanted_owned(number=1))
    whole("unwanted_targets", ledger.unwanted_targets)
    whole(f"related_among, {STALE} keys", lambda: ledger.related_among(keys[:STALE]))
    whole("scratch", lambda: ledger.scratch().close() or ())
    whole("begin_pass, another mapping", lambda: [ledger.begin_pass(mapping=b"n")])


def main() -> None:
    """Measure both kinds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="how many source entities")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ledger.sqlite3")
        print(f"on a file, {count:,} source entities")
        opened = open_ledger(path=path, identity="bench", engine="1")
        measure(opened.ledger, count)
        opened.ledger.close()
        print(f"  {'size':<34} {path.stat().st_size / 1e6:6.1f} MB")
        started = time.perf_counter()
        open_ledger(path=path, identity="bench", engine="1").ledger.close()
        print(f"  {'open and close':<34} {(time.perf_counter() - started) * 1e3:6.0f} ms")
    print(f"in memory, {count:,} source entities")
    ledger = SqliteLedger.in_memory()
    measure(ledger, count)
    ledger.close()


if __name__ == "__main__":
    main()
