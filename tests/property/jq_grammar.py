"""Random jq expressions that end, and random documents for them; all of it decided by one ``random.Random``."""

import random
from collections.abc import Callable
from typing import Any

KEYS = ("a", "b", "kind", "metadata", "spec", "tags", "name", "x-y")
PLAIN = tuple(key for key in KEYS if key.isidentifier())

CALLS = (
    *(
        "map",
        "select",
        "any",
        "all",
        "sort_by",
        "group_by",
        "unique_by",
        "with_entries",
        "path",
        "paths",
        "first",
        "last",
    ),
    *("isempty", "error", "del", "has", "test", "startswith", "split", "join", "map_values", "debug"),
)
FILTERS = (
    *(
        "length",
        "keys",
        "add",
        "tostring",
        "tojson",
        "fromjson?",
        "type",
        "not",
        "sort",
        "unique",
        "reverse",
        "flatten",
    ),
    *(
        "to_entries",
        "from_entries?",
        "min",
        "max",
        "floor?",
        "ascii_downcase",
        "explode?",
        "tonumber?",
        "@base64",
        "@uri",
    ),
    *(
        "@json",
        "@html",
        "@csv",
        "values",
        "scalars",
        "first",
        "last",
        "transpose?",
        "paths",
        "tostream",
        "debug",
        "stderr",
    ),
    *("limit(2; .[]?)", "range(3)", 'splits(", *")', 'gsub("a"; "b")', 'ltrimstr("a")', "indices(1)", 'getpath(["a"])'),
    "[recurse] | length",
)


class Grammar:
    """Writes expressions; ``depth`` bounds how far they nest."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._variables: list[str] = []

    def expression(self, depth: int = 4) -> str:
        """Return an expression; now and then with comments, odd spacing, or broken."""
        text = self._any(depth)
        match self._rng.randrange(40):
            case 0:
                return text + "  # trailing"
            case 1:
                return f"# leading\n{text}"
            case 2:
                return text + " # backslash \\"
            case 3:
                return text[: self._rng.randrange(len(text) + 1)]
            case 4:
                return text + self._rng.choice([")", "]", " |", ";", "'", '"', ") , (1", " end", "\\"])
            case 5:
                return text.replace(" ", "\n")
        return text

    def document(self, depth: int = 4) -> Any:
        """Return a JSON value, mostly an object."""
        kind = self._rng.randrange(10)
        if depth == 0 or kind < 3:
            return self._rng.choice(
                [
                    None,
                    True,
                    False,
                    0,
                    1,
                    -2,
                    3.5,
                    1e17,
                    12345678901234567890,
                    "",
                    "a",
                    "x y",
                    "é😀",
                    "2024-01-01",
                    '"q"',
                ]
            )
        if kind < 5:
            return [self.document(depth - 1) for _ in range(self._rng.randrange(4))]
        return {key: self.document(depth - 1) for key in self._rng.sample(KEYS, self._rng.randrange(1, 6))}

    def entity(self) -> dict[str, Any]:
        """Return a JSON object with ``metadata``, as a source entity has."""
        return {**{key: self.document(3) for key in KEYS}, "metadata": {key: self.document(2) for key in KEYS[:3]}}

    def _any(self, depth: int) -> str:
        if depth <= 0:
            return self._leaf()
        forms: tuple[Callable[[int], str], ...] = (
            *(
                self._leaf_at,
                self._path,
                self._path,
                self._pipe,
                self._pipe,
                self._comma,
                self._operation,
                self._operation,
            ),
            *(
                self._array,
                self._object,
                self._alternative,
                self._condition,
                self._attempt,
                self._optional,
                self._string,
            ),
            *(self._binding, self._reduction, self._definition, self._label, self._call, self._call, self._call),
        )
        return self._rng.choice(forms)(depth - 1)

    def _leaf_at(self, depth: int) -> str:
        del depth
        return self._leaf()

    def _leaf(self) -> str:
        leaves = [".", "null", "true", "false", "0", "1", "2.50", "-1", '"a"', '""', "[]", "{}", "empty", "1e3", ".."]
        leaves += ['"é\\n\\u20ac"', "error", 'error("x")', "error(null)", "error({a: 1})", "$__loc__", "env", "input?"]
        leaves += [f".{key}" for key in PLAIN] + [f"${name}" for name in self._variables] * 3
        return self._rng.choice(leaves)

    def _path(self, depth: int) -> str:
        del depth
        steps = [f".{key}" for key in PLAIN] * 2 + ['["x-y"]', "[0]", "[-1]", "[1:]", "[:2]", "[]", "[]?", ".a?", "?"]
        head = self._rng.choice([".", ".", *(f".{key}" for key in PLAIN)])
        text = head + "".join(self._rng.choice(steps) for _ in range(self._rng.randrange(4)))
        return text.replace("..", ".")

    def _pipe(self, depth: int) -> str:
        return f"{self._any(depth)} | {self._any(depth)}"

    def _comma(self, depth: int) -> str:
        return f"({self._any(depth)}, {self._any(depth)})"

    def _operation(self, depth: int) -> str:
        operator = self._rng.choice(["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "and", "or", "//"])
        return f"(({self._any(depth)}) {operator} ({self._any(min(depth, 1))}))"

    def _array(self, depth: int) -> str:
        return f"[{self._any(depth)}]"

    def _object(self, depth: int) -> str:
        keys = [f"{self._rng.choice(PLAIN)}: ({self._any(depth)})" for _ in range(self._rng.randrange(3))]
        extra = self._rng.choice(["", "a", '"k": 1', "(.name | tostring): 2", "$__loc__"])
        return "{" + ", ".join([*keys, *([extra] if extra else [])]) + "}"

    def _alternative(self, depth: int) -> str:
        return f"{self._leaf()} // ({self._any(depth)})"

    def _condition(self, depth: int) -> str:
        last = self._rng.choice([f" else {self._any(depth)}", ""])
        return f"if {self._any(depth)} then {self._any(depth)}{last} end"

    def _attempt(self, depth: int) -> str:
        return f"try ({self._any(depth)})" + self._rng.choice(["", f" catch ({self._any(depth)})", " catch ."])

    def _optional(self, depth: int) -> str:
        return f"({self._any(depth)})?"

    def _binding(self, depth: int) -> str:
        pattern, names = self._rng.choice([("$v", ["v"]), ("[$v, $w]", ["v", "w"]), ("{a: $v}", ["v"]), ("$ENV", [])])
        source = self._any(depth)
        self._variables += names
        body = self._any(depth)
        del self._variables[len(self._variables) - len(names) :]
        return f"({source}) as {pattern} | {body}"

    def _reduction(self, depth: int) -> str:
        source = self._rng.choice([".[]?", "(1, 2, 3)", "range(4)", f"({self._any(depth)})"])
        self._variables.append("i")
        first, step = self._leaf(), self._any(min(depth, 1))
        self._variables.pop()
        loops = [f"reduce {source} as $i ({first}; {step})", f"[foreach {source} as $i ({first}; {step})]"]
        return self._rng.choice([*loops, f"foreach {source} as $i (0; .; {step})"])

    def _definition(self, depth: int) -> str:
        name, body = self._rng.choice(["f", "env", "halt", "first", "input"]), self._any(depth)
        # A function sees itself: a body with its own name in it would never end.
        name = "other" if name in body else name
        return f"def {name}: {body}; {self._rng.choice([name, f'[{name}]', f'({name}, 1)'])}"

    def _label(self, depth: int) -> str:
        return f"label $out | ({self._any(depth)}, break $out, {self._any(depth)})"

    def _call(self, depth: int) -> str:
        one = self._rng.choice(CALLS)
        argument = self._any(depth)
        return self._rng.choice([f"{one}({argument})", self._rng.choice(FILTERS), self._rng.choice(FILTERS)])

    def _string(self, depth: int) -> str:
        return f'"x\\({self._any(depth)})y"'
