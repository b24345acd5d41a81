"""Laying a resource out for evaluation: every expression gets a slot, the target entity's shape keeps the numbers."""

import re
from dataclasses import dataclass
from typing import Final

from stageport.mapping.document import MappingDocument
from stageport.mapping.expressions import rewrite_quotes
from stageport.mapping.frames import NO_SLOT, ResourcePlan
from stageport.mapping.reading import Path
from stageport.mapping.resource import Resource, SearchQuery, SearchRule, Unset
from stageport.model.entities import Json

_STEP: Final = r"(?:\.\w+|\.?\[[^\]]+\])"
_SIMPLE_PATH: Final = re.compile(rf"(?:\.\w+|\.\[[^\]]+\]){_STEP}*")
_EMPTY_FALLBACK: Final = re.compile(r"\s*//\s*(?:\[\s*\]|null|empty)$")


@dataclass(frozen=True, slots=True)
class Slot:
    """One expression of a resource: its name in problems, its path in the document, and what its author wrote."""

    field: str
    path: Path
    expression: str


@dataclass(frozen=True, slots=True)
class PlannedResource:
    """A resource laid out: the plan that workers get, and what stands in each slot."""

    resource: Resource
    plan: ResourcePlan
    slots: tuple[Slot, ...]


class _Slots:
    """Hands out slot numbers for the expressions of one resource."""

    def __init__(self, index: int) -> None:
        self._root: Path = ("resources", index)
        self.taken: list[Slot] = []

    def add(self, field: str, path: Path, expression: str) -> int:
        self.taken.append(Slot(field, (*self._root, *path), expression))
        return len(self.taken) - 1

    def lay(self, field: str, path: Path, value: str | SearchQuery | None) -> Json:
        """Give slots to an expression, or to every leaf of a search query; null needs none."""
        if value is None:
            return None
        if isinstance(value, str):
            return self.add(field, path, value)
        rules = [
            self._lay_rule(f"{field}.rules[{index}]", (*path, "rules", index), rule)
            for index, rule in enumerate(value.rules)
        ]
        return {"combinator": self.add(f"{field}.combinator", (*path, "combinator"), value.combinator), "rules": rules}

    def _lay_rule(self, field: str, path: Path, rule: SearchRule | SearchQuery) -> Json:
        if isinstance(rule, SearchQuery):
            return self.lay(field, path, rule)
        leaves = (("property", rule.property), ("operator", rule.operator), ("value", rule.value))
        return {name: self.add(f"{field}.{name}", (*path, name), text) for name, text in leaves}


def plan_resource(resource: Resource, *, index: int) -> PlannedResource:
    """Lay out one resource; slot 0 is the selector."""
    slots = _Slots(index)
    slots.add("selector.query", ("selector", "query"), resource.selector.query)
    layout = _lay_mappings(slots, resource)
    # An empty itemsToParse counts as none, in Port's own integration too.
    items = rewrite_quotes(resource.items.expression or "")
    items_slot = slots.add("port.itemsToParse", ("port", "itemsToParse"), items) if items else NO_SLOT
    plan = ResourcePlan(
        index=index,
        items_slot=items_slot,
        fields=tuple(slot.field for slot in slots.taken),
        expressions=tuple(rewrite_quotes(slot.expression) for slot in slots.taken),
        layout=layout,
        items_name=resource.items.name,
        items_path=simple_path(items) if resource.items.top_level_transform else "",
        skip_orphans=resource.selector.skip_orphans,
        skip_broken=resource.selector.skip_broken,
    )
    return PlannedResource(resource, plan, tuple(slots.taken))


def plan_document(document: MappingDocument) -> tuple[PlannedResource, ...]:
    """Lay out all resources."""
    return tuple(plan_resource(resource, index=index) for index, resource in enumerate(document.resources))


def _lay_mappings(slots: _Slots, resource: Resource) -> dict[str, Json]:
    mappings = resource.mappings
    root: Path = ("port", "entity", "mappings")
    layout: dict[str, Json] = {}
    for name in ("identifier", "icon", "title", "team", "blueprint"):
        value = getattr(mappings, name)
        if not isinstance(value, Unset):
            layout[name] = slots.lay(name, (*root, name), value)
    for name in ("properties", "relations"):
        values = getattr(mappings, name)
        if not isinstance(values, Unset):
            layout[name] = {key: slots.lay(f"{name}.{key}", (*root, name, key), value) for key, value in values.items()}
    return layout


def simple_path(expression: str) -> str:
    """Return the path that ``itemsToParse`` consists of, empty when it is more than a path.

    Only then can the array be taken out of the entity. Parentheses around it and a fallback for its absence
    (``.relations // []``) leave it a path. Port's own integration takes the first path it finds in any program, and
    so removes what other fields may need, or everything.
    """
    text = expression.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    text = _EMPTY_FALLBACK.sub("", text).strip()
    return text if _SIMPLE_PATH.fullmatch(text) else ""
