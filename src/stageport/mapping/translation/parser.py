"""Reading an expression. Whatever is accepted here, jq accepts, and reads in the same way.

jq's own grammar decides; this one is narrower on purpose. What is rare, or read differently by different versions
of jq, is ``Untranslated``.
"""

import re
from collections.abc import Container
from typing import Final

from stageport.mapping.jq_tokens import KEYWORDS, Kind, Token, tokens_of
from stageport.mapping.translation.literals import end_of_interpolation, read_literal
from stageport.mapping.translation.syntax import (
    Alternative,
    Array,
    Attempt,
    Binary,
    Binding,
    Call,
    Comma,
    Condition,
    Constant,
    Each,
    Identity,
    Index,
    Logic,
    Node,
    Object,
    Pipe,
    Slice,
    Text,
    Untranslated,
    Variable,
    is_constant,
    made_optional,
    may_be_key,
)

LONGEST: Final = 4096
DEEPEST: Final = 30
"""Characters and levels of brackets that are read; jq has to take longer and deeper expressions."""

_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,14})")
_ODD_SPACE: Final = re.compile(r"[^\S \n\t\r]|#")
_PIECES: Final = re.compile(r'\\\(|\\.|"', re.DOTALL)
_CONSTANTS: Final = {"null": None, "true": True, "false": False}
_RESERVED: Final = (KEYWORDS - {"not"}) | {"import", "include", "module", "__loc__"}
_COMPARISONS: Final = frozenset(("==", "!=", "<", "<=", ">", ">="))
_LEVELS: Final = (frozenset(("or",)), frozenset(("and",)), _COMPARISONS, frozenset("+-"), frozenset("*/%"))
"""Binary operators, loosest first; ``//`` binds more loosely than all of them."""


def parse(expression: str, *, functions: Container[tuple[str, int]]) -> Node:
    """Return the tree of an expression; ``functions`` it may call, by name and number of arguments.

    Raises:
        Untranslated: it lies outside what is read here; it may still be good jq.
    """
    if len(expression) > LONGEST:
        raise Untranslated
    return _parse(expression, depth=0, known=frozenset(), functions=functions)


def _parse(expression: str, *, depth: int, known: frozenset[str], functions: Container[tuple[str, int]]) -> Node:
    parser = _Parser(expression, depth=depth, known=known, functions=functions)
    node = parser.pipe()
    parser.expect_end()
    return node


class _Parser:
    def __init__(
        self, expression: str, *, depth: int, known: frozenset[str], functions: Container[tuple[str, int]]
    ) -> None:
        self._tokens = tokens_of(expression)
        self._refuse_odd_space(expression)
        self._at = 0
        self._depth = depth
        self._known = known
        self._functions = functions

    def _refuse_odd_space(self, expression: str) -> None:
        """Refuse comments, and white space that is none in jq; within strings both are plain characters."""
        outside = expression
        for token in reversed(self._tokens):
            if token.kind is Kind.STRING:
                outside = outside[: token.start] + outside[token.end :]
        if _ODD_SPACE.search(outside):
            raise Untranslated

    @property
    def _token(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _text(self) -> str:
        token = self._token
        return "" if token is None or token.kind is Kind.STRING else token.text

    def _take(self, text: str) -> bool:
        found = self._text() == text
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise Untranslated

    def expect_end(self) -> None:
        """Refuse whatever is left."""
        if self._token is not None:
            raise Untranslated

    def _touches(self) -> bool:
        """Tell whether the present token follows the one before it without a space."""
        token = self._token
        return token is not None and self._at > 0 and self._tokens[self._at - 1].end == token.start

    def pipe(self) -> Node:
        """Read ``a | b``, the loosest of all."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise Untranslated
        left = self._comma()
        node = Pipe(left, self.pipe()) if self._take("|") else left
        self._depth -= 1
        return node

    def _comma(self) -> Node:
        node = self._alternative(fresh=True)
        while self._take(","):
            node = Comma(node, self._alternative(fresh=True))
        return node

    def _alternative(self, *, fresh: bool) -> Node:
        left = self._binary(0, fresh=fresh)
        return Alternative(left, self._alternative(fresh=False)) if self._take("//") else left

    def _binary(self, level: int, *, fresh: bool) -> Node:
        if level == len(_LEVELS):
            return self._operand(fresh=fresh)
        node = self._binary(level + 1, fresh=fresh)
        while (operator := self._text()) in _LEVELS[level]:
            self._at += 1
            right = self._binary(level + 1, fresh=False)
            node = Logic(operator, node, right) if level < 2 else Binary(operator, node, right)
            if operator in _COMPARISONS and self._text() in _COMPARISONS:
                raise Untranslated  # jq's comparisons do not chain
        return node

    def _operand(self, *, fresh: bool) -> Node:
        """Read an operand; only a ``fresh`` one, that no operator precedes, may be bound or tried."""
        if self._take("-"):
            value = self._whole_number()
            if value == 0:
                raise Untranslated  # jq knows a negative zero
            return Constant(-value)
        if self._text() == "try":
            return self._attempt(fresh=fresh)
        node = self._postfix()
        return self._binding(node, fresh=fresh) if self._text() == "as" else node

    def _attempt(self, *, fresh: bool) -> Node:
        if not fresh:
            raise Untranslated
        self._expect("try")
        body = self._postfix()
        return Attempt(body, self._postfix() if self._take("catch") else None)

    def _binding(self, source: Node, *, fresh: bool) -> Node:
        if not fresh:
            raise Untranslated
        self._expect("as")
        name = self._variable_name()
        self._expect("|")
        before, self._known = self._known, self._known | {name}
        body = self.pipe()
        self._known = before
        return Binding(source, name, body)

    def _variable_name(self) -> str:
        token = self._token
        if token is None or token.kind is not Kind.VARIABLE or "::" in token.text or token.text[1:] in _RESERVED:
            raise Untranslated
        self._at += 1
        return token.text

    def _term(self) -> Node:
        token = self._token
        if token is None or token.kind not in self._terms:
            raise Untranslated
        self._at += 1
        return self._terms[token.kind](self, token)

    def _field(self, token: Token) -> Node:
        return Index(Identity(), Constant(token.text[1:]))

    def _dot(self, token: Token) -> Node:
        if token.text != ".":
            raise Untranslated
        following = self._token
        if following is None or following.kind is not Kind.STRING:
            return Identity()
        if not self._touches():
            raise Untranslated
        self._at += 1
        return Index(Identity(), self._string(following))

    def _number(self, token: Token) -> Node:
        if not _NUMBER.fullmatch(token.text):
            raise Untranslated
        return Constant(int(token.text))

    def _whole_number(self) -> int:
        token = self._token
        if token is None or not _NUMBER.fullmatch(token.text):
            raise Untranslated
        self._at += 1
        return int(token.text)

    def _variable(self, token: Token) -> Node:
        if token.text not in self._known:
            raise Untranslated
        return Variable(token.text)

    def _word(self, token: Token) -> Node:
        if token.text in _CONSTANTS:
            return Constant(_CONSTANTS[token.text])
        if token.text == "if":
            return self._condition()
        if token.text in _RESERVED or "::" in token.text:
            raise Untranslated
        arguments: list[Node] = []
        if self._take("("):
            arguments.append(self.pipe())
            while self._take(";"):
                arguments.append(self.pipe())
            self._expect(")")
        if (token.text, len(arguments)) not in self._functions:
            raise Untranslated
        return Call(token.text, tuple(arguments))

    def _condition(self) -> Node:
        test = self.pipe()
        self._expect("then")
        chosen = self.pipe()
        if self._take("elif"):
            return Condition(test, chosen, self._condition())
        otherwise = self.pipe() if self._take("else") else Identity()
        self._expect("end")
        return Condition(test, chosen, otherwise)

    def _open(self, token: Token) -> Node:
        if token.text == "{":
            return self._object()
        if token.text == "[" and self._take("]"):
            return Array(None)
        body = self.pipe()
        self._expect("]" if token.text == "[" else ")")
        return Array(body) if token.text == "[" else body

    def _object(self) -> Node:
        pairs: list[tuple[Node, Node]] = []
        while not self._take("}"):
            pairs.append(self._pair())
            if self._text() != "}":
                self._expect(",")
                if self._text() == "}":
                    raise Untranslated
        return Object(tuple(pairs))

    def _pair(self) -> tuple[Node, Node]:
        token = self._token
        if token is None:
            raise Untranslated
        if token.kind is Kind.VARIABLE:
            name = self._variable_name()
            return Constant(name[1:]), self._variable(token)
        key = self._key(token)
        if self._take(":"):
            return key, self._object_value()
        if not is_constant(key, str):
            raise Untranslated
        return key, Index(Identity(), key)

    def _key(self, token: Token) -> Node:
        self._at += 1
        if token.kind is Kind.WORD and token.text not in _RESERVED and "::" not in token.text:
            return Constant(token.text)
        if token.kind is Kind.STRING:
            return self._string(token)
        if token.text == "(":
            key = self.pipe()
            self._expect(")")
            if not may_be_key(key):
                raise Untranslated
            return key
        raise Untranslated

    def _object_value(self) -> Node:
        """Read a value of an object: anything but a comma or a binding."""
        left = self._alternative(fresh=False)
        return Pipe(left, self._object_value()) if self._take("|") else left

    def _string(self, token: Token) -> Node:
        """Read a string and what is interpolated in it."""
        parts: list[Node] = []
        text, start, at = token.text, 1, 1
        while (found := _PIECES.search(text, at)) is not None:
            at = found.end()
            if found[0] == '"':
                break
            if found[0] != "\\(":
                continue
            parts.append(read_literal(text[start : found.start()]))
            end = end_of_interpolation(text, at)
            parts.append(self._nested(text[at : end - 1]))
            start = at = end
        if found is None or at != len(text):
            raise Untranslated
        parts.append(read_literal(text[start : at - 1]))
        return parts[0] if len(parts) == 1 else Text(tuple(part for part in parts if part != Constant("")))

    def _nested(self, expression: str) -> Node:
        return _parse(expression, depth=self._depth + 1, known=self._known, functions=self._functions)

    def _postfix(self) -> Node:
        """Read a term and the steps behind it."""
        grouped = self._text() == "("
        node = self._term()
        while (token := self._token) is not None:
            if token.text == "[" and token.kind is Kind.OPEN:
                node = self._bracket(node)
            elif token.kind is Kind.FIELD and self._touches():
                self._at += 1
                node = Index(node, Constant(token.text[1:]))
            elif token.kind is Kind.DOT and self._touches():
                node = self._dotted(node, token)
            elif token.text == "?" and token.kind is Kind.OPERATOR:
                self._at += 1
                # In (.a.b)? every error counts, in .a.b? only that of the last step.
                node = Attempt(node) if grouped else made_optional(node)
            else:
                break
            grouped = False
        return node

    def _dotted(self, node: Node, token: Token) -> Node:
        self._at += 1
        following = self._token
        if token.text != "." or following is None or not self._touches():
            raise Untranslated
        if following.kind is Kind.STRING:
            self._at += 1
            return Index(node, self._string(following))
        if following.text != "[":
            raise Untranslated
        step = self._bracket(node)
        if isinstance(step, Slice):
            raise Untranslated
        return step

    def _bracket(self, base: Node) -> Node:
        self._expect("[")
        if self._take("]"):
            return Each(base)
        if self._take(":"):
            return self._slice(base, None)
        before = self._at
        key = self.pipe()
        if self._take("]"):
            return Index(base, key)
        self._at = before
        start = self._signed()
        self._expect(":")
        return self._slice(base, start)

    def _slice(self, base: Node, start: int | None) -> Node:
        stop = None if start is not None and self._text() == "]" else self._signed()
        self._expect("]")
        return Slice(base, start, stop)

    def _signed(self) -> int:
        return -self._whole_number() if self._take("-") else self._whole_number()

    _terms: Final = {
        Kind.FIELD: _field,
        Kind.DOT: _dot,
        Kind.NUMBER: _number,
        Kind.VARIABLE: _variable,
        Kind.WORD: _word,
        Kind.OPEN: _open,
        Kind.STRING: _string,
    }
