"""What Port should hold, worked out in plain Python from what Backstage serves, and what differs from it.

The model is the tests' own (``tests.expectation``), which shares no code with the product. Both catalogs are read as
streams, so that a large one fits.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from tests.expectation import Key, differences, expected_stubs, expected_target

EXAMPLES = 5
Title = Callable[[str], str]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How Port's content compares with the model. ``stubs`` are entities that Port made itself, for relations."""

    mapped: int
    missing: int
    extra: int
    wrong: int
    stubs: int
    examples: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """True when nothing differs."""
        return not (self.missing or self.extra or self.wrong)


def compare(sources: Iterable[bytes], held: Iterable[bytes], *, title: Title | None = None) -> Verdict:
    """Compare all that Backstage serves with all that Port holds; ``title`` makes titles of names after an edit."""
    there = {(one["blueprint"], one["identifier"]): line for line in held if (one := msgspec.json.decode(line))}
    related: set[Key] = set()
    expected: set[Key] = set()
    found: list[str] = []
    for line in sources:
        target = _expected(json.loads(line), title)
        if target is None:
            continue
        key, content = target
        expected.add(key)
        related |= expected_stubs({key: content})
        actual = {key: json.loads(there[key])} if key in there else {}
        found += differences({key: content}, actual)
    stubs = (related - expected) & there.keys()
    extra = [f"extra {key}" for key in there.keys() - expected - stubs]
    missing = [words for words in found if words.startswith("missing ")]
    return Verdict(
        mapped=len(expected),
        missing=len(missing),
        extra=len(extra),
        wrong=len(found) - len(missing),
        stubs=len(stubs),
        examples=tuple((found + extra)[:EXAMPLES]),
    )


def _expected(entity: dict[str, Any], title: Title | None) -> tuple[Key, dict[str, Any]] | None:
    target = expected_target(entity)
    if target is None or title is None:
        return target
    return target[0], {**target[1], "title": title(entity["metadata"]["name"])}
