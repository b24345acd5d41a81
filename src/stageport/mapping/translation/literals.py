"""The pieces of a string in an expression."""

import json

from stageport.mapping.translation.syntax import Constant, Untranslated


def read_literal(text: str) -> Constant:
    """Return what stands between two quotes, its escapes resolved as jq does."""
    if "\\u" in text:
        raise Untranslated  # surrogates: rare, and jq has its own mind about them
    try:
        value: str = json.loads(f'"{text}"', strict=False)
    except ValueError:
        raise Untranslated from None
    return Constant(value)


def end_of_interpolation(text: str, start: int) -> int:
    """Return where the bracket ends that was opened before a place of a string."""
    stack = ["("]
    at = start
    while stack and at < len(text):
        character, in_string = text[at], stack[-1] == '"'
        if in_string and character == "\\":
            if text.startswith("\\(", at):
                stack.append("(")
            at += 2
            continue
        if character == ('"' if in_string else ")"):
            stack.pop()
        elif not in_string and character in '"(':
            stack.append(character)
        at += 1
    if stack:
        raise Untranslated
    return at
