"""Regular expressions that mean the same in jq (Oniguruma) and in Python, and can exhaust neither.

A pattern is read into a small tree and written anew for Python; what both engines do not treat alike (back
references, look-around, Unicode, flags, possessive quantifiers …) is ``Untranslated``. Only ASCII texts are matched so:
there, classes such as "white space" are the same everywhere.

Backtracking engines can take exponential time, and Oniguruma gives up with an error after ten million steps. So it is
proven of each pattern that it cannot come to that: all reachable states of its automaton are walked through, counting
in how many ways each position can be reached by the same text. If that number has a small bound, so has the time.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from stageport.mapping.translation.positions import prove_bounded
from stageport.mapping.translation.syntax import Untranslated
from stageport.mapping.translation.values import JqError, Unproven

LONGEST: Final = 400
DEEPEST: Final = 10
MOST_REPEATS: Final = 30
LONGEST_SUBJECT: Final = 100_000

Tree = tuple[Any, ...]
"""``("set", mask)``, ``("anchor", text)``, ``("sequence", parts)``, ``("choice", parts)``, ``("repeat", part, least,
most)``; a mask has one bit for each ASCII character, ``most`` is None where there is no bound."""

ALL: Final = (1 << 128) - 1


def mask_of(characters: str) -> int:
    """Return the set of some characters as bits."""
    return sum(1 << ord(character) for character in set(characters))


_DIGITS: Final = mask_of("0123456789")
_WORD: Final = _DIGITS | mask_of("_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SPACES: Final = mask_of("\t\n\v\f\r ")
_CLASSES: Final = {
    "d": _DIGITS,
    "w": _WORD,
    "s": _SPACES,
    "D": ALL & ~_DIGITS,
    "W": ALL & ~_WORD,
    "S": ALL & ~_SPACES,
    "n": mask_of("\n"),
    "r": mask_of("\r"),
    "t": mask_of("\t"),
    "f": mask_of("\f"),
}
_ANCHORS: Final = {"^": r"\A", r"\A": r"\A", "$": "$", r"\Z": "$", r"\z": r"\Z", r"\b": r"\b"}
"""How Python writes each; jq's ``^`` and ``$`` do not look at lines."""

_COUNTS: Final = re.compile(r"\{([0-9]{1,2})(,)?([0-9]{1,2})?\}")
_HEX: Final = re.compile(r"[0-7][0-9a-fA-F]")


def compile_pattern(pattern: str) -> Callable[[Any], bool]:
    """Return what tells whether the pattern occurs in a text.

    Raises:
        Untranslated: it has not been proven to mean the same in both engines.
    """
    if len(pattern) > LONGEST or not pattern.isascii() or not pattern:
        raise Untranslated
    tree = _Reader(pattern).whole()
    most = prove_bounded(tree)
    search = re.compile(write_pattern(tree), re.ASCII).search
    longest = LONGEST_SUBJECT // most

    def occurs(text: Any) -> bool:
        if text.__class__ is not str:
            raise JqError
        if len(text) > longest or not text.isascii():
            raise Unproven
        return search(text) is not None

    return occurs


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._choice()
        if self._at < len(self._pattern):
            raise Untranslated
        return tree

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise Untranslated
        self._at += 1
        return character

    def _choice(self) -> Tree:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Untranslated
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else ("choice", tuple(parts))

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        while self._peek() not in {"", "|", ")"}:
            parts.append(self._repeated(self._atom()))
        if not parts:
            raise Untranslated
        return parts[0] if len(parts) == 1 else ("sequence", tuple(parts))

    def _repeated(self, atom: Tree) -> Tree:
        sign = self._peek()
        if sign not in {"*", "+", "?", "{"}:
            return atom
        if atom[0] == "anchor":
            raise Untranslated
        least, most = self._braces() if sign == "{" else self._sign()
        # Lazy, possessive and doubled quantifiers: some of them change what is found.
        if self._peek() in {"*", "+", "?", "{"} and self._peek():
            raise Untranslated
        return ("repeat", atom, least, most)

    def _sign(self) -> tuple[int, int | None]:
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[self._next()]

    def _braces(self) -> tuple[int, int | None]:
        found = _COUNTS.match(self._pattern, self._at)
        if not found:
            raise Untranslated
        self._at = found.end()
        least = int(found[1])
        most = (int(found[3]) if found[3] else None) if found[2] else (None if found[3] else least)
        if least > MOST_REPEATS or (most is not None and not 0 < max(1, least) <= most <= MOST_REPEATS):
            raise Untranslated
        return least, most

    def _atom(self) -> Tree:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return ("set", self._class())
        if character == ".":
            return ("set", ALL & ~mask_of("\n"))
        if character in "^$":
            return ("anchor", _ANCHORS[character])
        if character == "\\":
            return self._escaped()
        if character in "*+?{}])":
            raise Untranslated
        return ("set", mask_of(character))

    def _group(self) -> Tree:
        if self._pattern.startswith("?:", self._at):
            self._at += 2
        if self._peek() in {"?", "*"}:
            raise Untranslated
        tree = self._choice()
        if self._next() != ")":
            raise Untranslated
        return tree

    def _escaped(self) -> Tree:
        anchor = _ANCHORS.get("\\" + self._peek())
        if anchor is None:
            return ("set", self._escape())
        self._at += 1
        return ("anchor", anchor)

    def _escape(self) -> int:
        """Read what follows a backslash, as a set."""
        character = self._next()
        if character in _CLASSES:
            return _CLASSES[character]
        if character == "x":
            found = _HEX.match(self._pattern, self._at)
            if not found:
                raise Untranslated
            self._at = found.end()
            return 1 << int(found[0], 16)
        if character.isalnum() or character in "_<>`'" or ord(character) < 32:
            raise Untranslated
        return mask_of(character)

    def _class(self) -> int:
        negated = self._peek() == "^"
        self._at += negated
        if self._peek() == "]":
            raise Untranslated
        members, begun = 0, self._at
        while (character := self._next()) != "]":
            if character == "-" and self._at - 1 > begun and self._peek() != "]":
                raise Untranslated  # a dash in the middle of a class is read differently by different engines
            members |= self._member(character)
        if not members:
            raise Untranslated
        return ALL & ~members if negated else members

    def _member(self, character: str) -> int:
        first = self._single(character)
        if self._peek() != "-":
            return first
        after = self._pattern[self._at + 1 : self._at + 2]
        if after == "]":
            return first
        if character == "-":
            raise Untranslated
        self._at += 1
        last = self._single(self._next())
        low, high = first.bit_length() - 1, last.bit_length() - 1
        if first.bit_count() != 1 or last.bit_count() != 1 or low > high:
            raise Untranslated
        return sum(1 << code for code in range(low, high + 1))

    def _single(self, character: str) -> int:
        if character == "\\":
            return self._escape()
        # Oniguruma knows classes within classes, and their intersection.
        if character == "[" or (character == "&" and self._peek() == "&"):
            raise Untranslated
        return mask_of(character)


def write_pattern(tree: Tree) -> str:
    """Return a tree as a pattern for Python."""
    kind, content = tree[0], tree[1]
    if kind == "set":
        return _write_set(content)
    if kind == "anchor":
        return str(content)
    if kind == "sequence":
        return "".join(map(write_pattern, content))
    if kind == "choice":
        return f"(?:{'|'.join(map(write_pattern, content))})"
    least, most = tree[2:]
    inner = write_pattern(content) if content[0] == "set" else f"(?:{write_pattern(content)})"
    bounds = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most))
    return inner + (bounds or f"{{{least},{'' if most is None else most}}}")


def _write_set(members: int) -> str:
    codes = [code for code in range(128) if members >> code & 1]
    if len(codes) == 1:
        return re.escape(chr(codes[0]))
    runs: list[list[int]] = []
    for code in codes:
        if runs and runs[-1][-1] == code - 1:
            runs[-1][1:] = [code]
        else:
            runs.append([code])
    return "[" + "".join("-".join(f"\\x{code:02x}" for code in run) for run in runs) + "]"
