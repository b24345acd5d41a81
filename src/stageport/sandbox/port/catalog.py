"""The blueprints as writes need them: compiled once per version, looked up per request."""

from collections.abc import Mapping
from dataclasses import dataclass

from stageport.model.blueprints import Relation, parse_blueprint
from stageport.model.entities import Json
from stageport.sandbox.port.blueprint_rules import COMPUTED
from stageport.sandbox.port.formats import format_checks
from stageport.sandbox.port.options import Leniency
from stageport.sandbox.port.problems import not_found
from stageport.sandbox.port.properties import Check, compile_property
from stageport.sandbox.port.store import Store
from stageport.sandbox.port.system_blueprints import SYSTEM_BLUEPRINTS, TEAM


@dataclass(frozen=True, slots=True)
class CompiledBlueprint:
    """A blueprint, ready to judge entities.

    ``required_relations`` are those of ``relations`` that must be given; ``mirrors`` the paths of the mirror
    properties; ``computed`` all properties that nobody may write.
    """

    identifier: str
    document: Json
    checks: Mapping[str, Check]
    required: tuple[str, ...]
    defaults: Mapping[str, Json]
    relations: Mapping[str, Relation]
    required_relations: tuple[str, ...]
    mirrors: Mapping[str, str]
    computed: frozenset[str]
    inherits_team: bool

    @property
    def is_system(self) -> bool:
        """Tell whether it belongs to Port: then no entity of it is created by being related to."""
        return self.identifier in SYSTEM_BLUEPRINTS


class Catalog:
    """The compiled blueprints of a store."""

    def __init__(self, store: Store, leniency: Leniency) -> None:
        self._store = store
        self._formats = format_checks(leniency, team_exists=self.team_exists)
        self._compiled: dict[str, CompiledBlueprint] = {}

    def team_exists(self, identifier: str) -> bool:
        """Tell whether there is a team of that identifier."""
        return self._store.entity(TEAM, identifier) is not None

    def find(self, identifier: str) -> CompiledBlueprint | None:
        """Return a blueprint; it is compiled again when its document was replaced."""
        document = self._store.blueprint(identifier)
        compiled = self._compiled.get(identifier)
        if document is None:
            return None
        if compiled is None or compiled.document is not document:
            compiled = self._compile(document)
            self._compiled[identifier] = compiled
        return compiled

    def get(self, identifier: str) -> CompiledBlueprint:
        """Return a blueprint.

        Raises:
            PortProblem: 404, there is none.
        """
        compiled = self.find(identifier)
        if compiled is None:
            raise not_found("Blueprint", field="identifier", value=identifier)
        return compiled

    def exists(self, identifier: str) -> bool:
        """Tell whether there is a blueprint of that identifier."""
        return self._store.blueprint(identifier) is not None

    def _compile(self, document: Json) -> CompiledBlueprint:
        blueprint = parse_blueprint(document)
        ownership = document.get("ownership") or {}
        return CompiledBlueprint(
            identifier=blueprint.identifier,
            document=document,
            checks={
                name: compile_property(schema, formats=self._formats) for name, schema in blueprint.properties.items()
            },
            required=tuple(document["schema"]["required"]),
            defaults={name: entry["default"] for name, entry in blueprint.properties.items() if "default" in entry},
            relations=blueprint.relations,
            required_relations=tuple(name for name, relation in blueprint.relations.items() if relation.required),
            mirrors={name: entry["path"] for name, entry in (document.get("mirrorProperties") or {}).items()},
            computed=frozenset(name for kind in COMPUTED for name in document.get(kind) or ()),
            inherits_team=ownership.get("type") == "Inherited" or bool(document.get("teamInheritance")),
        )
