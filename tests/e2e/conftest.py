"""Fixtures: a real Backstage for the whole run, emptied for each test that asks for it.

Files may run side by side: each worker has a Backstage of its own, and whatever else lasts for the run. When a test
fails, what the backend logged while it ran is shown with it; what tests measured is shown at the end.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Entity, RealBackstage, descriptors_in, first_of_each_ref
from tests.e2e.installing import PACKAGE, FreshBackend
from tests.e2e.module_rig import FULL, Rig
from tests.e2e.postgres import PostgresServer

REAL_CATALOGS = Path(__file__).parents[2] / ".." / "shared" / "real-catalogs"

_running = pytest.StashKey[RealBackstage]()
_log_start = pytest.StashKey[int]()
_FIGURES = "figures"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Takes what a test measured, to be shown at the end of the run, from whichever worker."""
    return lambda text: record_property(_FIGURES, text)


@pytest.fixture(scope="session")
def running_backstage(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[RealBackstage]:
    """The one backend of the run, with whatever the last test left in it; tests want `backstage`."""
    backstage = RealBackstage(tmp_path_factory.mktemp("backstage"))
    pytestconfig.stash[_running] = backstage
    try:
        backstage.start()
        yield backstage
    finally:
        backstage.stop()


@pytest.fixture
def backstage(running_backstage: RealBackstage) -> RealBackstage:
    """A running real Backstage with an empty catalog."""
    running_backstage.start()
    running_backstage.clear()
    return running_backstage


@pytest.fixture
def real_descriptors() -> list[Entity]:
    """Descriptors of public repositories, the first of each ref; skips where they are not at hand."""
    if not REAL_CATALOGS.is_dir():
        pytest.skip("the real catalogs are not next to this checkout")
    return first_of_each_ref(descriptors_in(REAL_CATALOGS))


@pytest.fixture
def backstage_with_real_catalogs(backstage: RealBackstage, real_descriptors: list[Entity]) -> RealBackstage:
    """A real Backstage that was given those; `progress()` says which are shown, and of the others why not."""
    backstage.apply(real_descriptors)
    return backstage


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> FreshBackend:
    """A backend folder into which the packed module was installed; skips where it is not packed."""
    if not PACKAGE.exists():
        pytest.skip("the module is not packed: `make build/module.tgz`")
    backend = FreshBackend(tmp_path_factory.mktemp("fresh") / "backend")
    backend.install()
    return backend


@pytest.fixture(scope="session")
def fresh_with_bus(fresh: FreshBackend, tmp_path_factory: pytest.TempPathFactory) -> FreshBackend:
    """Another one, with the events plugin; its settings are those for the event bus."""
    backend = FreshBackend(tmp_path_factory.mktemp("fresh") / "backend-with-bus")
    backend.install()
    backend.install_bus()
    return backend


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole run."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgres", *(["postgres-schema"] if FULL else [])])
def rig(request: pytest.FixtureRequest, fresh: FreshBackend, tmp_path: Path) -> Iterator[Rig]:
    """A database (SQLite, then PostgreSQL), a receiver, and Backstages with the module as a test wants them."""
    postgres = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    rig = Rig(request.param, fresh, postgres, tmp_path)
    try:
        yield rig
    finally:
        rig.stop()


@pytest.fixture
def postgres_rig(fresh: FreshBackend, postgres: PostgresServer, tmp_path: Path) -> Iterator[Rig]:
    """The same on PostgreSQL only."""
    rig = Rig("postgres", fresh, postgres, tmp_path)
    try:
        yield rig
    finally:
        rig.stop()


def pytest_runtest_setup(item: pytest.Item) -> None:
    backstage = item.config.stash.get(_running, None)
    item.stash[_log_start] = backstage.log_size() if backstage else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    backstage = item.config.stash.get(_running, None)
    if backstage is not None and report.failed:
        report.sections.append(("Backstage log", backstage.log_since(item.stash[_log_start])[-20_000:]))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = [
        text
        for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
        for name, text in report.user_properties
        if name == _FIGURES
    ]
    if figures:
        terminalreporter.section("what was measured")
        terminalreporter.write("\n".join([*figures, ""]))
