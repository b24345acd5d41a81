"""The page for people: what the service does now, the last passes, what is held back or failed, and its addresses.

It names no entity, for whoever reaches the port may read it; ``stageport runs show ID`` does, beside the ledger.
Whatever is not ours is escaped.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from stageport.model.entities import Json
from stageport.model.errors import sentences
from stageport.model.runs import RUNNING, Run
from stageport.plan.render.words import hold_reason
from stageport.web.routes import Route

SHOWN_RUNS = 10
SHOWN_TROUBLES = 20
SHORT_ID = 8
WHOLE = frozenset({"verify", "resync"})
"""Passes that look at everything: what an earlier one met is met again, or over."""

_COLUMNS = (
    "id",
    "started",
    "pass",
    "because of",
    "took",
    "state",
    "created",
    "updated",
    "deleted",
    "not written",
    "held back",
)
_NO_ANSWER = "The service does not answer at the moment; /livez tells whether it is stuck."


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the service at a moment: what ``/status`` says, and the passes of its history, newest first."""

    status: Mapping[str, Json]
    runs: Sequence[Run]


def overview_page(known: Iterable[Route], seen: Seen | None, *, version: str) -> str:
    """Return the page; ``seen`` is None while the service does not answer."""
    parts = [f"<h1>Stageport {escape(version)}</h1>"]
    parts += ["<p>This service keeps a Port software catalog in step with a Backstage catalog.</p>", "<h2>Now</h2>"]
    if seen is None:
        parts.append(f"<p>{_NO_ANSWER}</p>")
    else:
        parts += [f"<p>{escape(words)}</p>" for words in _now(seen.status)]
        parts += ["<h2>The last passes</h2>", _runs(seen.runs[:SHOWN_RUNS])]
        parts += ["<h2>Held back and failed since the last resync</h2>", _troubles(since_last_whole(seen.runs))]
    rows = [(route.method, Code(route.path), route.summary) for route in known]
    parts += ["<h2>Addresses</h2>", _table(("method", "path", "what it answers"), rows)]
    return _PAGE.format(body="\n".join(parts))


def since_last_whole(runs: Sequence[Run]) -> list[Run]:
    """Return the passes that are over, back to the last one that looked at everything and reached its end."""
    found: list[Run] = []
    for run in runs:
        if run.state != RUNNING:
            found.append(run)
            if run.kind in WHOLE and not run.error:
                break
    return found


class Code(str):
    """Text that is shown as code."""

    __slots__ = ()


def _now(status: Mapping[str, Json]) -> Iterator[str]:
    doing = str(status.get("doing") or "unknown")
    yield sentences(f"{doing[:1].upper()}{doing[1:]}", "It is being stopped" if status.get("draining") else "")
    if failures := status.get("failures"):
        failed = "The last pass failed" if failures == 1 else f"The last {failures} passes failed"
        yield sentences(f"{failed}; it is tried again", str(status.get("lastError") or ""))
    hints = status.get("hints") or {}
    waiting = f"Live events that wait: {hints['waiting']}, the oldest for {hints['oldestSeconds']} s" if hints else ""
    asked = "Another pass is asked for" if status.get("waiting") else ""
    yield sentences(f"Passes since the start: {status.get('passes', 0)}", asked, waiting)


def _runs(runs: Sequence[Run]) -> str:
    if not runs:
        return "<p>No pass has been noted yet.</p>"
    more = "<p><code>stageport runs show ID</code>, beside the ledger, names entities; these are the newest.</p>"
    return _table(_COLUMNS, (_run_row(run) for run in runs)) + more


def _run_row(run: Run) -> tuple[str | int, ...]:
    tries = f", {run.tries} times" if run.tries > 1 else ""
    counts = (run.counts.get(name, 0) for name in ("create", "update", "delete"))
    return (
        run.id[:SHORT_ID],
        f"{run.started[:19].replace('T', ' ')} UTC",
        run.kind,
        run.trigger,
        f"{run.seconds:.1f} s",
        f"{run.state}{tries}",
        *counts,
        run.unwritten,
        sum(run.holds.values()),
    )


def _troubles(runs: Iterable[Run]) -> str:
    rows = [(run.id[:SHORT_ID], run.kind, *trouble) for run in runs for trouble in _troubles_of(run)]
    if not rows:
        return "<p>Nothing.</p>"
    more = f"<p>And {len(rows) - SHOWN_TROUBLES} more.</p>" if len(rows) > SHOWN_TROUBLES else ""
    return _table(("id", "pass", "what", "how many", "why"), rows[:SHOWN_TROUBLES]) + more


def _troubles_of(run: Run) -> Iterator[tuple[str, str | int, str]]:
    """Yield what went wrong in a pass: what, how many, and why."""
    if run.error:
        yield f"the pass {run.state}", "", sentences(run.error, run.hint)
    for failure in run.failures:
        yield f"kind {failure.kind} was not read", "", failure.message
    for hold, count in run.holds.items():
        yield "deletes held back", count, hold_reason(hold)
    for (blueprint, status, code), count in Counter(
        (one.blueprint, one.status, one.code) for one in run.refused
    ).items():
        yield f"refused by Port: {blueprint}", count, f"{status} {code}"
    for (resource, field), count in Counter((one.resource, one.field) for one in run.problems).items():
        yield f"expression failed: resources[{resource}] {field}", count, "`stageport runs show` says on which entities"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in headings)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _cell(value: str | int) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value}</td>'
    shown = escape(value)
    return f"<td><code>{shown}</code></td>" if isinstance(value, Code) else f"<td>{shown}</td>"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stageport</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
h2 {{ font-size: 1.2rem; margin-top: 2rem }}
table {{ border-collapse: collapse }}
th, td {{ border-top: 1px solid #ccc; padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top }}
.number {{ text-align: right }}
.scroll {{ overflow-x: auto }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
