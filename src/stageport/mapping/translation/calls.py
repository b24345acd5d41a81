"""jq's own functions, as far as they are translated: each by its name and the number of its arguments."""

from collections.abc import Callable
from typing import Final

from stageport.mapping.translation.emitter import ConditionWriter, Emitter, Then
from stageport.mapping.translation.outputs import gives_one
from stageport.mapping.translation.patterns import compile_pattern
from stageport.mapping.translation.syntax import Constant, Each, Identity, Node, Untranslated, is_constant

Arguments = tuple[Node, ...]
Key = tuple[str, int]
StreamCall = Callable[[Emitter, str, Arguments, Then], None]


VALUES: Final[dict[Key, str]] = {
    ("length", 0): "length",
    ("utf8bytelength", 0): "byte_length",
    ("type", 0): "type_of",
    ("tostring", 0): "text_of",
    ("tojson", 0): "json_of",
    ("fromjson", 0): "from_json",
    ("tonumber", 0): "number_of",
    ("ascii_downcase", 0): "lower",
    ("ascii_upcase", 0): "upper",
    ("trim", 0): "trim",
    ("ltrim", 0): "trim_left",
    ("rtrim", 0): "trim_right",
    ("ltrimstr", 1): "without_start",
    ("rtrimstr", 1): "without_end",
    ("split", 1): "divide",
    ("join", 1): "join",
    ("index", 1): "index_of",
    ("rindex", 1): "last_index_of",
    ("keys", 0): "keys",
    ("keys_unsorted", 0): "unsorted_keys",
    ("to_entries", 0): "entries",
    ("from_entries", 0): "from_entries",
    ("add", 0): "total",
    ("sort", 0): "ordered",
    ("unique", 0): "distinct",
    ("min", 0): "least",
    ("max", 0): "greatest",
    ("reverse", 0): "backwards",
    ("flatten", 0): "flat",
}
"""Functions of the input, and of arguments with one output each: the name of the runtime's function."""


def _template(template: str, exact: str) -> ConditionWriter:
    """Return a writer for a condition: a fast form where the argument is a string constant, or the exact function."""

    def write(to: Emitter, given: str, arguments: Arguments) -> str:
        form = template if is_constant(arguments[0], str) else exact
        return form.format(given, to.value(arguments[0], given))

    return write


def _test(to: Emitter, given: str, arguments: Arguments) -> str:
    pattern = arguments[0]
    if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
        raise Untranslated
    return f"{to.writer.constant(compile_pattern(pattern.value))}({given})"


def _quantified(word: str) -> ConditionWriter:
    """Return a writer for ``any`` or ``all`` with a generator and a condition."""

    def write(to: Emitter, given: str, arguments: Arguments) -> str:
        def body() -> None:
            def look(output: str) -> None:
                to.emit(arguments[1], output, decide)

            def decide(answer: str) -> None:
                true = f"{answer} is not None and {answer} is not False"
                with to.block(f"if {true}:" if word == "any" else f"if not ({true}):"):
                    to.writer.line(f"return {word == 'any'}")

            to.emit(arguments[0], given, look)
            to.writer.line(f"return {word != 'any'}")

        return to.inner(body)

    return write


def _within(write: ConditionWriter) -> ConditionWriter:
    """Return a writer for the short form: over the values of the input."""

    def write_short(to: Emitter, given: str, arguments: Arguments) -> str:
        condition = arguments[0] if arguments else Identity()
        return write(to, given, (Each(Identity()), condition))

    return write_short


def _is_one_of(to: Emitter, given: str, arguments: Arguments) -> str:
    def body() -> None:
        def look(output: str) -> None:
            with to.block(f"if same({given}, {output}):"):
                to.writer.line("return True")

        to.emit(arguments[0], given, look)
        to.writer.line("return False")

    return to.inner(body)


def _is_empty(to: Emitter, given: str, arguments: Arguments) -> str:
    def body() -> None:
        to.emit(arguments[0], given, lambda _: to.writer.line("return False"))
        to.writer.line("return True")

    return to.inner(body)


_any, _all = _quantified("any"), _quantified("all")

CONDITIONS: Final[dict[Key, ConditionWriter]] = {
    ("not", 0): lambda _to, given, _: f"negate({given})",
    ("startswith", 1): _template("{0}.startswith({1})", "starts({0}, {1})"),
    ("endswith", 1): _template("{0}.endswith({1})", "ends({0}, {1})"),
    ("contains", 1): _template("{0}.find({1}) >= 0", "contains({0}, {1})"),
    ("has", 1): _template("has({0}, {1})", "has({0}, {1})"),
    ("in", 1): _template("is_in({0}, {1})", "is_in({0}, {1})"),
    ("test", 1): _test,
    ("any", 2): _any,
    ("all", 2): _all,
    ("any", 1): _within(_any),
    ("all", 1): _within(_all),
    ("any", 0): _within(_any),
    ("all", 0): _within(_all),
    ("IN", 1): _is_one_of,
    ("isempty", 1): _is_empty,
}
"""Functions that give true or false, as a Python condition."""


def _map(to: Emitter, given: str, arguments: Arguments) -> str:
    made: str = to.let("[]")

    def look(output: str) -> None:
        to.emit(arguments[0], output, lambda found: to.writer.line(f"{made}.append({found})"))

    to.loop(given, look)
    return made


def _by(name: str) -> ConditionWriter:
    """Return a writer for what sorts by one key for each entry."""

    def write(to: Emitter, given: str, arguments: Arguments) -> str:
        if not gives_one(arguments[0]):
            raise Untranslated
        listed = to.let(f"a_list({given})")
        return to.let(f"{name}({listed}, {_map(to, listed, arguments)})")

    return write


def _with_entries(to: Emitter, given: str, arguments: Arguments) -> str:
    return to.let(f"from_entries({_map(to, to.let(f'entries({given})'), arguments)})")


def _add(to: Emitter, given: str, arguments: Arguments) -> str:
    return to.let(f"total_of({to.gather(arguments[0], given)})")


SPECIAL: Final[dict[Key, ConditionWriter]] = {
    ("map", 1): _map,
    ("sort_by", 1): _by("ordered_by"),
    ("unique_by", 1): _by("distinct_by"),
    ("group_by", 1): _by("grouped_by"),
    ("with_entries", 1): _with_entries,
    ("add", 1): _add,
    ("first", 0): lambda to, given, _: to.let(f"lookup({given}, {to.writer.constant(0)})"),
    ("last", 0): lambda to, given, _: to.let(f"lookup({given}, {to.writer.constant(-1)})"),
}
"""Functions that give one output and do more than compute it from values."""


def _select(to: Emitter, given: str, arguments: Arguments, then: Then) -> None:
    to.guard(arguments[0], given, lambda: then(given))


def _first(to: Emitter, given: str, arguments: Arguments, then: Then) -> None:
    """Write a function that returns a tuple with the first output, or none."""
    call = to.inner(lambda: to.emit(arguments[0], given, lambda output: to.writer.line(f"return ({output},)")))
    found = to.let(call)
    with to.block(f"if {found} is not None:"):
        then(to.let(f"{found}[0]"))


def _of_type(condition: str) -> StreamCall:
    """Return a writer for a function that passes values of some types on."""

    def write(to: Emitter, given: str, arguments: Arguments, then: Then) -> None:
        del arguments
        with to.block(f"if {condition.format(given)}:"):
            then(given)

    return write


SPECIAL_STREAMS: Final[dict[Key, StreamCall]] = {
    ("empty", 0): lambda *_: None,
    ("select", 1): _select,
    ("first", 1): _first,
    ("values", 0): _of_type("{0} is not None"),
    ("nulls", 0): _of_type("{0} is None"),
    ("strings", 0): _of_type("{0}.__class__ is str"),
    ("booleans", 0): _of_type("{0} is True or {0} is False"),
    ("numbers", 0): _of_type("{0}.__class__ is int or {0}.__class__ is OddNumber"),
    ("arrays", 0): _of_type("{0}.__class__ is list"),
    ("objects", 0): _of_type("{0}.__class__ is dict"),
    ("iterables", 0): _of_type("{0}.__class__ is list or {0}.__class__ is dict"),
    ("scalars", 0): _of_type("{0}.__class__ is not list and {0}.__class__ is not dict"),
}
"""Functions that may give no output, or several."""


NAMES: Final = frozenset((*VALUES, *CONDITIONS, *SPECIAL, *SPECIAL_STREAMS))
"""All that may be called."""
