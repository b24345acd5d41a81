"""HTML that cannot be injected into: whatever is not already markup is escaped on its way in."""

from html import escape


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | float | None
"""Something to stand inside an element; None and plain text are escaped, :class:`Html` is not."""

_VOID = frozenset({"meta", "link", "input", "br"})


def tag(name: str, /, *children: Child, **attributes: str | None) -> Html:
    """Return an element. Attributes end in an underscore where Python has the word (``class_``); None leaves out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{shown}>")
    return Html(f"<{name}{shown}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Put several things next to each other."""
    return Html("".join(one if isinstance(one, Html) else escape(str(one)) for one in children if one is not None))


def table(headings: tuple[str, ...], rows: list[tuple[Child, ...]], *, empty: str) -> Html:
    """Return a table, or a sentence where there are no rows. Cells of numbers are set right."""
    if not rows:
        return tag("p", empty, class_="empty")
    head = tag("tr", *(tag("th", heading, scope="col") for heading in headings))
    body = [tag("tr", *(_cell(value) for value in row)) for row in rows]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll")


def _cell(value: Child) -> Html:
    return tag("td", value, class_="number" if isinstance(value, int | float) else None)
