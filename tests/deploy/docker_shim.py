"""docker, as far as the pages and the CI templates use it, without an engine.

`run` starts the image's file tree in a container of our making; with --detach, the doctor in place of the service, so
that it ends. `build` and `push` look whether the files are there. Words that it does not know are errors.
"""

import os
import sys
from pathlib import Path

from tests.deploy.container import ANY_USER, Container
from tests.shell_blocks import ROOT

WITH_VALUE = {
    **dict.fromkeys(("-e", "--env"), "env"),
    **dict.fromkeys(("-v", "--volume"), "volume"),
    "--env-file": "env-file",
    "--name": "name",
    "--publish": "publish",
    "--tmpfs": "tmpfs",
    "--user": "user",
}
WITHOUT = {"--rm", "--read-only", "-i", "--platform=linux/amd64", "--detach"}


def read(words: list[str]) -> tuple[dict[str, list[str]], str, list[str]]:
    """Split the words into options, image and command."""
    options: dict[str, list[str]] = {}
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in WITH_VALUE:
            options.setdefault(WITH_VALUE[word], []).append(words.pop(0))
        elif word in WITHOUT:
            options.setdefault(word, [])
        else:
            sys.exit(f"docker: unknown option {word}")
    return options, words.pop(0), words


def environment_of(options: dict[str, list[str]], folder: Path) -> dict[str, str]:
    """Return the environment inside: a name alone is passed on, if it is set."""
    files = [folder / name for name in options.get("env-file", [])]
    pairs = [line for file in files for line in file.read_text().splitlines()]
    found = {}
    for pair in [*pairs, *options.get("env", [])]:
        name, given, value = pair.partition("=")
        if given or name in os.environ:
            found[name] = value if given else os.environ[name]
    return found


def container_of(options: dict[str, list[str]], folder: Path) -> Container:
    """Return the container; a volume with a name is a fresh one, one with a path is what lies there."""
    mounts = [one.split(":")[:2] for one in options.get("volume", [])]
    named = [inside for outside, inside in mounts if "/" not in outside]
    paths = {inside: (folder / outside).resolve() for outside, inside in mounts if "/" in outside}
    return Container(
        environment_of(options, folder),
        files={inside: path for inside, path in paths.items() if path.is_file()},
        folders={inside: path for inside, path in paths.items() if path.is_dir()},
        volumes=("/tmp/ocean", *named),
        user=int(options["user"][0].partition(":")[0]) if "user" in options else ANY_USER,
    )


def main() -> None:
    """Do what is asked, in place of this process."""
    folder = Path(os.environ["SHIM_FOLDER"])
    if sys.argv[1] in {"build", "push"}:
        missing = [word for word in sys.argv[2:] if "Dockerfile" in word and not (ROOT / word).is_file()]
        sys.exit(f"docker: there is no {missing[0]}" if missing else 0)
    if sys.argv[1] != "run":
        sys.exit(f"docker: unknown command {sys.argv[1]}")
    options, image, command = read(sys.argv[2:])
    if "stageport" not in image:
        sys.exit(f"docker: unknown image {image}")
    if "--detach" in options:
        command = ["stageport", "check"]
    line = container_of(options, folder).words(*command)
    os.execvp(line[0], line)


if __name__ == "__main__":
    main()
