"""Where in an expression an error arose.

jq says what failed, never where. So the expression is cut short after each of its parts, brackets closed again, and
every cut is evaluated on the same source entity, by the same workers: the shortest cut from which on the error stays
ends with the culprit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stageport.mapping.document import MappingDocument
from stageport.mapping.expressions import rewrite_quotes
from stageport.mapping.jq_tokens import CLOSERS, Kind, Token, tokens_of
from stageport.mapping.resource import EntityMapping, Items, Resource, Selector
from stageport.mapping.workers import NO_SLOT, Limits, SlotTrace, WorkerPool
from stageport.model.entities import SourceEntity

MOST_TOKENS: Final = 400
"""Longer expressions are not cut: each cut is compiled and run."""


STOPPED: Final = (
    "used more than",
    "overflowed the stack",
    "ran out of memory",
    "was killed",
    "said nothing",
    "ended the",
)
"""How the reasons begin for which an expression is stopped: its parts would have to be stopped, too."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of an expression, as offsets of characters."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The beginning of an expression up to ``end``, with its brackets closed."""

    end: int
    text: str


async def find_culprits(
    document: MappingDocument, source: SourceEntity, failures: Sequence[SlotTrace], *, limits: Limits | None = None
) -> tuple[Span | None, ...]:
    """Return the part at which each failed expression of a traced source entity failed, None where it is not plain."""
    cuts = [() if was_stopped(one.error) else cuts_of(rewrite_quotes(one.slot.expression)) for one in failures]
    probes = tuple(
        _probe(document.resources[failure.resource], list(each), failure=failure)
        for failure, each in zip(failures, cuts, strict=True)
    )
    found: list[Span | None] = []
    if not any(cuts):
        return (None,) * len(failures)
    async with WorkerPool(MappingDocument(resources=probes), workers=1, limits=limits) as pool:
        uncompiled = {(fault.resource, fault.slot.field) for fault in pool.faults}
        for index, failure in enumerate(failures):
            if not cuts[index]:
                found.append(None)
                continue
            told = await pool.trace(probes[index].kind, source, resources=[index])
            item = max(failure.item, 0)
            errors = {
                one.slot.field: one.error
                for one in told.values
                if one.item == item and (index, one.slot.field) not in uncompiled
            }
            found.append(_culprit(failure, cuts[index], errors))
    return tuple(found)


def was_stopped(error: str) -> bool:
    """Tell whether an error says that the expression had to be stopped."""
    return error.startswith(STOPPED)


def _probe(resource: Resource, cuts: Sequence[Cut], *, failure: SlotTrace) -> Resource:
    """Return a resource that evaluates every cut on what the failed expression saw."""
    properties = {str(number): cut.text for number, cut in enumerate(cuts)}
    return replace(
        resource,
        selector=Selector(query="true"),
        mappings=EntityMapping(identifier='"x"', blueprint='"x"', properties=properties),
        items=Items() if failure.item == NO_SLOT else resource.items,
    )


def _culprit(failure: SlotTrace, cuts: Sequence[Cut], errors: Mapping[str, str]) -> Span | None:
    usable = [(cut, errors[f"properties.{n}"]) for n, cut in enumerate(cuts) if f"properties.{n}" in errors]
    first = len(usable)
    while first and usable[first - 1][1] == failure.error:
        first -= 1
    if first == len(usable):
        return None
    before = usable[first - 1][0].end if first else 0
    end = usable[first][0].end
    start = _past_joints(failure.slot.expression, before, end)
    return Span(start, _with_closers(failure.slot.expression, start, end))


def _past_joints(expression: str, start: int, end: int) -> int:
    """Pass over what only joins the culprit to what stands before it."""
    for token in tokens_of(expression):
        if start <= token.start < end and token.text not in {"|", ",", ";", "(", "then", "else"}:
            return token.start
    return start


def _with_closers(expression: str, start: int, end: int) -> int:
    """Return the end of a part with the brackets that close those opened in it."""
    opened = 0
    for token in tokens_of(expression):
        if token.start >= start:
            opened += (token.kind is Kind.OPEN) - (token.kind is Kind.CLOSE)
        if token.start >= end:
            if opened < 0 or token.kind is not Kind.CLOSE:
                return end
            end = token.end
    return end


def cuts_of(expression: str) -> tuple[Cut, ...]:
    """Return the expression cut short after each part, the whole last; parts that bind to the next are not cut off."""
    tokens = tokens_of(expression)
    if not tokens or len(tokens) > MOST_TOKENS:
        return ()
    return (*_cuts(expression, tokens), Cut(tokens[-1].end, expression))


def _cuts(expression: str, tokens: Sequence[Token]) -> Iterator[Cut]:
    opened: list[str] = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        _follow(opened, token)
        joins = token.kind in {Kind.OPEN, Kind.OPERATOR} and token.text != "?"
        if after is None or joins or after.text == "?" or token.text in _JOINING:
            continue
        yield Cut(token.end, expression[: token.end] + "".join(reversed(opened)))


_JOINING: Final = frozenset(
    ("and", "or", "if", "then", "elif", "else", "as", "def", "reduce", "foreach", "try", "catch")
)
_OF_IF: Final = {"if": " then . else . end", "then": " else . end", "elif": " then . else . end", "else": " end"}


def _follow(opened: list[str], token: Token) -> None:
    """Keep account of what would have to be closed behind a token."""
    if token.kind is Kind.OPEN:
        opened.append(CLOSERS[token.text])
    elif token.kind is Kind.CLOSE and opened:
        opened.pop()
    elif token.kind is Kind.WORD and token.text == "if":
        opened.append(_OF_IF["if"])
    elif token.kind is Kind.WORD and token.text in _OF_IF and opened:
        opened[-1] = _OF_IF[token.text]
    elif token.kind is Kind.WORD and token.text == "end" and opened:
        opened.pop()
