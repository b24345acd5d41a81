"""docker, as far as the CI templates use it: `docker run` starts the image's file tree in a container of our making.

It stands on the PATH of a template's script as `docker`; words that it does not know are errors.
"""

import os
import sys
from pathlib import Path

from tests.deploy.container import ANY_USER, Container

WITH_VALUE = {"-e": "env", "--env": "env", "--volume": "volume", "-v": "volume", "--tmpfs": "tmpfs", "--user": "user"}
WITHOUT = {"--rm", "--read-only", "-i", "--platform=linux/amd64"}


def read(words: list[str]) -> tuple[dict[str, list[str]], str, list[str]]:
    """Split the words into options, image and command."""
    options: dict[str, list[str]] = {}
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in WITH_VALUE:
            options.setdefault(WITH_VALUE[word], []).append(words.pop(0))
        elif word not in WITHOUT:
            sys.exit(f"docker: unknown option {word}")
    return options, words.pop(0), words


def main() -> None:
    """Start the container in place of this process."""
    if sys.argv[1] != "run":
        sys.exit(f"docker: unknown command {sys.argv[1]}")
    options, image, command = read(sys.argv[2:])
    if "stageport" not in image and "port-ocean-backstage" not in image:
        sys.exit(f"docker: unknown image {image}")
    environment = {}
    for pair in options.get("env", []):
        name, given, value = pair.partition("=")
        if given or name in os.environ:
            environment[name] = value if given else os.environ[name]
    folders = {inside: Path(outside) for outside, inside in (one.split(":") for one in options.get("volume", []))}
    kept = {inside: outside for inside, outside in folders.items() if outside.is_absolute()}
    volumes = ("/tmp/ocean", *(inside for inside in folders if inside not in kept))
    user = int(options["user"][0].partition(":")[0]) if "user" in options else ANY_USER
    container = Container(environment, volumes=volumes, folders=kept, user=user)
    line = container.words(*command)
    os.execvp(line[0], line)


if __name__ == "__main__":
    main()
