"""What is remembered of deletes, so that a hold waits for a person and not for the next pass (safety rules 2 and 3).

What a pass writes while it holds deletes must not make their share look smaller in the next one; a kind that lost
everything is no less suspicious once some of it shows up again; and many small passes delete no more than one.
"""

from collections.abc import Callable, Collection

from stageport.model.changes import Hold
from stageport.model.refs import TargetKey
from stageport.plan.safety import Verdict
from stageport.sync.seams import Ledger

HELD_OF = "held-of"
"""How many target entities were ours when the threshold began to hold deletes."""
EMPTIED = "emptied-kinds"
"""The kinds, parted by commas, of which everything went at once and something is held since."""
HINTED_DELETES = "hinted-deletes"


def count_held_of(ledger: Ledger, owned: int) -> int:
    """Return how many target entities a share is counted of: all of ours, or as many as were when a hold began."""
    return min(owned, int(ledger.read_fact(HELD_OF) or owned))


def read_emptied(ledger: Ledger) -> frozenset[str]:
    """Return the kinds of which everything went at once, and of which something is held since."""
    return frozenset(filter(None, ledger.read_fact(EMPTIED).split(",")))


def note_holds(
    ledger: Ledger, verdict: Verdict, *, owned: int, emptied: Callable[[TargetKey], Collection[str]], whole: bool
) -> None:
    """Remember what holds deletes; a pass that looked at the ``whole`` forgets what no longer does."""
    held = [change.key for change in verdict.kept if change.hold in (Hold.EMPTY_SOURCE, Hold.EMPTY_KIND)]
    kinds = {kind for key in held for kind in emptied(key)} | (frozenset() if whole else read_emptied(ledger))
    _write(ledger, EMPTIED, ",".join(sorted(kinds)))
    if verdict.hold is Hold.THRESHOLD:
        _write(ledger, HELD_OF, str(count_held_of(ledger, owned)))
    elif whole and verdict.hold is None:
        _write(ledger, HELD_OF, "")


def read_hinted_deletes(ledger: Ledger) -> int:
    """Return how many target entities hinted passes have deleted since a pass last looked at everything."""
    return int(ledger.read_fact(HINTED_DELETES) or 0)


def add_up_deletes(ledger: Ledger, count: int, *, narrowed: bool) -> None:
    """Add up the deletes of hinted passes, before they are sent; whoever has looked at everything starts anew."""
    after = read_hinted_deletes(ledger) + count if narrowed else 0
    _write(ledger, HINTED_DELETES, str(after or ""))


def _write(ledger: Ledger, name: str, value: str) -> None:
    if ledger.read_fact(name) != value:
        ledger.write_fact(name, value)
