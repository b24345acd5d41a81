"""Waits that are worth telling: many requests in the same trouble wait side by side, and one of them is news."""

import time
from collections.abc import Callable

from stageport.model.events import Waiting

IsNews = Callable[[Waiting], bool]


def wait_filter(clock: Callable[[], float] = time.monotonic) -> IsNews:
    """Return what tells whether a wait is news: not while another one that was told, for the same reason, lasts."""
    lasting: dict[tuple[str, str], float] = {}

    def is_news(waiting: Waiting) -> bool:
        now, key = clock(), (waiting.side, waiting.reason)
        if now < lasting.get(key, now):
            return False
        lasting[key] = now + waiting.seconds
        return True

    return is_news
