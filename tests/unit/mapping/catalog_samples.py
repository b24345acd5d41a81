"""Source entities as Backstage serves them, ``metadata.identifier`` added: each default kind, full and sparse."""

from copy import deepcopy
from typing import Any

OPENAPI_YAML = "openapi: 3.0.3\ninfo:\n  title: Orders\n  version: '1'\npaths: {}\n"
OPENAPI_JSON = '{"openapi": "3.0.3", "info": {"title": "Orders", "version": "1"}, "paths": {}}'
ASYNCAPI_YAML = "# events\nasyncapi: 2.6.0\ninfo: {title: Events, version: '1'}\nchannels: {}\n"
PROTO = '// greets\nsyntax = "proto3";\nservice Greeter { rpc Hello (Name) returns (Name); }\nmessage Name {}\n'
GRAPHQL = "type Query { order(id: ID!): String }"

LINKS = [
    {"url": "https://grafana.example.com/d/1", "title": "Dashboard", "icon": "dashboard"},
    {"url": "https://docs.example.com:8443/a?b=c#d"},
]
DESCRIBED = {
    "description": "What it *is*",
    "labels": {"example.com/tier": "gold"},
    "annotations": {"backstage.io/managed-by-location": "url:https://example.com/a.yaml", "a.b/c-d": "x"},
    "links": LINKS,
    "tags": ["java", "orders"],
}


def entity(
    kind: str, name: str, /, *, namespace: str = "default", spec: Any = None, relations: Any = None, **metadata: Any
):
    found = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": "0f",
            "etag": "a" * 40,
            "identifier": f"{kind}:{namespace}/{name}".lower(),
            **metadata,
        },
        "spec": spec or {},
        "relations": [{"type": kind, "targetRef": ref} for kind, refs in (relations or {}).items() for ref in refs],
    }
    return deepcopy(found)


OWNED = {"ownedBy": ["group:default/shop", "user:default/ada", "group:default/ops"]}

FULL = {
    "user": entity(
        "User",
        "Ada.Lovelace",
        spec={"profile": {"displayName": "Ada Lovelace", "email": "Ada.Lovelace@example.com", "picture": "x"}},
        relations={"memberOf": ["group:default/ops", "group:default/shop"]},
        **DESCRIBED,
    ),
    "group": entity(
        "Group",
        "shop",
        spec={"type": "team", "profile": {"displayName": "Shop team", "email": "shop@example.com"}, "children": []},
        relations={
            "childOf": ["group:default/it"],
            "parentOf": ["group:default/a", "group:default/b"],
            "hasMember": ["user:default/ada", "user:default/grace"],
            "ownerOf": ["component:default/orders"],
        },
        **DESCRIBED,
    ),
    "domain": entity(
        "Domain",
        "commerce",
        spec={"type": "core", "owner": "shop"},
        relations={**OWNED, "partOf": ["domain:default/all"], "hasPart": ["system:default/shop"]},
        **DESCRIBED,
    ),
    "system": entity(
        "System",
        "shop",
        spec={"type": "product", "owner": "shop", "domain": "commerce"},
        relations={**OWNED, "partOf": ["domain:default/commerce"]},
        title="The shop",
        **DESCRIBED,
    ),
    "API": entity(
        "API",
        "orders",
        spec={
            "type": "openapi",
            "lifecycle": "production",
            "owner": "shop",
            "definition": OPENAPI_JSON,
            "system": "shop",
        },
        relations={
            **OWNED,
            "partOf": ["system:default/shop"],
            "apiProvidedBy": ["component:default/orders", "component:default/orders-2"],
            "apiConsumedBy": ["component:default/web"],
        },
        **DESCRIBED,
    ),
    "resource": entity(
        "Resource",
        "orders-db",
        spec={"type": "database", "lifecycle": "production", "owner": "shop", "system": "shop"},
        relations={
            **OWNED,
            "partOf": ["system:default/shop"],
            "dependsOn": ["resource:default/disk", "component:default/operator"],
            "dependencyOf": ["component:default/orders", "resource:default/replica"],
        },
        **DESCRIBED,
    ),
    "component": entity(
        "Component",
        "Orders",
        spec={"type": "service", "lifecycle": "production", "language": "java", "owner": "shop", "system": "shop"},
        relations={
            **OWNED,
            "partOf": ["component:default/shop-suite", "system:other/shop"],
            "providesApi": ["api:default/orders", "api:default/events"],
            "consumesApi": ["api:default/billing", "api:default/mail"],
            "dependsOn": ["component:default/a", "component:default/b", "resource:default/orders-db"],
            "dependencyOf": ["component:default/web", "resource:default/report"],
        },
        title="Order service",
        **DESCRIBED,
    ),
    "template": entity(
        "Template",
        "new-service",
        spec={"type": "service", "owner": "shop", "parameters": [], "steps": [{"input": {"x": "${{ parameters.x }}"}}]},
        relations=OWNED,
        title="New ${{ service }}",
        **DESCRIBED,
    ),
    "location": entity(
        "Location",
        "generated-1a",
        spec={"type": "url", "target": "https://x/a", "targets": ["./b", "./c"]},
        **DESCRIBED,
    ),
}

SPARSE = {kind: entity(full["kind"], "bare") for kind, full in FULL.items()}

SKELETONS = {
    kind: {"kind": full["kind"], "metadata": {"name": "bare", "identifier": "x:default/bare"}}
    for kind, full in FULL.items()
}
"""Without namespace, spec and relations: nothing that Backstage serves, but custom processors may."""

NULLS = {
    kind: {
        **skeleton,
        "metadata": {**skeleton["metadata"], **dict.fromkeys(DESCRIBED), "title": None},
        "spec": None,
        "relations": None,
    }
    for kind, skeleton in SKELETONS.items()
}
