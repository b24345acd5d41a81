"""What those who write code for a node work with: values and streams of other nodes, conditions, loops.

Each kind of node is written in one of two ways. Where it gives exactly one output, ``value`` writes what computes it
and returns its name. Otherwise ``emit`` writes what computes the outputs one by one, with what is to be done with each
(``then``, which writes that) in the innermost place. The function's own ``then`` is ``return``: so it ends with the
first output, which is all that counts, and what would have come after it is never computed.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from stageport.mapping.translation.outputs import gives_one
from stageport.mapping.translation.syntax import (
    Binary,
    Call,
    Constant,
    Logic,
    Node,
    Pipe,
    Untranslated,
    is_constant,
)
from stageport.mapping.translation.writer import Writer

Then = Callable[[str], None]
ValueWriter = Callable[["Emitter", Any, str], str]
StreamWriter = Callable[["Emitter", Any, str, Then], None]
ConditionWriter = Callable[["Emitter", str, tuple[Node, ...]], str]

MOST_NODES: Final = 2000
"""How many nodes are written, repetitions included, before jq is left to it."""

NOTHING: Final = ""
"""In the place of an input: nobody knows it, so what needs it cannot be translated."""

ORDER: Final = {"<": "less({0}, {1})", ">": "less({1}, {0})", "<=": "not less({1}, {0})", ">=": "not less({0}, {1})"}
"""How two values of which one comes first are compared."""


class Emitter:
    """Writes one function, with the writers of all kinds of nodes."""

    def __init__(
        self,
        *,
        values: Mapping[type[Node], ValueWriter],
        streams: Mapping[type[Node], StreamWriter],
        conditions: Mapping[tuple[str, int], ConditionWriter],
    ) -> None:
        self.writer = Writer()
        self.attempts = 0
        """How many ``try`` there are around the present place: there, jq's errors must not be mistaken."""
        self.variables: dict[str, str] = {}
        self._values = values
        self._streams = streams
        self._conditions = conditions
        self._booleans: set[str] = set()
        self._nodes = 0

    def translate(self, node: Node) -> None:
        """Write the whole function.

        Raises:
            Untranslated: some part of it lies outside what is translated.
        """
        self.emit(node, "v0", lambda output: self.writer.line(f"return {output}"))

    def block(self, head: str) -> AbstractContextManager[None]:
        """Begin a block."""
        return self.writer.block(head)

    def let(self, expression: str, *, boolean: bool = False) -> str:
        """Give a value a name."""
        name = self.writer.let(expression)
        if boolean:
            self._booleans.add(name)
        return name

    def value(self, node: Node, given: str) -> str:
        """Write what computes the only output of a node, and return its name."""
        self._count()
        return self._values[type(node)](self, node, given)

    def emit(self, node: Node, given: str, then: Then) -> None:
        """Write what computes the outputs of a node, and does something with each."""
        self._count()
        if gives_one(node):
            then(self.value(node, given))
        elif type(node) in self._streams:
            self._streams[type(node)](self, node, given, then)
        else:
            raise Untranslated

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise Untranslated

    def emit_all(self, nodes: Sequence[Node], given: str, then: Callable[[list[str]], None]) -> None:
        """Write every combination of the outputs of some nodes; the last node's change most slowly."""
        if not nodes:
            then([])
            return
        *others, last = nodes
        self.emit(last, given, lambda output: self.emit_all(others, given, lambda names: then([*names, output])))

    def gather(self, node: Node, given: str, *, into: str = "") -> str:
        """Write what puts all outputs of a node into a list, and return its name."""
        made = into or self.let("[]")
        self.emit(node, given, lambda output: self.writer.line(f"{made}.append({output})"))
        return made

    def loop(self, base: str, then: Then, *, optional: bool = False) -> None:
        """Write a loop over the values of an array or an object."""
        name = self.writer.fresh()
        with self.block(f"for {name} in {'each_if_any' if optional else 'each'}({base}):"):
            then(name)

    def inner(self, body: Callable[[], None]) -> str:
        """Write a function within the function, and return what calls it: for what ends a loop from within."""
        name = self.writer.fresh()
        with self.block(f"def {name}():"):
            body()
        return f"{name}()"

    def known(self, given: str) -> str:
        """Return the input, where there is one."""
        if given == NOTHING:
            raise Untranslated
        return given

    def truth(self, name: str) -> str:
        """Return the Python condition that a value counts as true in jq."""
        return name if name in self._booleans else f"{name} is not None and {name} is not False"

    def falsehood(self, name: str) -> str:
        """Return the Python condition that a value counts as false in jq."""
        return f"not {name}" if name in self._booleans else f"{name} is None or {name} is False"

    def if_true(self, output: str, then: Callable[[], None]) -> None:
        """Write what does something if a value counts as true."""
        with self.block(f"if {self.truth(output)}:"):
            then()

    def guard(self, node: Node, given: str, then: Callable[[], None]) -> None:
        """Write what does something for each output of a node that counts as true."""
        if isinstance(node, Logic) and node.operator == "and" and gives_one(node):
            self.guard(node.left, given, lambda: self.guard(node.right, given, then))
        elif gives_one(node):
            with self.block(f"if {self.test(node, given)}:"):
                then()
        else:
            self.emit(node, given, lambda output: self.if_true(output, then))

    def test(self, node: Node, given: str) -> str:
        """Write what computes the only output of a node, and return the Python condition that it counts as true."""
        condition = self.condition(node, given)
        return condition if condition is not None else self.truth(self.value(node, given))

    def condition(self, node: Node, given: str) -> str | None:
        """Do as ``test`` does for what gives true or false and nothing else; None, and nothing written, otherwise."""
        match node:
            case Pipe(left, Call("not", ())) if gives_one(left):
                return self.falsehood(self.value(left, given))
            case Pipe(left, right) if gives_one(node):
                return self.test(right, self.value(left, given))
            case Binary(operator, left, right) if operator in {"==", "!="}:
                return self._equality(operator, left, right, given)
            case Binary(operator, left, right) if operator in ORDER:
                return ORDER[operator].format(self.value(left, given), self.value(right, given))
            case Call(name, arguments) if (name, len(arguments)) in self._conditions:
                return self._conditions[name, len(arguments)](self, self.known(given), arguments)
        return None

    def _equality(self, operator: str, left: Node, right: Node, given: str) -> str:
        if isinstance(left, Constant):
            left, right = right, left
        negated = operator == "!="
        name = self.value(left, given)
        if is_constant(right, str):
            return f"{name} {operator} {self.value(right, given)}"
        if isinstance(right, Constant) and not is_constant(right, int):
            return f"{name} {'is not' if negated else 'is'} {self.value(right, given)}"
        return f"{'not ' if negated else ''}same({name}, {self.value(right, given)})"
