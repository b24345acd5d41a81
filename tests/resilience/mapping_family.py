"""A small family of mapping documents, each with what it means in plain Python.

``Shape.config`` is the document for the product; ``Shape.wanted`` works out, from entities as Backstage serves them,
what Port should hold. The two share nothing: no jq, no code of the product.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.contract.harness import Config, blueprint, mapping, resource

Key = tuple[str, str]
Body = dict[str, Any]
Entity = Mapping[str, Any]

BLUEPRINTS = [
    blueprint("team", {"type": "string"}),
    blueprint(
        "service",
        {"type": "string", "life": "string", "note": "string"},
        relations={"owner": "team", "uses": ["service"]},
    ),
    blueprint("other", {"type": "string"}, relations={"main": "service"}),
    blueprint("fork", relations={"team": {"target": "team", "many": False, "required": True}}),
]
"""``fork`` is nobody's: other people's entities of it require a team."""

PROPERTIES = {"team": {"type"}, "service": {"type", "life", "note"}, "other": {"type"}}
RELATIONS = {"team": set(), "service": {"owner", "uses"}, "other": {"main"}}
MANY = {"uses"}

GUARDED = 'if .spec.broken == "identifier" then error("no name") else {} end'
IDENTIFIERS = {"ref": ".metadata.identifier", "name": ".metadata.name", "shared": ".spec.shared // .metadata.name"}
SELECTOR = 'if .spec.broken == "selector" then error("no answer") else .spec.type != "hidden" end'
LIFE = '.spec.lifecycle | if . == "boom" then error("boom") else . end'
OWNER = 'first(.relations[]? | select(.type == "ownedBy") | .targetRef) // null'
USES = '[.relations[]? | select(.type == "dependsOn") | .targetRef]'
FILTERS = ["spec.type=service"]


@dataclass(frozen=True)
class Wanted:
    """What Port should hold.

    ``claims`` are what entities with a failing mapping may stand for, by ref, ``ends`` what anybody relates to, even
    where somebody else's word counts. ``origins`` tells by ref who wants what, ``ends_of`` what each relates to.
    """

    bodies: dict[Key, Body] = field(default_factory=dict)
    claims: dict[str, set[Key]] = field(default_factory=dict)
    claimed_blueprints: set[str] = field(default_factory=set)
    ends: set[Key] = field(default_factory=set)
    origins: dict[str, set[Key]] = field(default_factory=dict)
    ends_of: dict[str, set[Key]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """One member of the family. ``second`` is a second resource for components: none, same, other, filtered, split."""

    group: bool = True
    component: bool = True
    identifier: str = "ref"
    life: bool = True
    owner: bool = True
    uses: bool = False
    second: str = ""
    merge: bool = True
    create_missing: bool = True
    delete_dependents: bool = True
    threshold: float = 0.9

    # As a document

    def config(self) -> Config:
        """Return the mapping document."""
        resources = [resource("Group", "team", title=".metadata.name", properties={"type": ".spec.type"})]
        resources = resources if self.group else []
        if self.component:
            resources += self._components()
        return mapping(
            *resources,
            enableMergeEntity=self.merge,
            createMissingRelatedEntities=self.create_missing,
            deleteDependentEntities=self.delete_dependents,
            entityDeletionThreshold=self.threshold,
        )

    def _components(self) -> list[Config]:
        named = {"identifier": GUARDED.format(IDENTIFIERS[self.identifier]), "query": SELECTOR}
        first = resource(
            "Component",
            "service",
            **named,
            title=".metadata.name",
            properties={"type": ".spec.type", **({"life": LIFE} if self.life else {})},
            relations={**({"owner": OWNER} if self.owner else {}), **({"uses": USES} if self.uses else {})},
        )
        note = {"properties": {"note": ".metadata.name", "type": '"noted"'}}
        other = {"properties": {"type": ".spec.type"}, "relations": {"main": IDENTIFIERS[self.identifier]}}
        filtered = {"selector": {"filter": FILTERS}}
        second = {
            "": [],
            "same": [resource("Component", "service", **named, **note)],
            "other": [resource("component", "other", **named, **other)],
            "filtered": [resource("Component", "other", **named, **other, **filtered)],
            "split": [resource("Component", "service", **named, **note, **filtered)],
        }
        return [first, *second[self.second]]

    # In plain Python

    def kinds(self) -> set[str]:
        """Name the kinds that are read."""
        return {*(("group",) if self.group else ()), *(("component",) if self.component else ())}

    def wanted(self, entities: Iterable[Entity]) -> Wanted:
        """Work out what Port should hold."""
        found = Wanted()
        wants: dict[Key, list[tuple[tuple[int, int], str, Body]]] = {}
        for entity in entities:
            self._add(entity, found, wants)
        for key, ordered in wants.items():
            found.bodies[key] = _fold([body for _, _, body in sorted(ordered, key=lambda one: one[:2])], self.merge)
        return found

    def _add(self, entity: Entity, found: Wanted, wants: dict[Key, list[tuple[tuple[int, int], str, Body]]]) -> None:
        ref, broken = _ref(entity), entity["spec"].get("broken")
        for number, named in enumerate(self._named(entity)):
            latest: dict[Key, tuple[int, list[Body]]] = {}
            for index, (key, body) in enumerate(named):
                if broken == "selector":
                    found.claims.setdefault(ref, set()).add(key)
                elif entity["spec"].get("type") == "hidden":
                    continue
                elif broken == "identifier":
                    found.claims.setdefault(ref, set())
                    found.claimed_blueprints.add(key[0])
                else:
                    latest[key] = (index, [*latest.get(key, (0, []))[1], body])
            for key, (index, bodies) in latest.items():
                wants.setdefault(key, []).append(((number, index), ref, _fold(bodies, self.merge)))
                found.origins.setdefault(ref, set()).add(key)
                ends = {end for body in bodies for end in _ends(body)}
                found.ends.update(ends)
                found.ends_of.setdefault(ref, set()).update(ends)

    def _named(self, entity: Entity) -> list[list[tuple[Key, Body]]]:
        """Return what each read of the mapping makes of an entity, in order, whatever its selector says."""
        kind, spec, name = entity["kind"].lower(), entity["spec"], entity["metadata"]["name"]
        reads: list[list[tuple[Key, Body]]] = []
        if self.group:
            team = (("team", _ref(entity)), {"title": name, "properties": {"type": spec.get("type")}, "relations": {}})
            reads.append([team] if kind == "group" else [])
        if self.component:
            reads += self._named_components(entity) if kind == "component" else [[], []]
        return reads

    def _named_components(self, entity: Entity) -> list[list[tuple[Key, Body]]]:
        spec, name = entity["spec"], entity["metadata"]["name"]
        identifier = {"ref": _ref(entity), "name": name, "shared": spec.get("shared") or name}[self.identifier]
        main = {"ref": _ref(entity), "name": name, "shared": spec.get("shared") or name}[self.identifier]
        ends: dict[str, list[str]] = {}
        for relation in entity.get("relations") or []:
            ends.setdefault(relation["type"], []).append(relation["targetRef"])
        life = spec.get("lifecycle")
        first: Body = {
            "title": name,
            "properties": {"type": spec["type"], **({"life": None if life == "boom" else life} if self.life else {})},
            "relations": {
                **({"owner": next(iter(ends.get("ownedBy", [])), None)} if self.owner else {}),
                **({"uses": ends.get("dependsOn", [])} if self.uses else {}),
            },
        }
        note: Body = {"properties": {"note": name, "type": "noted"}}
        other: Body = {"properties": {"type": spec["type"]}, "relations": {"main": main}}
        here = (("service", identifier), first)
        through = spec["type"] == "service"
        return {
            "": [[here], []],
            "same": [[here, (("service", identifier), note)], []],
            "other": [[here, (("other", identifier), other)], []],
            "filtered": [[here], [(("other", identifier), other)] if through else []],
            "split": [[here], [(("service", identifier), note)] if through else []],
        }[self.second]


def _ref(entity: Entity) -> str:
    metadata = entity["metadata"]
    return f"{entity['kind']}:{metadata.get('namespace') or 'default'}/{metadata['name']}".lower()


def _fold(bodies: list[Body], merge: bool) -> Body:
    if not merge:
        return bodies[-1]
    folded: Body = {}
    for body in bodies:
        for name, value in body.items():
            folded[name] = {**folded.get(name, {}), **value} if isinstance(value, dict) else value
    return folded


def related(bodies: Mapping[Key, Body]) -> dict[Key, set[Key]]:
    """Return what each target entity relates to."""
    return {key: set(_ends(body)) for key, body in bodies.items()}


def _ends(body: Body) -> Iterable[Key]:
    target = {"owner": "team", "uses": "service", "main": "service"}
    for name, value in (body.get("relations") or {}).items():
        yield from ((target[name], end) for end in (value if isinstance(value, list) else [value]) if end)


def difference(key: Key, body: Body, held: Entity, *, merge: bool) -> str:
    """Say where Port's entity is not as wanted; what is not mapped counts only where Port should have dropped it."""
    if "title" in body and held.get("title") != body["title"]:
        return f"{key}: title {held.get('title')!r}, not {body['title']!r}"
    for part, known in (("properties", PROPERTIES[key[0]]), ("relations", RELATIONS[key[0]])):
        wanted, there = body.get(part) or {}, held.get(part) or {}
        for name in sorted(wanted if merge else known):
            if _plain(wanted.get(name)) != _plain(there.get(name)):
                return f"{key}: {part}.{name} {there.get(name)!r}, not {wanted.get(name)!r}"
    return ""


def _plain(value: Any) -> Any:
    return sorted(set(value)) or None if isinstance(value, list) else value
