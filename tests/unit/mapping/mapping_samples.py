"""Documents and source entities for the tests of the mapping's workers."""

import json
from collections.abc import Mapping
from typing import Any

from stageport.mapping.document import MappingDocument, parse_mapping
from stageport.model.entities import MappedSource, SourceEntity
from stageport.model.refs import source_ref


def make_source(number: int = 0, **spec: Any) -> SourceEntity:
    """Return a component called ``e<number>`` whose spec holds ``n`` and whatever is given."""
    entity = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": f"e{number}", "namespace": "default"},
        "spec": {"n": number, **spec},
    }
    return SourceEntity(source_ref("Component", "default", f"e{number}"), json.dumps(entity).encode())


def make_sources(count: int) -> list[SourceEntity]:
    return [make_source(number) for number in range(count)]


def make_resource(*, query: Any = "true", kind: str = "Component", port: Any = None, **mappings: Any) -> dict[str, Any]:
    """Return a resource whose identifier is the source's name, with these further mappings."""
    base = {"identifier": ".metadata.name", "blueprint": '"service"', **mappings}
    selector = query if isinstance(query, Mapping) else {"query": query}
    return {"kind": kind, "selector": selector, "port": {"entity": {"mappings": base}, **(port or {})}}


def make_document(*resources: dict[str, Any], **properties: str) -> MappingDocument:
    """Return a document of these resources, or of one with these properties."""
    return parse_mapping({"resources": list(resources) or [make_resource(properties=properties)]})


def bodies(mapped: MappedSource) -> list[Any]:
    return [json.loads(target.body) for target in mapped.targets]


def values(mapped: MappedSource) -> dict[str, Any]:
    """Return the properties of the only target entity."""
    (body,) = bodies(mapped)
    properties: dict[str, Any] = body["properties"]
    return properties
