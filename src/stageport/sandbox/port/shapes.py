"""Small checks of JSON shapes, in the words of the validator that Port's messages come from.

Each one passes or raises the 422 that refuses the whole request.
"""

from collections.abc import Collection, Mapping, Sequence

from stageport.model.entities import Json
from stageport.sandbox.port.problems import PortProblem, invalid


def need_object(value: Json, name: str) -> dict[str, Json]:
    """Pass a JSON object."""
    if not isinstance(value, dict):
        raise invalid(f'"{name}" must be object')
    return value


def need_list(value: Json, name: str) -> list[Json]:
    """Pass a JSON array."""
    if not isinstance(value, list):
        raise invalid(f'"{name}" must be array')
    return value


def need_text(value: Json, name: str, *, shortest: int = 0, longest: int | None = None) -> str:
    """Pass a string of a length."""
    if not isinstance(value, str):
        raise invalid(f'"{name}" must be string')
    if len(value) < shortest:
        raise invalid(f'"{name}" must NOT have fewer than {shortest} characters')
    if longest is not None and len(value) > longest:
        raise invalid(f'"{name}" must NOT have more than {longest} characters')
    return value


def need_bool(value: Json, name: str) -> bool:
    """Pass true or false."""
    if not isinstance(value, bool):
        raise invalid(f'"{name}" must be boolean')
    return value


def need_one_of(value: Json, name: str, allowed: Sequence[str]) -> str:
    """Pass one of some words."""
    if not isinstance(value, str) or value not in allowed:
        raise invalid(f'"{name}" must be equal to one of the allowed values: {", ".join(allowed)}')
    return value


def need_keys(document: Mapping[str, Json], name: str, *, required: Collection[str]) -> None:
    """Pass an object that has these keys."""
    missing = next((key for key in required if key not in document), None)
    if missing is not None:
        raise invalid(f"\"{name}\" must have required property '{missing}'")


def only_keys(document: Mapping[str, Json], allowed: Collection[str]) -> None:
    """Pass an object that has no other keys."""
    extra = next((key for key in document if key not in allowed), None)
    if extra is not None:
        raise unexpected(extra)


def unexpected(key: str) -> PortProblem:
    """Return the refusal of a key that the schema of the route does not know."""
    return invalid(f'must NOT have additional properties, additional property: "{key}"')
