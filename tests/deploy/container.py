"""A container without a container engine: the image's file tree, environment, user and read-only root."""

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.shell_blocks import ROOT

DOCKERFILE = ROOT / "deploy" / "container" / "Dockerfile"
TREE = ROOT / "build" / "deploy" / "image" / "opt" / "stageport"
"""What `make deploy-check` installed with the script that the Dockerfile runs."""

HIDDEN = ("/tmp", "/opt", "/root", "/home", "/var/lib", "/usr/local/share")
"""Folders of this machine that the image does not have: empty inside, but for what is mounted there."""

ANY_USER = 1_000_770_000
"""An arbitrary user id, of the range that OpenShift deals out; its group is 0 there."""


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the image's last stage: keyword and arguments, continuation lines joined."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines[last:]]


@cache
def image_environment() -> dict[str, str]:
    """Return the environment that the image gives its process."""
    words = [word for keyword, words in instructions() if keyword == "ENV" for word in shlex.split(words)]
    return dict(word.split("=", 1) for word in words)


def image_command() -> list[str]:
    """Return what the image starts."""
    (command,) = [words for keyword, words in instructions() if keyword == "CMD"]
    return [word.strip(' "') for word in command.strip("[] ").split(",")]


def image_healthcheck() -> list[str]:
    """Return what the engine runs to see whether the service answers."""
    (words,) = [words for keyword, words in instructions() if keyword == "HEALTHCHECK"]
    return [word.strip(' "') for word in words.partition(" CMD ")[2].strip("[] ").split(",")]


@dataclass
class Container:
    """How to start it: files that are mounted by path inside, fresh volumes, and folders of ours that are volumes."""

    environment: dict[str, str]
    files: dict[str, Path] = field(default_factory=dict)
    volumes: tuple[str, ...] = ("/tmp/ocean",)
    folders: dict[str, Path] = field(default_factory=dict)
    user: int = ANY_USER

    def words(self, *command: str) -> list[str]:
        """Return the words that start a command in it, or what the image starts."""
        environment = {**image_environment(), **self.environment}
        pairs = [f"{name}={value}" for name, value in environment.items()]
        start = ["setpriv", f"--reuid={self.user}", "--regid=0", "--clear-groups", "env", "-i", *pairs]
        return ["unshare", "--mount", "sh", "-euc", self._script(), "container", *start, *(command or image_command())]

    def _script(self) -> str:
        """Mount everything read-only, but for the volumes; then become the user."""
        mounts = [*self.files, *self.volumes, *self.folders]
        # What is made for a mount must not be made on this machine.
        assert all(any(Path(one).is_relative_to(place) for place in HIDDEN) for one in mounts), mounts
        interpreter = Path(sys.base_prefix)
        # A Python of the system stays where it is; one that a hidden folder holds comes back.
        hidden = any(interpreter.is_relative_to(place) for place in HIDDEN)
        back = f"mkdir -p {interpreter}; mount --bind /mnt/python {interpreter}" if hidden else ""
        files = "\n".join(
            f"mkdir -p {Path(inside).parent}; touch {inside}; mount --bind /mnt/file{number} {inside}"
            for number, inside in enumerate(self.files)
        )
        kept = "\n".join(
            f"touch /mnt/file{number}; mount --bind {shlex.quote(str(outside))} /mnt/file{number}"
            for number, outside in enumerate(self.files.values())
        )
        kept += "\n" + "\n".join(
            f"mkdir /mnt/folder{number}; mount --bind {shlex.quote(str(outside))} /mnt/folder{number}"
            for number, outside in enumerate(self.folders.values())
        )
        files += "\n" + "\n".join(
            f"mkdir -p {inside}; mount --bind /mnt/folder{number} {inside}"
            for number, inside in enumerate(self.folders)
        )
        volumes = (*self.volumes, *self.folders, *(f"/mnt/folder{number}" for number in range(len(self.folders))))
        folders = "\n".join(f"mkdir -p {one}; mount -t tmpfs -o mode=1777 stageport {one}" for one in self.volumes)
        return f"""
            mount --make-rprivate /
            mount -t tmpfs -o mode=755 stageport /mnt
            mkdir /mnt/python /mnt/image
            mount --bind {interpreter} /mnt/python
            mount --bind {TREE} /mnt/image
            {kept}
            for place in {" ".join(HIDDEN)}; do mount -t tmpfs -o mode=755 stageport $place; done
            {back}
            mkdir -p /opt/stageport /usr/local/share/ca-certificates
            mount --bind /mnt/image /opt/stageport
            {files}
            {folders}
            for place in {" ".join(HIDDEN)} /mnt; do mount -o remount,ro $place; done
            findmnt -rno TARGET | while read -r place; do
                case "$place" in /proc* | /dev* | /sys* | {" | ".join(volumes)}) ;;
                *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;;
                esac
            done
            cd /
            exec "$@"
        """


def can_unshare() -> bool:
    """Tell whether this machine lets us make a mount namespace of our own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
