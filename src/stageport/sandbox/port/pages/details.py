"""The pages of one blueprint and of one entity."""

from urllib.parse import urlencode

import msgspec

from stageport.model.entities import Json
from stageport.sandbox.port.catalog import CompiledBlueprint
from stageport.sandbox.port.pages.markup import Child, Html, join, table, tag
from stageport.sandbox.port.pages.overview import blueprint_link, entity_link, moment, page
from stageport.sandbox.port.paging import list_page
from stageport.sandbox.port.projection import Fields
from stageport.sandbox.port.records import StoredEntity
from stageport.sandbox.port.state import PortState

PAGE = 100


def blueprint_page(state: PortState, blueprint: CompiledBlueprint, *, words: str, after: str | None) -> str:
    """Return the entities of a blueprint that have some words in their name, page by page."""
    wanted = words.casefold()

    def accepts(entity: StoredEntity) -> bool:
        return wanted in entity.identifier.casefold() or wanted in (entity.title or "").casefold()

    found = list_page(state.store.entities, [blueprint.identifier], after=after, limit=PAGE, accepts=accepts)
    rows: list[tuple[Child, ...]] = [
        (
            entity_link(entity.blueprint, entity.identifier),
            entity.title,
            ", ".join(entity.team),
            moment(entity.updated_at),
            tag("code", entity.datasource),
        )
        for entity in found.entities
    ]
    headings = ("Entity", "Title", "Team", "Updated", "Datasource")
    more = f"?{urlencode({'q': words, 'from': found.next})}" if found.next else None
    return page(
        blueprint.identifier,
        tag("h2", f"{blueprint.identifier} · {state.store.count(blueprint.identifier):,} entities"),
        _search_form(words),
        table(headings, rows, empty="No entity."),
        tag("p", tag("a", "further ones", href=more), class_="more") if more else None,
        tag("h2", "Definition"),
        _raw(blueprint.document),
        state=state,
    )


def _search_form(words: str) -> Html:
    field = tag("input", name="q", value=words, placeholder="identifier or title", aria_label="identifier or title")
    return tag("form", field, tag("button", "Find"), method="get")


def _raw(document: Json) -> Html:
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    return tag("details", tag("summary", "JSON"), tag("pre", text))


def entity_page(state: PortState, blueprint: CompiledBlueprint, entity: StoredEntity) -> str:
    """Return everything about one entity."""
    shown = state.projector(Fields()).show(entity)
    sources = {(source.blueprint, source.identifier, name) for source, name in state.walker.incoming(entity.key)}
    return page(
        entity.identifier,
        tag("h2", entity.title or entity.identifier),
        table(("", ""), _head(entity), empty=""),
        tag("h2", "Properties"),
        table(("Property", "Value"), [_property(*pair) for pair in shown["properties"].items()], empty="None."),
        tag("h2", "Relations"),
        table(("Relation", "To"), [_relation(blueprint, *pair) for pair in shown["relations"].items()], empty="None."),
        tag("h2", "Related to by"),
        table(
            ("Relation", "From"),
            [(f"{one}.{name}", entity_link(one, identifier)) for one, identifier, name in sorted(sources)],
            empty="Nothing relates to it.",
        ),
        tag("h2", "As answered"),
        _raw({**shown, "$datasource": entity.datasource}),
        state=state,
    )


def _head(entity: StoredEntity) -> list[tuple[Child, ...]]:
    return [
        ("Blueprint", blueprint_link(entity.blueprint)),
        ("Identifier", tag("code", entity.identifier)),
        ("Icon", entity.icon),
        ("Team", ", ".join(entity.team)),
        ("Datasource", tag("code", entity.datasource)),
        ("Created", tag("time", entity.created_at)),
        ("Updated", tag("time", entity.updated_at)),
    ]


def _property(name: str, value: Json) -> tuple[Child, ...]:
    return tag("code", name), _value(value)


def _value(value: Json) -> Child:
    if value is None:
        return tag("span", "null", class_="faint")
    if isinstance(value, str):
        # Only these schemes become links: a value may well hold `javascript:`.
        is_link = value.startswith(("https://", "http://"))
        return tag("a", value, href=value, rel="noopener noreferrer") if is_link else value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tag("div", *(tag("div", _value(one)) for one in value))
    return tag("code", msgspec.json.encode(value).decode())


def _relation(blueprint: CompiledBlueprint, name: str, value: Json) -> tuple[Child, ...]:
    target = blueprint.relations[name].target
    identifiers = value if isinstance(value, list) else [value] if value else []
    links = [tag("div", entity_link(target, identifier)) for identifier in identifiers]
    return tag("code", name), join(*links) if links else tag("span", "null", class_="faint")
