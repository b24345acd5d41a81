"""What settings are called: one tree of known names, and the environment variables that lead to its leaves.

A name is recognised however it is written: ``clientId``, ``client_id``, ``client-id`` and ``CLIENTID`` are the same
(Port's GitHub action upper-cases camelCase keys without adding underscores).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stageport.settings.listeners import LISTENERS
from stageport.settings.model import OWN_SETTINGS, Settings
from stageport.settings.origin import Path

OCEAN_PREFIX = "OCEAN__"
APPLICATION_PREFIX = "APPLICATION__"
OWN_PREFIX = "STAGEPORT_"
LISTENER: Path = ("event_listener",)

SHORT_NAMES: Mapping[str, Path] = {
    "PORT_CLIENT_ID": ("port", "client_id"),
    "PORT_CLIENT_SECRET": ("port", "client_secret"),
    "PORT_BASE_URL": ("port", "base_url"),
    "BACKSTAGE_URL": ("integration", "config", "backstage_url"),
    "BACKSTAGE_TOKEN": ("integration", "config", "backstage_token"),
}
APPLICATION_NAMES: Mapping[str, Path] = {
    "APPLICATION__LOG_LEVEL": ("log_level",),
    "APPLICATION__PORT": ("http_port",),
    "APPLICATION__ENABLE_HTTP_LOGGING": ("enable_http_logging",),
}
HIDDEN_PATHS = frozenset({("port", "client_id")})
"""Shown as "set (hidden)" although they are no passwords: Ocean treats the client id as sensitive."""


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the tree: a leaf when it has no children."""

    path: Path
    info: FieldInfo | None = None
    children: Mapping[str, "Node"] = field(default_factory=dict)

    def child(self, name: str) -> "Node | None":
        """Find a child by its name in any spelling."""
        return self.children.get(fold(name))


def fold(name: str) -> str:
    """Reduce a name to what all its spellings share."""
    return name.replace("_", "").replace("-", "").lower()


@cache
def settings_tree() -> Node:
    """Return the tree of all settings; the listener's children are those of all its types."""
    return _section((), Settings)


@cache
def leaves() -> tuple[Node, ...]:
    """Return all settings that hold a value, in the order in which they are documented."""
    return tuple(_leaves(settings_tree()))


@cache
def own_names() -> Mapping[str, Path]:
    """Return our flat environment names, whole ``STAGEPORT_EVENT_LISTENER`` included."""
    return {own_name(path): path for path in (*(leaf.path for leaf in leaves()), LISTENER)}


def own_name(path: Path) -> str:
    """Return our own flat name of a setting: ``STAGEPORT_PORT_BASE_URL``, ``STAGEPORT_BACKSTAGE_URL``."""
    shortened = path[2:] if path[:2] == ("integration", "config") else path
    return OWN_PREFIX + "_".join(shortened).upper()


def ocean_name(path: Path) -> str:
    """Return Ocean's name of a setting: ``OCEAN__PORT__BASE_URL``, ``APPLICATION__LOG_LEVEL``."""
    for name, target in APPLICATION_NAMES.items():
        if target == path:
            return name
    return OCEAN_PREFIX + "__".join(path).upper()


def environment_names(path: Path) -> tuple[str, ...]:
    """Return the names under which a setting may stand in the environment, strongest first."""
    oceans = () if path[0] in OWN_SETTINGS else (ocean_name(path),)
    return (own_name(path), *oceans, *(name for name, target in SHORT_NAMES.items() if target == path))


def is_hidden(path: Path) -> bool:
    """Tell whether a setting's value must never be shown."""
    return path in HIDDEN_PATHS or path in _secret_paths()


@cache
def _secret_paths() -> frozenset[Path]:
    return frozenset(leaf.path for leaf in leaves() if leaf.info and "SecretStr" in repr(leaf.info.annotation))


def _section(path: Path, model: type[BaseModel]) -> Node:
    nodes = (_node((*path, name), info) for name, info in model.model_fields.items())
    return Node(path, children={fold(node.path[-1]): node for node in nodes})


def _node(path: Path, info: FieldInfo) -> Node:
    if path == LISTENER:
        children = {fold(name): Node((*path, name), leaf) for name, leaf in _listener_fields().items()}
        return Node(path, info, children)
    annotation = info.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _section(path, annotation)
    return Node(path, info)


def _listener_fields() -> dict[str, FieldInfo]:
    fields: dict[str, FieldInfo] = {}
    for listener in LISTENERS:
        fields.update({name: info for name, info in listener.model_fields.items() if name not in fields})
    return {"type": fields.pop("type"), **fields}


def _leaves(node: Node) -> Iterator[Node]:
    if not node.children:
        yield node
    for child in node.children.values():
        yield from _leaves(child)


# Kubernetes adds these for a Service called "stageport" to every pod of its namespace; nobody meant them as settings.
KUBERNETES_LINK = re.compile(
    r"STAGEPORT_(?:SERVICE_(?:HOST|PORT)(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)

NO_EFFECT: Mapping[str, str] = {
    "allow_environment_variables_jq_access": "expressions never see the environment",
    "runtime": "this service always runs on your side",
    "process_execution_mode": "the mapping always runs in processes of its own",
    "processing_mode": "entities are always mapped here, not at Port",
    "lakehouse": "raw data is never sent to Port's data lake",
    "streaming": "pages are always streamed",
    "metrics": "there is no switch for it",
    "actions_processor": "there are no self-service actions to run",
    "live_events": "what Backstage sends is taken in any case; see `base_url` and `live_events_secret`",
    "caching_storage_mode": "nothing is cached that would need a place",
    "upsert_entities_batch_max": "Port's own limits are used",
    "delete_entities_max_batch_size": "Port's own limits are used",
    "yield_items_to_parse_batch_size": "items are not batched",
    "process_in_queue": "see `workers`",
    "event_workers_count": "see `workers`",
    "max_event_processing_seconds": "there are no queued events",
    "max_wait_seconds_before_shutdown": "a pass stops between two requests",
    "events_debug_logging": "see `log_level`",
    "oauth_access_token_file_path": "Backstage is read with `integration.config.backstage_token`",
    "disable_ip_outbound_blocker": "private addresses are always allowed",
    "port.port_app_config_cache_ttl": "the mapping is read afresh for each pass",
    "port.feature_flags_cache_ttl_seconds": "nothing is cached",
    "port.blueprint_cache_ttl_seconds": "nothing is cached",
    "port.ingest_url": "Port tells where telemetry goes",
    "integration.incremental_sync": "Ocean has none for Backstage either",
    "integration.skip_check_diff": "only differences are written",
    "integration.version": "it is this program's own version",
    "integration.config.app_host": "use `base_url` for live events, `event_listener.app_host` for WEBHOOK",
    "integration.secrets": "in Helm values only",
}
"""Settings of Ocean (and of Port's Helm chart) that are accepted and do nothing here, by the start of their path."""


def no_effect_reason(path: Path) -> str | None:
    """Say why a setting that Ocean knows has no effect here; None for one that Ocean does not know either."""
    given = ".".join(fold(part) for part in path)
    return next((why for known, why in NO_EFFECT.items() if given.startswith(fold(known))), None)
