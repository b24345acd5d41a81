"""Cuts names that are asked for into requests that the other side takes."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Name = TypeVar("Name", bound=str)

PUNCTUATION = 3
"""Bytes that JSON adds to a name in a list: two quotes and a comma."""


def cut_names(names: Iterable[Name], *, most: int, most_bytes: int) -> Iterator[list[Name]]:
    """Yield lists of at most ``most`` names and ``most_bytes`` bytes, in order, each name once.

    A name longer than ``most_bytes`` stands alone.
    """
    chunk: list[Name] = []
    size = 0
    for name in dict.fromkeys(names):
        weight = len(name.encode()) + PUNCTUATION
        if chunk and (len(chunk) == most or size + weight > most_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(name)
        size += weight
    if chunk:
        yield chunk
