"""The pytest plugin: fixtures for tests of an application's handlers. What they need is imported when they are used."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ujobs_tools.testing.alone import Interpreter, RunJob

INTERPRETERS = ("cpython", "micropython")


def pytest_configure(config: pytest.Config) -> None:
    """In a project, applications can be imported: `machine`, `ujobs` and the application's own modules are found."""
    from ujobs_tools import project

    found = project.find(config.rootpath)
    if found is not None:
        from ujobs_tools.testing import on_cpython

        on_cpython.install()
        if found.app is not None:
            import sys

            sys.path.append(str(found.app if found.app.is_dir() else found.app.parent))


@pytest.fixture(scope="session", params=INTERPRETERS)
def ujobs_interpreter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Interpreter":
    """Where `run_job` runs handlers: each test runs on both."""
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
    """The application's folder or file: of ujobs.toml. Override it for one without a project."""
    from ujobs_tools import project

    found = project.find(pytestconfig.rootpath)
    return None if found is None else found.app


@pytest.fixture
def run_job(ujobs_interpreter: "Interpreter", ujobs_app: Path | None) -> "RunJob":
    """Runs a handler alone: `run_job(handler, document)`, see RunJob."""
    from ujobs_tools.testing.alone import RunJob

    return RunJob(ujobs_interpreter, ujobs_app)
