"""What mapping one source entity costs: ``python -m bench.mapping``.

Two catalogs: source entities of 2 kB through a resource with 20 expressions, and the synthetic catalog of the other
benchmarks through the default mapping (or the document that ``--mapping`` names). Three ways, in turns so that a busy
machine treats them alike: expressions translated into functions, all of them in libjq in one program, and, for the
first catalog, one program of libjq for each expression, as Port's own integration has it. CPU time is the figure to
read; that of the workers holds decoding, evaluating, assembling, encoding and framing, that of the parent the rest.
"""

import argparse
import asyncio
import json
import resource
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jq

from stageport.mapping.defaults import default_mapping
from stageport.mapping.document import MappingDocument, parse_mapping
from stageport.mapping.layout import plan_document
from stageport.mapping.loading import load_mapping
from stageport.mapping.program import slot
from stageport.mapping.workers import Limits, WorkerPool
from stageport.model.entities import SourceEntity
from stageport.model.refs import source_ref
from stageport.sandbox.backstage.synthetic import synthetic_catalog

PAGE = 500

PROPERTIES = {
    "type": ".spec.type",
    "lifecycle": ".spec.lifecycle",
    "language": '.metadata.labels["backstage.io/language"] // "unknown"',
    "description": ".metadata.description",
    "labels": ".metadata.labels",
    "annotations": ".metadata.annotations",
    "tags": "[.metadata.tags[]? | ascii_downcase]",
    "links": "[.metadata.links[]?.url]",
    "repository": '"https://github.com/" + (.metadata.annotations["github.com/project-slug"] // "none")',
    "tier": ".metadata.labels.tier | tonumber? // 3",
    "production": '.spec.lifecycle == "production"',
    "targets": "[.relations[].targetRef] | length",
}
RELATIONS = {
    "owner": 'first(.relations[] | select(.type == "ownedBy") | .targetRef)',
    "system": '[.relations[] | select(.type == "partOf") | .targetRef] | .[0]',
    "dependsOn": '[.relations[] | select(.type == "dependsOn" and (.targetRef | startswith("comp"))) | .targetRef]',
    "provides": '[.relations[] | select(.type == "providesApi") | .targetRef]',
}
MAPPINGS = {
    "identifier": ".metadata.identifier",
    "title": ".metadata.title // .metadata.name",
    "blueprint": '"service"',
    "properties": PROPERTIES,
    "relations": RELATIONS,
}
RESOURCE = {
    "kind": "Component",
    "selector": {"query": '.spec.type != "ignored"'},
    "port": {"entity": {"mappings": MAPPINGS}},
}


RELATED = (("ownedBy", "group", 1), ("partOf", "system", 1), ("dependsOn", "component", 4), ("providesApi", "api", 4))


def make_source(number: int) -> SourceEntity:
    """Return a source entity of about 2 kB."""
    name = f"service-{number}"
    relations = [
        {"type": kind, "targetRef": f"{target}:default/{target}-{number % 97}-{index}"}
        for kind, target, count in RELATED
        for index in range(count)
    ]
    entity = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {
            "namespace": "default",
            "name": name,
            "title": f"Service {number}",
            "description": "Takes what it is given and hands it on. " * 10,
            "uid": f"00000000-0000-0000-0000-{number:012}",
            "etag": f"{number:040x}",
            "labels": {"tier": str(number % 4), "backstage.io/language": "java", "example.com/area": "payments"},
            "annotations": {
                "backstage.io/managed-by-location": f"url:https://github.com/acme/{name}/blob/main/catalog-info.yaml",
                "backstage.io/source-location": f"url:https://github.com/acme/{name}/tree/main/",
                "github.com/project-slug": f"acme/{name}",
                "backstage.io/techdocs-ref": "dir:.",
            },
            "tags": ["Java", "pci", "spring-boot"],
            "links": [{"url": f"https://dash.example.com/{name}", "title": "Dashboard", "icon": "dashboard"}],
        },
        "spec": {"type": "service", "lifecycle": "production", "owner": "group:default/payments", "system": "checkout"},
        "relations": relations,
    }
    return SourceEntity(source_ref("Component", "default", name), json.dumps(entity).encode())


def cpu_seconds(who: int) -> float:
    """Return the CPU time of this process, or of its children that have ended."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True)
class Load:
    """Pages of one kind each, and the document that maps them."""

    name: str
    document: MappingDocument
    pages: list[tuple[str, list[SourceEntity]]]

    @property
    def count(self) -> int:
        """How many source entities there are."""
        return sum(len(page) for _, page in self.pages)

    @property
    def size(self) -> float:
        """Mean size of a source entity in bytes."""
        return statistics.mean(len(source.raw) for _, page in self.pages for source in page)


def plain_load(count: int) -> Load:
    """Return source entities that are all alike, for one resource."""
    sources = [make_source(number) for number in range(count)]
    pages = [("component", sources[start : start + PAGE]) for start in range(0, count, PAGE)]
    return Load("20 expressions", parse_mapping({"resources": [RESOURCE]}), pages)


def catalog_load(count: int, mapping: str | None) -> Load:
    """Return the synthetic catalog, for the default mapping or one in a file."""
    document = (
        load_mapping(Path(mapping).read_text(encoding="utf-8"), name=mapping).document
        if mapping
        else parse_mapping(default_mapping())
    )
    mapped = {resource.kind.lower() for resource in document.resources}
    by_kind: dict[str, list[SourceEntity]] = {}
    for entity in synthetic_catalog(count):
        source = SourceEntity(entity.ref, bytes(entity.body))
        by_kind.setdefault(entity.ref.partition(":")[0], []).append(source)
    pages = [
        (kind, sources[start : start + PAGE])
        for kind, sources in by_kind.items()
        if kind in mapped
        for start in range(0, len(sources), PAGE)
    ]
    return Load(mapping or "default mapping", document, pages)


async def map_all(load: Load, pages: list[tuple[str, list[SourceEntity]]], *, translate: bool) -> None:
    """Map some pages of a load through a pool of one worker."""
    async with WorkerPool(load.document, workers=1, limits=Limits(translate=translate)) as pool:
        for kind, page in pages:
            mapped = await pool.map_page(kind, page)
            assert all(source.targets and not source.problems for source in mapped)


@dataclass(frozen=True)
class Cost:
    """CPU in milliseconds for one source entity, and in seconds for starting and checking every expression."""

    workers: float
    parent: float
    start: float


def measure(load: Load, *, translate: bool) -> Cost:
    """Measure one way."""
    empty = _measured(load, [], translate=translate)
    full = _measured(load, load.pages, translate=translate)
    workers, parent = (1000 * (after - before) / load.count for before, after in zip(empty, full, strict=True))
    return Cost(workers, parent, sum(empty))


def _measured(load: Load, pages: list[tuple[str, list[SourceEntity]]], *, translate: bool) -> tuple[float, float]:
    children, own = cpu_seconds(resource.RUSAGE_CHILDREN), cpu_seconds(resource.RUSAGE_SELF)
    asyncio.run(map_all(load, pages, translate=translate))
    return cpu_seconds(resource.RUSAGE_CHILDREN) - children, cpu_seconds(resource.RUSAGE_SELF) - own


def measure_single(sources: list[SourceEntity], programs: list[Any]) -> float:
    """Return CPU seconds of one program for each expression, the way Port's own integration works."""
    before = time.process_time()
    for source in sources:
        entity = json.loads(source.raw)
        entity["metadata"]["identifier"] = source.ref
        json.dumps([program.input_value(entity).first() for program in programs])
    return time.process_time() - before


def compare(load: Load, *, rounds: int) -> dict[bool, float]:
    """Measure with and without translation in turns, print the medians, return the workers' share of each."""
    print(f"{load.name}: {load.count} source entities of {load.size:.0f} bytes")
    costs: dict[bool, list[Cost]] = {True: [], False: []}
    for _ in range(rounds):
        for translate, found in costs.items():
            found.append(measure(load, translate=translate))
    shares = {}
    for translate, found in costs.items():
        shares[translate] = statistics.median(cost.workers for cost in found)
        parent = statistics.median(cost.parent for cost in found)
        start = statistics.median(cost.start for cost in found)
        words = f"workers {shares[translate]:.4f} ms, parent {parent:.4f} ms for each; starting {start:.2f} s"
        print(f"  {'translated' if translate else 'libjq':10} {words}")
    print(f"  {shares[False] / shares[True]:.1f} times less in the workers")
    return shares


def main() -> None:
    """Measure all ways in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mapping", help="a mapping file, in the place of the default mapping")
    arguments = parser.parse_args()
    compare(catalog_load(arguments.sources, arguments.mapping), rounds=arguments.rounds)
    plain = plain_load(arguments.sources)
    shares = compare(plain, rounds=arguments.rounds)
    expressions = plan_document(plain.document)[0].plan.expressions
    programs = [jq.compile(slot(text, marker="error")) for text in expressions]
    singly = measure_single(plain.pages[0][1][:200], programs) / 200 * 1000
    print(f"  one program of libjq for each of {len(expressions)} expressions: {singly:.3f} ms,", end=" ")
    print(f"{singly / shares[True]:.1f} times what the workers take")


if __name__ == "__main__":
    main()
