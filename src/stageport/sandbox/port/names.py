"""Which identifiers Port takes.

The published patterns use the Unicode class ``L``: any letter, but neither combining marks nor digits of other
scripts. ``str.isalpha`` is exactly that class.
"""

import re

MAX_ENTITY_IDENTIFIER = 1000
MAX_NAME = 100

_ENTITY = re.compile(r"[A-Za-z0-9@_.+:\\/=\-]+")
_BLUEPRINT = re.compile(r"[A-Za-z0-9@_.+:\\/\-]+")
_KEY = re.compile(r"[A-Za-z0-9@_=\\\-]+")
_ENTITY_MARKS = frozenset("0123456789@_.+:\\/=-")
_BLUEPRINT_MARKS = _ENTITY_MARKS - {"="}


def is_entity_identifier(text: str, *, apostrophe: bool = False) -> bool:
    """Tell whether an entity may be called so, whatever the length."""
    candidate = text.replace("'", "-") if apostrophe else text
    if candidate in {".", ".."}:
        return False
    return _ENTITY.fullmatch(candidate) is not None or _is_made_of(candidate, _ENTITY_MARKS)


def is_blueprint_identifier(text: str) -> bool:
    """Tell whether a blueprint may be called so."""
    if text in {".", ".."} or len(text) > MAX_NAME:
        return False
    return _BLUEPRINT.fullmatch(text) is not None or _is_made_of(text, _BLUEPRINT_MARKS)


def is_key(text: str) -> bool:
    """Tell whether a property or relation may be called so."""
    return len(text) <= MAX_NAME and _KEY.fullmatch(text) is not None


def _is_made_of(text: str, marks: frozenset[str]) -> bool:
    return bool(text) and all(character in marks or character.isalpha() for character in text)
