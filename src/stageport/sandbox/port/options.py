"""How a Port stand-in is set up: credentials, limits, and a switch for each thing nobody outside Port knows.

:class:`Leniency` lists what Port may or may not refuse; off means refused. :class:`Behaviour` lists the answers
that may take either form; the defaults are the likelier or the harder one for a client. Each switch names the open
point it stands for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stageport.sandbox.faults import Fault

Clock = Callable[[], float]
"""Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leniency:
    """What the stand-in lets through although the real Port may refuse it. Everything is off: strict.

    ``unknown_properties``: a property that the blueprint does not define is dropped in silence. Open: whether Port
    answers 422 ``blueprint_schema_mismatch``.

    ``unknown_relations``: the same for a relation that the blueprint does not define.

    ``string_for_many``: a lone string for a relation of many counts as a list of one. Open: whether Port answers
    422 ``relation_many_violation``, as it does for a list where one is meant.

    ``free_text_formats``: ``yaml``, ``proto``, ``user``, ``team`` and ``timer`` take any text. Open: how strictly
    Port reads them. Strict: YAML that parses, text with a protobuf declaration, an e-mail address, a team that
    exists, a date-time.

    ``any_url``: the format ``url`` takes any scheme and any host. Open: which check stands behind it. Strict:
    http, https or ftp to a public IPv4 address or a name with a dot, as the usual JSON Schema validator has it.

    ``unknown_teams``: ``team`` may name teams that are no entity of ``_team``. Strict: 404 ``not_found``.

    ``apostrophe_in_identifier``: a newer specification allows ``'`` in identifiers of entities, the older does not.

    ``missing_query_parameters``: ``upsert`` and ``delete_dependents`` may be left out; the specification says they
    are required and, at the same time, that they default to false.

    ``items_see_each_other``: an entity of a bulk may relate to one that the same bulk creates before it, without
    ``create_missing_related_entities``. Open: the order of application inside a bulk.
    """

    unknown_properties: bool = False
    unknown_relations: bool = False
    string_for_many: bool = False
    free_text_formats: bool = False
    any_url: bool = False
    unknown_teams: bool = False
    apostrophe_in_identifier: bool = False
    missing_query_parameters: bool = False
    items_see_each_other: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Answers of Port that may take either form.

    ``accepts_null_text``: ``title``, ``icon`` and ``team`` may be null on POST. The specification says string, and
    null on PATCH only; Port's own integration sends null every day, so it is on. Off: 422 for the whole request.

    ``last_writer_owns``: a write moves ``$datasource`` to the writer. Off: it stays with who created the entity.

    ``unchanged_moves_updated_at``: an upsert that changes nothing sets ``updatedAt`` all the same.

    ``unset_properties_as_null``: an answer lists every property of the blueprint, null where nothing was given.
    Off: only what was given, including what was given as null. Relations are always all listed.

    ``title_defaults_to_identifier``: an entity created without a title gets its identifier for one.

    ``datasource_listing``: the unpublished listing by datasource is there. Off: 404, as if Port had removed it.

    ``updated_status``: the status of an upsert that updates: 200 by the older tables, 201 by the current ones.

    ``validation_only_status``: the status of a call with ``validation_only=true`` that found nothing wrong.

    ``all_failed_status``: the status of a bulk in which every item failed.

    ``required_relation_status``: 403 and 422 both stand in Port's old tables for ``required_relation``.

    ``rate_limit_reset``: what ``x-ratelimit-reset`` holds: seconds to wait, or the epoch second to wait for.

    ``sends_retry_after``: 429 carries ``Retry-After`` too.

    ``patch_merges_blueprint``: PATCH of a blueprint merges ``schema.properties`` and ``relations`` key by key. Off:
    each object given replaces the stored one.

    ``reversed_bulk``: the items of a bulk are applied last first; their answers keep the order of the request.

    ``mapping_change_requests_resync``: a PATCH of the integration's config creates a resync request, unless the
    header ``x-skip-resync: true`` came with it.

    ``migration_polls``: how many times a migration is reported as running before it is reported as completed.
    """

    accepts_null_text: bool = True
    last_writer_owns: bool = True
    unchanged_moves_updated_at: bool = True
    unset_properties_as_null: bool = False
    title_defaults_to_identifier: bool = False
    datasource_listing: bool = True
    updated_status: Literal[200, 201] = 200
    validation_only_status: Literal[200, 201] = 200
    all_failed_status: Literal[207, 422] = 207
    required_relation_status: Literal[403, 422] = 422
    rate_limit_reset: Literal["seconds", "epoch"] = "seconds"
    sends_retry_after: bool = False
    patch_merges_blueprint: bool = False
    reversed_bulk: bool = False
    mapping_change_requests_resync: bool = True
    migration_polls: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How many requests Port takes per period, over all routes but the authentication."""

    limit: int = 35_000
    period: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PortOptions:
    """One stand-in: its credentials, its organization, its limits and its switches.

    ``state_file`` keeps the state in SQLite; None keeps it in memory. ``seed`` feeds the identifiers it makes up.
    ``feature_flags`` and ``provision_enabled`` are answered as they are; a Port that asks an integration for more
    than it can do is tried with them.
    """

    client_id: str = "sandbox-client"
    client_secret: str = field(default="sandbox-secret", repr=False)
    organization_id: str = "org_sandbox"
    organization_name: str = "Sandbox"
    feature_flags: tuple[str, ...] = ()
    provision_enabled: tuple[str, ...] = ()
    kafka_credentials: dict[str, str] | None = field(default=None, repr=False)
    installation_type: str = "OnPrem"
    token_lifetime: float = 3 * 60 * 60
    rate_limit: RateLimit = RateLimit()
    leniency: Leniency = Leniency()
    behaviour: Behaviour = Behaviour()
    faults: tuple[Fault, ...] = ()
    state_file: Path | None = None
    seed: int = 0
    clock: Clock = time.time
