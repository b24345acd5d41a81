"""Reports to Port beside the passes: logs in batches, sync metrics, signs of life.

Events are put into bounded queues and sent by tasks of their own. Nothing here fails a pass or makes it wait: what
cannot be sent is dropped, and that is said once until it works again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from stageport.model.entities import Json
from stageport.model.errors import StageportError
from stageport.model.events import Event, Listener, Noticed, PassEnded, PassStarted
from stageport.telemetry.log_records import RecordMaker
from stageport.telemetry.sync_metrics import PassCounts

BATCH = 100
"""Log records in one request."""
FLUSH_SECONDS = 5.0
"""So long a record waits at most for others to go with."""
KEPT_RECORDS = 1_000
KEPT_REPORTS = 500
"""So many wait while Port does not take them; the oldest are dropped for newer ones."""
CLOSING_SECONDS = 0.5
"""What is left when the process ends gets so long."""
SENT_AT_ONCE = 16
"""Figures of so many kinds travel side by side."""
Place = Literal["logs", "metrics"]
Report = tuple[str, Place, str, Json]


class Ingest(Protocol):
    """Port's side."""

    def knows(self, place: Place) -> bool:
        """Tell whether the address is known yet."""
        ...

    async def send(self, method: str, place: Place, path: str, body: Json) -> None:
        """Send one report.

        Raises:
            StageportError: it was not taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What is reported. ``about`` goes into every metric (who we are); ``heartbeat`` is in seconds, 0 for none."""

    logs: bool = True
    metrics: bool = True
    heartbeat: float = 10.0
    about: Json = None


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


class PortReporter:
    """A listener that tells Port what it hears; ``listener`` hears of its own troubles."""

    def __init__(
        self,
        ingest: Ingest,
        options: ReportOptions,
        *,
        listener: Listener,
        redact: Callable[[str], str],
        now: Callable[[], datetime] = utc_now,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._ingest = ingest
        self._options = options
        self._listener = listener
        self._flush_seconds = flush_seconds
        self._maker = RecordMaker(now=now, redact=redact)
        self._counts: PassCounts | None = None
        self._records: deque[Json] = deque(maxlen=KEPT_RECORDS)
        self._reports: deque[Report] = deque(maxlen=KEPT_REPORTS)
        self._there = {"logs": asyncio.Event(), "metrics": asyncio.Event()}
        self._full = asyncio.Event()
        self._troubled: set[str] = set()
        self._closing = False

    def __call__(self, event: Event) -> None:
        """Take in an event; never waits."""
        if self._options.logs:
            self._take_records(self._maker.records(event))
        match event:
            case PassStarted():
                self._counts = PassCounts(event)
                self._tell_metrics("POST", "/syncMetrics", {"syncKindsMetrics": self._known(self._counts.pending())})
            case PassEnded() if self._counts is not None and event.pass_id == self._counts.started.pass_id:
                self._tell_end(self._counts, event)
                self._counts = None
                self._full.set()  # what a pass has said is told with its figures
            case _ if self._counts is not None:
                self._counts(event)
            case _:
                pass

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Send while the block lasts; what is left at its end gets a moment more."""
        tasks = [asyncio.create_task(work) for work in (self._ship_logs(), self._ship_metrics(), self._beat())]
        try:
            yield
        finally:
            self._closing = True
            for event in (*self._there.values(), self._full):
                event.set()
            await asyncio.wait(tasks[:2], timeout=CLOSING_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _take_records(self, records: list[Json]) -> None:
        if len(self._records) + len(records) > KEPT_RECORDS:
            self._say_once("full", "Log records for Port are dropped: Port does not take them fast enough.")
        self._records.extend(records)
        if records:
            self._there["logs"].set()
        if len(self._records) >= BATCH:
            self._full.set()

    def _tell_end(self, counts: PassCounts, ended: PassEnded) -> None:
        for one in self._known(counts.final(ended)):
            path = f"/syncMetrics/resync/{one['eventId']}/kind/{one['kindIdentifier']}"
            self._tell_metrics("PUT", path, {"syncKindMetrics": one})

    def _tell_metrics(self, method: str, path: str, body: Json) -> None:
        if self._options.metrics:
            self._reports.append((method, "metrics", path, body))
            self._there["metrics"].set()

    def _known(self, metrics: list[Json]) -> list[Json]:
        return [{**(self._options.about or {}), **one} for one in metrics]

    async def _ship_logs(self) -> None:
        while True:
            await self._there["logs"].wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._flush_seconds)
            await self._send_logs()
            if self._closing:
                return

    async def _send_logs(self) -> None:
        if not self._ingest.knows("logs"):
            return  # the address comes with the first record of the integration; the queue is bounded
        self._there["logs"].clear()
        self._full.clear()
        while self._records:
            batch = [self._records.popleft() for _ in range(min(BATCH, len(self._records)))]
            await self._send(("POST", "logs", "", {"logs": batch}))

    async def _ship_metrics(self) -> None:
        while True:
            await self._there["metrics"].wait()
            self._there["metrics"].clear()
            await self._send_metrics()
            if self._closing:
                return

    async def _send_metrics(self) -> None:
        while self._reports and self._ingest.knows("metrics"):
            await asyncio.gather(*map(self._send, self._next_reports()))

    def _next_reports(self) -> list[Report]:
        """Take what may be sent side by side: the figures of several kinds; what opens a pass goes first and alone."""
        batch = [self._reports.popleft()]
        while batch[0][0] == "PUT" and self._reports and self._reports[0][0] == "PUT" and len(batch) < SENT_AT_ONCE:
            batch.append(self._reports.popleft())
        return batch

    async def _beat(self) -> None:
        while self._options.heartbeat > 0:
            await asyncio.sleep(self._options.heartbeat)
            if self._counts is not None and self._ingest.knows("metrics"):
                await self._send(("POST", "metrics", "/heartbeat", {"eventId": self._counts.started.pass_id}))

    async def _send(self, report: Report) -> None:
        method, place, path, body = report
        try:
            await self._ingest.send(method, place, path, body)
        except StageportError as error:
            self._say_once(place, f"Port does not take our {place}, they are dropped: {error.message}")
        else:
            self._troubled.discard(place)

    def _say_once(self, trouble: str, words: str) -> None:
        if trouble not in self._troubled:
            self._troubled.add(trouble)
            self._listener(Noticed("info", words))
