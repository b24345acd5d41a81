"""A jq expression as its tokens: enough to point at a place in it, and to see what it plainly does.

This is no parser. jq itself decides what compiles; whoever asks here wants a better message, or to warn of a habit
that goes wrong, and says nothing where the text is not plain.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """What a token is."""

    STRING = auto()
    FIELD = auto()
    DOT = auto()
    NUMBER = auto()
    VARIABLE = auto()
    FORMAT = auto()
    WORD = auto()
    OPEN = auto()
    CLOSE = auto()
    OPERATOR = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression, from ``start`` up to ``end``."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the next character stands."""
        return self.start + len(self.text)


CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
KEYWORDS: Final = frozenset(
    ("and", "or", "not", "if", "then", "elif", "else", "end", "as", "def", "reduce", "foreach", "try", "catch", "label")
)

_PLAIN: Final = re.compile(
    r"""(?P<SPACE>\s+|\#(?:\\.|[^\\\n\r])*)
      | (?P<FIELD>\.[A-Za-z_]\w*)
      | (?P<NUMBER>\.?\d[\d.]*(?:[eE][-+]?\d+)?)
      | (?P<DOT>\.\.?)
      | (?P<VARIABLE>\$[A-Za-z_]\w*(?:::\w+)*)
      | (?P<FORMAT>@[A-Za-z0-9_]+)
      | (?P<WORD>[A-Za-z_]\w*(?:::\w+)*)
      | (?P<OPEN>[(\[{])
      | (?P<CLOSE>[)\]}])
      | (?P<OPERATOR>\?//=?|//=?|[|+\-*/%=!<>]=|[|,;:?+\-*/%<>=])
      | (?P<OTHER>.)""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)


def tokens_of(expression: str) -> tuple[Token, ...]:
    """Return the tokens of an expression, without spaces and comments; whatever it holds, all of it is passed over."""
    return tuple(_tokens(expression))


def _tokens(expression: str) -> Iterator[Token]:
    at = 0
    while at < len(expression):
        if expression[at] == '"':
            end = _string_end(expression, at) or len(expression)
            yield Token(Kind.STRING, expression[at:end], at)
            at = end
            continue
        found = _PLAIN.match(expression, at)
        assert found is not None, "the last alternative takes any character"
        assert found.lastgroup is not None
        if found.lastgroup != "SPACE":
            yield Token(Kind[found.lastgroup], found[0], at)
        at = found.end()


def _string_end(expression: str, start: int) -> int | None:
    """Return where a string ends, whatever is interpolated in it; None when it never does."""
    return end_of(expression, start + 1, opened='"')


def _interpolation_end(expression: str, start: int) -> int:
    return end_of(expression, start, opened="(") or len(expression)


def end_of(expression: str, at: int, *, opened: str) -> int | None:
    """Return where the string or the bracket ends that was opened before a place, None when it never does.

    Strings hold expressions, which hold strings; a stack is kept instead of calls, for nobody bounds the depth.
    """
    stack = [opened]
    while at < len(expression):
        character = expression[at]
        in_string = stack[-1] == '"'
        if in_string and character == "\\":
            if expression.startswith("\\(", at):
                stack.append("(")
            at += 2
            continue
        if character == ('"' if in_string else ")"):
            stack.pop()
        elif not in_string and character in '"(':
            stack.append(character)
        at += 1
        if not stack:
            return at
    return None


def interpolations(string: Token) -> Iterator[tuple[str, int]]:
    """Yield what is interpolated in a string token, with the place of each in the whole expression."""
    at = 1
    while at < len(string.text):
        if string.text.startswith("\\(", at):
            end = _interpolation_end(string.text, at + 2)
            yield string.text[at + 2 : end - 1], string.start + at + 2
            at = end
        else:
            at += 2 if string.text[at] == "\\" else 1


def is_finished(string: Token) -> bool:
    """Tell whether a string token has its closing quote."""
    return _string_end(string.text, 0) is not None


@dataclass(frozen=True, slots=True)
class Unbalanced:
    """A bracket without its counterpart, or a string without its end."""

    token: Token
    message: str


def find_unbalanced(tokens: Sequence[Token]) -> Unbalanced | None:
    """Return the first thing that is opened and never closed, or closed and never opened."""
    opened: list[Token] = []
    for token in tokens:
        if token.kind is Kind.STRING and not is_finished(token):
            return Unbalanced(token, "this string is never closed")
        if token.kind is Kind.OPEN:
            opened.append(token)
        if token.kind is Kind.CLOSE:
            if not opened:
                return Unbalanced(token, f"this '{token.text}' closes nothing")
            before = opened.pop()
            if CLOSERS[before.text] != token.text:
                return Unbalanced(before, f"this '{before.text}' is closed by '{token.text}'")
    return Unbalanced(opened[-1], f"this '{opened[-1].text}' is never closed") if opened else None


def depths_of(tokens: Sequence[Token]) -> list[int]:
    """Return how many brackets are open around each token; a bracket counts as outside of itself."""
    depths, depth = [], 0
    for token in tokens:
        depth -= token.kind is Kind.CLOSE
        depths.append(depth)
        depth += token.kind is Kind.OPEN
    return depths


def closing_index(tokens: Sequence[Token], at: int) -> int:
    """Return the index of the bracket that closes the one at an index; the last index when none does."""
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index].kind is Kind.OPEN) - (tokens[index].kind is Kind.CLOSE)
        if depth == 0:
            return index
    return len(tokens) - 1


def split_at(tokens: Sequence[Token], operators: frozenset[str]) -> list[Sequence[Token]]:
    """Cut tokens at the operators that stand outside all brackets."""
    parts: list[Sequence[Token]] = []
    start = 0
    for index, (token, depth) in enumerate(zip(tokens, depths_of(tokens), strict=True)):
        if depth == 0 and token.text in operators and token.kind in {Kind.OPERATOR, Kind.WORD}:
            parts.append(tokens[start:index])
            start = index + 1
    return [*parts, tokens[start:]]


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and the column of an offset; both count from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def offset_of(text: str, *, line: int, column: int) -> int:
    """Return the offset of a line and a column, at most the end of the text."""
    lines = text.split("\n")
    before = sum(len(one) + 1 for one in lines[: line - 1])
    return min(before + column - 1, len(text))
