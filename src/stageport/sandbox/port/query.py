"""Port's search queries, compiled: a combinator over rules, some of which are such queries again.

A query that says ``$identifier`` (and ``$blueprint``) at its top is answered from the store's keys; the rest is a
walk over the entities. What the published schema does not allow is 422; so are the few rules that need what a
stand-in has not: a user to whom a rule refers, and scorecards.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from stageport.model.entities import Json
from stageport.sandbox.port.operators import (
    COMPARISONS,
    LIST_OPERATORS,
    ORDER_OPERATORS,
    is_empty,
    is_in,
    is_within,
    time_range,
)
from stageport.sandbox.port.paths import PathWalker
from stageport.sandbox.port.problems import invalid
from stageport.sandbox.port.records import StoredEntity, iso_time
from stageport.sandbox.port.shapes import need_keys, need_list, need_object, need_one_of, need_text, only_keys

Predicate = Callable[[StoredEntity], bool]
Reader = Callable[[StoredEntity], Json]

_META: Mapping[str, Reader] = {
    "$identifier": lambda entity: entity.identifier,
    "$title": lambda entity: entity.title,
    "$icon": lambda entity: entity.icon,
    "$team": lambda entity: entity.team,
    "$blueprint": lambda entity: entity.blueprint,
    "$createdAt": lambda entity: entity.created_at,
    "$updatedAt": lambda entity: entity.updated_at,
    "$createdBy": lambda entity: entity.created_by,
    "$updatedBy": lambda entity: entity.updated_by,
    "$datasource": lambda entity: entity.datasource,
}


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled query. ``identifiers`` and ``blueprints`` narrow where a match can be; None: anywhere."""

    matches: Predicate
    identifiers: tuple[str, ...] | None = None
    blueprints: frozenset[str] | None = None


def _reader(name: str) -> Reader:
    meta = _META.get(name)
    if meta is not None:
        return meta
    if name.startswith("$"):
        raise invalid(f'"{name}" is no meta property')
    return lambda entity: entity.properties.get(name)


class QueryCompiler:
    """Compiles queries against the catalog as it is now; ``walker`` answers the rules that follow relations."""

    def __init__(self, *, now: float, walker: PathWalker) -> None:
        self._now = now
        self._walker = walker

    def compile(self, document: Json) -> Query:
        """Compile a whole query.

        Raises:
            PortProblem: 422, it is no query.
        """
        query = need_object(document, "query")
        predicate = self._group(query)
        if query["combinator"] != "and":
            return Query(predicate)
        identifiers = _named(query["rules"], "$identifier")
        blueprints = _named(query["rules"], "$blueprint")
        return Query(predicate, identifiers, None if blueprints is None else frozenset(blueprints))

    def _group(self, query: Mapping[str, Json]) -> Predicate:
        only_keys(query, ("combinator", "rules"))
        need_keys(query, "query", required=("combinator", "rules"))
        combinator = need_one_of(query["combinator"], "combinator", ("and", "or"))
        rules = [self._rule(need_object(rule, "rule")) for rule in need_list(query["rules"], "rules")]
        if combinator == "and":
            return lambda entity: all(rule(entity) for rule in rules)
        return lambda entity: any(rule(entity) for rule in rules)

    def _rule(self, rule: Mapping[str, Json]) -> Predicate:
        if "combinator" in rule:
            return self._group(rule)
        operator = need_text(rule.get("operator"), "operator")
        if operator == "relatedTo":
            return self._related(rule)
        if operator == "matchAny":
            return self._match_any(rule)
        if "propertySchema" in rule:
            return self._property_schema(rule)
        if "relation" in rule:
            return self._relation(rule)
        return self._property(rule, operator)

    def _property(self, rule: Mapping[str, Json], operator: str) -> Predicate:
        only_keys(rule, ("property", "operator", "value"))
        read = _reader(need_text(rule.get("property"), "property", shortest=1))
        return self._compare(read, rule, operator)

    def _compare(self, read: Reader, rule: Mapping[str, Json], operator: str) -> Predicate:
        if operator in {"isEmpty", "isNotEmpty", "isExpired", "isNotExpired"}:
            if "value" in rule:
                raise invalid(f'"{operator}" takes no value')
            return self._without_value(read, operator)
        need_keys(rule, "rule", required=("value",))
        value = rule["value"]
        if operator in {"between", "notBetween"} or (operator == "=" and isinstance(value, dict)):
            bounds = time_range(value, now=self._now)
            inside = operator != "notBetween"
            return lambda entity: is_within(read(entity), bounds) is inside
        comparison = COMPARISONS.get(operator)
        if comparison is None:
            raise invalid(f'"operator" must be equal to one of the allowed values, not "{operator}"')
        _check_value(operator, value)
        return lambda entity: comparison(read(entity), value)

    def _without_value(self, read: Reader, operator: str) -> Predicate:
        if operator in {"isEmpty", "isNotEmpty"}:
            empty = operator == "isEmpty"
            return lambda entity: is_empty(read(entity)) is empty
        now, expired = iso_time(self._now), operator == "isExpired"
        return lambda entity: isinstance(value := read(entity), str) and (value < now) is expired

    def _relation(self, rule: Mapping[str, Json]) -> Predicate:
        only_keys(rule, ("relation", "targetProperty", "operator", "value"))
        name = need_text(rule["relation"], "relation")
        target = need_one_of(rule.get("targetProperty", "$identifier"), "targetProperty", ("$title", "$identifier"))

        def read(entity: StoredEntity) -> Json:
            if target == "$identifier":
                return entity.relations.get(name)
            return [related.title for related in self._walker.follow(entity, name)]

        return self._compare(read, rule, need_text(rule["operator"], "operator"))

    def _related(self, rule: Mapping[str, Json]) -> Predicate:
        only_keys(rule, ("operator", "blueprint", "value", "direction", "required"))
        need_keys(rule, "rule", required=("operator", "blueprint", "value"))
        direction = rule.get("direction")
        if direction is not None:
            need_one_of(direction, "direction", ("upstream", "downstream"))
        related = self._walker.related(
            need_text(rule["blueprint"], "blueprint"),
            _texts(rule["value"]),
            direction=direction,
            required=rule.get("required"),
        )
        return lambda entity: entity.key in related

    def _match_any(self, rule: Mapping[str, Json]) -> Predicate:
        only_keys(rule, ("property", "operator", "value"))
        need_keys(rule, "rule", required=("property", "value"))
        wanted = _texts(rule["value"])
        given = rule["property"]
        if isinstance(given, str):
            read = _reader(given)
            return lambda entity: is_in(read(entity), wanted)
        path = need_object(given, "property")
        only_keys(path, ("path", "fromBlueprint"))
        return self._walker.along(need_list(path.get("path"), "path"), path.get("fromBlueprint"), wanted)

    def _property_schema(self, rule: Mapping[str, Json]) -> Predicate:
        only_keys(rule, ("propertySchema", "operator", "value"))
        operator = need_one_of(rule["operator"], "operator", ("=", "!=", "contains"))
        schema = need_object(rule["propertySchema"], "propertySchema")
        only_keys(schema, ("type", "format", "items"))
        need_keys(schema, "propertySchema", required=("type",))
        value, comparison = rule.get("value"), COMPARISONS[operator]
        names_of = self._walker.properties_like

        def matches(entity: StoredEntity) -> bool:
            return any(comparison(entity.properties.get(name), value) for name in names_of(entity.blueprint, schema))

        return matches


def _check_value(operator: str, value: Json) -> None:
    if isinstance(value, dict):
        raise invalid("a rule that refers to the user of a request needs a user, and a machine has none")
    if operator in LIST_OPERATORS:
        need_list(value, "value")
    elif operator in ORDER_OPERATORS and (isinstance(value, bool) or not isinstance(value, int | float | str)):
        raise invalid('"value" must be number or match format "date-time"')


def _texts(value: Json) -> list[str]:
    return [need_text(one, "value") for one in (value if isinstance(value, list) else [value])]


def _named(rules: Sequence[Json], name: str) -> tuple[str, ...] | None:
    """Return the only values that a meta property can have under these rules, all of which must hold."""
    for rule in rules:
        if rule.get("property") != name:
            continue
        value = rule.get("value")
        if rule["operator"] == "=" and isinstance(value, str):
            return (value,)
        if rule["operator"] == "in":
            return tuple(one for one in value if isinstance(one, str))
    return None


def check_restricted(document: Json, *, operators: Collection[str]) -> list[str]:
    """Check a query that stands in the place of an identifier, a relation or a team.

    Returns the properties that it asks for.

    Raises:
        PortProblem: 422, it has rules other than property, operator, value with one of the operators.
    """
    query = need_object(document, "query")
    only_keys(query, ("combinator", "rules"))
    need_keys(query, "query", required=("combinator", "rules"))
    need_one_of(query["combinator"], "combinator", ("and", "or"))
    return [
        name
        for rule in need_list(query["rules"], "rules")
        for name in _check_restricted_rule(need_object(rule, "rule"), operators=operators)
    ]


def _check_restricted_rule(rule: Mapping[str, Json], *, operators: Collection[str]) -> list[str]:
    if "combinator" in rule:
        return check_restricted(rule, operators=operators)
    only_keys(rule, ("property", "operator", "value"))
    need_keys(rule, "rule", required=("property", "operator", "value"))
    operator = need_one_of(rule["operator"], "operator", sorted(operators))
    if operator in LIST_OPERATORS:
        _texts(need_list(rule["value"], "value"))
    return [need_text(rule["property"], "property")]
