"""What an entity points at: its relations and its teams, resolved and judged.

Arity first, then existence: a list where one is meant is wrong whatever it lists.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from stageport.model.blueprints import Relation
from stageport.model.entities import Json
from stageport.sandbox.port.catalog import Catalog, CompiledBlueprint
from stageport.sandbox.port.entity_request import EntityRequest
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.paging import candidates
from stageport.sandbox.port.problems import PortProblem, invalid, mismatch, no_such_related
from stageport.sandbox.port.query import QueryCompiler
from stageport.sandbox.port.records import EntityKey, StoredEntity
from stageport.sandbox.port.store import Store
from stageport.sandbox.port.system_blueprints import TEAM

MAX_SEARCH_RESULTS = 100

RelationValue = str | list[str] | None


@dataclass(slots=True)
class ResolvedLinks:
    """The relations as they are to be stored, and what must be created for them to lead somewhere.

    ``missing`` holds the entities to create, each with its blueprint.
    """

    relations: dict[str, RelationValue] = field(default_factory=dict)
    missing: dict[EntityKey, CompiledBlueprint] = field(default_factory=dict)


class LinkResolver:
    """Resolves what entities of one request point at.

    ``hidden`` are entities that this request created: other entities of it cannot count on them.
    """

    def __init__(
        self, store: Store, catalog: Catalog, options: PortOptions, queries: QueryCompiler, *, create_missing: bool
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._leniency = options.leniency
        self._required_status = options.behaviour.required_relation_status
        self._queries = queries
        self._create_missing = create_missing
        self.hidden: set[EntityKey] = set()

    def resolve(self, blueprint: CompiledBlueprint, request: EntityRequest) -> ResolvedLinks:
        """Resolve the relations that a request gives.

        Raises:
            PortProblem: an unknown relation, the wrong arity, or a related entity that does not exist.
        """
        links = ResolvedLinks()
        for name, given in request.relations.items():
            relation = blueprint.relations.get(name)
            if relation is None:
                if self._leniency.unknown_relations:
                    continue
                raise mismatch(f'The relation "{name}" is not defined in the blueprint "{blueprint.identifier}"')
            value = self._value(name, relation, given)
            links.relations[name] = value
            for identifier in [value] if isinstance(value, str) else value or ():
                self._check_exists(EntityKey(relation.target, identifier), links)
        return links

    def _value(self, name: str, relation: Relation, given: Json) -> RelationValue:
        if isinstance(given, dict):
            return self._search(name, relation, given)
        if relation.many:
            if isinstance(given, str):
                if not self._leniency.string_for_many:
                    raise _wrong_arity(name, "has many targets, an array is needed")
                return [given]
            return list(given or ())
        if isinstance(given, list):
            raise _wrong_arity(name, "has one target, an array cannot be given")
        return None if given is None else str(given)

    def _search(self, name: str, relation: Relation, query: dict[str, Json]) -> RelationValue:
        found = self.search(self._catalog.get(relation.target), query, most=MAX_SEARCH_RESULTS)
        if relation.many:
            return [entity.identifier for entity in found]
        if len(found) > 1:
            raise _wrong_arity(name, f"has one target, the query found {len(found)}")
        return found[0].identifier if found else None

    def search(self, blueprint: CompiledBlueprint, query: dict[str, Json], *, most: int) -> Sequence[StoredEntity]:
        """Return the entities of a blueprint that a query finds, at most so many."""
        compiled = self._queries.compile(query)
        asked = {rule.get("property") for rule in query["rules"]}
        computed = next((name for name in asked if name in blueprint.computed), None)
        if computed is not None:
            raise invalid(f'the calculated property "{computed}" cannot be searched for here')
        found = filter(compiled.matches, candidates(self._store, compiled)(blueprint.identifier))
        return list(islice(found, most))

    def _check_exists(self, key: EntityKey, links: ResolvedLinks) -> None:
        # Port says of a bulk that its items may depend on each other only when missing entities are created.
        if self._store.entity(*key) is not None and (self._create_missing or key not in self.hidden):
            return
        target = self._catalog.find(key.blueprint)
        # Users and teams are never created in passing, whatever the flag says.
        if not self._create_missing or target is None or target.is_system:
            raise no_such_related(*key)
        links.missing[key] = target

    def check_required(self, blueprint: CompiledBlueprint, relations: Mapping[str, RelationValue]) -> None:
        """Check that the required relations lead somewhere."""
        for name in blueprint.required_relations:
            if not relations.get(name):
                raise PortProblem(
                    self._required_status,
                    "required_relation",
                    f'The relation "{name}" of the blueprint "{blueprint.identifier}" is required',
                )

    def teams(self, blueprint: CompiledBlueprint, given: list[str] | dict[str, Json] | None) -> list[str]:
        """Return the teams that a request gives.

        Raises:
            PortProblem: the blueprint inherits its teams, or there is no such team.
        """
        if given and blueprint.inherits_team:
            raise PortProblem(
                422, "team_inheritance_enabled", f'Teams of "{blueprint.identifier}" are inherited and cannot be set'
            )
        if isinstance(given, dict):
            found = self.search(self._catalog.get(TEAM), given, most=MAX_SEARCH_RESULTS)
            return [entity.identifier for entity in found]
        self._check_teams(given or ())
        return list(given or ())

    def _check_teams(self, teams: Collection[str]) -> None:
        if self._leniency.unknown_teams:
            return
        for team in teams:
            if not self._catalog.team_exists(team):
                raise no_such_related(TEAM, team)


def _wrong_arity(name: str, words: str) -> PortProblem:
    return PortProblem(422, "relation_many_violation", f'The relation "{name}" {words}')
