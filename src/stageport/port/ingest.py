"""Sends reports to the addresses that Port names in the integration's record: logs, sync metrics, signs of life.

They go through a sender of their own, so that they take nothing from the entities' pace or patience.
"""

from typing import Literal

import msgspec

from stageport.http.sender import Sender
from stageport.model.entities import Json
from stageport.port.integration import PortIntegration
from stageport.port.session import PortSession

Place = Literal["logs", "metrics"]


class PortIngest:
    """Port's side of the reports."""

    def __init__(self, session: PortSession, integration: PortIntegration, *, sender: Sender) -> None:
        self._session = session
        self._integration = integration
        self._sender = sender

    def knows(self, place: Place) -> bool:
        """Tell whether Port has named the address yet: it does in every record of the integration."""
        return place in self._integration.ingest_urls

    async def send(self, method: str, place: Place, path: str, body: Json) -> None:
        """Send one report.

        Raises:
            TargetError: Port did not take it.
        """
        url = self._integration.ingest_urls[place] + path
        encoded = msgspec.json.encode(body)
        response = await self._session.call_elsewhere(method, url, encoded, sender=self._sender)
        if not response.ok:
            raise self._session.explain(response, doing=f"taking {place}")
