"""Writing the text of a Python function, of which nothing but its shape comes from an expression.

Every string, number and pattern of an expression becomes a constant with a numbered name; every value a variable with
a numbered name. So the text consists of what stands in this folder, and of numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from stageport.mapping.translation.syntax import Untranslated

MOST_LINES: Final = 500
"""Commas and conditions repeat what follows them; beyond this, jq is left to it."""


class Writer:
    """Takes lines, and hands out names."""

    def __init__(self) -> None:
        self.constants: dict[str, Any] = {}
        self._names: dict[tuple[type, Any], str] = {}
        self._lines: list[str] = []
        self._indent = 1
        self._count = 0

    def line(self, text: str) -> None:
        """Add a line."""
        if len(self._lines) >= MOST_LINES:
            raise Untranslated
        self._lines.append(" " * self._indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add a line that heads a block; what is written within stands in the block."""
        self.line(head)
        self._indent += 1
        before = len(self._lines)
        yield
        if len(self._lines) == before:
            self.line("pass")
        self._indent -= 1

    def fresh(self) -> str:
        """Return the name of a new variable."""
        self._count += 1
        return f"v{self._count}"

    def let(self, expression: str) -> str:
        """Give a value a name, and return that."""
        name = self.fresh()
        self.line(f"{name} = {expression}")
        return name

    def constant(self, value: Any) -> str:
        """Return the name of a constant, or the constant itself where that is a Python keyword."""
        if value is None or value is True or value is False:
            return repr(value)
        key = (type(value), value)
        if key not in self._names:
            self._names[key] = name = f"k{len(self._names)}"
            self.constants[name] = value
        return self._names[key]

    def text(self) -> str:
        """Return the whole function; its argument is ``v0``."""
        return "\n".join(["def translated(v0):", *self._lines, ""])
