"""Synthetic catalogs of any size: the same entities for the same seed, about 2.8 kB each, densely related.

The shares of the kinds are those of the catalog on which Port's own integration was measured. A descriptor is made
exactly as processing would leave it, so that a large catalog can be built without processing any.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from stageport.model.entities import Json
from stageport.sandbox.backstage.catalog import Catalog
from stageport.sandbox.backstage.descriptors import Descriptor

_SHARES = MappingProxyType(
    {"Component": 45, "API": 20, "Resource": 15, "User": 10, "System": 4, "Group": 3, "Location": 2, "Domain": 1}
)
_OTHER_NAMESPACE = "labs"
_MASK = (1 << 64) - 1
_LOW = 1 << 40

_SUBJECTS = (
    "billing",
    "catalogue",
    "checkout",
    "depot",
    "fleet",
    "invoice",
    "ledger",
    "mailroom",
    "pallet",
    "pricing",
    "quota",
    "returns",
    "routing",
    "stock",
    "tariff",
    "yard",
)
_ROLES = (
    "adapter",
    "archive",
    "board",
    "broker",
    "cache",
    "console",
    "engine",
    "feed",
    "gateway",
    "indexer",
    "keeper",
    "planner",
    "relay",
    "store",
    "watcher",
    "worker",
)
_LANGUAGES = ("go", "java", "kotlin", "python", "rust", "typescript", "csharp", "ruby")
_TIERS = ("tier-1", "tier-2", "tier-3", "tier-4")
_COMPONENT_TYPES = ("service", "website", "library", "service")
_API_TYPES = ("openapi", "asyncapi", "graphql", "grpc")
_RESOURCE_TYPES = ("database", "s3-bucket", "kafka-topic", "redis-cache")
_LIFECYCLES = ("production", "production", "experimental", "deprecated")
_GROUP_TYPES = ("team", "team", "business-unit", "product-area")
_SENTENCES = (
    "Takes orders from the shop floor and hands them to whoever can carry them out first.",
    "Keeps a copy of every event for ninety days, then for seven years in cold storage.",
    "Falls back to the figures of yesterday when the upstream feed is late by more than an hour.",
    "Owned by the people who built it, looked after by those who are on call this week.",
    "Answers within 80 ms for nine requests out of ten; the tenth waits for the mainframe.",
    "Was split out of the old monolith in spring; a few cron jobs still live over there.",
    "Writes nothing without an idempotency key, since carriers like to repeat themselves.",
    "Knows four currencies, eleven tax regimes and one leap second.",
)
_CODA = (
    "Before a release, read the runbook on draining queues: consumers hold their partitions for up to ten minutes, "
    "and a second deployment within that time doubles the work. Dashboards show lag per partition, age of the oldest "
    "message and the share of retries; alerts go to the rotation of the owning team, in office hours first to chat. "
    "Data of customers is kept in the region where it arose and leaves it in aggregates only. "
)


class _Chance:
    """A few draws that depend on seed, salt and number alone: digits of one large, well mixed number."""

    __slots__ = ("_pool", "_source")

    def __init__(self, seed: int, salt: int, number: int) -> None:
        self._source = (seed * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03 + number * 0x8CB92BA72F3D8DD7) & _MASK
        self._pool = 0

    def below(self, limit: int) -> int:
        """Draw a whole number from 0 up to, not including, the limit."""
        if self._pool < _LOW:
            self._refill()
        self._pool, drawn = divmod(self._pool, limit)
        return drawn

    def _refill(self) -> None:
        """Mix the source twice, as splitmix64 does."""
        for _ in range(2):
            self._source = (self._source + 0x9E3779B97F4A7C15) & _MASK
            bits = ((self._source ^ (self._source >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
            self._pool = (self._pool << 64) | (bits ^ (bits >> 31))


class _World(NamedTuple):
    """Which entities there are: their names and full refs, by kind and number, which is all that refs need."""

    seed: int
    names: Mapping[str, Sequence[str]]
    refs: Mapping[str, Sequence[str]]

    def one(self, chance: _Chance, kind: str) -> str | None:
        """Pick the name of an entity of a kind; None when there is none."""
        names = self.names[kind]
        return names[chance.below(len(names))] if names else None

    def some(self, chance: _Chance, kind: str, most: int) -> list[str]:
        """Pick from none to ``most`` entities of a kind, as full refs, sorted."""
        refs = self.refs[kind]
        if not refs:
            return []
        return sorted({refs[chance.below(len(refs))] for _ in range(chance.below(most + 1))})


def synthetic_descriptors(count: int, *, seed: int = 0) -> Iterator[Descriptor]:
    """Yield descriptors of a synthetic catalog."""
    world = _world(count, seed)
    for kind, names in world.names.items():
        for number in range(len(names)):
            yield _entity(world, kind, number)


def synthetic_catalog(count: int, *, seed: int = 0) -> Catalog:
    """Build a synthetic catalog: what ``Catalog(synthetic_descriptors(…))`` is, without checking the descriptors."""
    catalog = Catalog(seed=seed)
    catalog.load_processed(synthetic_descriptors(count, seed=seed))
    return catalog


def _world(count: int, seed: int) -> _World:
    """Share the entities out among the kinds; what rounding leaves over goes to the largest remainders."""
    counts = {kind: count * share // 100 for kind, share in _SHARES.items()}
    by_remainder = sorted(_SHARES, key=lambda kind: -(count * _SHARES[kind] % 100))
    for kind in by_remainder[: count - sum(counts.values())]:
        counts[kind] += 1
    names = {kind: [_name(kind, number) for number in range(counts[kind])] for kind in counts}
    refs = {
        kind: [f"{kind.lower()}:{_namespace(kind, number)}/{name}" for number, name in enumerate(names[kind])]
        for kind in names
    }
    return _World(seed, names, refs)


def _name(kind: str, number: int) -> str:
    return f"{_SUBJECTS[number % 16]}-{_ROLES[number // 16 % 16]}-{kind.lower()}-{number}"


def _namespace(kind: str, number: int) -> str:
    return _OTHER_NAMESPACE if kind == "Component" and number % 20 == 7 else "default"


def _entity(world: _World, kind: str, number: int) -> Descriptor:
    """Make an entity exactly as processing would leave it, key order included."""
    chance = _Chance(world.seed, len(kind) * 31 + ord(kind[0]), number)
    name = world.names[kind][number]
    language, tier = _LANGUAGES[chance.below(8)], _TIERS[chance.below(4)]
    source = f"https://git.example.com/acme/{name}"
    location = f"url:{source}/blob/main/catalog-info.yaml"
    return {
        "metadata": {
            "annotations": {
                "backstage.io/managed-by-location": location,
                "backstage.io/managed-by-origin-location": location,
                "backstage.io/view-url": f"{source}/blob/main/catalog-info.yaml",
                "backstage.io/techdocs-ref": "dir:.",
                "example.com/project-slug": f"acme/{name}",
                "pagerduty.com/service-id": f"PD{number:06X}",
                "sonarqube.org/project-key": f"acme_{name}",
                "argocd/app-name": f"{name}-prod",
            },
            "namespace": _namespace(kind, number),
            "name": name,
            "title": name.replace("-", " ").title(),
            "description": _description(chance, _LENGTHS[kind]),
            "labels": {
                "example.com/tier": tier,
                "example.com/cost-centre": f"cc-{chance.below(90) + 10}",
                "language": language,
            },
            "tags": sorted({language, tier, _SUBJECTS[number % 16]}),
            "links": [
                {"url": f"{source}/wiki/runbook", "title": "Runbook", "icon": "docs", "type": "runbook"},
                {
                    "url": f"https://grafana.example.com/d/{name}",
                    "title": "Dashboard",
                    "icon": "dashboard",
                    "type": "dashboard",
                },
                {"url": f"https://chat.example.com/c/{name}", "title": "Chat", "icon": "chat"},
            ],
        },
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "spec": _SPECS[kind](world, number),
    }


_LENGTHS = MappingProxyType(
    {
        "Component": 150,
        "API": 20,
        "Resource": 450,
        "User": 550,
        "System": 100,
        "Group": 20,
        "Location": 700,
        "Domain": 600,
    }
)


def _description(chance: _Chance, length: int) -> str:
    start = chance.below(8)
    sentences = " ".join(_SENTENCES[(start + step) % 8] for step in range(1 + chance.below(4)))
    return f"{sentences} {_CODA}{_CODA}{_CODA}"[: length + chance.below(400)].rstrip()


def _owner(world: _World, chance: _Chance) -> str:
    """Write an owner as people do: mostly a bare name, at times a full ref, at times a user."""
    style = chance.below(20)
    kind = "User" if style == 0 else "Group"
    name = world.one(chance, kind) or "nobody"
    return f"{kind.lower()}:default/{name}" if style < 5 else name


def _owned(world: _World, kind: str, number: int) -> tuple[_Chance, dict[str, Json]]:
    """Begin the spec of an entity that has an owner and, most likely, a system."""
    chance = _Chance(world.seed, len(kind) * 101 + ord(kind[0]), number)
    foreign = _namespace(kind, number) != "default"
    owner = _owner(world, chance)
    if foreign and ":" not in owner:
        owner = f"group:default/{owner}"
    spec: dict[str, Json] = {"lifecycle": _LIFECYCLES[chance.below(4)], "owner": owner}
    system = world.one(chance, "System")
    if system is not None and number % 20 != 3:
        spec["system"] = f"system:default/{system}" if foreign or number % 20 == 5 else system
    return chance, spec


def _component(world: _World, number: int) -> Json:
    chance, spec = _owned(world, "Component", number)
    spec = {"type": _COMPONENT_TYPES[chance.below(4)], **spec}
    if number % 20 == 9:
        spec["subcomponentOf"] = world.refs["Component"][number - 1]
    lists = {
        "providesApis": world.some(chance, "API", 2),
        "consumesApis": world.some(chance, "API", 3),
        "dependsOn": sorted(world.some(chance, "Component", 2) + world.some(chance, "Resource", 2)),
    }
    return {**spec, **{name: refs for name, refs in lists.items() if refs}}


def _api(world: _World, number: int) -> Json:
    chance, spec = _owned(world, "API", number)
    definition = _DEFINITION.replace("NAME", world.names["API"][number])
    return {"type": _API_TYPES[chance.below(4)], **spec, "definition": definition}


_DEFINITION = """openapi: 3.0.3
info:
  title: NAME
  version: 1.4.0
  description: Reads and writes what NAME keeps.
servers:
  - url: https://api.example.com/NAME/v1
paths:
  /items:
    get:
      operationId: listItems
      parameters:
        - {name: cursor, in: query, schema: {type: string}}
        - {name: limit, in: query, schema: {type: integer, maximum: 500}}
      responses:
        '200': {description: One page of items.}
        '429': {description: Too many requests; see Retry-After.}
  /items/{id}:
    get:
      operationId: readItem
      responses:
        '200': {description: The item.}
        '404': {description: There is no such item.}
"""


def _resource(world: _World, number: int) -> Json:
    chance, spec = _owned(world, "Resource", number)
    del spec["lifecycle"]
    spec = {"type": _RESOURCE_TYPES[chance.below(4)], **spec}
    depends = world.some(chance, "Resource", 2)
    return {**spec, "dependsOn": depends} if depends else spec


def _user(world: _World, number: int) -> Json:
    chance = _Chance(world.seed, 7, number)
    name = world.names["User"][number]
    profile = {
        "displayName": name.replace("-", " ").title(),
        "email": f"{name}@example.com",
        "picture": f"https://people.example.com/{name}.png",
    }
    groups = {group for _ in range(2) if (group := world.one(chance, "Group")) is not None}
    return {"profile": profile, "memberOf": sorted(groups)}


def _system(world: _World, number: int) -> Json:
    chance = _Chance(world.seed, 8, number)
    domain = world.one(chance, "Domain")
    spec = {"owner": _owner(world, chance)}
    return spec if domain is None else {**spec, "domain": domain}


def _group(world: _World, number: int) -> Json:
    names = world.names["Group"]
    profile = {"displayName": names[number].replace("-", " ").title(), "email": f"{names[number]}@example.com"}
    parent = {"parent": names[(number - 1) // 5]} if number else {}
    return {"type": _GROUP_TYPES[number % 4], "profile": profile, **parent, "children": []}


def _location(world: _World, number: int) -> Json:
    source = f"https://git.example.com/acme/{world.names['Location'][number]}/blob/main/parts"
    return {"type": "url", "targets": [f"{source}/{part}.yaml" for part in range(3)]}


def _domain(world: _World, number: int) -> Json:
    spec = {"owner": _owner(world, _Chance(world.seed, 9, number))}
    return {**spec, "subdomainOf": world.names["Domain"][number // 2]} if number % 2 else spec


_SPECS = MappingProxyType(
    {
        "Component": _component,
        "API": _api,
        "Resource": _resource,
        "User": _user,
        "System": _system,
        "Group": _group,
        "Location": _location,
        "Domain": _domain,
    }
)
