"""The mapping document: what people write to say how a Backstage catalog becomes a Port one.

It is the integration's ``config`` at Port. Everything that Port's own integration accepts is accepted here, with the
same meaning and the same defaults; the few keys of our own (``selector.filter``, ``selector.orphans``,
``selector.broken``) are optional. Unknown keys are ignored, and listed, so that a checker can ask about them.
"""

from dataclasses import dataclass, field
from typing import Final

from stageport.mapping.reading import Path, Reader, path_text, shape
from stageport.mapping.resource import (
    UNSET,
    EntityMapping,
    Items,
    Resource,
    SearchQuery,
    SearchRule,
    Selector,
    Unset,
)
from stageport.model.entities import Json
from stageport.model.errors import MappingError, MappingFault

DELETION_THRESHOLD: Final = 0.9
SEARCH_QUERY_HINT: Final = "a search query has the keys 'combinator' and 'rules'"


@dataclass(frozen=True, slots=True)
class MappingDocument:
    """A whole mapping. ``unknown`` are the paths of keys that mean nothing to us."""

    resources: tuple[Resource, ...] = ()
    create_missing_related: bool = True
    delete_dependents: bool = True
    merge: bool = True
    deletion_threshold: float = DELETION_THRESHOLD
    unknown: tuple[Path, ...] = field(default=(), compare=False)

    def kinds(self) -> list[str]:
        """Return the distinct kinds in document order; kinds compare case-insensitively, as in Backstage."""
        found: dict[str, str] = {}
        for resource in self.resources:
            found.setdefault(resource.kind.lower(), resource.kind)
        return list(found.values())

    def to_config(self) -> Json:
        """Return the form that is written back to Port: five keys, resources without null and unknown keys."""
        return {
            "deleteDependentEntities": self.delete_dependents,
            "createMissingRelatedEntities": self.create_missing_related,
            "enableMergeEntity": self.merge,
            "entityDeletionThreshold": self.deletion_threshold,
            "resources": [resource.to_config() for resource in self.resources],
        }


def parse_mapping(config: Json) -> MappingDocument:
    """Read a mapping document from its parsed form (the ``config`` of the integration at Port).

    Raises:
        MappingError: the document is empty or malformed; ``faults`` holds every one, with its path.
    """
    if not config:
        raise MappingError(
            "the mapping document is empty",
            hint="write at least 'resources: []'; an empty document is refused because it would delete everything",
        )
    faults: list[MappingFault] = []
    unknown: list[Path] = []
    document = _read_document(Reader(config, path=(), faults=faults, unknown=unknown))
    if faults:
        raise mapping_error(faults, hint="mend them in Port's data sources page; `stageport check` looks again")
    return MappingDocument(
        resources=document.resources,
        create_missing_related=document.create_missing_related,
        delete_dependents=document.delete_dependents,
        merge=document.merge,
        deletion_threshold=document.deletion_threshold,
        unknown=tuple(unknown),
    )


def mapping_error(faults: list[MappingFault], *, name: str = "the mapping document", hint: str = "") -> MappingError:
    """Return the error that names all faults at once; ``name`` is what holds them."""
    lines = [str(fault) for fault in faults]
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return MappingError(f"{name} has {count}:\n" + "\n".join(f"  {line}" for line in lines), hint=hint, faults=faults)


def _read_document(reader: Reader) -> MappingDocument:
    # Snake case is understood on this level only, and gives way to camel case: so it is in Port's own integration.
    document = MappingDocument(
        resources=_read_resources(reader),
        create_missing_related=reader.flag(
            _either(reader, "createMissingRelatedEntities", "create_missing_related_entities"), default=True
        ),
        delete_dependents=reader.flag(
            _either(reader, "deleteDependentEntities", "delete_dependent_entities"), default=True
        ),
        merge=reader.flag(_either(reader, "enableMergeEntity", "enable_merge_entity"), default=True),
        deletion_threshold=reader.share(
            _either(reader, "entityDeletionThreshold", "entity_deletion_threshold"), default=DELETION_THRESHOLD
        ),
    )
    reader.note_unknown()
    return document


def _either(reader: Reader, camel: str, snake: str) -> str:
    return snake if snake in reader and camel not in reader else camel


def _read_resources(reader: Reader) -> tuple[Resource, ...]:
    value = reader.get("resources")
    if isinstance(value, Unset):
        return ()
    if not isinstance(value, list):
        reader.fault("resources", f"is {shape(value)}, but must be a list")
        return ()
    return tuple(_read_resource(reader.below(entry, "resources", index)) for index, entry in enumerate(value))


def _read_resource(reader: Reader) -> Resource:
    kind = reader.text("kind")
    selector, port = reader.child("selector"), reader.child("port")
    resource = Resource(
        kind=kind,
        selector=_read_selector(selector) if selector else Selector(query=""),
        mappings=_read_mappings(port) if port else EntityMapping(identifier="", blueprint=""),
        items=_read_items(port) if port else Items(),
    )
    for known in (reader, port):
        if known:
            known.note_unknown()
    return resource


def _read_selector(reader: Reader) -> Selector:
    export, narrow = reader.texts("exportEnvVariables"), reader.texts("filter")
    selector = Selector(
        query=reader.expression("query"),
        filter=() if isinstance(narrow, Unset) else narrow,
        skip_orphans=_read_skip(reader, "orphans"),
        skip_broken=_read_skip(reader, "broken"),
        export_env_variables=export,
    )
    reader.note_unknown()
    return selector


def _read_skip(reader: Reader, key: str) -> bool:
    value = reader.get(key)
    if value not in (UNSET, "skip", "keep"):
        reader.fault(key, "must be 'skip' or 'keep'")
    return bool(value == "skip")


def _read_items(port: Reader) -> Items:
    expression = port.optional_expression("itemsToParse")
    return Items(
        expression=None if isinstance(expression, Unset) else expression,
        name=port.text("itemsToParseName", default="item"),
        top_level_transform=port.flag("itemsToParseTopLevelTransform", default=True),
        named=frozenset(key for key in ("itemsToParseName", "itemsToParseTopLevelTransform") if key in port),
    )


def _read_mappings(port: Reader) -> EntityMapping:
    absent = EntityMapping(identifier="", blueprint="")
    entity = port.child("entity")
    if entity is None:
        return absent
    if isinstance(entity.get("mappings"), list):
        entity.fault("mappings", "is a list, but must be one object: give each mapping a resource of its own")
        return absent
    reader = entity.child("mappings")
    entity.note_unknown()
    if reader is None:
        return absent
    mappings = EntityMapping(
        identifier=_read_expression_or_query(reader, "identifier"),
        blueprint=reader.expression("blueprint"),
        title=reader.optional_expression("title", literals=False),
        icon=reader.optional_expression("icon", literals=False),
        team=_read_team(reader),
        properties=_read_properties(reader),
        relations=_read_relations(reader),
    )
    reader.note_unknown()
    return mappings


def _read_properties(reader: Reader) -> dict[str, str] | Unset:
    fields = _read_fields(reader, "properties")
    return fields if isinstance(fields, Unset) else {key: fields.expression(key) for key in fields.keys()}  # noqa: SIM118


def _read_relations(reader: Reader) -> dict[str, str | SearchQuery] | Unset:
    fields = _read_fields(reader, "relations")
    if isinstance(fields, Unset):
        return fields
    return {key: _read_expression_or_query(fields, key) for key in fields.keys()}  # noqa: SIM118


def _read_fields(reader: Reader, key: str) -> Reader | Unset:
    value = reader.get(key)
    if isinstance(value, Unset):
        return UNSET
    if value is None:
        reader.fault(key, "is null, but must be an object: remove the key, or write '{}'")
        return UNSET
    # Nothing in the place of an object is an empty object, in Port's own integration too.
    return reader.below({} if value in ([], "") else value, key)


def _read_team(reader: Reader) -> str | SearchQuery | Unset | None:
    if isinstance(reader.get("team"), dict):
        return _read_expression_or_query(reader, "team")
    return reader.optional_expression("team", literals=False)


def _read_expression_or_query(reader: Reader, key: str) -> str | SearchQuery:
    if isinstance(reader.get(key), dict):
        return _read_query(reader.below(reader.get(key), key))
    return reader.expression(key)


def _read_query(reader: Reader) -> SearchQuery:
    value = reader.get("rules")
    if "combinator" not in reader and "rules" not in reader:
        reader.fault("", f"is an object, but must be a jq expression or a search query ({SEARCH_QUERY_HINT})")
        return SearchQuery("", ())
    query = SearchQuery(reader.expression("combinator"), _read_rules(reader, value))
    reader.note_unknown()
    return query


def _read_rules(reader: Reader, value: Json | Unset) -> tuple[SearchRule | SearchQuery, ...]:
    if isinstance(value, list):
        return tuple(_read_rule(reader.below(rule, "rules", index)) for index, rule in enumerate(value))
    missing = isinstance(value, Unset)
    reader.fault("rules", "is missing" if missing else f"is {shape(value)}, but must be a list of rules")
    return ()


def _read_rule(reader: Reader) -> SearchRule | SearchQuery:
    # What has all three keys is a rule, even if it looks like a query too: the order in Port's own integration.
    names = ("property", "operator", "value")
    nested = any(name not in reader for name in names) and ("combinator" in reader or "rules" in reader)
    if nested:
        return _read_query(reader)
    rule = SearchRule(*(reader.expression(name) for name in names))
    reader.note_unknown()
    return rule


__all__ = [
    "UNSET",
    "EntityMapping",
    "Items",
    "MappingDocument",
    "Resource",
    "SearchQuery",
    "SearchRule",
    "Selector",
    "Unset",
    "mapping_error",
    "parse_mapping",
    "path_text",
]
