"""What loads and runs, and is regretted later: habits that Port's own integration accepts in silence.

Everything is judged from the text. A remark is made where the text is plain; a mapping that does something clever is
left in peace.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stageport.mapping.jq_shape import is_stream, missing_when, null_joins, plain_path, root_paths, type_of
from stageport.mapping.jq_tokens import Kind, tokens_of
from stageport.mapping.layout import Slot, plan_resource, simple_path
from stageport.mapping.reading import Path
from stageport.mapping.resource import Resource
from stageport.mapping.schema import Met, walk_mapping
from stageport.model.entities import Json

KINDS: Final = ("component", "api", "resource", "system", "domain", "group", "user", "template", "location")
"""The kinds that Backstage itself knows; a catalog may have any others."""

ENTITY_KEYS: Final = frozenset(("apiVersion", "kind", "metadata", "spec", "relations", "status"))
METADATA_KEYS: Final = frozenset(
    ("name", "namespace", "title", "description", "labels", "annotations", "tags", "links", "uid", "etag", "identifier")
)


class Level(StrEnum):
    """How much a remark matters: an error stops somebody's data, a warning may be meant so."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to say of a mapping. ``code`` names the rule.

    ``path`` leads to the value, or to its key with ``of_key``; ``span`` is a part of an expression, as offsets.
    """

    level: Level
    code: str
    path: Path
    message: str
    hint: str = ""
    span: tuple[int, int] | None = None
    of_key: bool = False


def lint_keys(config: Json) -> Iterator[Remark]:
    """Remark on keys that nobody knows, and on YAML booleans in the place of expressions."""
    for met in walk_mapping(config):
        if met.known is not None:
            yield _unknown_key(met)
        elif isinstance(met.value, bool):
            word = str(met.value).lower()
            words = f"is a YAML boolean; Port's own integration makes {met.value} of it, which is no jq"
            yield Remark(Level.WARNING, "yaml-boolean", met.path, words, f'Write "{word}", with the quotes.')


def _unknown_key(met: Met) -> Remark:
    key = str(met.path[-1])
    # Snake case is understood in places, but nobody should be sent there.
    known = [one for one in met.known or () if "_" not in one]
    near = nearest(key, known)
    hint = f"Did you mean {near}?" if near else f"Known here: {', '.join(known)}."
    return Remark(Level.WARNING, "unknown-key", met.path, f"{key} is no known key; it is ignored", hint, of_key=True)


def lint_resource(resource: Resource, *, index: int, kinds: Collection[str] | None = None) -> Iterator[Remark]:
    """Remark on one resource. ``kinds`` are those that the catalog has, None where nobody asked it."""
    yield from _kind(resource, index, kinds)
    for slot in plan_resource(resource, index=index).slots:
        for rule in _RULES:
            yield from rule(slot, resource)


def nearest(word: str, choices: Iterable[str], *, cutoff: float = 0.7) -> str:
    """Return the choice that a misspelt word most likely means; empty when none is near."""
    by_plain = {_plain(choice): choice for choice in choices}
    found = difflib.get_close_matches(_plain(word), by_plain, n=1, cutoff=cutoff)
    return by_plain[found[0]] if found else ""


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


def _kind(resource: Resource, index: int, kinds: Collection[str] | None) -> Iterator[Remark]:
    known = {kind.lower() for kind in (KINDS if kinds is None else kinds)}
    if resource.kind.lower() in known:
        return
    near = nearest(resource.kind, [*known, *KINDS])
    path: Path = ("resources", index, "kind")
    hint = f"Did you mean {near}?" if near else ""
    if kinds is not None:
        words = f"Backstage shows no entity of kind {resource.kind}; entities that came of it before look stale"
        yield Remark(Level.WARNING, "no-such-kind", path, words, hint)
    elif near:
        yield Remark(Level.WARNING, "no-such-kind", path, f"{resource.kind} is no kind that Backstage itself has", hint)


Rule = Callable[[Slot, Resource], Iterator[Remark]]


def _warn(slot: Slot, code: str, message: str, hint: str = "", span: tuple[int, int] | None = None) -> Remark:
    return Remark(Level.WARNING, code, slot.path, message, hint, span)


def _environment(slot: Slot, resource: Resource) -> Iterator[Remark]:
    del resource
    tokens = tokens_of(slot.expression)
    for index, token in enumerate(tokens):
        is_key = index + 1 < len(tokens) and tokens[index + 1].text == ":"
        word = token.kind is Kind.WORD and token.text == "env" and not is_key
        if word or (token.kind is Kind.VARIABLE and token.text == "$ENV"):
            words = "reads the environment, which is empty here: secrets must not reach the catalog"
            hint = "Write the value itself, or take it from the entity."
            yield _warn(slot, "environment", words, hint, (token.start, token.end))


def _misspelt_path(slot: Slot, resource: Resource) -> Iterator[Remark]:
    for term in root_paths(slot.expression):
        names = [token.text[1:] for token in term.tokens[:2] if token.kind is Kind.FIELD]
        roots = ENTITY_KEYS | ({resource.items.name} if resource.items.expression else frozenset())
        wrong, known = (names[0], roots) if names and names[0] not in roots else ("", roots)
        if not wrong and names[:1] == ["metadata"] and len(names) > 1 and names[1] not in METADATA_KEYS:
            wrong, known = names[1], METADATA_KEYS
        near = nearest(wrong, known, cutoff=0.75) if wrong else ""
        if near:
            start = term.start + term.text.index(f".{wrong}")
            words = f"takes .{wrong}, which no entity of Backstage has"
            yield _warn(slot, "misspelt-path", words, f"Did you mean .{near}?", (start, start + len(wrong) + 1))


def _selector(slot: Slot, resource: Resource) -> Iterator[Remark]:
    del resource
    if slot.field != "selector.query":
        return
    given = type_of(slot.expression)
    path = plain_path(slot.expression)
    if given not in {None, "boolean"} or (path is not None and path.tokens[0].text in {".spec", ".metadata"}):
        what = f"gives {_article(given)}" if given else f"gives the value of {path.text if path else ''}"
        words = f"{what}, not true or false: every such entity counts as an error, and holds back all deletes"
        yield _warn(slot, "selector-no-boolean", words, 'Compare: .spec.type == "service", or has("…"), or … != null')


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _identity(slot: Slot, resource: Resource) -> Iterator[Remark]:
    if slot.field not in {"identifier", "blueprint"}:
        return
    reason = missing_when(slot.expression)
    if reason:
        words = f"gives null where {reason}; the entity is dropped then, and one that is at Port looks stale"
        fallback = ".metadata.identifier" if slot.field == "identifier" else '"component"'
        hint = f"Select only entities that have it, or give something to fall back to: … // {fallback}"
        yield _warn(slot, f"{slot.field}-may-be-null", words, hint)
    is_constant = not any(token.kind in {Kind.FIELD, Kind.DOT, Kind.VARIABLE} for token in tokens_of(slot.expression))
    if slot.field == "identifier" and is_constant and type_of(slot.expression):
        words = "gives every entity the same identifier; each overwrites the one before"
        yield _warn(slot, "identifier-constant", words, "Use .metadata.identifier")
    del resource


def _null_text(slot: Slot, resource: Resource) -> Iterator[Remark]:
    del resource
    if slot.field.startswith("selector"):
        return
    for term, inside in {one.term.start: (one.term, one.inside) for one in null_joins(slot.expression)}.values():
        relation = slot.field.startswith("relations.")
        harm = "the relation then leads to an entity that does not exist" if relation else "the text is wrong then"
        does = 'jq writes "null" for it' if inside else "jq adds nothing"
        words = f"joins {term.text} to text; where it is missing, {does}, and {harm}"
        hint = f'Guard it: if {term.text} then "…" + {term.text} else null end'
        if relation:
            hint += ". For relations between entities take .relations[], which Backstage has resolved"
        yield _warn(slot, "null-joined", words, hint, (term.start, term.start + len(term.text)))


def _stream(slot: Slot, resource: Resource) -> Iterator[Remark]:
    del resource
    if slot.field.startswith("properties.") and is_stream(slot.expression):
        words = "can give several values, of which only the first counts"
        hint = "For all of them write brackets around: [ … ]. For the first write first( … )"
        yield _warn(slot, "stream", words, hint)


def _items(slot: Slot, resource: Resource) -> Iterator[Remark]:
    if slot.field != "port.itemsToParse" or not resource.items.top_level_transform:
        return
    if not simple_path(slot.expression):
        words = "is more than a path; Port's own integration then finds no items at all, in silence"
        hint = "It works here. For both, set itemsToParseTopLevelTransform: false"
        yield _warn(slot, "items-no-path", words, hint)


def _quoted(slot: Slot, resource: Resource) -> Iterator[Remark]:
    """Remark on single quotes that are not YAML's: they become double ones, and make the expression text."""
    del resource
    text = slot.expression.strip()
    if text.startswith("'") and text.endswith("'") and re.match(r"'[\[({\s]*\.", text) and len(text) > 2:
        words = "is text, not an expression: the single quotes are part of it here"
        yield _warn(slot, "quoted", words, f"In a block (| or >-) nothing needs YAML's quotes: write {text[1:-1]}")


_RULES: Final[tuple[Rule, ...]] = (
    _environment,
    _misspelt_path,
    _selector,
    _identity,
    _null_text,
    _stream,
    _items,
    _quoted,
)
