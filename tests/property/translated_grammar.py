"""Random expressions of the kind that is translated, broken ones among them, and entities that fit them badly.

Everything is decided by one ``random.Random``.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from stageport.mapping.jq_tokens import tokens_of

Json = Any

FIELDS = (
    *("metadata", "spec", "relations", "kind", "name", "title", "type", "targetRef", "tags", "links", "url", "labels"),
    *("annotations", "profile", "email", "owner", "key", "value", "identifier", "status", "items", "x-y"),
)
TEXTS = (
    *("", "a", "ownedBy", "user:default/ann", "group:default/x y", "component:default/a", "a,b,,c", "12", "-3", "007"),
    *("1.5", "nan", "true", "null", '{"a": [1, "b"]}', "[1, 2.0]", "openapi: 3.0.0", "é€😀", "A b\tC\n", "\x7f\x01"),
    *("https://example.com/x", "https://a-b.example.com:8080/é", "a@example.com", " padded ", "ß", "İ", "\u2028"),
    *("\n\n syntax = 1", "aaa", "Owned By", "2024-01-01", "-", "/", ":", '"', "\\", "\u3000", "infinity", "-0", "1e2"),
    *("\x00a", "5\x00", "snan", "sNaN12", "swagger: 1", "+1", "INF", "-nan", "\ufeff{}", "\ufffe", "\U0010ffff"),
)
NUMBERS = (0, 1, -1, 2, 3, 10, 400000, 2**53 - 1, 2**53, 2**53 + 1, 12345678901234567890, -5)
FRACTIONS = (1.0, 0.5, -0.0, 1e17, 1.25, 3.14159, 1e300, -2.5, 1e-7)
PATTERNS = (
    *(
        "^a",
        "a$",
        "[a-z]+",
        "^https?://([a-z0-9]+[-.])*[a-z0-9]+\\\\.[a-z]{2,}",
        "(^|\\\\n)\\\\s*(openapi|syntax)\\\\b",
    ),
    *(
        ":",
        "^(user|group):",
        "\\\\d{1,3}",
        "a|b",
        "^$",
        "[^a-z]",
        ".",
        "\\\\S\\\\s",
        "(a+)+$",
        "a*",
        "\\\\w+@\\\\w+",
        "x?",
    ),
    *(
        "\\\\bx",
        "^\\\\.|-",
        "[[:alpha:]]",
        "(?i)A",
        "a++",
        "a{2}",
        "(a|b)*c",
        "[a-c-]",
        "\\\\x41",
        "^.*\\\\z",
        "(?:ab)+",
    ),
)

FUNCTIONS = (
    *("length", "keys", "not", "type", "tostring", "tojson", "fromjson", "tonumber", "ascii_downcase", "ascii_upcase"),
    *("add", "sort", "unique", "min", "max", "reverse", "flatten", "first", "last", "any", "all", "to_entries"),
    *("from_entries", "values", "nulls", "strings", "numbers", "booleans", "arrays", "objects", "iterables", "scalars"),
    *("empty", "utf8bytelength", "keys_unsorted", "trim", "ltrim", "rtrim", "null", "true", "false"),
)
WITH_TEXT = ("startswith", "endswith", "contains", "has", "split", "join", "ltrimstr", "rtrimstr", "index", "rindex")
WITH_FILTER = (
    *("select", "map", "any", "all", "first", "IN", "with_entries", "sort_by", "unique_by", "group_by", "isempty"),
    *("add", "in"),
)
OPERATORS = ("+", "+", "==", "==", "!=", "<", ">=", "and", "or", "//", "//", "-", "/", "<=", ">")


class Expressions:
    """Writes expressions; ``corpus`` are real ones, to be taken as they are or damaged."""

    def __init__(self, rng: random.Random, corpus: Sequence[str]) -> None:
        self._rng = rng
        self._corpus = corpus
        self._variables: list[str] = []

    def next(self) -> str:
        """Return an expression."""
        match self._rng.randrange(10):
            case 0:
                return self._rng.choice(self._corpus)
            case 1 | 2 | 3:
                return self._damaged(self._rng.choice(self._corpus))
            case 4:
                return self._damaged(self._any(3))
        return self._any(self._rng.randrange(1, 5))

    def _damaged(self, expression: str) -> str:
        """Take out, repeat, swap or replace a token or two."""
        pieces = [token.text for token in tokens_of(expression)] or ["."]
        for _ in range(self._rng.randrange(1, 4)):
            at = self._rng.randrange(len(pieces))
            match self._rng.randrange(5):
                case 0:
                    pieces[at : at + 1] = []
                case 1:
                    pieces.insert(at, self._rng.choice(pieces))
                case 2:
                    pieces[at] = self._rng.choice([*pieces, *OPERATORS, *FUNCTIONS, "|", ",", "?", "(", ")", "[", "]"])
                case 3:
                    pieces.insert(
                        at, self._rng.choice(["?", "[]", ".", "|", "not", ".a", "-", "#", ";", "\f", "as $x |"])
                    )
                case _:
                    pieces[at] = self._any(1)
            pieces = pieces or ["."]
        return self._rng.choice(["", " ", "", "\n"]).join(pieces) if self._rng.randrange(3) else " ".join(pieces)

    def _any(self, depth: int) -> str:
        if depth <= 0:
            return self._leaf()
        forms: tuple[Callable[[int], str], ...] = (
            *(self._path, self._path, self._path, self._pipe, self._pipe, self._pipe, self._call, self._call),
            *(self._operation, self._operation, self._array, self._object, self._condition, self._text, self._binding),
            *(self._relation, self._relation, self._test, self._attempt, self._comma, self._group, self._slice),
        )
        return self._rng.choice(forms)(depth - 1)

    def _leaf(self) -> str:
        leaves = [".", ".", "null", "true", "false", "0", "1", "-1", "400000", "[]", "{}", "empty", self._literal()]
        leaves += [f".{field}" for field in FIELDS if field.isidentifier()] + self._variables * 4
        return self._rng.choice(leaves)

    def _literal(self) -> str:
        return json.dumps(self._rng.choice(TEXTS), ensure_ascii=self._rng.randrange(4) == 0)

    def _path(self, depth: int) -> str:
        del depth
        text = "."
        for _ in range(self._rng.randrange(1, 4)):
            field = self._rng.choice(FIELDS)
            step = f".{field}" if field.isidentifier() and self._rng.randrange(5) else f"[{json.dumps(field)}]"
            text += self._rng.choice([step, step, step, step, "[]", "[0]", "[-1]"]) + self._rng.choice(["", "", "?"])
        return text.replace("..", ".")

    def _relation(self, depth: int) -> str:
        condition = self._rng.choice(['.type == "ownedBy"', f".type == {self._literal()}", self._any(depth)])
        text = f".relations[]{self._rng.choice(['', '?'])} | select({condition}) | .targetRef"
        text += self._rng.choice(["", ' | select(startswith("user:"))', f" | {self._any(depth)}"])
        return self._rng.choice([text, f"[{text}]", f"first({text})", f"[{text}][0]", f"first({text}) // null"])

    def _pipe(self, depth: int) -> str:
        return f"{self._any(depth)} | {self._any(depth)}"

    def _group(self, depth: int) -> str:
        return f"({self._any(depth)})" + self._rng.choice(["", "?", "[]", "[]?", ".name", "[0]", ".key?", "[1:]"])

    def _comma(self, depth: int) -> str:
        return f"{self._any(depth)}, {self._any(depth)}"

    def _operation(self, depth: int) -> str:
        left, right = self._any(depth), self._any(min(depth, 1))
        operator = self._rng.choice(OPERATORS)
        return self._rng.choice([f"{left} {operator} {right}", f"({left}) {operator} ({right})"])

    def _array(self, depth: int) -> str:
        return f"[{self._any(depth)}]"

    def _object(self, depth: int) -> str:
        keys = ["name", "key", "a", '"x y"', f"({self._any(min(depth, 1))})", '"\\(.kind)"']
        pairs = [f"{self._rng.choice(keys)}: {self._value(depth)}" for _ in range(self._rng.randrange(3))]
        extra = ["name", '"title"', *self._variables, "key: .kind"]
        return "{" + ", ".join([*pairs, *self._rng.sample(extra, self._rng.randrange(2))]) + "}"

    def _value(self, depth: int) -> str:
        text = self._any(depth)
        return text if self._rng.randrange(3) == 0 else f"({text})"

    def _condition(self, depth: int) -> str:
        text = f"if {self._any(depth)} then {self._any(depth)}"
        text += self._rng.choice(["", f" elif {self._any(1)} then {self._any(1)}"])
        return text + self._rng.choice(["", f" else {self._any(depth)}"]) + " end"

    def _text(self, depth: int) -> str:
        parts = [self._rng.choice(["", "a", "-", ":", "é"]) + f"\\({self._any(min(depth, 1))})"]
        parts += [f"/\\({self._any(min(depth, 2))})"] * self._rng.randrange(2)
        return '"' + "".join(parts) + '"'

    def _binding(self, depth: int) -> str:
        name = self._rng.choice(["$v", "$w"])
        source = self._any(min(depth, 1))
        self._variables.append(name)
        body = self._any(depth)
        self._variables.pop()
        return f"{source} as {name} | {body}"

    def _attempt(self, depth: int) -> str:
        handler = self._rng.choice(["", " catch null", f" catch ({self._any(min(depth, 1))})", ' catch "no"'])
        return f"try ({self._any(depth)}){handler}"

    def _slice(self, depth: int) -> str:
        return f"({self._any(depth)})" + self._rng.choice(["[1:]", "[:2]", "[-2:]", "[:-1]", "[1:3]", "[1:]?"])

    def _test(self, depth: int) -> str:
        pattern = self._rng.choice(PATTERNS)
        return f'{self._any(min(depth, 1))} | test("{pattern}")'

    def _call(self, depth: int) -> str:
        match self._rng.randrange(3):
            case 0:
                return self._rng.choice(FUNCTIONS) + self._rng.choice(["", "", "?"])
            case 1:
                return f"{self._rng.choice(WITH_TEXT)}({self._rng.choice([self._literal(), self._any(min(depth, 1))])})"
        name = self._rng.choice(WITH_FILTER)
        both = name in {"any", "all"} and self._rng.randrange(2)
        return f"{name}({self._any(depth)}{f'; {self._any(min(depth, 1))}' if both else ''})"


class Entities:
    """Takes real entities and damages them: fields missing, of other types, at every level."""

    def __init__(self, rng: random.Random, corpus: Sequence[Json]) -> None:
        self._rng = rng
        self._corpus = corpus

    def next(self) -> str:
        """Return the JSON of an entity."""
        entity = json.loads(json.dumps(self._rng.choice(self._corpus)))
        for _ in range(self._rng.choice([0, 1, 2, 4, 8, 16])):
            self._damage(entity)
        if not isinstance(entity.get("metadata"), dict):
            entity["metadata"] = {}
        text = json.dumps(entity, ensure_ascii=self._rng.randrange(8) == 0)
        if self._rng.randrange(20) == 0:
            text = text.replace('"kind":', '"kind": -0, "kind":', 1)
        return text

    def _damage(self, entity: Json) -> None:
        place: Json = entity
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                return
            key = self._rng.choice(keys)
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or self._rng.randrange(3) == 0:
                break
            place = inner
        if isinstance(place, dict):
            self._damage_object(place, key)
        else:
            place[key] = self.value(2)

    def _damage_object(self, place: dict[str, Json], key: str) -> None:
        match self._rng.randrange(4):
            case 0:
                del place[key]
            case 1:
                place[self._rng.choice(FIELDS)] = self.value(2)
            case 2:
                place[key] = place.pop(key)
            case _:
                place[key] = self.value(3)

    def value(self, depth: int) -> Json:
        """Return any JSON value."""
        match self._rng.randrange(9):
            case 0 | 1 | 2:
                return self._rng.choice(TEXTS)
            case 3:
                return self._rng.choice([None, None, True, False])
            case 4:
                return self._rng.choice(NUMBERS)
            case 5:
                return self._rng.choice(FRACTIONS)
        if depth <= 0:
            return self._rng.choice([[], {}, "x"])
        if self._rng.randrange(2):
            same = self.value(depth - 1)
            return [self._rng.choice([same, self.value(depth - 1)]) for _ in range(self._rng.randrange(5))]
        return {self._rng.choice(FIELDS): self.value(depth - 1) for _ in range(self._rng.randrange(5))}
