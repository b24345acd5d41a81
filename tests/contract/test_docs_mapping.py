"""The pages about mappings: every shell block runs, every YAML block loads, every key and every rule is told."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from stageport.mapping.document import parse_mapping
from stageport.mapping.schema import mapping_schema
from stageport.plan.fit import Trouble
from stageport.sandbox.backstage.server import BackstageOptions, serve_backstage

ROOT = Path(__file__).parents[2]
HOW_TO = (ROOT / "docs" / "how-to" / "write-a-mapping.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference" / "mapping.md").read_text(encoding="utf-8")
LINTERS = ("mapping/lint.py", "mapping/compiling.py", "plan/review.py", "cli/mapping_review.py", "cli/mapping_check.py")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(180)
async def test_the_how_to_runs_as_it_is_written(tmp_path: Path) -> None:
    descriptor = re.search(r"<<'EOF'\n(.*?)\nEOF", HOW_TO, re.DOTALL)
    assert descriptor is not None
    petstore = yaml.safe_load(descriptor[1])
    del petstore["relations"]  # a descriptor has none: Backstage works them out
    async with serve_backstage(BackstageOptions(token="t", descriptors=[petstore])) as backstage:
        printed = await asyncio.to_thread(run_blocks, tmp_path, backstage.url)
    listed, shown = blocks(HOW_TO, "text")
    assert shown in printed
    # The mistake is found once, by its exit code; the entity is found in the file and in Backstage.
    assert printed.count("exit code 4") == 1
    assert printed.count("component:default/petstore\n\nresource 0: component") == 3
    named = set(re.findall(r"[\w./-]+\.(?:yaml|json)", listed))
    assert {name for name in named if not is_there(tmp_path / "acme" / name)} == set()


def is_there(path: Path) -> bool:
    return path.is_file()


def run_blocks(folder: Path, backstage_url: str) -> str:
    """Run all shell blocks of the page as one script that stops at the first failure."""
    done = subprocess.run(
        ["bash", "-c", "\n".join(("set -euo pipefail", *blocks(HOW_TO, "bash")))],
        cwd=folder,
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "BACKSTAGE_URL": backstage_url,
            "BACKSTAGE_TOKEN": "t",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("block", blocks(REFERENCE, "yaml"), ids=lambda block: block.partition("\n")[0])
def test_the_yaml_of_the_reference_loads(block: str) -> None:
    document = yaml.safe_load(block)
    base: dict[str, Any] = {"identifier": ".x", "blueprint": '"b"'}
    if isinstance(document, list):
        document = {"resources": document}
    if "relations" in document:
        port = {"entity": {"mappings": {**base, **document}}}
        document = {"resources": [{"kind": "component", "selector": {"query": "true"}, "port": port}]}
    assert parse_mapping(document).unknown == ()


def test_the_reference_tells_every_key() -> None:
    told = set(re.findall(r"\w+", REFERENCE))
    # One name in snake case stands for the others.
    others = {"delete_dependent_entities", "enable_merge_entity", "entity_deletion_threshold"}
    assert _keys(mapping_schema()) - told == others


def _keys(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {key for one in schema for key in _keys(one)}
    if not isinstance(schema, dict):
        return set()
    own = schema["properties"] if schema.get("type") == "object" and "properties" in schema else {}
    return set(own) | {key for one in schema.values() for key in _keys(one)}


def test_the_reference_tells_every_rule_of_the_linter() -> None:
    code = r'(?:_warn\(slot, f?|Remark\(Level\.\w+, |Problem\(Level\.\w+, |level, )"([a-z{}.-]+)"'
    source = "".join((ROOT / "src" / "stageport" / path).read_text(encoding="utf-8") for path in LINTERS)
    codes = set(re.findall(code, source)) | {one.value for one in Trouble} - {"relation-target"}
    codes = codes - {"{slot.field}-may-be-null"} | {"identifier-may-be-null", "blueprint-may-be-null"}
    assert len(codes) > 18
    assert {one for one in codes if f"`{one}`" not in REFERENCE} == set()


@pytest.mark.parametrize("name", ["map.schema.json", "check-mapping.schema.json"])
def test_the_schemas_of_the_output_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(json.loads((ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")))
