"""What Port should hold for a Backstage catalog under the default mapping, worked out in plain Python.

It shares nothing with the product: no jq, no mapping document, no code of ours. Tests compare Port's state with it,
field by field.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

Entity = Mapping[str, Any]
Key = tuple[str, str]

BLUEPRINT_OF = {
    "component": "component",
    "api": "api",
    "resource": "resource",
    "system": "system",
    "domain": "domain",
    "group": "group",
    "user": "user",
    "template": "template",
}
TYPED = {"component", "api", "resource", "system", "domain", "group", "template"}
STAGED = {"component", "api", "resource"}
OWNED = {"component", "api", "resource", "system", "domain", "template"}
LARGEST_DEFINITION = 400_000
EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&*+/=?^_{|}~-]+)*@([A-Za-z0-9]+(-+[A-Za-z0-9]+)*\.)+[A-Za-z]{2,}"
)
URL = re.compile(r"https?://([^\W_]+(-[^\W_]+)*\.)+[^\W\d_]{2,}(:[1-9][0-9]{1,4})?(/\S*)?")

MANY = {
    "component": {
        "providesApis": ("providesApi", "api"),
        "consumesApis": ("consumesApi", "api"),
        "dependsOnComponent": ("dependsOn", "component"),
        "dependsOnResource": ("dependsOn", "resource"),
        "dependencyOfComponent": ("dependencyOf", "component"),
        "dependencyOfResource": ("dependencyOf", "resource"),
    },
    "resource": {
        "dependsOnComponent": ("dependsOn", "component"),
        "dependsOnResource": ("dependsOn", "resource"),
        "dependencyOfComponent": ("dependencyOf", "component"),
        "dependencyOfResource": ("dependencyOf", "resource"),
    },
    "api": {"providedBy": ("apiProvidedBy", "component"), "consumedBy": ("apiConsumedBy", "component")},
    "group": {"members": ("hasMember", "user"), "children": ("parentOf", "group")},
    "user": {"memberOf": ("memberOf", "group")},
}
ONE = {
    "component": {"system": ("partOf", "system"), "subcomponentOf": ("partOf", "component")},
    "resource": {"system": ("partOf", "system")},
    "api": {"system": ("partOf", "system")},
    "system": {"domain": ("partOf", "domain")},
    "domain": {"subdomainOf": ("partOf", "domain")},
    "group": {"parent": ("childOf", "group")},
}


def expected_target(entity: Entity) -> tuple[Key, dict[str, Any]] | None:
    """Return a target entity's key and content; None for a kind that the default mapping leaves out."""
    kind = entity["kind"].lower()
    if kind not in BLUEPRINT_OF:
        return None
    metadata, spec = entity["metadata"], entity.get("spec") or {}
    ref = f"{kind}:{metadata.get('namespace') or 'default'}/{metadata['name']}".lower()
    title = metadata.get("title") or metadata["name"]
    if kind in ("user", "group"):
        title = (spec.get("profile") or {}).get("displayName") or title
    content = {
        "title": title,
        "properties": _present(_properties(kind, metadata, spec)),
        "relations": _relations(kind, entity.get("relations") or []),
    }
    return (BLUEPRINT_OF[kind], ref), content


def expected_catalog(entities: Iterable[Entity]) -> dict[Key, dict[str, Any]]:
    """Return what Port should hold for all of a catalog, without the stubs for dangling relations."""
    return dict(target for entity in entities if (target := expected_target(entity)) is not None)


def expected_stubs(catalog: Mapping[Key, Mapping[str, Any]]) -> set[Key]:
    """Name the targets of relations that no entity stands behind: Port creates them empty, when it may."""
    ends = {
        (end.partition(":")[0], end)
        for content in catalog.values()
        for ends in content["relations"].values()
        for end in (ends if isinstance(ends, list) else [ends])
        if end is not None
    }
    return {key for key in ends if key not in catalog}


def differences(expected: Mapping[Key, Mapping[str, Any]], actual: Mapping[Key, Mapping[str, Any]]) -> list[str]:
    """Name everything that is missing, extra or wrong; empty when both agree."""
    found = [f"missing {key}" for key in expected if key not in actual]
    found += [f"extra {key}" for key in actual if key not in expected]
    for key, content in expected.items():
        if key in actual:
            found += _wrong(key, content, actual[key])
    return sorted(found)


def _wrong(key: Key, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[str]:
    wrong = []
    if expected["title"] != actual.get("title"):
        wrong.append(f"{key} title: {actual.get('title')!r}, not {expected['title']!r}")
    held = _present(actual.get("properties") or {})
    for name in expected["properties"].keys() | held.keys():
        if expected["properties"].get(name) != held.get(name):
            wrong.append(f"{key} {name}: {held.get(name)!r}, not {expected['properties'].get(name)!r}")
    relations = actual.get("relations") or {}
    for name, ends in expected["relations"].items():
        there = relations.get(name)
        if (sorted(ends) if isinstance(ends, list) else ends) != (sorted(there) if isinstance(there, list) else there):
            wrong.append(f"{key} relation {name}: {there!r}, not {ends!r}")
    return wrong


def _properties(kind: str, metadata: Entity, spec: Entity) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": metadata.get("description"),
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
        "links": [link["url"] for link in metadata.get("links") or [] if URL.fullmatch(link.get("url") or "")],
        "tags": [tag for tag in metadata.get("tags") or [] if isinstance(tag, str)],
    }
    if kind in TYPED:
        found["type"] = spec.get("type")
    if kind in STAGED:
        found["lifecycle"] = spec.get("lifecycle")
    if kind == "component":
        named = [spec.get("language"), *((metadata.get(k) or {}).get("language") for k in ("labels", "annotations"))]
        found["language"] = next((name for name in named if isinstance(name, str)), None)
    if kind in ("user", "group"):
        email = (spec.get("profile") or {}).get("email")
        found["email"] = email if isinstance(email, str) and EMAIL.fullmatch(email) else None
    if kind == "api":
        found |= _definitions(spec)
    return found


def _definitions(spec: Entity) -> dict[str, Any]:
    definition = spec.get("definition")
    if not isinstance(definition, str) or len(json.dumps(definition, ensure_ascii=False).encode()) > LARGEST_DEFINITION:
        return {}
    found: dict[str, Any] = {"definition": definition}
    parsed = _parse(definition)
    for type_, name, word in (
        ("openapi", "definitionOpenAPI", "openapi|swagger"),
        ("asyncapi", "definitionAsyncAPI", "asyncapi"),
    ):
        if spec.get("type") == type_:
            found[name] = parsed
            is_yaml = parsed is None and re.search(rf"(^|\n)\s*({word})\s*:", definition)
            found[f"{name}Yaml"] = definition if is_yaml else None
    words = r"(^|\n)\s*(syntax|edition|package|import|option|message|enum|service)\b"
    if spec.get("type") == "grpc" and re.search(words, definition):
        found["definitionGRPC"] = definition
    if spec.get("type") == "graphql":
        found["definitionGraphQL"] = definition
    return found


def _parse(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _relations(kind: str, relations: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    def ends(type_: str, target: str) -> list[str]:
        return [
            one["targetRef"] for one in relations if one["type"] == type_ and one["targetRef"].startswith(f"{target}:")
        ]

    found: dict[str, Any] = {name: ends(*where) for name, where in MANY.get(kind, {}).items()}
    found |= {name: next(iter(ends(*where)), None) for name, where in ONE.get(kind, {}).items()}
    if kind in OWNED:
        for target, one, many in (("user", "owningUser", "owningUsers"), ("group", "owningGroup", "owningGroups")):
            owners = [end for end in ends("ownedBy", target) if " " not in end]
            found |= {one: next(iter(owners), None), many: owners}
    return found


def _present(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}
