"""What can be known of a mapping document without running it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from stageport.mapping.document import MappingDocument, Resource, SearchQuery, Unset, parse_mapping
from stageport.mapping.expressions import rewrite_quotes


@dataclass(frozen=True, slots=True)
class Read:
    """One scan of the catalog: a kind, the filters that narrow it, and the resources that map what comes.

    ``resources`` are indices into the document's resources.
    """

    kind: str
    filters: tuple[str, ...] = ()
    resources: tuple[int, ...] = ()


def reads_of(document: MappingDocument) -> list[Read]:
    """Return the scans a document needs: each kind once, however often it is mapped.

    Resources of one kind with different ``selector.filter`` lists need a scan each, because Backstage applies the
    filters and nobody could tell afterwards for whom an entity came.
    """
    found: dict[tuple[str, tuple[str, ...]], tuple[str, list[int]]] = {}
    for index, resource in enumerate(document.resources):
        filters = tuple(resource.selector.filter)
        found.setdefault((resource.kind.lower(), filters), (resource.kind, []))[1].append(index)
    return [Read(kind, filters, tuple(indices)) for (_, filters), (kind, indices) in found.items()]


def static_blueprint(resource: Resource) -> str | None:
    """Return the blueprint a resource always writes to, None when an expression decides for each item."""
    try:
        value = json.loads(rewrite_quotes(resource.mappings.blueprint).strip())
    except ValueError:
        return None
    return value if isinstance(value, str) and value else None


def resources_of(document: MappingDocument, kind: str) -> list[Resource]:
    """Return the resources that map a kind; kinds compare case-insensitively, as in Backstage."""
    return [resource for resource in document.resources if resource.kind.lower() == kind.lower()]


def blueprints_of(document: MappingDocument, kind: str) -> frozenset[str] | None:
    """Return the blueprints that a kind's resources write to, None when not all of them are known beforehand."""
    return _blueprints(resources_of(document, kind))


def blueprints_read(document: MappingDocument, read: Read) -> frozenset[str] | None:
    """Return the blueprints that what one read shows is written to, None when not all are known beforehand."""
    return _blueprints(document.resources[index] for index in read.resources)


def _blueprints(resources: Iterable[Resource]) -> frozenset[str] | None:
    names = [static_blueprint(resource) for resource in resources]
    return None if None in names else frozenset(name for name in names if name is not None)


def paths_written(document: MappingDocument, blueprint: str) -> list[str]:
    """Return the fields that a document's resources may write of a blueprint, as ``FieldChange`` names them."""
    paths: set[str] = set()
    for resource in document.resources:
        if static_blueprint(resource) in (blueprint, None):
            mappings = resource.mappings
            plain = {"title": mappings.title, "icon": mappings.icon, "team": mappings.team}
            paths.update(name for name, value in plain.items() if not isinstance(value, Unset))
            for part, fields in (("properties", mappings.properties), ("relations", mappings.relations)):
                if not isinstance(fields, Unset):
                    paths.update(f"{part}.{name}" for name in fields)
    return sorted(paths)


def searched_blueprints(document: MappingDocument) -> frozenset[str]:
    """Return the blueprints whose target entities are only ever found by a search query, never named."""
    searching: set[str] = set()
    naming: set[str] = set()
    for resource in document.resources:
        name = static_blueprint(resource)
        by_search = isinstance(resource.mappings.identifier, SearchQuery)
        if name is None:
            if not by_search:
                return frozenset()  # any blueprint may be named by this one
            continue
        (searching if by_search else naming).add(name)
    return frozenset(searching - naming)


def probe_document(document: MappingDocument) -> MappingDocument:
    """Return a document that tells only which target entities a source entity stands for.

    Every selector lets everything pass and nothing but identifier and blueprint is left: so that the targets of a
    source entity whose mapping failed can be named, and protected.
    """
    config = document.to_config()
    for resource in config["resources"]:
        resource["selector"] = {"query": "true"}
        mappings = resource["port"]["entity"]["mappings"]
        resource["port"]["entity"]["mappings"] = {key: mappings[key] for key in ("identifier", "blueprint")}
    return parse_mapping(config)
