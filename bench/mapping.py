"""What mapping one source entity costs: ``python -m bench.mapping``.

A source entity of 2 kB and a resource with 20 expressions, all expressions in one program against one program for
each, in turns so that a busy machine treats both alike. CPU time of all processes is the figure to read; the worker's
figure holds everything: framing, jq, assembling and encoding in the worker, decoding in the parent.
"""

import argparse
import asyncio
import json
import resource
import statistics
import time
from typing import Any

import jq

from stageport.mapping.document import parse_mapping
from stageport.mapping.layout import plan_document
from stageport.mapping.program import slot
from stageport.mapping.workers import WorkerPool
from stageport.model.entities import SourceEntity
from stageport.model.refs import source_ref

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


def cpu() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


async def map_all(sources: list[SourceEntity], page: int) -> None:
    """Map all source entities through a pool of one worker."""
    async with WorkerPool(parse_mapping({"resources": [RESOURCE]}), workers=1) as pool:
        for start in range(0, len(sources), page):
            mapped = await pool.map_page("component", sources[start : start + page])
            assert all(len(source.targets) == 1 and not source.problems for source in mapped)


def measure_workers(sources: list[SourceEntity], page: int) -> float:
    """Return CPU seconds of a pool for these, without what starting it costs."""
    before = cpu()
    asyncio.run(map_all([], page))
    started = cpu()
    asyncio.run(map_all(sources, page))
    return (cpu() - started) - (started - before)


def measure_single(sources: list[SourceEntity], programs: list[Any]) -> float:
    """Return CPU seconds of one program for each expression, the way Port's own integration works."""
    before = time.process_time()
    for source in sources:
        entity = json.loads(source.raw)
        entity["metadata"]["identifier"] = source.ref
        json.dumps([program.input_value(entity).first() for program in programs])
    return time.process_time() - before


def main() -> None:
    """Measure both ways in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    sources = [make_source(number) for number in range(arguments.sources)]
    expressions = plan_document(parse_mapping({"resources": [RESOURCE]}))[0].plan.expressions
    programs = [jq.compile(slot(text, marker="error")) for text in expressions]
    size = statistics.mean(len(source.raw) for source in sources)
    print(f"{len(sources)} source entities of {size:.0f} bytes, {len(expressions)} expressions")
    together, singly = [], []
    for turn in range(arguments.rounds):
        together.append(measure_workers(sources, 500) / len(sources) * 1000)
        few = sources[: max(1, len(sources) // 10)]
        singly.append(measure_single(few, programs) / len(few) * 1000)
        print(f"round {turn + 1}: worker pool {together[-1]:.3f} ms, one program per expression {singly[-1]:.3f} ms")
    ratio = statistics.median(singly) / statistics.median(together)
    print(f"median CPU per source entity: {statistics.median(together):.3f} ms in the pool,", end=" ")
    print(f"{statistics.median(singly):.3f} ms with one program per expression: {ratio:.1f} times")


if __name__ == "__main__":
    main()
