"""What ``map`` and ``check`` read over the network: a source entity, kinds, the mapping and the blueprints at Port."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from stageport.backstage.client import BackstageCatalog
from stageport.cli.blueprint_input import Basis, basis_of_port
from stageport.cli.doctor import IMPATIENT
from stageport.cli.map_request import MapRequest
from stageport.cli.mapping_check import CheckRequest
from stageport.mapping.document import MappingDocument
from stageport.model.errors import SourceError
from stageport.model.events import ignore
from stageport.model.refs import SourceRef
from stageport.port.blueprints import PortBlueprints
from stageport.settings import Part, Settings, load_settings, secrets_of
from stageport.sync.ground import expected_ground, find_ground
from stageport.telemetry.logs import configure_logs
from stageport.wiring import may_initialize, open_backstage, open_integration, open_port


@dataclass(frozen=True, slots=True)
class Remote:
    """What was read. ``raw`` is empty where no source entity was asked for."""

    raw: bytes
    document: MappingDocument
    basis: Basis | None
    unfiltered: frozenset[int]


async def read_remote(request: MapRequest, *, ref: SourceRef | None, document: MappingDocument | None) -> Remote:
    """Read the source entity of a ref, and the mapping at Port where no file holds it.

    Raises:
        SettingsError: a side that is needed is not set up.
        SourceError: Backstage cannot be read, or has no such entity.
        TargetError: Port cannot be read.
    """
    parts = [*([Part.BACKSTAGE] if ref else []), *([Part.PORT] if document is None else [])]
    settings = load_settings(request.given, file=request.config, parts=parts).settings
    configure_logs(level="ERROR", style="text", secrets=secrets_of(settings))
    async with AsyncExitStack() as stack:
        basis = None
        if document is None:
            document, basis = await _read_port(settings)
        if ref is None:
            return Remote(b"", document, basis, frozenset())
        catalog = await stack.enter_async_context(open_backstage(settings, ignore, policy=IMPATIENT))
        source = (await catalog.read_refs([ref]))[ref]
        if source is None:
            raise SourceError(
                f"Backstage at {catalog.url} has no entity {ref}",
                hint="A ref reads kind:namespace/name; a token without permission sees no entity either.",
            )
        return Remote(source.raw, document, basis, await _unfiltered(catalog, ref, document))


async def _read_port(settings: Settings) -> tuple[MappingDocument, Basis]:
    async with open_port(settings, ignore, policy=IMPATIENT) as session:
        integration = open_integration(session, settings)
        folder = Path(settings.resources_path)
        found = await find_ground(
            integration, PortBlueprints(session), initialize=may_initialize(settings), folder=folder
        )
        ground = expected_ground(found)
        return ground.document, basis_of_port(list(ground.blueprints.values()))


async def _unfiltered(catalog: BackstageCatalog, ref: SourceRef, document: MappingDocument) -> frozenset[int]:
    """Return the resources of this kind whose filter the source entity does not pass, as Backstage sees it."""
    kind, _, rest = ref.partition(":")
    namespace, _, name = rest.partition("/")
    kept_away = set()
    for index, resource in enumerate(document.resources):
        if resource.kind.lower() != kind or not resource.selector.filter:
            continue
        narrowed = [f"{one},metadata.namespace={namespace},metadata.name={name}" for one in resource.selector.filter]
        found = [page async for page in catalog.read_kind(kind, filters=narrowed)]
        if not any(entity.ref == ref for page in found for entity in page.entities):
            kept_away.add(index)
    return frozenset(kept_away)


async def read_blueprints_and_kinds(request: CheckRequest) -> tuple[Basis | None, list[str] | None]:
    """Read the blueprints at Port and the kinds of the catalog, each where the request says so.

    Raises:
        SettingsError: a side that is needed is not set up.
        SourceError: Backstage cannot be read.
        TargetError: Port cannot be read.
    """
    parts = [
        *([Part.BACKSTAGE] if request.against_backstage else []),
        *([Part.PORT] if request.against_port else []),
    ]
    settings = load_settings(request.given, file=request.config, parts=parts).settings
    configure_logs(level="ERROR", style="text", secrets=secrets_of(settings))
    basis, kinds = None, None
    if request.against_port:
        async with open_port(settings, ignore, policy=IMPATIENT) as session:
            basis = basis_of_port(await PortBlueprints(session).read_blueprints())
    if request.against_backstage:
        async with open_backstage(settings, ignore, policy=IMPATIENT) as catalog:
            kinds = list(await catalog.count_kinds())
    return basis, kinds
