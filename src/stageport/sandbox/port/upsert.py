"""Writing entities: what becomes of one item of a POST, PUT or PATCH.

Everything is judged before anything is stored: an item that is refused leaves no trace, not even the stubs of the
entities it relates to.
"""

import random
import string
from dataclasses import dataclass
from enum import StrEnum

from msgspec import UNSET, UnsetType, structs

from stageport.model.entities import Json
from stageport.sandbox.port.catalog import CompiledBlueprint
from stageport.sandbox.port.entity_request import EntityRequest
from stageport.sandbox.port.formats import is_email
from stageport.sandbox.port.links import LinkResolver, ResolvedLinks
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.paths import PathWalker
from stageport.sandbox.port.problems import invalid, mismatch, not_found, taken
from stageport.sandbox.port.records import EntityKey, StoredEntity
from stageport.sandbox.port.store import Store
from stageport.sandbox.port.system_blueprints import USER

_IDENTIFIER_CHARACTERS = string.ascii_letters + string.digits


class Fate(StrEnum):
    """What became of an entity that was accepted."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    VALIDATED = "validated"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteMode:
    """The query parameters of a write, and who writes.

    ``merge``: fields not given are kept; otherwise they are dropped. ``upsert``: an entity that exists is updated;
    otherwise it is in the way.
    """

    upsert: bool = True
    merge: bool = False
    create_missing: bool = False
    validation_only: bool = False
    datasource: str = ""
    actor: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An accepted item: the entity as stored, its fate, and the stubs that were created for it."""

    entity: StoredEntity
    fate: Fate
    stubs: tuple[StoredEntity, ...] = ()


class EntityWriter:
    """Writes the entities of one request."""

    def __init__(
        self,
        store: Store,
        options: PortOptions,
        links: LinkResolver,
        walker: PathWalker,
        *,
        mode: WriteMode,
        chance: random.Random,
    ) -> None:
        self._store = store
        self._walker = walker
        self._leniency = options.leniency
        self._behaviour = options.behaviour
        self._links = links
        self._mode = mode
        self._chance = chance

    def write(self, blueprint: CompiledBlueprint, request: EntityRequest) -> Outcome:
        """Judge one item and store it.

        Raises:
            PortProblem: the item is refused.
        """
        before = self._find(blueprint, request)
        return self._write(blueprint, request, before)

    def rewrite(self, blueprint: CompiledBlueprint, request: EntityRequest, *, identifier: str) -> Outcome:
        """Judge and store a change of the entity that a path names, which may give it another identifier."""
        before = self._store.entity(blueprint.identifier, identifier)
        if before is None:
            raise not_found("Entity", field="identifier", value=identifier)
        new = request.identifier if isinstance(request.identifier, str) else identifier
        if new != identifier and self._store.entity(blueprint.identifier, new) is not None:
            raise taken("Entity", new)
        return self._write(blueprint, request, before)

    def _find(self, blueprint: CompiledBlueprint, request: EntityRequest) -> StoredEntity | None:
        if isinstance(request.identifier, dict):
            found = self._links.search(blueprint, request.identifier, most=2)
            if len(found) > 1:
                raise invalid("The search query of the identifier matched more than one entity")
            if not found:
                raise not_found("Entity", field="query", value="identifier")
            return found[0]
        if isinstance(request.identifier, UnsetType):
            return None
        before = self._store.entity(blueprint.identifier, request.identifier)
        if before is not None and not self._mode.upsert:
            raise taken("Entity", request.identifier)
        return before

    def _write(self, blueprint: CompiledBlueprint, request: EntityRequest, before: StoredEntity | None) -> Outcome:
        properties = self._properties(blueprint, request, before)
        links = self._links.resolve(blueprint, request)
        after = self._compose(blueprint, request, before, properties, links)
        self._links.check_required(blueprint, after.relations)
        if self._mode.validation_only:
            return Outcome(after, Fate.VALIDATED)
        return self._store_item(before, after, links)

    def _properties(
        self, blueprint: CompiledBlueprint, request: EntityRequest, before: StoredEntity | None
    ) -> dict[str, Json]:
        given = self._checked(blueprint, request.properties)
        if before is not None and self._mode.merge:
            properties = {**before.properties, **given}
        else:
            # Port documents defaults for new entities; one that is overridden starts anew as well.
            properties = {**blueprint.defaults, **given}
        for name in blueprint.required:
            if properties.get(name) is None:
                raise mismatch(f"\"properties\" must have required property '{name}'")
        return properties

    def _checked(self, blueprint: CompiledBlueprint, given: dict[str, Json]) -> dict[str, Json]:
        checks = blueprint.checks
        unknown: list[str] = []
        for name, value in given.items():
            check = checks.get(name)
            if check is None:
                unknown.append(name)
            elif value is not None:
                # Null clears a property of any type; whether it may be missing is asked further on.
                problem = check(value)
                if problem is not None:
                    raise mismatch(f'"properties.{name}" {problem}')
        if not unknown:
            return given
        if not self._leniency.unknown_properties:
            raise mismatch(f'"properties" must NOT have additional properties, additional property: "{unknown[0]}"')
        return {name: value for name, value in given.items() if name not in unknown}

    def _compose(
        self,
        blueprint: CompiledBlueprint,
        request: EntityRequest,
        before: StoredEntity | None,
        properties: dict[str, Json],
        links: ResolvedLinks,
    ) -> StoredEntity:
        kept = before if self._mode.merge else None
        identifier = self._identifier(blueprint, request, before)
        title = request.title if request.title is not UNSET else (kept.title if kept else None)
        if title is None and before is None and self._behaviour.title_defaults_to_identifier:
            title = identifier
        relations = self._relations(blueprint, kept, links)
        teams = self._teams(blueprint, request, kept)
        return StoredEntity(
            sequence=before.sequence if before else 0,
            blueprint=blueprint.identifier,
            identifier=identifier,
            title=title,
            icon=request.icon if request.icon is not UNSET else (kept.icon if kept else None),
            team=teams,
            properties=properties,
            relations=relations,
            datasource=before.datasource if before and not self._behaviour.last_writer_owns else self._mode.datasource,
            created_at=before.created_at if before else self._mode.now,
            created_by=before.created_by if before else self._mode.actor,
            updated_at=self._mode.now,
            updated_by=self._mode.actor,
        )

    def _identifier(self, blueprint: CompiledBlueprint, request: EntityRequest, before: StoredEntity | None) -> str:
        if isinstance(request.identifier, str):
            if blueprint.identifier == USER and not is_email(request.identifier):
                raise invalid('the "identifier" of a user must match format "email"')
            return request.identifier
        if before is not None:
            return before.identifier
        return "e_" + "".join(self._chance.choices(_IDENTIFIER_CHARACTERS, k=16))

    @staticmethod
    def _relations(
        blueprint: CompiledBlueprint, kept: StoredEntity | None, links: ResolvedLinks
    ) -> dict[str, str | list[str] | None]:
        relations: dict[str, str | list[str] | None] = {}
        for name, relation in blueprint.relations.items():
            if name in links.relations:
                relations[name] = links.relations[name]
            elif kept is not None and name in kept.relations:
                relations[name] = kept.relations[name]
            else:
                relations[name] = [] if relation.many else None
        return relations

    def _teams(self, blueprint: CompiledBlueprint, request: EntityRequest, kept: StoredEntity | None) -> list[str]:
        if isinstance(request.team, UnsetType):
            return kept.team if kept else []
        return self._links.teams(blueprint, request.team)

    def _store_item(self, before: StoredEntity | None, after: StoredEntity, links: ResolvedLinks) -> Outcome:
        # An entity that relates to itself needs no stub: it is being created.
        stubs = tuple(self._stub(key, target) for key, target in links.missing.items() if key != after.key)
        if before is None:
            after = structs.replace(after, sequence=self._store.next_sequence())
            self._store.put_entity(after)
            self._hide(after.key)
            return Outcome(after, Fate.CREATED, stubs)
        if before.identifier != after.identifier:
            self._rename(before, after)
            return Outcome(after, Fate.UPDATED, stubs)
        unchanged = before.same_content(after)
        if unchanged and not self._behaviour.unchanged_moves_updated_at:
            after = structs.replace(after, updated_at=before.updated_at, updated_by=before.updated_by)
        self._store.put_entity(after)
        return Outcome(after, Fate.UNCHANGED if unchanged else Fate.UPDATED, stubs)

    def _hide(self, key: EntityKey) -> None:
        if not self._leniency.items_see_each_other:
            self._links.hidden.add(key)

    def _stub(self, key: EntityKey, target: CompiledBlueprint) -> StoredEntity:
        """Create what Port's documentation calls a barebones entity: its title is its identifier, and that is all.

        Required properties and relations of the target do not stop it: nothing published says they would.
        """
        stub = StoredEntity(
            sequence=self._store.next_sequence(),
            blueprint=key.blueprint,
            identifier=key.identifier,
            title=key.identifier,
            icon=None,
            team=[],
            properties={},
            relations=self._relations(target, None, ResolvedLinks()),
            datasource=self._mode.datasource,
            created_at=self._mode.now,
            created_by=self._mode.actor,
            updated_at=self._mode.now,
            updated_by=self._mode.actor,
        )
        self._store.put_entity(stub)
        return stub

    def _rename(self, before: StoredEntity, after: StoredEntity) -> None:
        """Store an entity under another identifier; what relates to it follows."""
        sources = list(self._walker.incoming(before.key))
        self._store.drop_entity(before.key)
        self._store.put_entity(after)
        for source, relation in sources:
            value = source.relations[relation]
            moved = (
                [after.identifier if one == before.identifier else one for one in value]
                if isinstance(value, list)
                else after.identifier
            )
            current = self._store.entity(*source.key) or after
            self._store.put_entity(structs.replace(current, relations={**current.relations, relation: moved}))
