"""Which blueprints first start creates, and in which order.

Each missing blueprint is created on its own and bare, because a relation may only name a blueprint that exists
(port-api: blueprint document) and the default ones name each other in circles. Relations follow when all are there.
A blueprint that existed before is never changed; what it lacks is reported.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stageport.model.blueprints import Blueprint, parse_blueprint
from stageport.model.entities import Json
from stageport.plan.fit import Mismatch, check_fields, fields_of_blueprint

COMPUTED = ("mirrorProperties", "calculationProperties", "aggregationProperties", "ownership", "teamInheritance")
"""What may depend on the relations of several blueprints, and therefore comes last."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A relation that is not created, because no blueprint exists that it could lead to."""

    blueprint: str
    relation: str
    target: str

    def __str__(self) -> str:
        return f"relation {self.relation} of blueprint {self.blueprint}: there is no blueprint {self.target}"


@dataclass(frozen=True, slots=True)
class BlueprintPlan:
    """Steps in order: first every one of ``creates`` (whole documents, bare), then ``patches`` (identifier, patch).

    ``documents`` are the blueprints as they will be. ``existing`` are left alone; ``mismatches`` say what they lack.
    """

    creates: tuple[Json, ...] = ()
    patches: tuple[tuple[str, Json], ...] = ()
    documents: tuple[Json, ...] = ()
    existing: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def relation_patches(self) -> tuple[tuple[str, Json], ...]:
        """The patches that add relations: they need nothing but the blueprints."""
        return tuple(step for step in self.patches if "relations" in step[1])

    @property
    def computed_patches(self) -> tuple[tuple[str, Json], ...]:
        """The patches that add what may be computed over the relations of other blueprints."""
        return tuple(step for step in self.patches if "relations" not in step[1])

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not (self.creates or self.patches)


def plan_blueprints(documents: Sequence[Json], existing: Mapping[str, Blueprint]) -> BlueprintPlan:
    """Plan the creation of those blueprints that do not exist yet.

    A blueprint that looks as an interrupted creation leaves it (same title and properties, no relations at all) is
    completed, so that first start can be repeated after a crash.
    """
    wanted = {str(document["identifier"]): document for document in documents}
    known = {*wanted, *existing}
    missing = [name for name in wanted if name not in existing]
    ours = {
        name: _reachable(document, known=known)
        for name, document in wanted.items()
        if name not in existing or _is_unfinished(document, existing[name])
    }
    kept = [name for name in wanted if name not in ours]
    meant = {name: fields_of_blueprint(parse_blueprint(wanted[name])) for name in kept}
    return BlueprintPlan(
        creates=tuple(_bare(wanted[name]) for name in missing),
        patches=(*_patches(ours, keys=("relations",)), *_patches(ours, keys=COMPUTED)),
        documents=tuple(ours.values()),
        existing=tuple(kept),
        left_out=tuple(each for name in ours for each in _left_out(wanted[name], known=known)),
        mismatches=check_fields(existing, fields=meant),
    )


def _is_unfinished(document: Json, there: Blueprint) -> bool:
    meant = parse_blueprint(document)
    if there.relations or not meant.relations:
        return False
    same_types = fields_of_blueprint(meant).properties == fields_of_blueprint(there).properties
    return there.title == meant.title and same_types


def _bare(document: Json) -> Json:
    return {key: value for key, value in document.items() if key not in {"relations", *COMPUTED}}


def _reachable(document: Json, *, known: Collection[str]) -> Json:
    """Return the document without relations to blueprints that nobody has."""
    relations = document.get("relations") or {}
    kept = {name: relation for name, relation in relations.items() if relation.get("target") in known}
    return {**document, "relations": kept} if relations else document


def _left_out(document: Json, *, known: Collection[str]) -> Iterator[LeftOut]:
    for name, relation in (document.get("relations") or {}).items():
        if relation.get("target") not in known:
            yield LeftOut(str(document["identifier"]), name, str(relation.get("target")))


def _patches(documents: Mapping[str, Json], *, keys: Sequence[str]) -> Iterator[tuple[str, Json]]:
    for name, document in documents.items():
        patch = {key: document[key] for key in keys if document.get(key)}
        if patch:
            yield name, patch
