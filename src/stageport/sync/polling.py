"""The POLLING listener: asks Port every so often whether somebody wants a resync, or edited the mapping.

Port's own integration looks at resync requests alone since June 2026, and misses edits that come without one; older
clients looked at the integration's ``updatedAt``, which our own reports and registrations move too. Here both count:
requests, and ``updatedAt`` where the mapping document is another one.
"""

from dataclasses import dataclass

import msgspec

from stageport.model.entities import Json
from stageport.model.errors import TargetError
from stageport.model.events import Noticed
from stageport.model.fingerprint import digest_of
from stageport.sync.always import Always, Sleep
from stageport.sync.passes import PassKind
from stageport.sync.seams import IntegrationStore


@dataclass(slots=True)
class Watermarks:
    """What was seen last: the newest resync request, the newest state of the record, the mapping document's hash."""

    request: str = ""
    change: str = ""
    config: bytes = b""

    def note_request(self, request: Json | None) -> bool:
        """Take in the latest request; True when it is newer than the last one seen."""
        moment = str((request or {}).get("updatedAt") or "")
        newer = moment > self.request
        self.request = max(moment, self.request)
        return newer

    def note_record(self, record: Json | None) -> bool:
        """Take in the integration's record; True when its mapping document is not the one that was seen last."""
        moment = str((record or {}).get("updatedAt") or "")
        if not moment or moment == self.change:
            return False
        self.change = moment
        config = digest_of(msgspec.json.encode((record or {}).get("config") or {}, order="deterministic"))
        before, self.config = self.config, config
        return before not in (b"", config)


async def poll(always: Always, integration: IntegrationStore, *, interval: float, sleep: Sleep) -> None:
    """Ask for a resync whenever Port says so; what is there at the start belongs to the pass at the start.

    Where there is none, a request counts that came after the last resync of which Port was told.
    """
    marks, failing, first = Watermarks(), False, True
    while True:
        try:
            request, record = await integration.read_resync_request(), await integration.read_integration()
        except TargetError as error:
            if not failing:
                always.around.listener(Noticed("warning", f"Port cannot be asked for resync requests: {error.message}"))
            failing, first = True, False
        else:
            failing = False
            if first and not always.begins_with_resync:
                first = False
                marks.request = str(((record or {}).get("resyncState") or {}).get("updatedAt") or "")
            # Both were read: what is noted is acted upon.
            requested, changed = marks.note_request(request), marks.note_record(record)
            if requested and not first:
                always.asks.ask(PassKind.RESYNC, "Port requested it")
            elif changed and not first:
                always.asks.ask(PassKind.RESYNC, "the mapping was changed at Port")
            first = False
        await sleep(interval)
