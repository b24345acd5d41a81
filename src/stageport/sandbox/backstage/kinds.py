"""The built-in kinds: what their schemas ask of ``spec``."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import NamedTuple

from stageport.model.entities import Json

_CORE = ("backstage.io/v1alpha1", "backstage.io/v1beta1")


class _Kind(NamedTuple):
    """What the schema of a kind asks of ``spec``: fields that must be there, texts, and lists of texts."""

    versions: tuple[str, ...] = _CORE
    required: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


_KINDS = MappingProxyType(
    {
        "Component": _Kind(
            required=("type", "lifecycle", "owner"),
            texts=("type", "lifecycle", "owner", "system", "subcomponentOf"),
            lists=("providesApis", "consumesApis", "dependsOn"),
        ),
        "API": _Kind(
            required=("type", "lifecycle", "owner", "definition"),
            texts=("type", "lifecycle", "owner", "system", "definition"),
        ),
        "Resource": _Kind(required=("type", "owner"), texts=("type", "owner", "system"), lists=("dependsOn",)),
        "System": _Kind(required=("owner",), texts=("owner", "domain", "type")),
        "Domain": _Kind(required=("owner",), texts=("owner", "subdomainOf", "type")),
        "Group": _Kind(required=("type", "children"), texts=("type", "parent"), lists=("children", "members")),
        "User": _Kind(required=("memberOf",), lists=("memberOf",)),
        "Location": _Kind(texts=("type", "target"), lists=("targets",)),
        "Template": _Kind(
            versions=("scaffolder.backstage.io/v1beta3",),
            required=("type", "steps"),
            texts=("type", "owner", "lifecycle"),
        ),
    }
)
_KNOWN = MappingProxyType({kind.lower(): kind for kind in _KINDS})


def is_recognized(entity: Json) -> bool:
    """Tell whether a processor would take this entity for its own; a kind of no processor here is anybody's."""
    known = _KNOWN.get(entity["kind"].lower())
    return known is None or (known == entity["kind"] and entity["apiVersion"] in _KINDS[known].versions)


def processor_of(kind: str) -> str:
    """Return the name of the processor that looks after a built-in kind."""
    return "ScaffolderEntitiesProcessor" if kind == "Template" else "BuiltinKindsEntityProcessor"


def kind_problems(entity: Json) -> Iterator[str]:
    """Yield what is wrong with an entity of a built-in kind; other kinds may hold anything."""
    rules = _KINDS.get(entity["kind"])
    if rules is None:
        return
    if "spec" not in entity:
        yield "<root> must have required property 'spec' - missingProperty: spec"
        return
    spec = entity["spec"]
    for name in rules.required:
        if name not in spec:
            yield f"/spec must have required property '{name}' - missingProperty: {name}"
    yield from (_text_problem(f"/spec/{name}", spec[name]) for name in rules.texts if not is_text(spec.get(name, "-")))
    for name in rules.lists:
        if name in spec and not (isinstance(spec[name], list) and all(is_text(item) for item in spec[name])):
            yield f"/spec/{name} must be array - type: array"
    yield from _special_problems(entity["kind"], spec)


def _special_problems(kind: str, spec: Json) -> Iterator[str]:
    if kind in ("User", "Group") and "profile" in spec:
        yield from _profile_problems(spec["profile"])
    if kind == "Location" and spec.get("presence", "required") not in ("required", "optional"):
        yield "/spec/presence must be equal to one of the allowed values"
    if kind == "Template":
        yield from _template_problems(spec)


def _profile_problems(profile: Json) -> Iterator[str]:
    if not isinstance(profile, dict):
        yield "/spec/profile must be object"
        return
    for name in ("displayName", "email", "picture"):
        if name in profile and not is_text(profile[name]):
            yield f"/spec/profile/{name} must be string"


def _template_problems(spec: Json) -> Iterator[str]:
    parameters = spec.get("parameters", {})
    if not isinstance(parameters, dict) and not _is_list_of_objects(parameters):
        yield "/spec/parameters must be object"
    steps = spec.get("steps", [])
    if not _is_list_of_objects(steps):
        yield "/spec/steps must be array"
        return
    for index, step in enumerate(steps):
        if not isinstance(step.get("action"), str):
            yield f"/spec/steps/{index} must have required property 'action'"
        if not isinstance(step.get("input", {}), dict):
            yield f"/spec/steps/{index}/input must be object"
        if not isinstance(step.get("if", ""), str | bool):
            yield f"/spec/steps/{index}/if must be string,boolean"


def _is_list_of_objects(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _text_problem(path: str, value: Json) -> str:
    if value == "":
        return f"{path} must NOT have fewer than 1 characters - limit: 1"
    return f"{path} must be string - type: string"


def is_text(value: Json) -> bool:
    """Tell whether this is a text that says something."""
    return isinstance(value, str) and bool(value)
