"""The pieces of a string in an expression."""

import json

from stageport.mapping.jq_tokens import end_of
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
    end = end_of(text, start, opened="(")
    if end is None:
        raise Untranslated
    return end
