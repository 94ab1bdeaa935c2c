"""The pytest plugin: fixtures for tests of an application's handlers. Imports are local, so that pytest starts fast."""

import itertools
import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ujobs_tools.project.ujobs_toml import Project
    from ujobs_tools.service.in_thread import LocalService
    from ujobs_tools.testing.alone import Interpreter, RunJob
    from ujobs_tools.testing.cable_board import CableBoard
    from ujobs_tools.testing.jobs_service import JobsService
    from ujobs_tools.testing.virtual_board import VirtualBoard

_LINES = 60  # lines of the console, and messages, in the report of a failure
_UPDATE_INTERVAL = 1  # seconds between two progress updates, if the settings do not set it
_VIRTUAL = "virtual"
_numbers = itertools.count(1)

INTERPRETERS = ("cpython", "micropython")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of ujobs."""
    group = parser.getgroup("ujobs")
    group.addoption(
        "--ujobs-endpoint", metavar="URL", help="Use this `ujobs serve` or MiniStack. Default: a service for the tests."
    )
    group.addoption(
        "--ujobs-board", metavar="PORT", default=_VIRTUAL,
        help="Board of the fixture `board`: virtual, or the port of a real one: /dev/ttyUSB0, socket://HOST:PORT.",
    )
    group.addoption(
        "--ujobs-host", metavar="ADDRESS",
        help="Address of this machine for a real board; the tests' service then listens on the network.",
    )


def _project(config: pytest.Config) -> "Project | None":
    """Return the project that contains the tests given to pytest, else the one that contains the current folder.

    pytest's rootpath comes last, because paths in other options can change it.
    """
    from ujobs_tools.project import ujobs_toml

    folder = config.invocation_params.dir
    for tests in (*config.args, ""):
        found = ujobs_toml.find(folder / tests.partition("::")[0])
        if found is not None:
            return found
    return ujobs_toml.find(config.rootpath)


def pytest_configure(config: pytest.Config) -> None:
    """In a project, make `machine`, `ujobs` and the application's modules importable."""
    found = _project(config)
    if found is not None:
        from ujobs_tools.testing import on_cpython

        on_cpython.install()
        if found.app is not None:
            import sys

            sys.path.append(str(found.app if found.app.is_dir() else found.app.parent))


@pytest.fixture(scope="session", params=INTERPRETERS)
def ujobs_interpreter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Interpreter":
    """The interpreter of `run_job`; each test runs on both."""
    if request.param == "cpython":
        from ujobs_tools.testing.on_cpython import CPython

        return CPython()
    from ujobs_tools.board.interpreter import InterpreterError
    from ujobs_tools.testing.on_micropython import MicroPython

    try:
        return MicroPython(tmp_path_factory.mktemp("micropython"))
    except InterpreterError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def ujobs_app(pytestconfig: pytest.Config) -> Path | None:
    """The application's folder or file. Default: `app` in ujobs.toml. Override it for an application without a
    project."""
    found = _project(pytestconfig)
    return None if found is None else found.app


@pytest.fixture
def run_job(ujobs_interpreter: "Interpreter", ujobs_app: Path | None) -> "RunJob":
    """Runs a single handler: `run_job(handler, document)`, see RunJob."""
    from ujobs_tools.testing.alone import RunJob

    return RunJob(ujobs_interpreter, ujobs_app)


@pytest.fixture(scope="session")
def ujobs_service(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[LocalService | None]":
    """The Jobs service of the session; None with --ujobs-endpoint."""
    if pytestconfig.getoption("--ujobs-endpoint"):
        yield None
        return
    from ujobs_tools.service.in_thread import LocalService

    with LocalService(tmp_path_factory.mktemp("service"), host=pytestconfig.getoption("--ujobs-host")) as service:
        yield service


@pytest.fixture
def ujobs_topics() -> Sequence[str]:
    """Topics of the application, for the policy of the test's thing. Override it."""
    return ()


@pytest.fixture
def service(
    ujobs_service: "LocalService | None", ujobs_topics: Sequence[str], pytestconfig: pytest.Config, tmp_path: Path
) -> "JobsService":
    """Jobs and faults for the test. Creates a thing for the test in the session's Jobs service."""
    from ujobs_tools.aws import fleet
    from ujobs_tools.testing.jobs_service import JobsService

    url = ujobs_service.url if ujobs_service else str(pytestconfig.getoption("--ujobs-endpoint"))
    name = f"test-{next(_numbers)}" if ujobs_service else f"test-{tmp_path.parent.name[-40:]}-{next(_numbers)}"
    thing = fleet.create_thing(name, tmp_path / "thing", url, topics=ujobs_topics)
    return JobsService(url, thing, ujobs_service)


@pytest.fixture(scope="session")
def ujobs_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flash image with the files that all boards share."""
    from ujobs_tools.board.files import make_bare_files, make_program_files
    from ujobs_tools.board.image import build_image
    from ujobs_tools.board.interpreter import InterpreterError

    image = tmp_path_factory.mktemp("image") / "flash.img"
    try:
        build_image(image, make_program_files() | make_bare_files())
    except InterpreterError as error:
        pytest.skip(str(error))
    return image


@pytest.fixture
def ujobs_settings() -> dict[str, Any]:
    """Settings of the board that differ from the project's. Override it."""
    return {}


@pytest.fixture
def board(
    service: "JobsService", ujobs_app: Path | None, ujobs_settings: dict[str, Any], request: pytest.FixtureRequest,
    tmp_path: Path,
) -> "Iterator[VirtualBoard | CableBoard]":
    """A running board with the application, connected to the test's `service`: a virtual board, or with --ujobs-board a
    real one."""
    settings = _settings(request.config, service, ujobs_app, ujobs_settings)
    port = str(request.config.getoption("--ujobs-board"))
    log = tmp_path / "console.txt"
    if port == _VIRTUAL:
        yield from _virtual_board(request.getfixturevalue("ujobs_image"), log, service, ujobs_app, settings)
    else:
        yield from _cable_board(port, log, service, ujobs_app, settings)


def _settings(
    config: pytest.Config, service: "JobsService", app: Path | None, different: dict[str, Any]
) -> dict[str, Any]:
    from ujobs_tools.board.settings import make_settings

    found = _project(config)
    thing = service.thing
    overrides = {"thing": thing.name, "host": thing.host, "port": thing.port}
    settings = make_settings(found.settings if found else None, overrides, [])
    if not settings.get("update_interval"):
        settings["update_interval"] = _UPDATE_INTERVAL
    return settings | ({} if app else {"app": None}) | different


def _virtual_board(
    fresh: Path, log: Path, service: "JobsService", app: Path | None, settings: dict[str, Any]
) -> "Iterator[VirtualBoard]":
    from ujobs_tools.board.files import make_own_files
    from ujobs_tools.board.image import write_files
    from ujobs_tools.testing.virtual_board import VirtualBoard

    image = log.with_name("flash.img")
    shutil.copyfile(fresh, image)
    write_files(image, make_own_files(settings, service.thing.directory, app))
    made = VirtualBoard(image, log, service)
    made.start()
    yield made
    made.close()


def _cable_board(
    port: str, log: Path, service: "JobsService", app: Path | None, settings: dict[str, Any]
) -> "Iterator[CableBoard]":
    from ujobs_tools.deploy import ports, provision
    from ujobs_tools.testing.cable_board import CableBoard

    password = os.environ.get("UJOBS_WIFI_PASSWORD")
    if password is not None and settings.get("wifi"):
        settings["wifi"] = settings["wifi"] | {"password": password}
    try:
        made = CableBoard(ports.choose(port), log, service)
        try:
            made.deploy(app, provision.board_files(settings, service.thing.directory))
            yield made
        finally:
            made.close()
    except ports.BoardError as error:
        raise pytest.fail.Exception(f"--ujobs-board {port}: {error}", pytrace=False) from None


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Fail the test if there is an unexpected traceback on the console."""
    result = yield
    if "board" not in pyfuncitem.funcargs:
        return result
    from ujobs_tools.testing.console import BoardOnConsole

    made = pyfuncitem.funcargs["board"]
    if isinstance(made, BoardOnConsole):
        traceback = made.unexpected_traceback()
        if traceback is not None:
            pytest.fail(f"unexpected traceback on the board's console:\n{traceback}", pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the job, the console, the messages and the versions of the executions to the report of a failure."""
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        from ujobs_tools.testing.failure import sections

        made = item.funcargs
        report.sections += sections(made.get("run_job"), made.get("board"), made.get("service"), _LINES)
    return report
