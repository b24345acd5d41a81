"""YAML as mapping files use it: values with the place of each in the text.

Scalars are read as YAML 1.2 does, like the editor at Port and Backstage's own files: ``yes`` and ``on`` are words, a
date is text. (PyYAML on its own reads YAML 1.1, where both are something else.)
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stageport.mapping.reading import Path, path_text
from stageport.model.entities import Json
from stageport.model.errors import MappingFault

MOST_VALUES: Final = 200_000
"""Values that a text may hold once its aliases are written out; a few lines of aliases can stand for billions."""

_COLON_ADVICE: Final = "; an expression with a colon before a space has to stand in quotes, or in a block after '|'"

_CONSTRUCT: Final[Mapping[str, Callable[[str], Json]]] = {
    "null": lambda text: None if text.lower() in ("", "~", "null") else text,
    "bool": lambda text: text.lower() == "true",
    "int": lambda text: int(text, 0) if text[:2].lower() in ("0o", "0x") else int(text),
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    # JSON writes characters beyond the basic plane as two escapes, which PyYAML leaves apart.
    "str": lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
}


class _Loader(yaml.SafeLoader):
    """A loader with the plain scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text; both count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class YamlText:
    """A parsed text: its value, where the value and the key of each path stand, and what is wrong with it."""

    text: str
    value: Json = None
    faults: list[MappingFault] = field(default_factory=list)
    nodes: dict[Path, Node] = field(default_factory=dict)
    keys: dict[Path, Node] = field(default_factory=dict)

    def position(self, path: Path, *, of_key: bool = False) -> Position:
        """Return where a path stands; what does not stand anywhere is where its nearest parent is."""
        found = (self.keys if of_key else self.nodes).get(path)
        while found is None and path:
            path = path[:-1]
            found = self.nodes.get(path)
        return Position(1, 1) if found is None else _position(found)

    def length(self, path: Path, *, of_key: bool = False) -> int:
        """Return how many characters a value or its key takes on its line; 1 when it goes over several."""
        found = (self.keys if of_key else self.nodes).get(path)
        if found is None or found.start_mark.line != found.end_mark.line:
            return 1
        return max(1, int(found.end_mark.column - found.start_mark.column))

    def position_within(self, path: Path, *, line: int, column: int) -> Position:
        """Return where a place within a scalar stands in the text, however the scalar is written.

        Quotes, escapes, indentation and folding change only spaces and the number of characters that stand for one,
        so the characters that are no spaces are counted on both sides.
        """
        node = self.nodes.get(path)
        if not isinstance(node, ScalarNode):
            return self.position(path)
        lines = str(node.value).split("\n")[:line]
        before = "\n".join([*lines[:-1], lines[-1][: column - 1]]) if lines else ""
        wanted = len("".join(before.split()))
        for offset in _visible_offsets(self.text, node):
            if wanted == 0:
                return _at(self.text, offset)
            wanted -= 1
        return _position(node)


def read_yaml(text: str) -> YamlText:
    """Parse a text; whatever is wrong with it is in ``faults``, and the value is as complete as can be."""
    read = YamlText(text)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        advice = _COLON_ADVICE if "mapping values are not allowed" in (error.problem or "") else ""
        read.faults.append(MappingFault((), f"the text is no YAML: {error.problem or error.context}{advice}", *place))
        return read
    except yaml.YAMLError as error:
        read.faults.append(MappingFault((), f"the text is no YAML: {' '.join(str(error).split())}", 1, 1))
        return read
    if node is not None:
        builder = _Builder(read)
        read.value = builder.build(node, ())
    return read


class _Builder:
    """Turns nodes into values, noting where each came from."""

    def __init__(self, read: YamlText) -> None:
        self._read = read
        self._open: list[Node] = []
        self._count = 0

    def build(self, node: Node, path: Path) -> Json:
        self._count += 1
        self._read.nodes[path] = node
        if any(node is outer for outer in self._open):
            return self._fault(node, path, "contains itself")
        if self._count > MOST_VALUES:
            return self._fault(node, path, f"goes on: a mapping has {MOST_VALUES} values at most", once=True)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._open.append(node)
        try:
            if isinstance(node, SequenceNode):
                return [self.build(entry, (*path, index)) for index, entry in enumerate(node.value)]
            return self._object(node, path) if isinstance(node, MappingNode) else None
        finally:
            self._open.pop()

    def _object(self, node: MappingNode, path: Path) -> Json:
        values: dict[str, Json] = {}
        own: dict[str, Node] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            if key_node.tag.endswith(":merge"):
                merged += value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                continue
            key = self._key(key_node, path)
            if key in own:
                line = _position(own[key]).line
                self._fault(key_node, (*path, key), f"stands here a second time; the first is on line {line}")
            own[key] = key_node
            self._read.keys[(*path, key)] = key_node
            values[key] = self.build(value_node, (*path, key))
        for source in merged:
            self._merge(source, path, values)
        return values

    def _merge(self, source: Node, path: Path, values: dict[str, Json]) -> None:
        place = self._read.nodes[path]
        found = self.build(source, path)
        self._read.nodes[path] = place
        if not isinstance(found, dict):
            self._fault(source, path, "merges ('<<') something that is no object")
            return
        for key, value in found.items():
            values.setdefault(key, value)

    def _key(self, node: Node, path: Path) -> str:
        if isinstance(node, ScalarNode):
            return str(_CONSTRUCT["str"](node.value))
        self._fault(node, path, "has a key that is no plain text")
        return ""

    def _scalar(self, node: ScalarNode, path: Path) -> Json:
        text = str(node.value)
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        try:
            return _CONSTRUCT[tag](text)
        except KeyError:
            return self._fault(node, path, f"has the tag {tag}, which means nothing here")
        except ValueError:
            return self._fault(node, path, f"is tagged as {tag}, but reads {text[:40]!r}")

    def _fault(self, node: Node, path: Path, message: str, *, once: bool = False) -> None:
        if once and self._read.faults and self._read.faults[-1].message.endswith(message):
            return
        place = _position(node)
        text = f"{path_text(path) or 'the document'} {message}"
        self._read.faults.append(MappingFault(path, text, place.line, place.column))


def _position(node: Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _at(text: str, offset: int) -> Position:
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - before.rfind("\n"))


_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\s+|.)", re.DOTALL)
_SPACE_ESCAPES: Final = frozenset("nt rNL_PvfO")


def _visible_offsets(text: str, node: ScalarNode) -> list[int]:
    """Return the offset in the text of every character of a scalar that is no space."""
    start, end = node.start_mark.index, node.end_mark.index
    if node.style in ("|", ">"):
        return [at for at in range(text.find("\n", start, end) + 1, end) if not text[at].isspace()]
    if node.style not in ("'", '"'):
        return [at for at in range(start, end) if not text[at].isspace()]
    found: list[int] = []
    at = start + 1
    while at < end - 1:
        escape = _ESCAPE.match(text, at) if node.style == '"' else None
        width = len(escape[0]) if escape else 2 if node.style == "'" and text[at : at + 2] == "''" else 1
        if not (escape and (escape[0][1] in _SPACE_ESCAPES or escape[0][1].isspace())) and not text[at].isspace():
            found.append(at)
        at += width
    return found
