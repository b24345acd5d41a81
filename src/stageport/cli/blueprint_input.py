"""The blueprints that target entities are held against: of a file, of Port, or the default ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stageport.cli.entity_input import InputError, read_text
from stageport.mapping.defaults import default_blueprints
from stageport.mapping.yaml_text import read_yaml
from stageport.model.blueprints import Blueprint, parse_blueprint
from stageport.model.entities import Json


@dataclass(frozen=True, slots=True)
class Basis:
    """Blueprints by identifier, and where they are from.

    ``certain`` says that Port has exactly these, as far as anybody knows; the default ones are a guess.
    """

    blueprints: Mapping[str, Blueprint]
    origin: str
    certain: bool


def guessed_basis() -> Basis:
    """Return the default blueprints."""
    return Basis(_by_identifier(default_blueprints()), "the default blueprints", certain=False)


def basis_of_file(name: str) -> Basis:
    """Return the blueprints of a file, beside the default ones that it does not replace.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    documents = read_blueprints(name)
    return Basis({**guessed_basis().blueprints, **_by_identifier(documents)}, name, certain=True)


def basis_of_port(blueprints: Sequence[Blueprint]) -> Basis:
    """Return the blueprints that Port answered with."""
    return Basis({one.identifier: one for one in blueprints}, "the blueprints at Port", certain=True)


def read_blueprints(name: str) -> list[Json]:
    """Return the blueprint documents of a file: a list, one alone, or Port's own answer.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    read = read_yaml(read_text(name))
    if read.faults:
        fault = read.faults[0]
        raise InputError(f"{name}:{fault.line}:{fault.column}: {fault.message}")
    value = read.value
    if isinstance(value, dict) and isinstance(value.get("blueprints"), list):
        value = value["blueprints"]
    documents = value if isinstance(value, list) else [value]
    if not documents or not all(isinstance(one, dict) and "identifier" in one for one in documents):
        raise InputError(
            f"{name} holds no blueprints",
            hint="Give a list of blueprints, each with identifier, title, schema and relations, in JSON or YAML.",
        )
    return documents


def _by_identifier(documents: Sequence[Json]) -> dict[str, Blueprint]:
    return {one.identifier: one for one in map(parse_blueprint, documents)}
