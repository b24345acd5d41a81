"""The ground a pass stands on: the integration's record at Port, its mapping document, the blueprints.

On first start there is none: the record is registered with the default mapping, and each missing default blueprint is
created. ``initialize`` false leaves out the blueprints, the origin ``Empty`` the mapping as well. A mapping document
that people edited is never overwritten, an existing blueprint never changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stageport.mapping.defaults import default_blueprints, default_mapping
from stageport.mapping.document import MappingDocument, parse_mapping
from stageport.model.blueprints import Blueprint, parse_blueprint
from stageport.model.entities import Json
from stageport.model.errors import MappingError, TargetError, TargetRefusedError
from stageport.plan.blueprints import BlueprintPlan, plan_blueprints
from stageport.plan.fit import check_fields, fields_of_mapping, fit_mapping
from stageport.sync.seams import BlueprintStore, IntegrationStore
from stageport.sync.surroundings import Ground
from stageport.sync.tasks import both, run_limited

STEPS_AT_ONCE = 8
EMPTY = "Empty"
"""The origin of resources that nobody creates: no blueprints, no mapping."""
OURS = "OnPrem"
"""The ``installationType`` of an integration that runs on the user's side; one without any is such, too."""
MODE = "processingMode"
"""Whether Port or we map raw data. Not every Port is known to tell it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What Port holds for us, and what first start would add: ``register``, ``config`` to seed, blueprint steps.

    ``given`` says that a person gave the mapping document, in place of the one at Port. ``bare`` says that the record
    is to be marked as initialized with nothing in it, as the origin ``Empty`` has it.
    """

    record: Json | None
    config: Json
    seed_config: bool
    provision: BlueprintPlan | None
    blueprints: Mapping[str, Blueprint] = field(default_factory=dict)
    given: bool = False
    bare: bool = False

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

    ``folder`` may hold a mapping and blueprints that stand in for the default ones. Who creates the resources is
    decided as in Port's own integration: the origin in the record counts, and the setting where there is none.

    Raises:
        MappingError: there is no mapping document and none may be seeded.
        TargetRefusedError: Port itself runs this integration.
        TargetError: Port could not be read.
    """
    stored, found = await both(integration.read_integration(), blueprints.read_blueprints())
    record = stored or {}
    _refuse_hosted(record)
    existing = {one.identifier: one for one in found}
    config = record.get("config") or {}
    settled = bool(record.get("arePortResourcesInitialized"))
    if _origin(record, integration) == EMPTY:
        if settled and not config:
            raise _no_mapping(lost=True)
        return Found(stored, config, seed_config=False, provision=None, blueprints=existing, bare=not settled)
    seed = not config
    if seed and stored is not None and (settled or not initialize):
        raise _no_mapping(lost=settled)
    provision = plan_blueprints(default_blueprints(folder=folder), existing) if initialize and not settled else None
    config = _first_mapping(existing, provision, folder=folder) if seed else config
    return Found(stored, config, seed, provision, existing)


def _origin(record: Json, integration: IntegrationStore) -> str:
    """Return who creates the resources: what Port's record says, else what we would register."""
    return str(record.get("createPortResourcesOrigin") or integration.resources_origin)


def _refuse_hosted(record: Json) -> None:
    """Refuse an integration that Port runs itself, as Port's own one does when its runtime is not the record's.

    Both would write under one identifier, and each would delete what only the other has.
    """
    kind = record.get("installationType") or OURS
    if kind == OURS:
        return
    name = record.get("identifier") or record.get("installationId") or "of this identifier"
    raise TargetRefusedError(
        f"Port itself runs the integration {name} (its installation type is {kind}, not {OURS}).",
        hint="Two writers would undo each other's work. Choose another OCEAN__INTEGRATION__IDENTIFIER, or remove that "
        "integration in Port's data sources page first.",
    )


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


def _no_mapping(*, lost: bool) -> MappingError:
    """Refuse to go on without a mapping: everything of ours would look stale.

    So does Port's own integration since it once deleted everything (its changelog, 0.18.5). One that was emptied after
    first start is not replaced by the default either: what only the lost one maps would look stale then.
    """
    way_out = "" if lost else " OCEAN__INITIALIZE_PORT_RESOURCES=true starts with the default one."
    return MappingError(
        "The integration's mapping at Port is empty, so everything of ours would look stale.",
        hint=f"Write a mapping in Port's data sources page, or store one: `stageport mapping store FILE`.{way_out}",
    )


def _read_mapping(found: Found) -> MappingDocument:
    """Return the mapping document; the origin ``Empty`` has none until somebody writes one.

    Raises:
        MappingError: there is none, or it cannot be used.
    """
    if found.config:
        return parse_mapping(found.config)
    raise MappingError(
        "There is no mapping yet: the integration was set up without resources (origin Empty).",
        hint="Edit it in Port's data sources page, or store one: `stageport mapping store FILE`.",
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


def expected_ground(found: Found) -> Ground:
    """Return the ground as it will be once first start is through; what ``plan`` builds on without writing.

    Raises:
        MappingError: the mapping document cannot be used, or there is none yet.
    """
    coming = found.coming
    missing = frozenset(coming.keys() - found.blueprints.keys())
    return Ground(_read_mapping(found), {**found.blueprints, **coming}, missing, _remarks(found))


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
        MappingError: the mapping document cannot be used, and nothing was written; or there is none yet.
        TargetError: Port refused the registration or a blueprint; the next start tries again.
    """
    document = _read_mapping(found) if found.config else None
    record = await integration.create_integration(config=found.config) if found.is_new else found.record
    await _patch_record(record or {}, found, integration, identity)
    if document is None or found.provision is None:
        return expected_ground(found)
    await _provision(found.provision, blueprints)
    initialized = integration.patch_integration({"arePortResourcesInitialized": True})
    _, existing = await both(initialized, blueprints.read_blueprints())
    created = frozenset(str(step["identifier"]) for step in found.provision.creates)
    return Ground(document, {one.identifier: one for one in existing}, remarks=_remarks(found), created=created)


async def _patch_record(record: Json, found: Found, integration: IntegrationStore, identity: Json) -> None:
    """Change what of the record is not ours yet; what can be had by registering is there already."""
    # A record that does not tell the mode would be changed in every pass, and each change may ask for a resync.
    kept = () if found.is_new or MODE in record else (MODE,)
    patch = {key: value for key, value in identity.items() if record.get(key) != value and key not in kept}
    if found.seed_config and not found.is_new:
        patch["config"] = found.config
    if found.bare:
        patch["arePortResourcesInitialized"] = True
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
