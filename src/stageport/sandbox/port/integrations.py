"""The integrations of an organization: where mappings live and where resyncs are asked for and reported."""

import secrets
from collections.abc import Mapping

from stageport.model.entities import Json
from stageport.sandbox.port.blueprint_rules import check_destination
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.problems import invalid, not_found, taken
from stageport.sandbox.port.records import iso_time
from stageport.sandbox.port.shapes import need_bool, need_list, need_object, need_one_of, need_text, only_keys
from stageport.sandbox.port.store import Store

INTEGRATIONS = "integration"
RESYNC_REQUESTS = "resync-request"
EXAMPLES = "examples"
CURSORS = "cursor"
MAX_EXAMPLES = 5
_ORIGINS = ("Empty", "Ocean", "Default", "Port")
_MODES = ("ocean-core", "dsp")
_STATES = ("running", "completed", "failed", "aborted")
# `intervalInMinuets` is spelt so on the wire.
_STATE_KEYS = ("status", "lastResyncStart", "lastResyncEnd", "nextResync", "intervalInMinuets")
_TEXTS = ("title", "installationAppType", "version", "pinnedVersion", "integrationType", "createPortResourcesOrigin")
_FLAGS = ("actionsProcessingEnabled", "incrementalSyncEnabled", "arePortResourcesInitialized")
_PATCHABLE = frozenset(
    {*_TEXTS, *_FLAGS, "config", "changelogDestination", "processingMode", "spec"}
    - {"createPortResourcesOrigin", "integrationType"}
)


class IntegrationDesk:
    """Reads and changes integrations. Two kinds of change differ in one point, on which clients depend.

    A change of the resync state leaves ``updatedAt`` of the integration equal to that of the state, so that a
    listener can tell the report of a resync from a change of the mapping; any other change leaves them different.
    """

    def __init__(self, store: Store, options: PortOptions) -> None:
        self._store = store
        self._options = options

    def all(self) -> list[Json]:
        """Return all integrations."""
        return list(self._store.records(INTEGRATIONS).values())

    def find(self, identifier: str, *, by_log_id: bool = False) -> Json | None:
        """Return an integration, None if there is none."""
        if not by_log_id:
            return self._store.record(INTEGRATIONS, identifier)
        return next((one for one in self.all() if one["logIngestId"] == identifier), None)

    def get(self, identifier: str, *, by_log_id: bool = False) -> Json:
        """Return an integration.

        Raises:
            PortProblem: 404, there is none.
        """
        found = self.find(identifier, by_log_id=by_log_id)
        if found is None:
            raise not_found("Integration", field="installationId", value=identifier)
        return found

    def create(self, document: Json, *, upsert: bool) -> Json:
        """Register an integration.

        Raises:
            PortProblem: 409, it is there already; 422, the document is none.
        """
        given = need_object(document, "body")
        identifier = need_text(given.get("installationId"), "installationId", shortest=1)
        _check(given)
        before = self.find(identifier)
        if before is not None and not upsert:
            raise taken("Integration", identifier)
        created = {**(before or self._blank(identifier)), **given, "updatedAt": self._now()}
        created["integrationType"] = created.get("installationAppType", "")
        self._put(created)
        return created

    def _blank(self, identifier: str) -> dict[str, Json]:
        now = self._now()
        return {
            "_id": f"integration_{secrets.token_hex(8)}",
            "_orgId": self._options.organization_id,
            "identifier": identifier,
            "installationId": identifier,
            "title": None,
            "installationAppType": "",
            "installationType": self._options.installation_type,
            "version": "",
            "changelogDestination": {},
            "config": {},
            "createPortResourcesOrigin": None,
            "arePortResourcesInitialized": False,
            "actionsProcessingEnabled": False,
            "incrementalSyncEnabled": False,
            # What Port's own framework sends by default; an integration that does the work itself changes it.
            "processingMode": "dsp",
            "logIngestId": secrets.token_hex(8),
            "clientId": self._options.client_id,
            "createdAt": now,
            "createdBy": self._options.client_id,
            "updatedBy": self._options.client_id,
        }

    def patch(self, identifier: str, document: Json, *, skip_resync: bool) -> Json:
        """Change an integration. An empty body asks for a resync, as Port documents it."""
        before = self.get(identifier)
        given = need_object(document, "body")
        _check(given)
        changed = {key: value for key, value in given.items() if key in _PATCHABLE}
        # Not equal to the time of the resync state, even within one millisecond: see the class.
        after = {**before, **changed, "updatedAt": self._now_unlike(before)}
        self._put(after)
        if self._asks_for_resync(before, given) and not skip_resync:
            self.request_resync(identifier)
        return after

    def _asks_for_resync(self, before: Json, given: Mapping[str, Json]) -> bool:
        changes_mapping = "config" in given and given["config"] != before["config"]
        return not given or (changes_mapping and self._options.behaviour.mapping_change_requests_resync)

    def set_state(self, identifier: str, document: Json) -> Json:
        """Report a resync: running, completed, failed or aborted."""
        before = self.get(identifier)
        given = need_object(document, "body")
        only_keys(given, _STATE_KEYS)
        if "status" in given:
            need_one_of(given["status"], "status", _STATES)
        now = self._now()
        state = {**before.get("resyncState", {}), **given, "updatedAt": now}
        after = {**before, "resyncState": state, "updatedAt": now}
        self._put(after)
        return after

    def delete(self, identifier: str) -> None:
        """Forget an integration; its entities stay."""
        self.get(identifier)
        for kind in (INTEGRATIONS, RESYNC_REQUESTS, EXAMPLES):
            self._store.drop_record(kind, identifier)

    def request_resync(self, identifier: str) -> Json:
        """Ask for a resync, as the button in Port does."""
        self.get(identifier)
        request = {"id": f"resync_{secrets.token_hex(8)}", "updatedAt": self._now()}
        self._store.put_record(RESYNC_REQUESTS, identifier, request)
        self._store.commit()
        return request

    def resync_request(self, identifier: str) -> Json | None:
        """Return the latest request for a resync."""
        self.get(identifier)
        return self._store.record(RESYNC_REQUESTS, identifier)

    def add_examples(self, identifier: str, kind: str, document: Json) -> None:
        """Keep examples of raw data for a kind; the latest replace the former."""
        self.get(identifier)
        given = need_object(document, "body")
        examples = [need_object(one, "examples") for one in need_list(given.get("examples"), "examples")]
        if len(examples) > MAX_EXAMPLES:
            raise invalid(f'"examples" must NOT have more than {MAX_EXAMPLES} items')
        known = dict(self._store.record(EXAMPLES, identifier) or {})
        known[kind] = [{"_id": f"example_{secrets.token_hex(6)}", "data": one} for one in examples]
        self._store.put_record(EXAMPLES, identifier, known)

    def examples(self, identifier: str) -> dict[str, Json]:
        """Return the examples by kind."""
        self.get(identifier)
        known: Mapping[str, Json] = self._store.record(EXAMPLES, identifier) or {}
        return {kind: {"examples": examples} for kind, examples in known.items()}

    def cursor(self, identifier: str, kind: str, index: str) -> Json | None:
        """Return the watermark of an incremental sync."""
        self.get(identifier)
        return self._store.record(CURSORS, f"{identifier}/{kind}/{index}")

    def put_cursor(self, identifier: str, kind: str, index: str, document: Json, *, create: bool) -> None:
        """Set a watermark: PUT replaces one that must exist, POST creates it."""
        self.get(identifier)
        name = f"{identifier}/{kind}/{index}"
        if not create and self._store.record(CURSORS, name) is None:
            raise not_found("Cursor", field="kind", value=kind)
        primary = need_text(need_object(document, "body").get("primary"), "primary")
        self._store.put_record(CURSORS, name, {"primary": primary})

    def _put(self, integration: Mapping[str, Json]) -> None:
        self._store.put_record(INTEGRATIONS, integration["identifier"], dict(integration))

    def _now(self) -> str:
        return iso_time(self._options.clock())

    def _now_unlike(self, integration: Json) -> str:
        now = self._options.clock()
        reported = integration.get("resyncState", {}).get("updatedAt")
        return iso_time(now + 0.001) if iso_time(now) == reported else iso_time(now)


def _check(given: Mapping[str, Json]) -> None:
    for key in _TEXTS:
        if given.get(key) is not None:
            need_text(given[key], key)
    for key in _FLAGS:
        if key in given:
            need_bool(given[key], key)
    if given.get("createPortResourcesOrigin") is not None:
        need_one_of(given["createPortResourcesOrigin"], "createPortResourcesOrigin", _ORIGINS)
    if "processingMode" in given:
        need_one_of(given["processingMode"], "processingMode", _MODES)
    if "changelogDestination" in given:
        check_destination(given["changelogDestination"])
    if given.get("config") is not None:
        _check_config(need_object(given["config"], "config"))


def _check_config(config: Mapping[str, Json]) -> None:
    for resource in need_list(config.get("resources", []), "resources"):
        given = need_object(resource, "resources")
        need_text(given.get("kind"), "kind")
        need_object(given.get("selector"), "selector")
        entity = need_object(need_object(given.get("port"), "port").get("entity"), "entity")
        mappings = entity.get("mappings")
        for mapping in mappings if isinstance(mappings, list) else [mappings]:
            one = need_object(mapping, "mappings")
            if not isinstance(one.get("identifier"), str | dict):
                raise invalid('"identifier" must be string or object')
            need_text(one.get("blueprint"), "blueprint")
