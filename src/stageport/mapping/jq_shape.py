"""What an expression plainly gives: a stream, a type, a value that may be missing.

Every answer may be "nobody can tell"; only what is plain from the text is said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stageport.mapping.jq_tokens import (
    Kind,
    Token,
    closing_index,
    depths_of,
    find_unbalanced,
    interpolations,
    split_at,
    tokens_of,
)

ALWAYS_THERE: Final = frozenset(
    {
        *(".kind", ".apiVersion", ".metadata", ".metadata.name", ".metadata.namespace", ".metadata.identifier"),
        *(".metadata.uid", ".metadata.etag"),
    }
)
"""Paths that hold a value in every entity that Backstage serves."""

KNOWN_TYPES: Final = {
    **dict.fromkeys(ALWAYS_THERE - {".metadata"}, "string"),
    **dict.fromkeys((".metadata", ".spec", ".metadata.labels", ".metadata.annotations"), "object"),
    **dict.fromkeys((".metadata.tags", ".metadata.links", ".relations"), "array"),
    **dict.fromkeys((".metadata.title", ".metadata.description"), "string"),
}
"""What Backstage sees to: the type of a path, where it holds a value."""

_TERM_ENDS: Final = frozenset((Kind.FIELD, Kind.DOT, Kind.VARIABLE, Kind.CLOSE, Kind.STRING))
_STREAMING: Final = frozenset(("range", "paths", "splits", "scan", "recurse", "limit", "combinations", "leaf_paths"))
_COLLECTING: Final = frozenset(("reduce", "foreach", "label", "def"))
_GIVES: Final = {
    "string": (
        "tostring",
        "tojson",
        "ascii_downcase",
        "ascii_upcase",
        "join",
        "ltrimstr",
        "rtrimstr",
        "trim",
        "implode",
    ),
    "number": ("length", "tonumber", "floor", "ceil", "round", "utf8bytelength", "fromdate", "now", "mktime"),
    "array": ("split", "keys", "map", "sort", "sort_by", "unique", "unique_by", "to_entries", "group_by", "explode"),
    "object": ("from_entries", "with_entries"),
    "boolean": ("startswith", "endswith", "test", "any", "all", "not", "has", "contains", "inside", "isvalid"),
}
_TYPE_OF: Final = {word: name for name, words in _GIVES.items() for word in words}
_COMPARING: Final = frozenset(("==", "!=", "<", "<=", ">", ">=", "and", "or"))
_ASSIGNING: Final = frozenset(("|=", "//=", "+=", "-=", "*=", "/=", "%=", "="))
_UNDECIDED: Final = frozenset(("//", ",", "?//", *_ASSIGNING))


LONGEST_READ: Final = 8 * 1024
DEEPEST_READ: Final = 50
"""Longer or deeper expressions are not judged: nothing about them is plain."""


def _read(expression: str) -> tuple[Token, ...]:
    """Return the tokens of an expression; none when it is too long or too deep to be judged."""
    tokens = tokens_of(expression) if len(expression) <= LONGEST_READ else ()
    return tokens if max(depths_of(tokens), default=0) <= DEEPEST_READ else ()


@dataclass(frozen=True, slots=True)
class PathTerm:
    """A path such as ``.metadata.annotations["x"]``, at a place of the expression."""

    text: str
    start: int
    tokens: tuple[Token, ...]

    @property
    def may_be_missing(self) -> bool:
        """True for what Backstage does not guarantee; only below ``spec``, ``metadata`` and ``status`` can one know."""
        root = self.tokens[0].text
        return root in {".spec", ".metadata", ".status"} and self.text.rstrip("?") not in ALWAYS_THERE


def path_at(tokens: Sequence[Token], start: int) -> PathTerm | None:
    """Return the path that begins at an index, None when no path does."""
    if start >= len(tokens) or tokens[start].kind not in {Kind.FIELD, Kind.DOT} or tokens[start].text == "..":
        return None
    end = start + 1
    while end < len(tokens) and _continues(tokens, end):
        end = closing_index(tokens, end) + 1 if tokens[end].text == "[" else end + 1
    taken = tuple(tokens[start:end])
    return PathTerm("".join(token.text for token in taken), taken[0].start, taken)


def _continues(tokens: Sequence[Token], at: int) -> bool:
    """Tell whether a token goes on with the path or the term before it."""
    token, before = tokens[at], tokens[at - 1]
    touches = token.start == before.end
    if token.kind is Kind.STRING:
        return before.kind is Kind.DOT and touches
    if token.text == "[":
        return _is_postfix(tokens, at)
    after_term = before.kind in _TERM_ENDS or before.text == "?"
    return token.text == "?" or (token.kind in {Kind.FIELD, Kind.DOT} and touches and after_term)


def plain_path(expression: str) -> PathTerm | None:
    """Return the path that an expression wholly consists of."""
    tokens = unwrapped(_read(expression))
    term = path_at(tokens, 0)
    return term if term is not None and len(term.tokens) == len(tokens) else None


def unwrapped(tokens: Sequence[Token]) -> Sequence[Token]:
    """Take away parentheses around the whole."""
    while len(tokens) > 1 and tokens[0].text == "(" and _closes_last(tokens):
        tokens = tokens[1:-1]
    return tokens


def _closes_last(tokens: Sequence[Token]) -> bool:
    return tokens[-1].text == ")" and closing_index(tokens, 0) == len(tokens) - 1


def is_stream(expression: str) -> bool:
    """Tell whether an expression can give several outputs, of which only the first counts."""
    tokens = _read(expression)
    words = {token.text for token in tokens if token.kind in {Kind.WORD, Kind.OPERATOR}}
    # What an assignment changes may be a stream, what it gives is one value.
    return not (words & _COLLECTING or words & _ASSIGNING or find_unbalanced(tokens)) and _streams(tokens)


def _streams(tokens: Sequence[Token]) -> bool:
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.text in {",", ".."} or (token.kind is Kind.WORD and token.text in _STREAMING):
            return True
        if token.kind is not Kind.OPEN:
            index += 1
            continue
        end = closing_index(tokens, index)
        if token.text == "[" and _is_postfix(tokens, index) and end == index + 1:
            return True
        is_group = token.text == "(" and not (index and tokens[index - 1].kind is Kind.WORD)
        if is_group and _streams(tokens[index + 1 : end]):
            return True
        index = end + 1
    return False


def _is_postfix(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether a ``[`` takes something out of what stands before it; otherwise it begins an array."""
    if index == 0:
        return False
    before = tokens[index - 1]
    return before.kind in _TERM_ENDS or before.text == "?"


def type_of(expression: str) -> str | None:
    """Return the JSON type that an expression plainly gives, None when nobody can tell."""
    tokens = _read(expression)
    if find_unbalanced(tokens):
        return None
    path = plain_path(expression)
    return KNOWN_TYPES.get(path.text) if path is not None else _type(unwrapped(tokens))


def _type(tokens: Sequence[Token]) -> str | None:
    stage = unwrapped(split_at(tokens, frozenset("|"))[-1])
    outside = {token.text for token, depth in zip(stage, depths_of(stage), strict=True) if depth == 0}
    if not stage or outside & _UNDECIDED or outside & {"if", "try", "as", *_COLLECTING}:
        return None
    if outside & _COMPARING:
        return "boolean"
    first = stage[0]
    whole = len(stage) == 1 or (first.kind is Kind.OPEN and closing_index(stage, 0) == len(stage) - 1)
    if whole:
        return _literal_type(first)
    is_call = first.kind is Kind.WORD and stage[1].text == "(" and closing_index(stage, 1) == len(stage) - 1
    if is_call:
        return _TYPE_OF.get(first.text)
    return "string" if _is_concatenation(stage) else None


def _literal_type(token: Token) -> str | None:
    if token.kind is Kind.WORD:
        return "boolean" if token.text in {"true", "false"} else _TYPE_OF.get(token.text)
    by_text = {"[": "array", "{": "object"}.get(token.text)
    return by_text or {Kind.STRING: "string", Kind.NUMBER: "number"}.get(token.kind)


def _is_concatenation(stage: Sequence[Token]) -> bool:
    parts = split_at(stage, frozenset("+"))
    return len(parts) > 1 and any(len(part) == 1 and part[0].kind is Kind.STRING for part in parts)


@dataclass(frozen=True, slots=True)
class Joint:
    r"""A path that is joined to text: with ``+``, or inside of the text (``"\(.spec.system)"``)."""

    term: PathTerm
    inside: bool


def null_joins(expression: str) -> Iterator[Joint]:
    """Yield the paths that are joined to text although they may be missing, unless something asks for them before.

    jq takes null plus text for the text alone: ``"system:" + .spec.system`` is ``"system:"`` without a system.
    """
    tokens = _read(expression)
    asked = tuple(_asked(tokens))
    for joint in _joints(tokens):
        if joint.term.may_be_missing and not any(joint.term.text.startswith(text) for text in asked):
            yield joint


def _joints(tokens: Sequence[Token]) -> Iterator[Joint]:
    for index, token in enumerate(tokens):
        if token.kind is Kind.STRING:
            yield from _interpolated(token)
        if token.text != "+" or token.kind is not Kind.OPERATOR:
            continue
        sides = (_path_before(tokens, index), path_at(tokens, index + 1))
        others = (tokens[index + 1 : index + 2], tokens[index - 1 : index] if index else ())
        for side, other in zip(sides, others, strict=True):
            if side is not None and other and other[0].kind is Kind.STRING:
                yield Joint(side, inside=False)


def _interpolated(token: Token) -> Iterator[Joint]:
    for text, start in interpolations(token):
        term = plain_path(text)
        if term is not None:
            yield Joint(PathTerm(term.text, start + term.start, term.tokens), inside=True)


def _asked(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield the paths that stand in the condition of an ``if`` or in a ``select``."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.kind is Kind.WORD and token.text in {"if", "elif"}:
            depth += 1
        if token.kind is Kind.WORD and token.text == "then":
            depth -= 1
        if token.kind is Kind.WORD and token.text == "select" and index + 1 < len(tokens):
            inner = tokens[index + 2 : closing_index(tokens, index + 1)]
            yield from (term.text for at in range(len(inner)) if (term := path_at(inner, at)))
        if depth > 0 and (term := path_at(tokens, index)) is not None:
            yield term.text


def _path_before(tokens: Sequence[Token], end: int) -> PathTerm | None:
    """Return the path that ends right before an index."""
    for start in range(end - 1, -1, -1):
        term = path_at(tokens, start)
        starts_here = start == 0 or not _continues(tokens, start)
        if term is not None and starts_here:
            return term if start + len(term.tokens) == end else None
    return None


def missing_when(expression: str) -> str:
    """Say when an expression plainly gives nothing: ``.spec.id`` is missing; empty when nobody can tell."""
    tokens = unwrapped(_read(expression))
    if any(token.text in {"//", "if", "try"} for token in tokens) or find_unbalanced(tokens):
        return ""
    stages = split_at(tokens, frozenset("|"))
    term = path_at(stages[0], 0)
    if term is not None and len(term.tokens) == len(stages[0]) and term.may_be_missing:
        return f"{term.text} is missing"
    words = {token.text for token in tokens if token.kind is Kind.WORD}
    if words & {"select", "empty"} and not words & {"any", "all", "length", "map", "join"}:
        return "nothing is selected"
    return ""


def root_paths(expression: str) -> Iterator[PathTerm]:
    """Yield the paths that are taken of the whole input: those with no ``|`` before them in any bracket around."""
    tokens = _read(expression)
    piped = [False]
    for index, token in enumerate(tokens):
        if token.kind is Kind.CLOSE and len(piped) > 1:
            piped.pop()
        if token.kind in {Kind.FIELD, Kind.DOT} and not piped[-1] and not (index and _continues(tokens, index)):
            term = path_at(tokens, index)
            if term is not None:
                yield term
        if token.text in {"|", "as", "reduce", "foreach"}:
            piped[-1] = True
        if token.kind is Kind.OPEN:
            piped.append(piped[-1] or _rebinds(tokens, index))


def _rebinds(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether what stands in a bracket has another input: the arguments of functions, mostly."""
    return (
        bool(index) and tokens[index - 1].kind is Kind.WORD and tokens[index - 1].text not in {"first", "last", "not"}
    )
