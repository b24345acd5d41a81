"""What becomes of an expression before jq sees it, and how jq's complaints become places in the author's text.

This module is imported by the workers, which must start fast: it imports nothing beyond the errors.
"""

import re
from typing import Final

from stageport.model.errors import ExpressionError

LONGEST: Final = 64 * 1024
"""Longest expression in bytes of UTF-8. jq's compiler is quadratic in places: at 20 kB it can take seconds."""

_QUOTES: Final = re.compile(r"(^|\s)'(?!\s|\")|(?<!\s|\")'(\s|$)")
_PLACE: Final = re.compile(
    rb"jq: error: (?P<message>.*?)(?: \(while parsing .*?\))? at <top-level>,"
    rb" line (?P<line>\d+), column (?P<column>\d+)",
    re.DOTALL,
)
_UNLOCATED: Final = re.compile(r"jq: error: ([^\n]*)")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def rewrite_quotes(expression: str) -> str:
    """Turn the single quotes that open or close a word into double ones, as Port's own integration does.

    A quote counts when it follows the start or a space, or precedes a space or the end: ``.a == 'Bug'`` becomes a
    jq string, ``test('x')`` does not. The length stays the same, so places in the result are places in the original.
    """
    return _QUOTES.sub(r'\1"\2', expression)


def unusable(expression: str) -> ExpressionError | None:
    """Return why an expression must not even be shown to jq, None when it may be."""
    if "\0" in expression:
        # The bindings hand jq a C string, which would end here: the rest would be silently ignored.
        return _error("holds a NUL character", expression, expression.index("\0"))
    surrogate = _SURROGATE.search(expression)
    if surrogate:
        return _error("holds half of a surrogate pair, which is no character", expression, surrogate.start())
    length = len(expression.encode())
    if length > LONGEST:
        return ExpressionError(f"is {length} bytes long; {LONGEST} is the most that is compiled")
    return None


def compile_error(expression: str, complaint: str, *, prefix: int) -> ExpressionError:
    """Turn what jq said of ``prefix`` bytes of ours followed by an expression into a place in that expression.

    jq counts columns in bytes, people count characters; ours stand before the author's text on its first line.
    """
    found = _PLACE.search(complaint.encode("utf-8", "replace"))
    if not found:
        unlocated = _UNLOCATED.search(complaint)
        message = unlocated[1] if unlocated else complaint.strip().partition("\n")[0]
        return ExpressionError(_plainer(message), hint=_hint(expression))
    line, column = int(found["line"]), int(found["column"])
    return ExpressionError(
        _plainer(found["message"].decode("utf-8", "replace")),
        line=line,
        column=_characters(expression, line, max(1, column - prefix if line == 1 else column)),
        hint=_hint(expression),
    )


def _characters(expression: str, line: int, column: int) -> int:
    lines = expression.split("\n")
    if line > len(lines):
        return 1
    before = lines[line - 1].encode("utf-8", "replace")[: column - 1]
    return len(before.decode("utf-8", "ignore")) + 1


def _plainer(message: str) -> str:
    if "Top-level program not given" in message:
        return "holds no filter: there is nothing to compute"
    return message.replace("unexpected INVALID_CHARACTER", "unexpected character").replace(
        "unexpected end of file", "it ends too early"
    )


def _hint(expression: str) -> str:
    return "jq takes strings in double quotes" if "'" in rewrite_quotes(expression) else ""


def _error(message: str, expression: str, index: int) -> ExpressionError:
    before = expression[:index]
    return ExpressionError(message, line=before.count("\n") + 1, column=index - (before.rfind("\n") + 1) + 1)
