"""Expressions as functions, compiled once for each text."""

import time
from collections.abc import Callable
from typing import Any, Final

from stageport.mapping.translation import singles, streams
from stageport.mapping.translation.calls import CONDITIONS, NAMES
from stageport.mapping.translation.emitter import Emitter
from stageport.mapping.translation.parser import parse
from stageport.mapping.translation.runtime import RUNTIME
from stageport.mapping.translation.syntax import Untranslated

Function = Callable[[Any], Any]
"""Takes the source entity, returns the first output, None when there is none. Whatever it raises: libjq knows."""


MOST_SECONDS: Final = 1.0
"""CPU time that is spent on translating in one worker."""


def write_function(expression: str) -> tuple[str, dict[str, Any]]:
    """Return the text of an expression's function, and the constants it names.

    Raises:
        Untranslated: the expression is libjq's.
    """
    emitter = Emitter(values=singles.WRITERS, streams=streams.WRITERS, conditions=CONDITIONS)
    emitter.translate(parse(expression, functions=NAMES))
    return emitter.writer.text(), emitter.writer.constants


def make_function(expression: str) -> Function | None:
    """Return an expression's function, None when libjq has to evaluate it."""
    try:
        text, constants = write_function(expression)
        code = compile(text, "<translated>", "exec", dont_inherit=True, optimize=2)
    except (Untranslated, SyntaxError, RecursionError, MemoryError):
        return None  # Python, too, bounds how deep its blocks may nest
    names: dict[str, Any] = {"__builtins__": {}, **RUNTIME, **constants}
    exec(code, names)  # noqa: S102 - the text holds nothing of the expression but its shape; see writer
    function: Function = names["translated"]
    return function


class Functions:
    """The functions of the expressions that were asked for.

    Translating takes a third of a millisecond for an expression. Should a document need more than ``MOST_SECONDS``, the
    rest of it is libjq's.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._known: dict[str, Function | None] = {}
        self._left = MOST_SECONDS if enabled else 0.0

    def of(self, expression: str) -> Function | None:
        """Return the function of an expression, None when libjq has to evaluate it."""
        if expression in self._known:
            return self._known[expression]
        if self._left <= 0:
            return None
        begun = time.process_time()
        self._known[expression] = function = make_function(expression)
        self._left -= time.process_time() - begun
        return function
