"""One entry of a mapping's ``resources``: which source entities it takes, and how each becomes a target entity.

Field names follow the document (``selector.query``, ``port.entity.mappings.identifier``). An expression is kept as
its author wrote it; booleans and numbers of the YAML have already become jq literals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from stageport.model.entities import Json


class Unset(Enum):
    """Stands for a key that the document does not hold, as opposed to one that holds null."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class SearchRule:
    """One condition of a search query. Each of the three is a jq expression, hence ``'"="'`` in the YAML."""

    property: str
    operator: str
    value: str

    def to_config(self) -> Json:
        """Return the rule as the document writes it."""
        return {"property": self.property, "operator": self.operator, "value": self.value}


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A question that Port answers in place of a known identifier; every leaf is a jq expression."""

    combinator: str
    rules: tuple["SearchRule | SearchQuery", ...]

    def to_config(self) -> Json:
        """Return the query as the document writes it."""
        return {"combinator": self.combinator, "rules": [rule.to_config() for rule in self.rules]}


@dataclass(frozen=True, slots=True)
class Selector:
    """What a resource takes of its kind.

    ``query`` decides for each item. The other three are ours: ``filter`` is asked of Backstage itself, so that fewer
    entities travel; the two switches skip what Backstage marks as orphaned, or could not process.
    """

    query: str
    filter: tuple[str, ...] = ()
    skip_orphans: bool = False
    skip_broken: bool = False
    export_env_variables: tuple[str, ...] | Unset = UNSET

    def to_config(self) -> Json:
        """Return the selector as the document writes it."""
        config: dict[str, Json] = {"query": self.query}
        if not isinstance(self.export_env_variables, Unset):
            config["exportEnvVariables"] = list(self.export_env_variables)
        if self.filter:
            config["filter"] = list(self.filter)
        if self.skip_orphans:
            config["orphans"] = "skip"
        if self.skip_broken:
            config["broken"] = "skip"
        return config


@dataclass(frozen=True, slots=True)
class EntityMapping:
    """The expressions of one target entity.

    ``title``, ``icon`` and ``team`` tell apart a key that is absent (Port keeps what it has, under merge) from one
    that holds null (Port clears it). ``properties`` and ``relations`` are UNSET where the document has no such key.
    """

    identifier: str | SearchQuery
    blueprint: str
    title: str | Unset | None = UNSET
    icon: str | Unset | None = UNSET
    team: str | SearchQuery | Unset | None = UNSET
    properties: Mapping[str, str] | Unset = UNSET
    relations: Mapping[str, str | SearchQuery] | Unset = UNSET

    def to_config(self) -> Json:
        """Return the mapping as the document writes it, without keys that are absent or null."""
        config: dict[str, Json] = {"identifier": expression_to_config(self.identifier)}
        for name, value in (("title", self.title), ("icon", self.icon), ("team", self.team)):
            if value is not None and not isinstance(value, Unset):
                config[name] = expression_to_config(value)
        config["blueprint"] = self.blueprint
        if not isinstance(self.properties, Unset):
            config["properties"] = dict(self.properties)
        if not isinstance(self.relations, Unset):
            config["relations"] = {name: expression_to_config(value) for name, value in self.relations.items()}
        return config


def expression_to_config(value: str | SearchQuery) -> Json:
    """Return an expression or a search query as the document writes it."""
    return value if isinstance(value, str) else value.to_config()


@dataclass(frozen=True, slots=True)
class Items:
    """``itemsToParse``: an array in the source entity of which each item becomes a target entity.

    ``named`` tells the keys that the document holds, for writing it back as it came.
    """

    expression: str | None = None
    name: str = "item"
    top_level_transform: bool = True
    named: frozenset[str] = frozenset()

    def to_config(self) -> Json:
        """Return the keys as the document writes them."""
        config: dict[str, Json] = {}
        if self.expression is not None:
            config["itemsToParse"] = self.expression
        if "itemsToParseName" in self.named:
            config["itemsToParseName"] = self.name
        if "itemsToParseTopLevelTransform" in self.named:
            config["itemsToParseTopLevelTransform"] = self.top_level_transform
        return config


@dataclass(frozen=True, slots=True)
class Resource:
    """One entry of ``resources``."""

    kind: str
    selector: Selector
    mappings: EntityMapping
    items: Items = field(default_factory=Items)

    def to_config(self) -> Json:
        """Return the resource as it is written to Port."""
        return {
            "kind": self.kind,
            "selector": self.selector.to_config(),
            "port": {"entity": {"mappings": self.mappings.to_config()}, **self.items.to_config()},
        }
