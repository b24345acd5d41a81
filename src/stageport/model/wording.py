"""What others say, made fit to be kept: shortened, and without secrets and contents of entities."""

import re
from collections.abc import Iterator

import msgspec

from stageport.model.changes import Change
from stageport.model.entities import Json
from stageport.model.errors import excerpt
from stageport.model.secrets import mask_shapes

HIDDEN = "[value]"
SHORTEST_VALUE = 3
"""Shorter values are not looked for: they turn up inside ordinary words."""
LONGEST_QUOTE = 60

# jq shows what it choked on: `string ("abc...) cannot be parsed as a number`.
_JQ_VALUE = re.compile(r"\b(string|number|object|array) \((?:[^()]|\([^()]*\))*\)")
_LONG_QUOTE = re.compile(rf'"[^"]{{{LONGEST_QUOTE + 1},}}"')


def kept_words(text: str) -> str:
    """Shorten words to one line of 300 characters, without what is shaped like a secret."""
    return excerpt(mask_shapes(text))


def kept_answer(message: str, change: Change) -> str:
    """Return what Port said of an entity, without the values of its title and properties.

    Identifiers of related entities stay: they are what a person has to look for.
    """
    for value in sorted(_values(change), key=len, reverse=True):
        message = message.replace(value, HIDDEN)
    return kept_words(_LONG_QUOTE.sub(f'"{HIDDEN}"', message))


def kept_complaint(message: str) -> str:
    """Return what jq said of an expression, without the values that it quotes."""
    return kept_words(_LONG_QUOTE.sub(f'"{HIDDEN}"', _JQ_VALUE.sub(r"\1", message)))


def _values(change: Change) -> set[str]:
    body: Json = msgspec.json.decode(change.body) if change.body else {}
    found = set(_texts([body.get("title"), body.get("properties")]))
    return {one for one in found if len(one) >= SHORTEST_VALUE and one not in (change.identifier, change.blueprint)}


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)
        case _:
            pass
