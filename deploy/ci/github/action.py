"""What the GitHub Action does: install this checkout, run one command, and tell GitHub what came of it.

Nothing but Python is needed. The runner gives: INPUT_* (the inputs of action.yml), GITHUB_ACTION_PATH (this checkout),
GITHUB_OUTPUT, GITHUB_STEP_SUMMARY, RUNNER_TEMP. The exit code is that of the command.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COUNTS = ("create", "update", "delete", "unchanged", "kept", "refused", "blocked", "errors")
YES = {"true": True, "false": False, "": False}
USAGE = 64


def given(name: str) -> str:
    """Return an input as it was written; an empty one counts as absent."""
    return os.environ.get(f"INPUT_{name}", "").strip()


def is_set(name: str) -> bool:
    """Tell whether a switch is on."""
    value = given(name).lower()
    if value not in YES:
        stop(f"the input {name.lower().replace('_', '-')} is true or false, not {value!r}")
    return YES[value]


def stop(words: str) -> None:
    """Say what is wrong with the inputs, and end."""
    print(f"::error title=Stageport::{escape(words)}")
    sys.exit(USAGE)


def escape(text: str) -> str:
    """Write a message as a workflow command takes it: one line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Write a property of a workflow command."""
    return escape(text).replace(":", "%3A").replace(",", "%2C")


def install(checkout: Path, place: Path) -> Path:
    """Install this checkout with its locked dependencies, and return the command."""
    command = place / "bin" / "stageport"
    if command.exists():
        return command
    venv.create(place, with_pip=True, clear=True)
    pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for lock in ("build.txt", "runtime.txt"):
        subprocess.run([*pip, "--require-hashes", "--requirement", checkout / "requirements" / lock], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", checkout], check=True)
    return command


def settings(work: Path) -> dict[str, str]:
    """Return the environment of the command: the runner's own, and the inputs by the names of the settings."""
    names = {
        "BACKSTAGE_URL": "STAGEPORT_BACKSTAGE_URL",
        "BACKSTAGE_TOKEN": "STAGEPORT_BACKSTAGE_TOKEN",
        "PORT_CLIENT_ID": "STAGEPORT_PORT_CLIENT_ID",
        "PORT_CLIENT_SECRET": "STAGEPORT_PORT_CLIENT_SECRET",
        "PORT_BASE_URL": "STAGEPORT_PORT_BASE_URL",
        "IDENTIFIER": "STAGEPORT_INTEGRATION_IDENTIFIER",
    }
    chosen = {variable: given(name) for name, variable in names.items() if given(name)}
    outer = {name: value for name, value in os.environ.items() if not name.startswith("INPUT_")}
    return {"STAGEPORT_LEDGER": str(work / "ledger" / "ledger.sqlite3"), **outer, **chosen}


def run(command: Path, *words: str, environment: dict[str, str]) -> tuple[int, Any]:
    """Run a command whose result is JSON; what it says beside it goes to the log."""
    result = subprocess.run(
        [command, *words, "--output", "json"], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    try:
        return result.returncode, json.loads(result.stdout)
    except ValueError:
        return result.returncode, None


def annotate_mapping(file: str, checked: Any) -> Iterator[str]:
    """Yield an annotation for each problem of the mapping, at its line."""
    for problem in checked["problems"]:
        level = "error" if problem["level"] == "error" else "warning"
        place = f"file={escape_property(file)},line={problem['line']},col={problem['column']}"
        words = f"{problem['message']}. {problem['hint']}" if problem["hint"] else problem["message"]
        yield f"::{level} {place},title={escape_property(problem['field'] or 'mapping')}::{escape(words)}"


def annotate_result(result: Any) -> Iterator[str]:
    """Yield an annotation for what a person has to look at; the summary has the rest."""
    for failure in result["failures"]:
        yield f"::error title=Not read::{escape('kind ' + failure['kind'] + ': ' + failure['message'])}"
    for refused in result.get("refused", [])[:10]:
        words = f"{refused['blueprint']} {refused['identifier']}: {refused['status']} {refused['message']}"
        yield f"::error title=Refused by Port::{escape(words)}"
    for note in result["notes"]:
        yield f"::notice title=Stageport::{escape(note)}"


def tell_outputs(code: int, result: Any) -> None:
    """Write the outputs of the step."""
    counts = result["counts"] if result else {}
    lines = [f"{name}={counts.get(name, 0)}" for name in COUNTS if result]
    changes = sum(counts.get(name, 0) for name in ("create", "update", "delete"))
    lines += [f"changes={str(bool(changes)).lower()}", f"exit-code={code}"]
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write("\n".join(lines) + "\n")


def check_mapping(command: Path, file: str, environment: dict[str, str]) -> int:
    """Check a mapping file against the blueprints at Port; annotate what is wrong with it."""
    code, checked = run(command, "check", "--mapping", file, "--against-port", environment=environment)
    if checked is not None:
        print("\n".join(annotate_mapping(file, checked)))
    return code


def choose_words(asked: str, mapping: str) -> list[str]:
    """Return the words of the command line."""
    words = [asked, "--summary", os.environ["GITHUB_STEP_SUMMARY"]]
    words += ["--release-deletes"] if is_set("RELEASE_DELETES") else []
    return [*words, "--mapping", mapping, *fit_words()] if mapping and asked == "plan" else words


def fit_words() -> list[str]:
    """Return the option that makes a mapping fit, where that is asked for."""
    return ["--fit"] if is_set("FIT") else []


def store_mapping(command: Path, mapping: str, environment: dict[str, str]) -> int:
    """Store the mapping at Port, so that the sync works with it.

    The first sync registers the integration; what registers it here is the mapping that comes before.
    """
    words = ["mapping", "store", mapping, "--register", *fit_words()]
    return subprocess.run([command, *words], env=environment, check=False).returncode


def read_inputs() -> tuple[str, str]:
    """Return the command and the mapping file (empty for none); everything is checked before anything is done."""
    asked, mapping = given("COMMAND") or "plan", given("MAPPING")
    if asked not in ("plan", "sync"):
        stop(f"the input command is plan or sync, not {asked!r}")
    if mapping and not Path(mapping).is_file():
        stop(f"the input mapping names {mapping}, and there is no such file in this checkout")
    for switch in ("FIT", "RELEASE_DELETES"):
        is_set(switch)
    return asked, mapping


def main() -> int:
    """Do what the inputs say, and return the exit code of it."""
    asked, mapping = read_inputs()
    work = Path(os.environ["RUNNER_TEMP"]) / "stageport"
    command = install(Path(os.environ["GITHUB_ACTION_PATH"]), work / "installed")
    (work / "ledger").mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = settings(work)
    code = check_mapping(command, mapping, environment) if mapping else 0
    if code == 0 and mapping and asked == "sync":
        code = store_mapping(command, mapping, environment)
    result = None
    if code == 0:
        code, result = run(command, *choose_words(asked, mapping), environment=environment)
    if result:
        print("\n".join(annotate_result(result)))
    tell_outputs(code, result)
    return code


if __name__ == "__main__":
    sys.exit(main())
