"""An entity as a request gives it, checked against the schema of the route.

What fails here refuses the whole request with 422, in a bulk for one bad entity among twenty; what the blueprint
has to say about an entity comes later and item by item.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from stageport.model.entities import Json
from stageport.sandbox.port.names import MAX_ENTITY_IDENTIFIER, is_entity_identifier, is_key
from stageport.sandbox.port.options import PortOptions
from stageport.sandbox.port.problems import invalid
from stageport.sandbox.port.query import check_restricted
from stageport.sandbox.port.shapes import only_keys

IDENTIFIER_OPERATORS = frozenset({"=", "in"})
RELATION_OPERATORS = frozenset({"=", "in", "contains"})
PATCH_KEYS = ("identifier", "title", "icon", "team", "properties", "relations")


@dataclass(frozen=True, slots=True)
class EntityRequest:
    """What a request says of an entity; UNSET where it says nothing.

    ``identifier`` is a text or a search query, ``team`` a list of texts, a search query, or None.
    """

    identifier: str | dict[str, Json] | UnsetType
    title: str | UnsetType | None
    icon: str | UnsetType | None
    team: list[str] | dict[str, Json] | UnsetType | None
    properties: dict[str, Json]
    relations: dict[str, Json]

    @property
    def shown_identifier(self) -> str:
        """What an error calls the entity: the word ``unknown`` where a search stands for the identifier."""
        return self.identifier if isinstance(self.identifier, str) else "unknown"


class RequestReader:
    """Reads entities from request bodies."""

    def __init__(self, options: PortOptions) -> None:
        self._apostrophe = options.leniency.apostrophe_in_identifier
        self._accepts_null = options.behaviour.accepts_null_text

    def read(self, document: Json) -> EntityRequest:
        """Read the body of a POST or PUT; keys beside the known ones are passed over, as Port does.

        Raises:
            PortProblem: 422 ``invalid_request``.
        """
        if not isinstance(document, dict):
            raise invalid('"body" must be object')
        return self._read(document, null_text=self._accepts_null)

    def read_patch(self, document: Json) -> EntityRequest:
        """Read the body of a PATCH: known keys only, title and icon may be null."""
        if not isinstance(document, dict):
            raise invalid('"body" must be object')
        only_keys(document, PATCH_KEYS)
        stray = next((name for name in document.get("properties") or {} if not is_key(name)), None)
        if stray is not None:
            raise invalid(f'"properties" property name "{stray}" must match pattern')
        return self._read(document, null_text=True)

    def _read(self, document: Mapping[str, Json], *, null_text: bool) -> EntityRequest:
        return EntityRequest(
            identifier=self._identifier(document.get("identifier", UNSET)),
            title=_text_or_null(document.get("title", UNSET), "title", null=null_text),
            icon=_text_or_null(document.get("icon", UNSET), "icon", null=null_text),
            team=_team(document.get("team", UNSET), null=null_text),
            properties=_object(document, "properties"),
            relations=self._relations(_object(document, "relations")),
        )

    def _identifier(self, given: Json) -> str | dict[str, Json] | UnsetType:
        if isinstance(given, str):
            self._check(given, "identifier")
            if len(given) > MAX_ENTITY_IDENTIFIER:
                raise invalid('"identifier" must NOT have more than 1000 characters')
            return given
        if isinstance(given, dict):
            check_restricted(given, operators=IDENTIFIER_OPERATORS)
            return given
        if not isinstance(given, UnsetType):
            raise invalid('"identifier" must be string')
        return UNSET

    def _check(self, identifier: str, name: str) -> None:
        if not is_entity_identifier(identifier, apostrophe=self._apostrophe):
            raise invalid(f'"{name}" must match pattern "^(?!\\.{{1,2}}$)[\\p{{L}}0-9@_.+:\\\\/=-]+$"')

    def _relations(self, relations: dict[str, Json]) -> dict[str, Json]:
        for name, value in relations.items():
            if isinstance(value, str):
                self._check(value, name)
                if len(value) > MAX_ENTITY_IDENTIFIER:
                    raise invalid(f'"{name}" must NOT have more than 1000 characters')
            elif isinstance(value, list):
                for one in value:
                    if not isinstance(one, str):
                        raise invalid(f'"{name}" items must be string')
                    self._check(one, name)
            elif isinstance(value, dict):
                check_restricted(value, operators=RELATION_OPERATORS)
            elif value is not None:
                raise invalid(f'"{name}" must be string, array, object or null')
        return relations


def _object(document: Mapping[str, Json], key: str) -> dict[str, Json]:
    value = document.get(key, UNSET)
    if value is UNSET:
        return {}
    if not isinstance(value, dict):
        raise invalid(f'"{key}" must be object')
    return value


def _text_or_null(value: Json, name: str, *, null: bool) -> str | UnsetType | None:
    if isinstance(value, UnsetType | str):
        return value
    if value is None and null:
        return None
    raise invalid(f'"{name}" must be string')


def _team(value: Json, *, null: bool) -> list[str] | dict[str, Json] | UnsetType | None:
    if isinstance(value, UnsetType):
        return UNSET
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        if not all(isinstance(one, str) for one in value):
            raise invalid('"team" items must be string')
        return value
    if isinstance(value, dict):
        check_restricted(value, operators=RELATION_OPERATORS)
        return value
    if value is None and null:
        return None
    raise invalid('"team" must be string, array or object')
