"""How many outputs a part of an expression gives: exactly one (or an error), or any number."""

from collections.abc import Callable
from typing import Final

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
    Variable,
)

STREAMS: Final = frozenset(
    (
        *("empty", "select", "first", "values", "nulls", "strings", "booleans", "numbers", "arrays", "objects"),
        *("iterables", "scalars", "recurse", "last"),
    )
)
"""Functions that may give no output, or several."""

CONSUMERS: Final = frozenset(
    ("map", "any", "all", "IN", "isempty", "add", "sort_by", "unique_by", "group_by", "with_entries")
)
"""Functions that give one output whatever their arguments give."""


def gives_one(node: Node) -> bool:
    """Tell whether a part gives exactly one output, or an error."""
    return _RULES[type(node)](node)


def _all(*nodes: Node) -> bool:
    return all(map(gives_one, nodes))


def _call(node: Call) -> bool:
    if node.name in STREAMS:
        return node.name in {"first", "last"} and not node.arguments
    return node.name in CONSUMERS or _all(*node.arguments)


_RULES: Final[dict[type[Node], Callable[..., bool]]] = {
    Identity: lambda _: True,
    Constant: lambda _: True,
    Variable: lambda _: True,
    Array: lambda _: True,
    Each: lambda _: False,
    Comma: lambda _: False,
    Attempt: lambda _: False,
    Index: lambda node: not node.optional and _all(node.base, node.key),
    Slice: lambda node: not node.optional and gives_one(node.base),
    Text: lambda node: _all(*node.parts),
    Object: lambda node: all(_all(key, value) for key, value in node.pairs),
    Pipe: lambda node: _all(node.left, node.right),
    Alternative: lambda node: gives_one(node.right) and gives_at_most_one(node.left),
    Binary: lambda node: _all(node.left, node.right),
    Logic: lambda node: _all(node.left, node.right),
    Condition: lambda node: _all(node.test, node.chosen, node.otherwise),
    Binding: lambda node: _all(node.source, node.body),
    Call: _call,
}


def gives_at_most_one(node: Node) -> bool:
    """Tell whether a part plainly gives no second output."""
    return gives_one(node) or _at_most_one(node)


def _at_most_one(node: Node) -> bool:
    found = False
    match node:
        case Index(base, key):
            found = gives_at_most_one(base) and gives_one(key)
        case Slice(base):
            found = gives_at_most_one(base)
        case Pipe(left, right) | Alternative(left, right):
            found = gives_at_most_one(left) and gives_at_most_one(right)
        case Condition(test, chosen, otherwise):
            found = gives_one(test) and gives_at_most_one(chosen) and gives_at_most_one(otherwise)
        case Attempt(body, None):
            found = gives_at_most_one(body)
        case Call("select", (test,)):
            found = gives_one(test)
        case Call(name, arguments):
            found = name in STREAMS and name != "recurse" and (not arguments or name in {"first", "last"})
        case _:
            pass
    return found
