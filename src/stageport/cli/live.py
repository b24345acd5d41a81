"""Live events in ``stageport run``, by the settings: who may send hints, and what works them off."""

import asyncio
import time
from urllib.parse import urlsplit

from stageport.model.events import HintRefused, HintsTaken, HintsWaiting, Listener, Noticed
from stageport.model.hints import OVERFLOW
from stageport.model.signing import parse_keys
from stageport.settings import Settings
from stageport.sync.always import Always
from stageport.sync.hints import HintWork
from stageport.sync.listening import listen
from stageport.sync.surroundings import Surroundings
from stageport.web.receiver import Admission, Receiver
from stageport.wiring import open_bus

ALONE = 15.0
BESIDE = 300.0
"""Seconds between two live deltas: where nothing tells of changes, and beside what does."""


def is_set_up(settings: Settings) -> bool:
    """Tell whether somebody has prepared for live events."""
    return bool(settings.base_url or settings.live_events_secret or settings.live_events_bus)


def delta_seconds(settings: Settings) -> float:
    """Return the interval of the live delta."""
    if settings.delta_interval is not None:
        return settings.delta_interval
    return BESIDE if is_set_up(settings) else ALONE


def unhinted_seconds(settings: Settings) -> float | None:
    """Return the interval for when live events are set up and do not come; None where the settings decide."""
    return ALONE if settings.delta_interval is None and is_set_up(settings) else None


def path_prefix(settings: Settings) -> str:
    """Return the path under which the service is reached from outside."""
    if settings.path_prefix:
        return settings.path_prefix
    return urlsplit(settings.base_url).path if settings.base_url else ""


def admission_of(settings: Settings) -> Admission:
    """Return who may send hints."""
    secret = settings.live_events_secret
    keys = parse_keys(secret.get_secret_value()) if secret else ()
    return Admission(keys=keys, open=settings.live_events_open)


def work_of(around: Surroundings, *, expected: bool) -> HintWork:
    """Return what works hints off; what is odd about the queue is told. ``expected`` as in ``HintWork``."""
    queue = around.ledger.hints
    if queue.lost:
        around.listener(Noticed("warning", queue.lost))
        queue.put([OVERFLOW], now=time.time())  # nobody knows what was in it
    return HintWork(queue, listener=around.listener, expected=expected)


def receiver_of(always: Always, admission: Admission) -> Receiver:
    """Return what takes hints; it lives on another loop, and tells the service on the service's own."""
    home = asyncio.get_running_loop()
    listener: Listener = always.around.listener
    queue = always.around.ledger.hints

    def note(count: int) -> None:
        listener(HintsTaken(count))
        listener(HintsWaiting(*queue.backlog()))
        always.note_hints()

    def taken(count: int) -> None:
        home.call_soon_threadsafe(note, count)

    def refused(reason: str) -> None:
        home.call_soon_threadsafe(listener, HintRefused(reason))

    listener(HintsWaiting(*queue.backlog()))  # an earlier process may have left some
    return Receiver(queue, admission, taken=taken, refused=refused)


async def listen_to_bus(always: Always, settings: Settings) -> None:
    """Listen to Backstage's event bus for ever."""
    async with open_bus(settings) as bus:
        await listen(always, bus)
