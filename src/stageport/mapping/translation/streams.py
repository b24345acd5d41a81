"""Writing the nodes that may give no output, or several."""

from collections.abc import Sequence
from typing import Final

from stageport.mapping.translation.calls import SPECIAL_STREAMS
from stageport.mapping.translation.emitter import NOTHING, Emitter, StreamWriter, Then
from stageport.mapping.translation.outputs import gives_at_most_one, gives_one
from stageport.mapping.translation.singles import (
    write_alternative,
    write_computed,
    write_object,
    write_piece,
    write_step,
    write_text,
)
from stageport.mapping.translation.syntax import (
    Alternative,
    Attempt,
    Binary,
    Binding,
    Call,
    Comma,
    Condition,
    Constant,
    Each,
    Index,
    Node,
    Object,
    Pipe,
    Slice,
    Text,
    Untranslated,
    is_constant,
)


def _index(to: Emitter, node: Index, given: str, then: Then) -> None:
    to.emit_all([node.base, node.key], given, lambda names: _one_index(to, node, names, then))


def _one_index(to: Emitter, node: Index, names: list[str], then: Then) -> None:
    (base, key), plain = names, is_constant(node.key, str)
    if not node.optional:
        then(write_step(to, base, key, plain=plain))
    elif plain:
        with to.block(f"if {base} is None or {base}.__class__ is dict:"):
            then(to.let(f"None if {base} is None else {base}.get({key})"))
    else:
        with to.block(f"if may_lookup({base}, {key}):"):
            then(to.let(f"lookup({base}, {key})"))


def _slice(to: Emitter, node: Slice, given: str, then: Then) -> None:
    to.emit(node.base, given, lambda base: _one_slice(to, node, base, then))


def _one_slice(to: Emitter, node: Slice, base: str, then: Then) -> None:
    if not node.optional:
        then(write_piece(to, node, base))
        return
    with to.block(f"if may_slice({base}):"):
        then(write_piece(to, node, base))


def _each(to: Emitter, node: Each, given: str, then: Then) -> None:
    to.emit(node.base, given, lambda base: to.loop(base, then, optional=node.optional))


def _object(to: Emitter, node: Object, given: str, then: Then) -> None:
    """Write an object for every combination of values, those of the last key changing fastest."""
    _pairs(to, node.pairs, [], given, then)


def _pairs(
    to: Emitter, pairs: Sequence[tuple[Node, Node]], done: list[tuple[str, str]], given: str, then: Then
) -> None:
    if not pairs:
        then(write_object(to, done))
        return
    (key, value), *others = pairs
    if not gives_one(key):
        raise Untranslated
    name = to.value(key, given)

    def go_on(output: str) -> None:
        # Only now is it an error that a key is no string: without a value there is none.
        checked = name if is_constant(key, str) else to.let(f"key_of({name})")
        _pairs(to, others, [*done, (checked, output)], given, then)

    to.emit(value, given, go_on)


def _pipe(to: Emitter, node: Pipe, given: str, then: Then) -> None:
    to.emit(node.left, given, lambda output: to.emit(node.right, output, then))


def _comma(to: Emitter, node: Comma, given: str, then: Then) -> None:
    to.emit(node.left, given, then)
    to.emit(node.right, given, then)


def _alternative(to: Emitter, node: Alternative, given: str, then: Then) -> None:
    if gives_at_most_one(node.left):
        name = write_alternative(to, Alternative(node.left, Constant(None)), given)
        with to.block(f"if {name} is None:"):
            to.emit(node.right, given, then)
        with to.block("else:"):
            then(name)
        return
    if to.attempts:
        raise Untranslated  # an error would take back what came before it
    made = to.let("[]")

    def keep(output: str) -> None:
        to.if_true(output, lambda: to.writer.line(f"{made}.append({output})"))

    to.emit(node.left, given, keep)
    with to.block(f"if not {made}:"):
        to.gather(node.right, given, into=made)
    to.loop(made, then)


def _binary(to: Emitter, node: Binary, given: str, then: Then) -> None:
    to.emit_all([node.left, node.right], given, lambda names: then(write_computed(to, node, *names)))


def _condition(to: Emitter, node: Condition, given: str, then: Then) -> None:
    if gives_one(node.test):
        _branches(to, node, to.test(node.test, given), given, then)
    else:
        to.emit(node.test, given, lambda output: _branches(to, node, to.truth(output), given, then))


def _branches(to: Emitter, node: Condition, test: str, given: str, then: Then) -> None:
    for head, part in ((f"if {test}:", node.chosen), ("else:", node.otherwise)):
        with to.block(head):
            to.emit(part, given, then)


def _binding(to: Emitter, node: Binding, given: str, then: Then) -> None:
    def bind(output: str) -> None:
        before = to.variables
        to.variables = {**before, node.name: output}
        to.emit(node.body, given, leave)
        to.variables = before

    def leave(output: str) -> None:
        # What comes after the body sees the names from before it.
        inside, to.variables = to.variables, outside
        then(output)
        to.variables = inside

    outside = to.variables
    to.emit(node.source, given, bind)


def _attempt(to: Emitter, node: Attempt, given: str, then: Then) -> None:
    """Gather the outputs up to the first error; what follows stands outside, for its errors are its own."""
    made = to.let("[]")
    to.attempts += 1
    with to.block("try:"):
        to.gather(node.body, given, into=made)
    to.attempts -= 1
    with to.block("except JqError:"):
        if node.handler is not None:
            to.gather(node.handler, NOTHING, into=made)
    to.loop(made, then)


def _call(to: Emitter, node: Call, given: str, then: Then) -> None:
    key = (node.name, len(node.arguments))
    if key not in SPECIAL_STREAMS:
        raise Untranslated
    SPECIAL_STREAMS[key](to, to.known(given), node.arguments, then)


WRITERS: Final[dict[type[Node], StreamWriter]] = {
    Index: _index,
    Slice: _slice,
    Each: _each,
    Text: lambda to, node, given, then: to.emit_all(node.parts, given, lambda names: then(write_text(to, node, names))),
    Object: _object,
    Pipe: _pipe,
    Comma: _comma,
    Alternative: _alternative,
    Binary: _binary,
    Condition: _condition,
    Binding: _binding,
    Attempt: _attempt,
    Call: _call,
}
