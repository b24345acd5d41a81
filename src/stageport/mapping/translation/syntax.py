"""The syntax tree of the part of jq that is translated."""

from typing import Any

import msgspec

Scalar = str | int | bool | None


class Untranslated(Exception):  # noqa: N818 - no error: libjq evaluates the expression then
    """The expression lies outside what is translated, or nobody has proven what it gives."""


class Node(msgspec.Struct, frozen=True):
    """Any part of an expression."""


class Identity(Node, frozen=True):
    """``.``."""


class Constant(Node, frozen=True):
    """A string without interpolation, a whole number, ``true``, ``false``, ``null``."""

    value: Scalar


class Variable(Node, frozen=True):
    """``$name``."""

    name: str


class Index(Node, frozen=True):
    """``base.name``, ``base[key]``; with ``optional`` nothing where ``base`` cannot be indexed so."""

    base: Node
    key: Node
    optional: bool = False


class Slice(Node, frozen=True):
    """``base[start:stop]``, both of them whole numbers or left out."""

    base: Node
    start: int | None
    stop: int | None
    optional: bool = False


class Each(Node, frozen=True):
    """``base[]``; with ``optional`` nothing where ``base`` holds no values."""

    base: Node
    optional: bool = False


class Text(Node, frozen=True):
    """A string with interpolated expressions."""

    parts: tuple[Node, ...]


class Array(Node, frozen=True):
    """``[body]``; an empty array without a body."""

    body: Node | None


class Object(Node, frozen=True):
    """``{key: value, …}``."""

    pairs: tuple[tuple[Node, Node], ...]


class Pipe(Node, frozen=True):
    """``left | right``."""

    left: Node
    right: Node


class Comma(Node, frozen=True):
    """``left, right``."""

    left: Node
    right: Node


class Alternative(Node, frozen=True):
    """``left // right``."""

    left: Node
    right: Node


class Binary(Node, frozen=True):
    """Arithmetic and comparison."""

    operator: str
    left: Node
    right: Node


class Logic(Node, frozen=True):
    """``left and right``, ``left or right``."""

    operator: str
    left: Node
    right: Node


class Condition(Node, frozen=True):
    """``if test then chosen else otherwise end``."""

    test: Node
    chosen: Node
    otherwise: Node


class Binding(Node, frozen=True):
    """``source as $name | body``."""

    source: Node
    name: str
    body: Node


class Attempt(Node, frozen=True):
    """``try body catch handler``, ``body?``."""

    body: Node
    handler: Node | None = None


class Call(Node, frozen=True):
    """A function of jq's own."""

    name: str
    arguments: tuple[Node, ...] = ()


def is_constant(node: Node, kind: Any) -> bool:
    """Tell whether a node is a constant of exactly this type."""
    return isinstance(node, Constant) and type(node.value) is kind


def made_optional(node: Node) -> Node:
    """Apply ``?``: on a step of a path it concerns that step alone, on anything else the whole."""
    match node:
        case Index(base, key, False):
            return Index(base, key, optional=True)
        case Slice(base, start, stop, False):
            return Slice(base, start, stop, optional=True)
        case Each(base, False):
            return Each(base, optional=True)
        case _:
            return Attempt(node)


def may_be_key(node: Node) -> bool:
    """Tell whether a computed key compiles: jq works constants out before, and refuses those that are no strings."""
    while isinstance(node, Pipe) and Identity() in (node.left, node.right):
        node = node.left if node.right == Identity() else node.right
    if isinstance(node, Pipe):
        return isinstance(node.right, Index | Text | Call | Variable)
    return isinstance(node, Index | Text | Call | Variable) or is_constant(node, str)
