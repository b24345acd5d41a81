"""A real Backstage backend as a test sees it: started, filled, changed, restarted and stopped from Python.

The backend is the one in `backstage/` next door. Everything here is blocking; from a test that also serves
something in its own event loop, call it through `asyncio.to_thread`.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from stageport.sandbox.backstage.descriptors import read_descriptors

Entity = dict[str, Any]

BACKEND = Path(__file__).parent / "backstage"
STANDARD_KINDS = ("Component", "API", "System", "Domain", "Resource", "Group", "User", "Location", "Template")
FURTHER_OWNERS = "stageport.example/further-owners"
"""An annotation that names, parted by spaces, owners beside `spec.owner`."""

CUSTOM_KINDS = ("Environment", "AiResource")

_START_SECONDS = 90
_STOP_SECONDS = 20
_PAGE = 500


class BackstageFailedError(AssertionError):
    """The backend did not do what a test needs of it; the message ends with what it logged last."""


class Answer(NamedTuple):
    """What came back over HTTP, unjudged."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Progress(NamedTuple):
    """How far the backend is with what it was given."""

    to_process: int
    to_stitch: int
    shown: frozenset[str]
    refused: Mapping[str, tuple[str, ...]]

    @property
    def is_quiet(self) -> bool:
        return self.to_process == 0 and self.to_stitch == 0


class RealBackstage:
    """One backend process on a free loopback port, with its own database and log under `home`.

    The port, the tokens and, unless told to forget, the catalog stay the same over a restart. `config` is laid
    over app-config.yaml and may hold any setting of Backstage; `config_files` come last, and may be changed while it
    is stopped. `backend` is another folder made like `backstage/`.
    """

    def __init__(
        self,
        home: Path,
        *,
        custom_kinds: Iterable[str] = CUSTOM_KINDS,
        config: Mapping[str, Any] | None = None,
        backend: Path = BACKEND,
        config_files: Iterable[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.config_files = list(config_files)
        self._backend = backend
        self._further_environment = dict(environment or {})
        self.log_file = home / "backstage.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = secrets.token_hex(16)
        self.denied_token = secrets.token_hex(16)
        self.restricted_token = secrets.token_hex(16)
        self._database = home / "database"
        self._custom_kinds = tuple(custom_kinds)
        self._config = dict(config or {})
        self._process: subprocess.Popen[bytes] | None = None

    # Its life

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start the backend. Without `wait` it is left to come up: connections are refused, then 404, then served."""
        if self.is_running:
            return
        if not (self._backend / "node_modules").is_dir():
            raise BackstageFailedError("Backstage is not installed; `make e2e` installs it and runs these tests.")
        self.home.mkdir(parents=True, exist_ok=True)
        overlay = self.home / "app-config.overlay.json"
        overlay.write_text(json.dumps(self._overlay()))
        config_files = [Path("app-config.yaml"), overlay, *self.config_files]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                ["node", "index.js", *(word for file in config_files for word in ("--config", str(file)))],
                cwd=self._backend,  # it looks for a package.json from here upwards
                env=self._environment(),
                stdin=subprocess.PIPE,  # when this end closes, however that comes about, the backend ends too
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the backend in good order
            )
        if wait:
            self.wait_until_serving()

    def wait_until_serving(self, *, timeout: float = _START_SECONDS) -> None:
        """Return once the catalog answers; it may still be empty."""
        for _ in _polls(timeout=timeout, pause=0.1):
            if not self.is_running:
                raise BackstageFailedError(self._with_log("Backstage ended while it started"))
            with contextlib.suppress(OSError, HTTPException):
                if self.request("GET", "/api/catalog/entities/by-query?limit=0").status == 200:
                    return
        raise BackstageFailedError(self._with_log(f"Backstage did not serve within {timeout} s"))

    def stop(self) -> None:
        """Stop the backend as an orchestrator does, with SIGTERM; SIGKILL if it will not."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def kill(self) -> None:
        """End the backend as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.stop()

    def restart(self, *, forget: bool = False, wait: bool = True) -> None:
        """Stop and start; with `forget` its database is lost, so that it comes back up with an empty catalog."""
        self.stop()
        if forget:
            shutil.rmtree(self._database, ignore_errors=True)
        self.start(wait=wait)

    # Its content

    def apply(self, entities: Iterable[Entity]) -> Progress:
        """Make these the whole content of the driven provider: what is not among them goes."""
        self._control("POST", "/e2e/mutation", {"type": "full", "entities": list(entities)})
        return self.wait_until_settled()

    def apply_delta(self, *, added: Iterable[Entity] = (), removed: Iterable[str] = (), wait: bool = True) -> Progress:
        """Create or replace some entities and take others away by ref, leaving the rest."""
        mutation = {"type": "delta", "added": list(added), "removed": list(removed)}
        self._control("POST", "/e2e/mutation", mutation)
        return self.wait_until_settled() if wait else self.progress()

    def delete(self, *refs: str) -> Progress:
        """Take entities away that were applied."""
        return self.apply_delta(removed=refs)

    def load_folder(self, folder: Path | None) -> Progress:
        """Read every .yaml below a folder as a `file` location of app-config.yaml would; None for no folder."""
        target = None if folder is None else f"{folder.resolve()}/**/*.yaml"
        self._control("POST", "/e2e/folder", {"target": target})
        return self.wait_until_settled()

    def refresh(self, ref: str) -> Progress:
        """Ask Backstage to read an entity again from where it came; of a Location, the files behind it."""
        self.request("POST", "/api/catalog/refresh", body={"entityRef": ref})
        return self.wait_until_settled()

    def clear(self) -> Progress:
        """Empty the catalog."""
        self._control("POST", "/e2e/mutation", {"type": "full", "entities": []})
        return self.load_folder(None)

    # What it shows

    def progress(self) -> Progress:
        told = self._control("GET", "/e2e/progress")
        return Progress(
            to_process=told["toProcess"],
            to_stitch=told["toStitch"],
            shown=frozenset(told["shown"]),
            refused={ref: tuple(reasons) for ref, reasons in told["refused"].items()},
        )

    def wait_until_settled(self, *, timeout: float = 120) -> Progress:
        """Return once all that was given is processed, stitched with its relations, and shown or refused.

        An update that is being processed right now is in neither queue, hence quiet three times in a row.
        """
        quiet = 0
        for _ in _polls(timeout=timeout, pause=0.1):
            progress = self.progress()
            quiet = quiet + 1 if progress.is_quiet else 0
            if quiet == 3:
                return progress
        raise BackstageFailedError(self._with_log(f"Backstage did not settle within {timeout} s"))

    def entities(self, *, token: str | None = None) -> list[Entity]:
        """Return everything that the catalog shows, by its own API, page by page."""
        found: list[Entity] = []
        path = f"/api/catalog/entities/by-query?limit={_PAGE}"
        while True:
            page = self.request("GET", path, token=token).json
            found += page["items"]
            cursor = page["pageInfo"].get("nextCursor")
            if cursor is None:
                return found
            path = f"/api/catalog/entities/by-query?limit={_PAGE}&cursor={cursor}"

    def entity(self, ref: str) -> Entity | None:
        """Return one entity by its ref (lower case), or None."""
        answer = self.request("POST", "/api/catalog/entities/by-refs", body={"entityRefs": [ref]})
        found: Entity | None = answer.json["items"][0]
        return found

    def request(self, method: str, path: str, *, token: str | None = None, body: Any = None) -> Answer:
        """Send one request with a token, by default the one that may do everything."""
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())

    # Underneath

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.request(method, path, body=body)
        if answer.status != 200:
            raise BackstageFailedError(f"{method} {path} was refused: {answer.body.decode()}")
        return answer.json

    def _overlay(self) -> dict[str, Any]:
        kinds = {"allow": [*STANDARD_KINDS, *self._custom_kinds]}
        overlay = {
            "backend": {"database": {"connection": {"directory": str(self._database)}}},
            "catalog": {"rules": [kinds]},
            "e2e": {"customKinds": list(self._custom_kinds)},
        }
        return _laid_over(overlay, self._config)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("APP_CONFIG_")}
        return inherited | {
            "NODE_ENV": "production",
            "STAGEPORT_E2E_STOP_WITH_STDIN": "yes",
            "STAGEPORT_E2E_PORT": str(self.port),
            "STAGEPORT_E2E_TOKEN": self.token,
            "STAGEPORT_E2E_DENIED_TOKEN": self.denied_token,
            "STAGEPORT_E2E_RESTRICTED_TOKEN": self.restricted_token,
            **self._further_environment,
        }

    def _with_log(self, message: str) -> str:
        return f"{message}. The end of its log:\n{self.log_since(0)[-4000:]}"

    def log_size(self) -> int:
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def log_since(self, position: int) -> str:
        """Return what was logged after a position that `log_size` gave."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")


def descriptors_in(folder: Path) -> list[Entity]:
    """Read every descriptor below a folder, in the order of the file names."""
    return [
        entity
        for path in sorted(folder.rglob("*.yaml"))
        for entity in read_descriptors(path.read_text("utf-8"), origin=path.name)
    ]


def ref_of(entity: Mapping[str, Any]) -> str:
    """Return an entity's ref as Backstage writes it in relations: lower case, with the namespace."""
    metadata = entity["metadata"]
    return f"{entity['kind']}:{metadata.get('namespace') or 'default'}/{metadata['name']}".lower()


def first_of_each_ref(entities: Iterable[Entity]) -> list[Entity]:
    """Drop later descriptors of the same ref: one provider cannot hold two."""
    firsts: dict[str, Entity] = {}
    for entity in entities:
        firsts.setdefault(ref_of(entity), entity)
    return list(firsts.values())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _polls(*, timeout: float, pause: float) -> Iterator[None]:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        yield
        time.sleep(pause)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _laid_over(merged[key], value) if both else value
    return merged
