"""The ground a pass stands on: the integration's record at Port, its mapping document, the blueprints.

On first start there is none: the record is registered with the default mapping, and each missing default blueprint is
created. A mapping document that people edited is never overwritten, an existing blueprint never changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.mapping.document import parse_mapping
from stageport.model.blueprints import Blueprint, parse_blueprint
from stageport.model.entities import Json
from stageport.model.errors import MappingError, TargetError
from stageport.plan.blueprints import BlueprintPlan, plan_blueprints
from stageport.plan.fit import Mismatch, check_fields, fields_of_mapping, fit_mapping
from stageport.sync.seams import BlueprintStore, IntegrationStore
from stageport.sync.surroundings import Ground
from stageport.sync.tasks import both, run_limited

STEPS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What Port holds for us, and what first start would add: ``register``, ``config`` to seed, blueprint steps.

    ``given`` says that a person gave the mapping document, in place of the one at Port.
    """

    record: Json | None
    config: Json
    seed_config: bool
    provision: BlueprintPlan | None
    blueprints: Mapping[str, Blueprint] = field(default_factory=dict)
    given: bool = False

    @property
    def is_new(self) -> bool:
        """True when the integration is not registered yet."""
        return self.record is None

    @property
    def coming(self) -> dict[str, Blueprint]:
        """Return the blueprints as they will be that first start creates or completes."""
        documents = self.provision.documents if self.provision else ()
        return {str(document["identifier"]): parse_blueprint(document) for document in documents}


async def find_ground(
    integration: IntegrationStore, blueprints: BlueprintStore, *, initialize: bool, folder: Path | None = None
) -> Found:
    """Read the integration's record and the blueprints, and work out what first start has to add. Writes nothing.

    ``folder`` may hold a mapping and blueprints that stand in for the default ones.

    Raises:
        MappingError: there is no mapping document and none may be seeded.
        TargetError: Port could not be read.
    """
    record, found = await both(integration.read_integration(), blueprints.read_blueprints())
    config = (record or {}).get("config") or {}
    settled = bool((record or {}).get("arePortResourcesInitialized"))
    seed = not config
    if seed and (settled or not initialize):
        raise _no_mapping(settled=settled)
    existing = {one.identifier: one for one in found}
    provision = plan_blueprints(default_blueprints(folder=folder), existing) if initialize and not settled else None
    config = _first_mapping(existing, provision, folder=folder) if seed else config
    return Found(record, config, seed, provision, existing)


async def find_with_mapping(
    integration: IntegrationStore, blueprints: BlueprintStore, *, config: Json, fit: bool, folder: Path | None = None
) -> Found:
    """Read the ground as it would be with another mapping document than the one at Port. Writes nothing.

    With ``fit`` the document and the blueprints are made to agree: default blueprints (or those of ``folder``) that
    the document writes to and Port lacks are to be created, and what those that exist cannot hold is left out of it.

    Raises:
        MappingError: the document cannot be used.
        TargetError: Port could not be read.
    """
    fields = fields_of_mapping(parse_mapping(config))
    record = await integration.read_integration()
    existing = {one.identifier: one for one in await blueprints.read_blueprints()}
    if not fit:
        return Found(record, config, seed_config=True, provision=None, blueprints=existing, given=True)
    lacking = [one for one in default_blueprints(folder=folder) if one["identifier"] in fields.keys() - existing.keys()]
    provision = plan_blueprints(lacking, existing)
    fitted = fit_mapping(config, mismatches=check_fields({**existing, **_coming(provision)}, fields=fields))
    return Found(record, fitted, seed_config=True, provision=provision, blueprints=existing, given=True)


async def store_mapping(found: Found, integration: IntegrationStore, blueprints: BlueprintStore) -> None:
    """Store the mapping document of ``find_with_mapping``.

    The blueprints it needs come first: Port asks for a resync the moment it has the document.

    Raises:
        TargetError: Port refused.
    """
    if found.provision is not None:
        await _provision(found.provision, blueprints)
    if found.is_new:
        await integration.create_integration(config=found.config)
    else:
        await integration.patch_integration({"config": found.config})


def _no_mapping(*, settled: bool) -> MappingError:
    """Refuse to go on without a mapping: everything of ours would look stale.

    So does Port's own integration since it once deleted everything (its changelog, 0.18.5). One that was emptied after
    first start is not replaced by the default either: what only the lost one maps would look stale then.
    """
    way_out = "" if settled else ", or set OCEAN__INITIALIZE_PORT_RESOURCES=true to start with the default one"
    return MappingError(
        "The integration's mapping at Port is empty, so everything of ours would look stale.",
        hint=f"Write a mapping in Port's data sources page{way_out}.",
    )


def _remarks(found: Found) -> tuple[str, ...]:
    """Return what a person should know of first start: what blueprints that existed before lack."""
    if found.provision is None:
        return ()
    lacks = [f"Left as it is: {mismatch.message}." for mismatch in found.provision.mismatches]
    return (*lacks, *(f"Not created: {each}." for each in found.provision.left_out))


def _first_mapping(existing: Mapping[str, Blueprint], provision: BlueprintPlan | None, *, folder: Path | None) -> Json:
    """Return the default mapping, without what blueprints that existed before have no place for.

    Port refuses a whole entity for one property that its blueprint does not know; better the rest than nothing.
    """
    coming = _coming(provision)
    document = default_mapping(folder=folder)
    fields = fields_of_mapping(parse_mapping(document))
    return fit_mapping(document, mismatches=check_fields({**existing, **coming}, fields=fields))


def mapping_mismatches(ground: Ground) -> Sequence[Mismatch]:
    """Return what the mapping writes and the blueprints cannot hold."""
    return check_fields(ground.blueprints, fields=fields_of_mapping(ground.document))


def expected_ground(found: Found) -> Ground:
    """Return the ground as it will be once first start is through; what ``plan`` builds on without writing."""
    coming = found.coming
    missing = frozenset(coming.keys() - found.blueprints.keys())
    return Ground(parse_mapping(found.config), {**found.blueprints, **coming}, missing, _remarks(found))


def _coming(provision: BlueprintPlan | None) -> dict[str, Blueprint]:
    documents = provision.documents if provision else ()
    return {str(document["identifier"]): parse_blueprint(document) for document in documents}


async def prepare_ground(
    found: Found, integration: IntegrationStore, blueprints: BlueprintStore, *, identity: Json
) -> Ground:
    """Do what first start has to add, and return the ground.

    ``identity`` holds the fields of the record that must be ours (``version``, ``installationAppType``, …); they are
    patched where Port has others.

    Raises:
        MappingError: the mapping document cannot be used; nothing was written.
        TargetError: Port refused the registration or a blueprint; the next start tries again.
    """
    document = parse_mapping(found.config)
    if found.is_new:
        await integration.create_integration(config=found.config)
    else:
        await _patch_record(found, integration, identity)
    if found.provision is None:
        return expected_ground(found)
    await _provision(found.provision, blueprints)
    initialized = integration.patch_integration({"arePortResourcesInitialized": True})
    _, existing = await both(initialized, blueprints.read_blueprints())
    created = frozenset(str(step["identifier"]) for step in found.provision.creates)
    return Ground(document, {one.identifier: one for one in existing}, remarks=_remarks(found), created=created)


async def _patch_record(found: Found, integration: IntegrationStore, identity: Json) -> None:
    record = found.record or {}
    patch = {key: value for key, value in identity.items() if record.get(key) != value}
    if found.seed_config:
        patch["config"] = found.config
    if patch:
        await integration.patch_integration(patch)


async def _provision(plan: BlueprintPlan, blueprints: BlueprintStore) -> None:
    """Create all blueprints side by side, then their relations, then what is computed over relations."""

    async def patch(step: tuple[str, Json]) -> None:
        identifier, content = step
        try:
            await blueprints.patch_blueprint(identifier, content)
        except TargetError as error:
            error.hint = error.hint or f"The relations of blueprint {identifier} are missing; mend them in Port."
            raise

    await run_limited(blueprints.create_blueprint, plan.creates, limit=STEPS_AT_ONCE)
    for patches in (plan.relation_patches, plan.computed_patches):
        await run_limited(patch, patches, limit=STEPS_AT_ONCE)
