"""Everything there is to say of a mapping without running it: faults, compile errors, misfits, habits."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from stageport.cli.blueprint_input import Basis
from stageport.mapping.compiling import compile_remarks
from stageport.mapping.lint import Level, Remark, lint_keys, lint_resource
from stageport.mapping.reading import Path, path_text
from stageport.mapping.repair import repair_resource
from stageport.mapping.resource import Resource
from stageport.model.entities import Json
from stageport.plan.review import review_required, review_resource


@dataclass(frozen=True, slots=True)
class Review:
    """The remarks on a mapping, and the resources that could be read."""

    remarks: tuple[Remark, ...]
    resources: Mapping[int, Resource]


async def review_mapping(config: Json, *, basis: Basis | None, kinds: Collection[str] | None = None) -> Review:
    """Look at every part of a mapping; what is wrong with one resource keeps nothing from being said of the others.

    ``kinds`` are those that the catalog has, None where nobody asked it. Without a ``basis`` nothing is said of
    blueprints.
    """
    resources = dict(_resources(config))
    remarks = [*lint_keys(config), *_whole(config), *await compile_remarks(config)]
    broken = {one.path for one in remarks if one.code == "no-jq"}
    for index, resource in resources.items():
        # Of an expression that does not compile enough is said.
        remarks += [one for one in lint_resource(resource, index=index, kinds=kinds) if one.path not in broken]
        if basis is not None and (*_root(index), "blueprint") not in broken:
            found = review_resource(resource, index=index, blueprints=basis.blueprints, certain=basis.certain)
            remarks += [one for one in found if one.of_key or one.path not in broken]
    if basis is not None and len(resources) == len(_entries(config)):
        remarks += review_required(resources, blueprints=basis.blueprints, certain=basis.certain)
    return Review(tuple(remarks), resources)


def subject_of(path: Path, resources: Mapping[int, Resource]) -> str:
    """Say what a remark is about: ``properties.links of resource 0 (component)``."""
    if path[:1] != ("resources",) or len(path) < 2:
        return path_text(path) or "the mapping"
    inner = path_text(path[2:]).removeprefix("port.entity.mappings.")
    resource = resources.get(int(path[1]))
    name = f"resource {path[1]}" + (f" ({resource.kind})" if resource else "")
    return f"{inner} of {name}" if inner else name


def _root(index: int) -> Path:
    return ("resources", index, "port", "entity", "mappings")


def _entries(config: Json) -> list[Json]:
    entries = config.get("resources") if isinstance(config, dict) else None
    return entries if isinstance(entries, list) else []


def _resources(config: Json) -> Iterator[tuple[int, Resource]]:
    """Yield the resources, each on its own; of one with faults, what is right about it."""
    for index, entry in enumerate(_entries(config)):
        resource = repair_resource(entry)
        if resource is not None:
            yield index, resource


def _whole(config: Json) -> Iterator[Remark]:
    if isinstance(config, dict) and not config.get("resources"):
        words = "the mapping has no resources: it maps nothing, and all entities of ours at Port look stale"
        yield Remark(Level.WARNING, "no-resources", ("resources",), words)
