"""The jq programs that workers run: guarded slots, many of them in one program.

    slot(E) = first((try (E) catch {marker: .}), null)
    program = SHADOW  [slot(E1), slot(E2), …]

A slot gives the first output of its expression, null when there is none, and the marker with the error when it failed
before. One program for all expressions of a resource is seven times cheaper than one for each, and gives the same.
What could see or end the worker is shadowed; that is the second line of defence, the empty environment is the first.

Needs libjq 1.7 or later: before, ``try`` also caught the ``break`` inside ``first``, and every slot gave two outputs.
"""

import json
import re
from typing import Final

SHADOW: Final = (
    'def env: {}; def input: error("break"); def inputs: empty; def input_filename: null; def get_search_list: [];'
    ' def modulemeta: error("module not found: \\(.)"); def debug: .; def debug(f): (f | empty), .; def stderr: .;'
    ' def halt: error("halt"); def halt_error: halt; def halt_error($code): halt; {} as $ENV | '
)
"""What an expression would see in Port's own integration with nothing to see: no environment, no further input."""

_STRING: Final = r'"[^"\\]*"'
_PATH: Final = rf"(?:\.[A-Za-z_][A-Za-z0-9_]*|\.?\[{_STRING}\])(?:\.[A-Za-z_][A-Za-z0-9_]*|\[{_STRING}\])*"
_LITERAL: Final = re.compile(_STRING)
_CONSTANT: Final = rf"(?:{_STRING}|\d+|true|false|null)"
_ALTERNATIVES: Final = rf"{_PATH}(?:\s*//\s*(?:{_PATH}|{_CONSTANT}))*"
_SCALAR: Final = re.compile(rf"\s*(?:{_ALTERNATIVES}|{_PATH}\s*(?:==|!=)\s*{_CONSTANT})\s*")
_REST: Final = re.compile(rf"(?:\[\d+\]|\s*\|\s*(?:length|sort|unique|add|first|last|\.\[\d+\]|join\({_STRING}\)))*\s*")
_TOKEN: Final = re.compile(rf"{_STRING}|[\[\]]|[^\[\]\"]+")

LEAD: Final = "def __lead: .; "
"""Stands before an expression that is compiled on its own: after a definition, jq refuses import, include, module."""

ENRICH: Final = 'setpath(["e", "metadata", "identifier"]; .id) | .e | '
"""The input is ``{"id": ref, "e": entity}``; what expressions see is the entity with ``metadata.identifier``."""

SELF_TEST: Final = SHADOW + "[first((try (1, 2) catch 3), null), first((try (empty) catch 3), null)]"
SELF_TEST_OUTPUT: Final = [1, None]

ORPHANED: Final = '(.metadata.annotations | type == "object" and .["backstage.io/orphan"] == "true")'
BROKEN: Final = '([.status?.items?[]?.level?] | any(. == "error"))'

SKIPPED: Final = "skipped"
"""What the selector's cell holds when a switch of ours skips the source entity; a selector gives no bare word so."""


def jq_text(text: str) -> str:
    """Return a string as a jq literal, on which no interpolation works."""
    return json.dumps(text)


def slot(expression: str, *, marker: str) -> str:
    """Return the guarded form of an expression.

    Two line breaks end it: since jq 1.7.1 a backslash at the end of a comment continues the comment on the next line.
    What plainly gives one output needs no ``first``, which costs more than most paths do.
    """
    if _LITERAL.fullmatch(expression):
        return expression
    guarded = f"(try ({expression}\n\n) catch {{{jq_text(marker)}: .}})"
    return guarded if gives_one(expression) else f"first({guarded}, null)"


def gives_one(expression: str) -> bool:
    """Tell whether an expression plainly gives one output or an error, whatever the input.

    That is so for paths with fallbacks, their comparison with a constant, and an array with what is made of it as a
    whole. Of everything else nothing is claimed.
    """
    if _SCALAR.fullmatch(expression):
        return True
    text = expression.lstrip()
    if not text.startswith("[") or "#" in text or "\\" in text:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += {"[": 1, "]": -1}.get(token[0], 0)
        if depth == 0:
            return _REST.fullmatch(text, token.end()) is not None
    return False


def as_text(expression: str) -> str:
    """Return an expression that turns what another gives into text, with the digits that its author wrote."""
    return f"({expression}\n\n) | tostring"


def where_skipped(*, orphans: bool, broken: bool) -> str:
    """Return the condition under which our switches skip a source entity; empty when none is on."""
    return " or ".join(text for text, on in ((ORPHANED, orphans), (BROKEN, broken)) if on)


def resource_program(slots: list[str], *, selector: str | None, marker: str, enrich: bool, skip: str = "") -> str:
    """Return the program of a resource, or of a part of it.

    With a selector its cell comes first, and alone when it is not true: the rest is not evaluated then.
    """
    cells = ", ".join(slot(expression, marker=marker) for expression in slots)
    lead = SHADOW + (ENRICH if enrich else "")
    if selector is None:
        return f"{lead}[{cells}]"
    passed = f"[true{', ' if cells else ''}{cells}]"
    body = (
        f"{slot(selector, marker=marker)} as $__selected | if $__selected == true then {passed} else [$__selected] end"
    )
    return (
        f"{lead}if {skip} then [{{{jq_text(marker)}: null, {jq_text(SKIPPED)}: true}}] else {body} end"
        if skip
        else lead + body
    )


def items_program(expression: str, *, remove: str, marker: str, skip: str = "") -> str:
    """Return the program that gives the items of a source entity, and the entity without them."""
    cells = [slot(expression, marker=marker)] + ([slot(f"del({remove})", marker=marker)] if remove else [])
    body = f"[{', '.join(cells)}]"
    return SHADOW + ENRICH + (f"if {skip} then [] else {body} end" if skip else body)
