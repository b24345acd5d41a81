"""The integration's record at Port: the mapping document, the state of resyncs, examples of raw data."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import msgspec

from stageport.http.messages import Response
from stageport.model.entities import Json
from stageport.model.schedule import Schedule, minutes_between
from stageport.port.answers import decode_answer
from stageport.port.batches import LARGEST_BODY
from stageport.port.examples import mask_secrets
from stageport.port.identity import IntegrationIdentity
from stageport.port.paths import integration_path
from stageport.port.session import PortSession

MOST_EXAMPLES: Final = 5


class _Record(msgspec.Struct):
    integration: dict[str, Json] | None = None


class _ResyncRequest(msgspec.Struct):
    request: dict[str, Json] | None = None


class KafkaCredentials(msgspec.Struct, frozen=True):
    """What Port gives out for its Kafka; ``brokers`` may be missing, a list, or separated by commas."""

    username: str
    password: str
    brokers: tuple[str, ...] | str = ()

    def __post_init__(self) -> None:
        """Make brokers a tuple."""
        if isinstance(self.brokers, str):
            parts = tuple(part.strip() for part in self.brokers.split(",") if part.strip())
            msgspec.structs.force_setattr(self, "brokers", parts)


class _KafkaAnswer(msgspec.Struct):
    credentials: KafkaCredentials | None = None


class _Organization(msgspec.Struct):
    organization: dict[str, Json]


_records = msgspec.json.Decoder(_Record)
_resync_requests = msgspec.json.Decoder(_ResyncRequest)
_kafka_answers = msgspec.json.Decoder(_KafkaAnswer)
_organizations = msgspec.json.Decoder(_Organization)


class PortIntegration:
    """One integration, under the identity of the session.

    ``changelog_destination`` tells Port how to ask for a resync (``{}`` when we poll). ``resources_origin`` says who
    creates blueprints: ``Default`` (we do) or ``Empty``. ``schedule`` says when the next resync is due, for Port to
    show.
    """

    def __init__(
        self,
        session: PortSession,
        *,
        changelog_destination: Json = None,
        resources_origin: str = "Default",
        schedule: Schedule | None = None,
    ) -> None:
        self.ingest_urls: dict[str, str] = {}
        """Where Port wants logs and metrics, by ``logs`` and ``metrics``; known once a record was read."""
        self._session = session
        self._path = integration_path(session.identity.identifier)
        self._changelog_destination = changelog_destination or {}
        self._resources_origin = resources_origin
        self._schedule = schedule

    async def read_integration(self) -> Json | None:
        """Return the record as Port gives it, None when there is none."""
        response = await self._session.call("GET", self._path)
        if response.status == 404:
            return None
        return self._read_record(response, doing="reading the integration") or None

    async def read_config(self) -> Json | None:
        """Return the mapping document, None when there is no record; ``{}`` stands for an empty one."""
        record = await self.read_integration()
        return None if record is None else record.get("config") or {}

    async def create_integration(self, *, config: Json) -> Json:
        """Register the integration with its first mapping document."""
        identity = self._session.identity
        payload = {
            "installationId": identity.identifier,
            "installationAppType": identity.type,
            "version": identity.version,
            "changelogDestination": self._changelog_destination,
            "config": config,
            "actionsProcessingEnabled": False,
            "incrementalSyncEnabled": False,
            "createPortResourcesOrigin": self._resources_origin,
        }
        response = await self._session.call_json("POST", "/v1/integration", payload, retryable=False)
        return self._read_record(response, doing=f"registering the integration {identity.identifier}")

    async def patch_integration(self, patch: Json) -> Json:
        """Change the record; the version always goes along, as Port's own integration has it."""
        body = {"version": self._session.identity.version, **patch}
        response = await self._session.call_json("PATCH", self._path, body)
        return self._read_record(response, doing="changing the integration")

    async def report_state(self, status: str, *, started: str | None, ended: str | None) -> None:
        """Set the resync state: ``running``, ``completed``, ``failed`` or ``aborted``; times in ISO 8601."""
        body = {
            "status": status,
            "lastResyncEnd": ended,
            **self._outlook(ended or started),
        }
        if started is not None:
            body["lastResyncStart"] = started
        response = await self._session.call_json("PATCH", f"{self._path}/resync-state", body)
        self._read_record(response, doing="reporting the state of the resync")

    async def send_examples(self, kind: str, examples: Sequence[Json]) -> None:
        """Show Port up to 5 raw source entities of a kind for its mapping playground; secrets are masked here.

        What would make the request larger than Port takes is left out.
        """
        masked = [msgspec.json.encode(mask_secrets(example)) for example in examples[:MOST_EXAMPLES]]
        body = b'{"examples":[' + b",".join(_fitting(masked)) + b"]}"
        path = f"{self._path}/kinds/{quote(kind, safe='')}/examples"
        response = await self._session.call("POST", path, body=body, retryable=False)
        if not response.ok:
            raise self._session.explain(response, doing=f"sending examples of kind {kind}")

    async def read_resync_request(self) -> Json | None:
        """Return the latest request for a resync (``id``, ``updatedAt``), None when there was none."""
        doing = "looking for requests to resync"
        response = await self._session.call("GET", f"{self._path}/resync-request")
        if response.status == 404:
            return None
        if not response.ok:
            raise self._session.explain(response, doing=doing)
        return decode_answer(_resync_requests, response, doing=doing).request

    async def read_organization(self) -> Json:
        """Return the organization: ``id``, ``name``, ``featureFlags``."""
        doing = "reading the organization"
        response = await self._session.call("GET", "/v1/organization")
        if not response.ok:
            raise self._session.explain(response, doing=doing)
        return decode_answer(_organizations, response, doing=doing).organization

    async def read_kafka_credentials(self) -> KafkaCredentials | None:
        """Return what is needed to read Port's Kafka, None where the account has no access to it."""
        doing = "asking for Kafka credentials"
        response = await self._session.call("GET", "/v1/kafka-credentials")
        if response.status == 404:
            return None
        if not response.ok:
            raise self._session.explain(response, doing=doing)
        return decode_answer(_kafka_answers, response, doing=doing).credentials

    @property
    def resources_origin(self) -> str:
        """Who creates blueprints and mapping, in the words with which the integration is registered."""
        return self._resources_origin

    @property
    def identity(self) -> IntegrationIdentity:
        """Who the integration is."""
        return self._session.identity

    def _read_record(self, response: Response, *, doing: str) -> Json:
        if not response.ok:
            raise self._session.explain(response, doing=doing)
        record = decode_answer(_records, response, doing=doing).integration or {}
        for place, name in (("logs", "logAttributes"), ("metrics", "metricAttributes")):
            if url := (record.get(name) or {}).get("ingestUrl"):
                self.ingest_urls[place] = str(url).rstrip("/")
        return record

    def _outlook(self, after: str | None) -> Json:
        """Say when the next resync is due; ``intervalInMinuets`` is spelt like this on the wire."""
        if self._schedule is None or after is None:
            return {"nextResync": None, "intervalInMinuets": None}
        moment = datetime.fromisoformat(after)
        due = self._schedule.after(moment).astimezone(UTC)
        return {
            "nextResync": due.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "intervalInMinuets": minutes_between(self._schedule, moment),
        }


def _fitting(examples: Sequence[bytes]) -> Iterator[bytes]:
    room = LARGEST_BODY
    for example in examples:
        if len(example) < room:
            room -= len(example) + 1
            yield example
