"""Whether this instance works, or stands by for another one that does."""

import asyncio

from stageport.model.events import DutyChanged, Listener, Noticed


class Duty:
    """On from the beginning, unless ``waits``: somebody is to say so first."""

    def __init__(self, listener: Listener, *, waits: bool = False) -> None:
        self._listener = listener
        self._on = asyncio.Event()
        self._was_off = False
        if not waits:
            self._on.set()

    @property
    def is_on(self) -> bool:
        """True while this instance works."""
        return self._on.is_set()

    @property
    def stands_by(self) -> bool:
        """True once this instance was told that another one works."""
        return self._was_off

    async def wait(self) -> None:
        """Wait until this instance is the one that works."""
        await self._on.wait()

    def set(self, *, works: bool) -> bool:
        """Take note of who works; True when this instance takes over from another."""
        takes_over = works and self._was_off
        if works:
            self._on.set()
        elif not self._was_off:
            self._on.clear()
            self._listener(Noticed("info", "Another instance of this integration works; this one stands by."))
        self._was_off = not works
        self._listener(DutyChanged(works))
        return takes_over
