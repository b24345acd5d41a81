"""Reading a mapping from a file: a whole mapping or one resource, with the place of everything in it."""

import json
from dataclasses import dataclass

from stageport.mapping.document import MappingDocument, mapping_error, parse_mapping
from stageport.mapping.reading import Path
from stageport.mapping.yaml_text import Position, YamlText, read_yaml
from stageport.model.entities import Json
from stageport.model.errors import MappingError, MappingFault

RESOURCE_KEYS = ("kind", "selector", "port")


@dataclass(frozen=True, slots=True)
class LoadedMapping:
    """A mapping document, and the text that it was read from.

    Paths always start at the document (``("resources", 0, …)``), also when the file holds a single resource.
    """

    name: str
    document: MappingDocument
    config: Json
    yaml: YamlText
    is_single: bool = False

    def position(self, path: Path, *, of_key: bool = False) -> Position:
        """Return where a value or its key stands; what does not stand anywhere is where its nearest parent is."""
        return self.yaml.position(self._inner(path), of_key=of_key)

    def position_within(self, path: Path, *, line: int, column: int) -> Position:
        """Return where a place within an expression stands in the file."""
        return self.yaml.position_within(self._inner(path), line=line, column=column)

    def length(self, path: Path, *, of_key: bool = False) -> int:
        """Return how many characters of its line a value or its key takes; 1 when it goes over several lines."""
        return self.yaml.length(self._inner(path), of_key=of_key)

    def where(self, path: Path) -> str:
        """Say where a path stands, as editors understand it: ``mapping.yaml:12:5``."""
        place = self.position(path)
        return f"{self.name}:{place.line}:{place.column}"

    def _inner(self, path: Path) -> Path:
        return path[2:] if self.is_single and path[:2] == ("resources", 0) else path


def load_mapping(text: str, *, name: str) -> LoadedMapping:
    """Read a mapping from YAML or JSON; ``name`` is what the file is called in messages.

    Raises:
        MappingError: the text is no YAML, or no mapping; ``faults`` holds everything that is wrong, with its place.
    """
    loaded, faults = inspect_mapping(text, name=name)
    if faults:
        raise mapping_error(faults, name=name)
    return loaded


def inspect_mapping(text: str, *, name: str) -> tuple[LoadedMapping, list[MappingFault]]:
    """Read a mapping and return it with everything that is wrong with it; with faults its document is empty.

    Raises:
        MappingError: the document is empty.
    """
    read = _read(text)
    single = (
        isinstance(read.value, dict) and "resources" not in read.value and any(k in read.value for k in RESOURCE_KEYS)
    )
    config = {"resources": [read.value]} if single else read.value
    faults = list(read.faults)
    document = MappingDocument()
    # A document that is no YAML has one problem, not two.
    if read.value is not None or not faults:
        try:
            document = parse_mapping(config)
        except MappingError as error:
            if not error.faults and not faults:
                raise MappingError(f"{name}: {error.message}", hint=error.hint) from None
            faults += _located(error.faults, LoadedMapping(name, document, config, read, is_single=single))
    faults.sort(key=lambda fault: (fault.line, fault.column))
    return LoadedMapping(name, document, config, read, is_single=single), faults


def _read(text: str) -> YamlText:
    """Parse YAML; JSON is YAML too, but for tabs, which only a JSON parser takes between values."""
    read = read_yaml(text)
    if read.faults and read.value is None and text.lstrip().startswith(("{", "[")):
        try:
            return YamlText(text, value=json.loads(text))
        except ValueError:
            return read
    return read


def _located(faults: tuple[MappingFault, ...], loaded: LoadedMapping) -> list[MappingFault]:
    places = [(fault, loaded.position(fault.path)) for fault in faults]
    return [fault._replace(line=place.line, column=place.column) for fault, place in places]
