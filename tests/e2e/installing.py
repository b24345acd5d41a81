"""Installs the packed Backstage module into a fresh backend, by what its README says and nothing else."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.e2e.harness import BACKEND

ROOT = Path(__file__).parents[2]
README = ROOT / "backstage-module" / "README.md"
PACKAGE = ROOT / "build" / "module.tgz"
EVENTS_VERSION = "0.6.6"
"""The version of the events plugin that belongs to the Backstage release in `backstage/`."""

NAME = "backstage-plugin-catalog-backend-module-stageport"


def readme_section(title: str) -> str:
    """Return one chapter of the module's README."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found, f"the module's README has no chapter {title}"
    return found[1]


def readme_code(title: str) -> list[str]:
    """Return the code blocks of one chapter, in their order, without indentation."""
    blocks = re.findall(r"(?:^(?: {7}.*)?\n)+", readme_section(title), re.MULTILINE)
    return [re.sub(r"^ {7}", "", block, flags=re.MULTILINE).strip() for block in blocks if block.strip()]


class FreshBackend:
    """A Backstage backend that has never heard of the module: its folder, and the README's steps in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(BACKEND, folder, copy_function=_link, symlinks=True)
        install, self._add, make_secret, self._config = readme_code("Install")
        self._uninstall_config, self._uninstall = readme_code("Remove")
        assert install == f"npm install ./{NAME}-0.1.0.tgz"
        self.secret = self._shell(make_secret).strip()
        self.bus_config = ""

    def install(self) -> None:
        """Steps 1 and 2."""
        package = self.folder / f"{NAME}-0.1.0.tgz"
        shutil.copyfile(PACKAGE, package)
        # Offline first and without audit: the same command, only quicker.
        self._shell(f"npm install --prefer-offline --no-audit --no-fund --loglevel=error ./{package.name}")
        self._add_to_index(self._add)

    def install_bus(self) -> None:
        """The steps for a Stageport that cannot be reached."""
        install, add, self.bus_config = readme_code("Where Backstage cannot reach Stageport")
        self._shell(f"{install}@{EVENTS_VERSION} --prefer-offline --no-audit --no-fund --loglevel=error")
        self._add_to_index(add)

    def config(self, url: str) -> str:
        """Step 3: the section of app-config.yaml."""
        assert "https://stageport.example.com" in self._config
        return self._config.replace("https://stageport.example.com", url)

    def removing_config(self, url: str) -> str:
        """The same, with the line that takes the module out of the database."""
        return f"{self.config(url)}\n  {self._uninstall_config}\n"

    def remove(self) -> None:
        """Take the line out of index.js, and the package out."""
        index = self.folder / "index.js"
        index.write_text(index.read_text().replace(self._add, ""))
        self._shell(f"{self._uninstall} --prefer-offline --no-audit --no-fund --loglevel=error")
        assert not (self.folder / "node_modules" / NAME).exists()

    def node(self, script: str, *words: str) -> str:
        """Run a script with the packages of this backend."""
        return self._run(["node", "-e", script, *words])

    def _add_to_index(self, line: str) -> None:
        index = self.folder / "index.js"
        index.write_text(index.read_text().replace("backend.start();", f"{line}\nbackend.start();"))
        assert line in index.read_text()

    def _shell(self, script: str) -> str:
        return self._run(["bash", "-c", script])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _link(source: str, target: str) -> None:
    """Link packages, which npm replaces as a whole; copy what somebody writes to."""
    is_package = "node_modules/" in source and not source.endswith(".package-lock.json")
    try:
        (os.link if is_package else shutil.copy)(source, target)
    except OSError:
        shutil.copy(source, target)
