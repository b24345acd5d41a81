"""Metrics for Prometheus: a listener that counts the core's events, and the page that a scrape gets.

Names follow Prometheus' conventions: base units, ``_total`` for what only grows, labels of few values. Everything lives
in a registry of its own, so two services in one process do not mix. A scrape renders numbers and asks nobody anything.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from stageport.model.changes import Change, Operation
from stageport.model.events import (
    ChangeRefused,
    ChangesApplied,
    DutyChanged,
    Event,
    FieldFailed,
    HintRefused,
    HintsSettled,
    HintsTaken,
    HintsWaiting,
    LedgerMeasured,
    PageRead,
    PassEnded,
    Waiting,
    WorkerReplaced,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""The text format that every Prometheus reads."""

HINTED = "hinted"
PASSES = (HINTED, "delta", "resync", "verify")
STATES = ("completed", "failed", "aborted")
SIDES = ("backstage", "port")
WRITTEN, REFUSED = "written", "refused"
WRITES = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
"""From a delta that found nothing to the first pass over a large catalog."""

HINT_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
HINT_REFUSALS = (
    "headers",
    "ledger",
    "malformed",
    "media_type",
    "peer",
    "rate",
    "replayed",
    "signature",
    "slow",
    "stale",
    "stopping",
    "too_large",
)


class Metrics:
    """Counts what the passes tell; itself the listener that their events go to."""

    def __init__(
        self,
        *,
        version: str,
        clock: Callable[[], float] = time.monotonic,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self._registry = CollectorRegistry()
        self._clock = clock
        self._epoch = epoch
        self._began = clock()
        self._agreed_at: float | None = None
        self._delta_holds = False
        self._oldest_hint: float | None = None
        self._make_pass_metrics()
        self._make_entity_metrics()
        self._make_hint_metrics()
        self._make_running_metrics(version)
        ProcessCollector(registry=self._registry)

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case PageRead(kind, count):
                self._read.labels(kind.lower()).inc(count)
            case ChangesApplied(changes):
                self._note_changes(changes)
            case ChangeRefused(change):
                self._changes.labels(change.operation.value, REFUSED).inc()
            case FieldFailed():
                self._problems.inc()
            case PassEnded():
                self._note_end(event)
            case Waiting():
                self._note_wait(event)
            case WorkerReplaced():
                self._replaced.inc()
            case LedgerMeasured() | DutyChanged():
                self._note_state(event)
            case HintsTaken() | HintRefused() | HintsWaiting() | HintsSettled():
                self._note_hints(event)
            case _:
                pass

    def staleness(self) -> float:
        """Return the seconds since both catalogs were last known to agree, or since the start."""
        return self._clock() - (self._began if self._agreed_at is None else self._agreed_at)

    def render(self) -> bytes:
        """Return everything in the text format; its type is ``CONTENT_TYPE``."""
        return generate_latest(_WithoutCreated(self._registry))

    def _note_state(self, event: LedgerMeasured | DutyChanged) -> None:
        if isinstance(event, LedgerMeasured):
            self._ledger.set(event.size)
        else:
            self._standby.set(0 if event.works else 1)

    def _note_changes(self, changes: Sequence[Change]) -> None:
        for operation, count in Tally(change.operation for change in changes).items():
            self._changes.labels(operation.value, WRITTEN).inc(count)

    def _note_end(self, ended: PassEnded) -> None:
        self._passes.labels(ended.kind, ended.state).inc()
        self._duration.labels(ended.kind).observe(ended.seconds)
        # A hinted pass has seen a few entities: what it did not find says nothing of the others.
        knows = ended.state == "completed" and ended.kind != HINTED and not ended.refused
        if ended.state == "completed":
            self._last_success.labels(ended.kind).set(self._epoch())
        if knows:
            self._agreed_at = self._clock()
        if ended.refused or knows:
            self._unwritten.set(ended.refused)
        self._note_held(ended)

    def _note_held(self, ended: PassEnded) -> None:
        """Keep what is held until a pass knows better.

        A pass that broke off says 0 for want of knowledge. A delta sees only what is gone from Backstage: its 0 counts
        when the delta before it did see some.
        """
        whole = ended.kind not in (HINTED, "delta")
        if ended.held or (ended.state == "completed" and ended.kind != HINTED and (whole or self._delta_holds)):
            self._held.set(ended.held)
        if ended.kind == "delta" or (ended.kind == HINTED and ended.held):
            self._delta_holds = ended.held > 0

    def _note_hints(self, event: HintsTaken | HintRefused | HintsWaiting | HintsSettled) -> None:
        match event:
            case HintsTaken(count):
                self._hints.inc(count)
            case HintRefused(reason):
                self._hints_refused.labels(reason).inc()
            case HintsWaiting(count, oldest):
                self._hints_waiting.set(count)
                self._oldest_hint = oldest if count else None
            case HintsSettled(seconds):
                for one in seconds:
                    self._hint_seconds.observe(one)

    def _hint_age(self) -> float:
        return 0.0 if self._oldest_hint is None else max(0.0, self._epoch() - self._oldest_hint)

    def _note_wait(self, wait: Waiting) -> None:
        side = wait.side.lower()
        if wait.rate_limited:
            self._limit_waits.labels(side).inc()
            self._limit_seconds.labels(side).inc(wait.seconds)
        else:
            self._retry_waits.labels(side).inc()

    def _make_pass_metrics(self) -> None:
        self._passes = self._counter("stageport_passes_total", "Passes that ended.", "pass", "state")
        self._duration = Histogram(
            "stageport_pass_duration_seconds",
            "How long passes took.",
            ["pass"],
            registry=self._registry,
            buckets=SECONDS,
        )
        self._last_success = self._gauge(
            "stageport_last_success_timestamp_seconds", "When a pass last completed, since the Unix epoch.", "pass"
        )
        self._gauge(
            "stageport_staleness_seconds",
            "Time since both catalogs were last known to agree: since the last completed pass, or the start.",
        ).set_function(self.staleness)
        # Series that appear with their first event hide that event from rate() and increase().
        for kind, state in product(PASSES, STATES):
            self._passes.labels(kind, state)
        for kind in PASSES:
            self._duration.labels(kind)

    def _make_entity_metrics(self) -> None:
        self._read = self._counter(
            "stageport_source_entities_read_total", "Entities read from Backstage, whole or by name only.", "kind"
        )
        self._changes = self._counter(
            "stageport_changes_total", "Changes sent to Port, by what came of them.", "operation", "outcome"
        )
        self._held = self._gauge("stageport_held_deletes", "Deletes that wait for a person to release them.")
        self._unwritten = self._gauge(
            "stageport_unwritten_entities", "Target entities that the last pass could not write to Port."
        )
        self._problems = self._counter(
            "stageport_field_problems_total", "Expressions that failed on an entity; some of each field and page."
        )
        for operation, outcome in product(WRITES, (WRITTEN, REFUSED)):
            self._changes.labels(operation.value, outcome)

    def _make_hint_metrics(self) -> None:
        self._hints = self._counter("stageport_hints_total", "Refs that senders of live events named.")
        self._hints_refused = self._counter(
            "stageport_hints_refused_total", "Messages with live events that were not taken.", "reason"
        )
        self._hints_waiting = self._gauge("stageport_hints_waiting", "Refs that wait to be looked at.")
        self._gauge("stageport_oldest_hint_seconds", "How long the oldest of them has waited.").set_function(
            self._hint_age
        )
        self._hint_seconds = Histogram(
            "stageport_hint_seconds",
            "Time from a live event's arrival until Port held what it told of.",
            registry=self._registry,
            buckets=HINT_SECONDS,
        )
        for reason in HINT_REFUSALS:
            self._hints_refused.labels(reason)

    def _make_running_metrics(self, version: str) -> None:
        self._limit_waits = self._counter(
            "stageport_rate_limit_waits_total", "Requests held back by a rate limit.", "side"
        )
        self._limit_seconds = self._counter(
            "stageport_rate_limit_wait_seconds_total", "Time that requests were held back by a rate limit.", "side"
        )
        self._retry_waits = self._counter(
            "stageport_retry_waits_total", "Requests sent again because no good answer came.", "side"
        )
        self._ledger = self._gauge("stageport_ledger_bytes", "Size of the ledger.")
        self._standby = self._gauge("stageport_standby", "1 while another instance works and this one stands by.")
        self._replaced = self._counter(
            "stageport_worker_restarts_total", "Mapping processes that died or had to be stopped, and were replaced."
        )
        self._gauge("stageport_build_info", "The version, as a label; always 1.", "version").labels(version).set(1)
        for counter, side in product((self._limit_waits, self._limit_seconds, self._retry_waits), SIDES):
            counter.labels(side)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self._registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, registry=self._registry)


class _WithoutCreated(Collector):
    """A registry without the ``_created`` series: twice the size, and of no use in this format."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
