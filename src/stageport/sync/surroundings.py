"""Everything a pass stands on, put together by ``wiring``."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from stageport.mapping.document import MappingDocument
from stageport.model.blueprints import Blueprint
from stageport.model.events import Listener
from stageport.sync.seams import (
    BlueprintStore,
    ChangeLog,
    IntegrationStore,
    Ledger,
    Mapper,
    SourceCatalog,
    TargetCatalog,
)

MapperFactory = Callable[[MappingDocument], AbstractAsyncContextManager[Mapper]]
"""Starts the processes that run a mapping document, and stops them on exit."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The two catalogs, the stores at Port, the mapping's engine, and who listens.

    ``start_single`` is the engine with one process, for a mapper that is kept from pass to pass.
    """

    source: SourceCatalog
    target: TargetCatalog
    blueprints: BlueprintStore
    integration: IntegrationStore
    start_mapper: MapperFactory
    ledger: Ledger
    listener: Listener
    redact: Callable[[str], str] = str
    """Hides the secrets among the settings in a text; what is kept goes through it."""
    start_single: MapperFactory | None = None
    change_log: ChangeLog | None = None
    """Port's change log, where the event listener is KAFKA."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a pass found when it began: the mapping document and the blueprints at Port, by identifier.

    ``coming`` are blueprints that first start is yet to create: a plan counts on them, but Port cannot be asked.
    ``created`` are those that it has just created, so that Port holds nothing of them.
    ``remarks`` are what a person should know of first start, in words.
    """

    document: MappingDocument
    blueprints: Mapping[str, Blueprint]
    coming: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()
    created: frozenset[str] = frozenset()
