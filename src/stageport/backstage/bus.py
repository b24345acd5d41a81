"""Backstage's event bus, as ``@backstage/plugin-events-backend`` serves it to whoever has a token.

A subscription keeps its place while nobody reads, in PostgreSQL for a bounded time, else in Backstage's memory. What
was handed out counts as delivered.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from stageport.backstage.address import CATALOG_PATH, catalog_url
from stageport.backstage.answers import explain_refusal
from stageport.http.messages import NoAnswerError, Request, Response
from stageport.http.transport import Transport
from stageport.model.announcements import CHANGED
from stageport.model.entities import Json
from stageport.model.errors import SourceAnswerError, SourceError, SourceUnreachableError

BUS_PATH: Final = "/api/events/bus/v1"
LONGEST_WAIT: Final = 90.0
"""Seconds for one question: Backstage keeps it for 55 s when there is nothing to tell (``events.notifyTimeoutMs``)."""

_MISSING_HINT: Final = (
    "Add @backstage/plugin-events-backend to it, or let it send live events to this service and take "
    "`live_events_bus` away."
)


class _Events(msgspec.Struct):
    events: list[dict[str, Json]]


class BackstageBus:
    """One subscription to the bus, by the name ``subscription``. The transport has to wait for ``LONGEST_WAIT``."""

    def __init__(self, url: str, *, token: str | None, transport: Transport, subscription: str) -> None:
        root = catalog_url(url).removesuffix(CATALOG_PATH)
        self._url = root
        self._place = f"{root}{BUS_PATH}/subscriptions/{quote(subscription, safe='')}"
        self._transport = transport
        self._with_token = bool(token)
        self._headers = {"User-Agent": "stageport", **({"Authorization": f"Bearer {token}"} if token else {})}

    async def subscribe(self) -> None:
        """Subscribe to changes of the catalog; a subscription that exists keeps its place.

        Raises:
            SourceError: there is no bus, or it cannot be used.
        """
        body = msgspec.json.encode({"topics": [CHANGED]})
        headers = {**self._headers, "Content-Type": "application/json"}
        answer = await self._send(Request("PUT", self._place, headers, body))
        if answer.status == 404:
            raise SourceAnswerError(f"Backstage at {self._url} has no event bus", hint=_MISSING_HINT)
        self._check(answer)

    async def read(self) -> Sequence[Json] | None:
        """Wait for events and return them; none when there was nothing for a while; None without a subscription.

        Raises:
            SourceError: the bus cannot be used.
        """
        answer = await self._send(Request("GET", f"{self._place}/events", self._headers))
        if answer.status == 404:
            return None
        self._check(answer)
        if answer.status == 202:
            return ()
        try:
            return msgspec.json.decode(answer.body, type=_Events).events
        except msgspec.DecodeError as error:
            raise SourceAnswerError(f"The event bus of Backstage at {self._url} answers with no events") from error

    def _check(self, answer: Response) -> None:
        if not answer.ok:
            raise explain_refusal(answer, url=self._url, with_token=self._with_token)

    async def _send(self, request: Request) -> Response:
        try:
            return await self._transport.send(request)
        except NoAnswerError as error:
            raise self._explain(error) from error

    def _explain(self, error: NoAnswerError) -> SourceError:
        return SourceUnreachableError(f"The event bus of Backstage at {self._url}: {error.reason}")
