"""The automaton of a pattern, and the proof that no text leads through it in many ways.

Every character set of a pattern is a position (Glushkov's construction); ``follow`` says in how many ways one position
can come after another. A vector with the number of ways to each position is what a backtracking engine may have to try
for a text. All vectors that any text can lead to are walked through: when they are few and small, trying is cheap.
"""

from collections.abc import Iterable
from typing import Any, Final

from stageport.mapping.translation.syntax import Untranslated

Tree = tuple[Any, ...]
Weights = dict[int, int]
Vector = tuple[tuple[int, int], ...]

MOST_POSITIONS: Final = 150
MOST_VECTORS: Final = 400
MOST_WAYS: Final = 32
MOST_STEPS: Final = 10_000


class _Part:
    """A part of a pattern: in how many ways it matches nothing, begins and ends at each position."""

    __slots__ = ("empty", "first", "last")

    def __init__(self, empty: int, first: Weights, last: Weights) -> None:
        self.empty = empty
        self.first = first
        self.last = last


class Automaton:
    """Positions, each with its set of characters, and what follows on each."""

    def __init__(self, tree: Tree) -> None:
        self.sets: list[int] = []
        self.follow: list[Weights] = []
        self.first = self._build(tree).first

    def _build(self, tree: Tree) -> _Part:
        kind = tree[0]
        if kind == "set":
            return self._position(tree[1])
        if kind == "anchor":
            return _Part(1, {}, {})
        if kind == "sequence":
            part = _Part(1, {}, {})
            for inner in tree[1]:
                part = self._joined(part, self._build(inner))
            return part
        if kind == "choice":
            parts = [self._build(inner) for inner in tree[1]]
            return _Part(
                sum(part.empty for part in parts),
                _summed(part.first for part in parts),
                _summed(part.last for part in parts),
            )
        return self._repeat(tree[1], tree[2], tree[3])

    def _position(self, members: int) -> _Part:
        if len(self.sets) >= MOST_POSITIONS:
            raise Untranslated
        self.sets.append(members)
        self.follow.append({})
        at = len(self.sets) - 1
        return _Part(0, {at: 1}, {at: 1})

    def _joined(self, left: _Part, right: _Part) -> _Part:
        self._connect(left.last, right.first)
        first = _summed((left.first, _scaled(right.first, left.empty)))
        last = _summed((right.last, _scaled(left.last, right.empty)))
        return _Part(left.empty * right.empty, first, last)

    def _connect(self, last: Weights, first: Weights) -> None:
        for before, ways in last.items():
            for after, more in first.items():
                self.follow[before][after] = self.follow[before].get(after, 0) + ways * more

    def _repeat(self, tree: Tree, least: int, most: int | None) -> _Part:
        part = _Part(1, {}, {})
        for _ in range(least):
            part = self._joined(part, self._build(tree))
        if most is None:
            return self._joined(part, self._star(tree))
        optional = _Part(1, {}, {})
        for _ in range(most - least):
            inner = self._joined(self._build(tree), optional)
            optional = _Part(inner.empty + 1, inner.first, inner.last)
        return self._joined(part, optional)

    def _star(self, tree: Tree) -> _Part:
        inner = self._build(tree)
        if inner.empty:
            raise Untranslated  # engines differ in how they leave a loop that matches nothing
        self._connect(inner.last, inner.first)
        return _Part(1, inner.first, inner.last)

    def letters(self) -> list[int]:
        """Return one character, as bits, of every class of characters that no position tells apart."""
        classes: dict[tuple[bool, ...], int] = {}
        for code in range(128):
            classes.setdefault(tuple(bool(members >> code & 1) for members in self.sets), 1 << code)
        return list(classes.values())

    def step(self, vector: Vector, letter: int) -> Vector:
        """Return the ways after one more character."""
        found: Weights = {}
        for before, ways in vector:
            for after, more in self.follow[before].items():
                if self.sets[after] & letter:
                    found[after] = found.get(after, 0) + ways * more
        return tuple(sorted(found.items()))

    def begin(self, letter: int) -> Vector:
        """Return the ways after the first character."""
        return tuple(sorted((at, ways) for at, ways in self.first.items() if self.sets[at] & letter))


def prove_bounded(tree: Tree) -> int:
    """Return in how many ways any text can lead through a pattern, at most.

    Raises:
        Untranslated: there is no such bound, or it is not found quickly.
    """
    automaton = Automaton(tree)
    letters = automaton.letters()
    reached = {automaton.begin(letter) for letter in letters}
    waiting = list(reached)
    most = 1
    while waiting:
        vector = waiting.pop()
        most = max(most, sum(ways for _, ways in vector))
        if most > MOST_WAYS or len(reached) > MOST_VECTORS or len(reached) * len(letters) > MOST_STEPS:
            raise Untranslated
        for letter in letters:
            after = automaton.step(vector, letter)
            if after not in reached:
                reached.add(after)
                waiting.append(after)
    return most


def _summed(parts: Iterable[Weights]) -> Weights:
    made: Weights = {}
    for part in parts:
        for at, ways in part.items():
            made[at] = made.get(at, 0) + ways
    return made


def _scaled(part: Weights, factor: int) -> Weights:
    return {at: ways * factor for at, ways in part.items()} if factor else {}
