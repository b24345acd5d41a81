"""Writing the nodes that give exactly one output."""

from collections.abc import Sequence
from typing import Final

from stageport.mapping.translation.calls import SPECIAL, VALUES
from stageport.mapping.translation.emitter import ORDER, Emitter, ValueWriter
from stageport.mapping.translation.syntax import (
    Alternative,
    Array,
    Binary,
    Binding,
    Call,
    Condition,
    Constant,
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
)

_ARITHMETIC: Final = {"+": "add", "-": "subtract", "/": "divide"}


def write_step(to: Emitter, base: str, key: str, *, plain: bool) -> str:
    """Write ``base[key]``; an object's ``get`` is the fast way, and fails on what has none."""
    if plain and not to.attempts:
        return to.let(f"{base}.get({key}) if {base} is not None else None")
    return to.let(f"{'field' if plain else 'lookup'}({base}, {key})")


def write_piece(to: Emitter, node: Slice, base: str) -> str:
    """Write ``base[start:stop]``."""
    return to.let(f"piece({base}, {to.writer.constant(node.start)}, {to.writer.constant(node.stop)})")


def write_text(to: Emitter, node: Text, names: Sequence[str]) -> str:
    """Write a string of which the parts have names."""
    pairs = zip(node.parts, names, strict=True)
    return to.let(" + ".join(name if is_constant(part, str) else f"text_of({name})" for part, name in pairs))


def _key(to: Emitter, key: Node, given: str) -> str:
    name = to.value(key, given)
    return name if is_constant(key, str) else to.let(f"key_of({name})")


def write_object(to: Emitter, parts: Sequence[tuple[str, str]]) -> str:
    """Write an object of which the keys and values have names."""
    return to.let("{" + ", ".join(f"{key}: {value}" for key, value in parts) + "}")


def write_computed(to: Emitter, node: Binary, left: str, right: str) -> str:
    """Write an operation on two values that have names."""
    if node.operator in {"==", "!="}:
        return to.let(f"{'' if node.operator == '==' else 'not '}same({left}, {right})", boolean=True)
    if node.operator in ORDER:
        return to.let(ORDER[node.operator].format(left, right), boolean=True)
    if node.operator not in _ARITHMETIC:
        raise Untranslated
    return to.let(f"{_ARITHMETIC[node.operator]}({left}, {right})")


def write_alternative(to: Emitter, node: Alternative, given: str) -> str:
    """Write ``left // right`` for a left side with at most one output."""
    name = to.let("None")
    to.emit(node.left, given, lambda output: to.writer.line(f"{name} = {output}"))
    with to.block(f"if {to.falsehood(name)}:"):
        to.writer.line(f"{name} = {to.value(node.right, given)}")
    return name


def _index(to: Emitter, node: Index, given: str) -> str:
    key = to.value(node.key, given)
    return write_step(to, to.value(node.base, given), key, plain=is_constant(node.key, str))


def _object(to: Emitter, node: Object, given: str) -> str:
    return write_object(to, [(_key(to, key, given), to.value(value, given)) for key, value in node.pairs])


def _binary(to: Emitter, node: Binary, given: str) -> str:
    condition = to.condition(node, given)
    if condition is not None:
        return to.let(condition, boolean=True)
    return write_computed(to, node, to.value(node.left, given), to.value(node.right, given))


def _logic(to: Emitter, node: Logic, given: str) -> str:
    name = to.let("False", boolean=True)
    to.guard(node.left, given, lambda: to.writer.line(f"{name} = True"))
    with to.block(f"if {name}:" if node.operator == "and" else f"if not {name}:"):
        if node.operator == "and":
            to.writer.line(f"{name} = False")
        to.guard(node.right, given, lambda: to.writer.line(f"{name} = True"))
    return name


def _condition(to: Emitter, node: Condition, given: str) -> str:
    name, test = to.writer.fresh(), to.test(node.test, given)
    for head, part in ((f"if {test}:", node.chosen), ("else:", node.otherwise)):
        with to.block(head):
            to.writer.line(f"{name} = {to.value(part, given)}")
    return name


def _binding(to: Emitter, node: Binding, given: str) -> str:
    before = to.variables
    to.variables = {**before, node.name: to.value(node.source, given)}
    result = to.value(node.body, given)
    to.variables = before
    return result


def _call(to: Emitter, node: Call, given: str) -> str:
    condition = to.condition(node, given)
    if condition is not None:
        return to.let(condition, boolean=True)
    key = (node.name, len(node.arguments))
    if key in SPECIAL:
        return SPECIAL[key](to, to.known(given), node.arguments)
    if key not in VALUES:
        raise Untranslated
    names = [to.value(argument, given) for argument in node.arguments]
    return to.let(f"{VALUES[key]}({', '.join([to.known(given), *names])})")


WRITERS: Final[dict[type[Node], ValueWriter]] = {
    Identity: lambda to, _, given: to.known(given),
    Constant: lambda to, node, _: to.writer.constant(node.value),
    Variable: lambda to, node, _: to.variables[node.name],
    Index: _index,
    Slice: lambda to, node, given: write_piece(to, node, to.value(node.base, given)),
    Text: lambda to, node, given: write_text(to, node, [to.value(part, given) for part in node.parts]),
    Array: lambda to, node, given: to.let("[]") if node.body is None else to.gather(node.body, given),
    Object: _object,
    Pipe: lambda to, node, given: to.value(node.right, to.value(node.left, given)),
    Alternative: write_alternative,
    Binary: _binary,
    Logic: _logic,
    Condition: _condition,
    Binding: _binding,
    Call: _call,
}
