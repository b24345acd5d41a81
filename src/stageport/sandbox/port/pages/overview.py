"""The front page: what is stored, what arrived last, how the integrations are doing, what was asked for."""

from collections.abc import Mapping
from urllib.parse import quote

from stageport.model.entities import Json
from stageport.sandbox.port.journal import Arrival
from stageport.sandbox.port.pages.markup import Child, Html, join, table, tag
from stageport.sandbox.port.state import PortState

LATEST = 40
_FATES = ("created", "updated", "unchanged", "stub", "refused", "deleted")


def page(title: str, *content: Child, state: PortState, live: bool = False) -> str:
    """Return a whole document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="refresh", content="3") if live else None,
        tag("title", f"{title} · Port stand-in"),
        tag("link", rel="stylesheet", href="/_sandbox/style.css"),
    )
    header = tag(
        "header",
        tag("h1", tag("a", "Port stand-in", href="/")),
        tag("p", f"organization {state.options.organization_id} · {_where(state)}"),
        tag("nav", *_navigation(live=live)),
    )
    return f"<!doctype html>{tag('html', head, tag('body', header, tag('main', *content)), lang='en')}"


def _where(state: PortState) -> str:
    return f"kept in {state.options.state_file.name}" if state.options.state_file else "kept in memory"


def _navigation(*, live: bool) -> list[Html]:
    refresh = tag("a", "stop refreshing", href="/") if live else tag("a", "refresh by itself", href="/?live=1")
    return [refresh, tag("a", "state", href="/_sandbox/state"), tag("a", "stats", href="/_sandbox/stats")]


def entity_link(blueprint: str, identifier: str, *, shown: str | None = None) -> Html:
    """Return a link to the page of an entity."""
    address = f"/blueprints/{quote(blueprint, safe='')}/entities/{quote(identifier, safe='')}"
    return tag("a", identifier if shown is None else shown, href=address)


def blueprint_link(identifier: str, *, shown: str | None = None) -> Html:
    """Return a link to the page of a blueprint."""
    return tag("a", identifier if shown is None else shown, href=f"/blueprints/{quote(identifier, safe='')}")


def moment(text: str) -> Html:
    """Return a time, short, with the whole of it at hand."""
    return tag("time", text[11:19], datetime=text, title=text)


def overview(state: PortState, *, live: bool) -> str:
    """Return the front page."""
    return page(
        "Overview",
        _figures(state),
        tag("h2", "Blueprints"),
        _blueprints(state),
        tag("h2", "Integrations"),
        _integrations(state),
        tag("h2", "What arrived last"),
        _arrivals(list(state.journal.arrivals)[-LATEST:][::-1]),
        tag(
            "div",
            tag("section", tag("h2", "Requests"), _counts("Route", state.journal.routes, "No request yet.")),
            tag("section", tag("h2", "Refusals"), _counts("Code", state.journal.refusals, "Nothing was refused.")),
            class_="columns",
        ),
        state=state,
        live=live,
    )


def _figures(state: PortState) -> Html:
    journal = state.journal
    stored = sum(state.store.count(document["identifier"]) for document in state.store.blueprints())
    figures = [("entities stored", stored), ("requests", sum(journal.routes.values()))]
    figures += [(fate, journal.entities[fate]) for fate in _FATES]
    return tag("div", *(_figure(words, count) for words, count in figures), class_="figures")


def _figure(words: str, count: int) -> Html:
    return tag("div", tag("b", f"{count:,}"), tag("span", words), class_="figure")


def _blueprints(state: PortState) -> Html:
    rows: list[tuple[Child, ...]] = [
        (
            blueprint_link(document["identifier"]),
            str(document.get("title", "")),
            state.store.count(document["identifier"]),
            len(document["schema"]["properties"]),
            ", ".join(sorted({relation["target"] for relation in document["relations"].values()})),
        )
        for document in state.store.blueprints()
    ]
    return table(("Blueprint", "Title", "Entities", "Properties", "Relates to"), rows, empty="No blueprint yet.")


def _integrations(state: PortState) -> Html:
    rows = [_integration(one) for one in state.integrations.all()]
    headings = ("Integration", "Type", "Version", "Resync", "Started", "Ended", "Mapped kinds")
    return table(headings, rows, empty="No integration has registered yet.")


def _integration(integration: Json) -> tuple[Child, ...]:
    resync: Mapping[str, Json] = integration.get("resyncState", {})
    status = str(resync.get("status", "never"))
    kinds = [str(resource.get("kind", "")) for resource in (integration.get("config") or {}).get("resources", [])]
    return (
        integration["identifier"],
        integration["installationAppType"],
        integration["version"],
        tag("span", status, class_=f"fate {status}"),
        _moment_or_nothing(resync.get("lastResyncStart")),
        _moment_or_nothing(resync.get("lastResyncEnd")),
        ", ".join(dict.fromkeys(kinds)),
    )


def _moment_or_nothing(text: Json) -> Child:
    return moment(text) if isinstance(text, str) else None


def _arrivals(arrivals: list[Arrival]) -> Html:
    rows: list[tuple[Child, ...]] = [
        (
            moment(one.at),
            tag("span", one.fate, class_=f"fate {one.fate}"),
            blueprint_link(one.blueprint),
            one.identifier if one.fate == "deleted" else entity_link(one.blueprint, one.identifier),
            tag("code", one.datasource),
        )
        for one in arrivals
    ]
    return table(("At", "", "Blueprint", "Entity", "Datasource"), rows, empty="Nothing has arrived yet.")


def _counts(heading: str, counts: Mapping[str, int], empty: str) -> Html:
    rows: list[tuple[Child, ...]] = [
        (tag("code", name), count) for name, count in sorted(counts.items(), key=lambda pair: -pair[1])
    ]
    return table((heading, "Times"), rows, empty=empty)


def not_there(state: PortState, what: str) -> str:
    """Return the page for something that does not exist."""
    return page("Not found", join(tag("h2", "Not found"), tag("p", what)), state=state)
