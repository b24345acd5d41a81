"""The shape of a Port blueprint, as far as Stageport has to know it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stageport.model.entities import Json


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation of a blueprint. ``many`` and ``required`` default to false, as at Port."""

    target: str
    many: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A blueprint's identifier, the JSON Schema of each property, the required ones, and the relations.

    ``read_only`` are the mirror, calculation and aggregation properties: Port computes them, nobody may write them.
    """

    identifier: str
    title: str = ""
    properties: Mapping[str, Json] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    relations: Mapping[str, Relation] = field(default_factory=dict)
    read_only: frozenset[str] = frozenset()


def parse_blueprint(document: Json) -> Blueprint:
    """Read a blueprint as Port returns it, or as a file describes it; unknown keys are left aside."""
    schema = document.get("schema") or {}
    relations = {
        name: Relation(
            target=str(value.get("target", "")),
            many=bool(value.get("many", False)),
            required=bool(value.get("required", False)),
        )
        for name, value in (document.get("relations") or {}).items()
    }
    computed = ("mirrorProperties", "calculationProperties", "aggregationProperties")
    return Blueprint(
        identifier=str(document["identifier"]),
        title=str(document.get("title") or ""),
        properties=dict(schema.get("properties") or {}),
        required=frozenset(schema.get("required") or ()),
        relations=relations,
        read_only=frozenset(name for key in computed for name in (document.get(key) or {})),
    )
