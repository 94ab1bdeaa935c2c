"""The installed wheel, outside the repository: creates a project, tests it and runs it."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ujobs_lab import REPOSITORY
from ujobs_tools.host.processes import running

# pip installs the dependencies in the first run; build/ keeps them for later runs.
pytestmark = pytest.mark.timeout(400)

PATIENCE = 120.0  # seconds


class Installed:
    """A virtual environment with only the wheel, its dependencies and pytest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder / "bin/python")]

    def make(self, wheel: Path) -> None:
        """Install the dependencies of the wheel, at the pinned versions."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.folder], check=True)
        self.pip("install", "--no-compile", "-c", REPOSITORY / "requirements-test.txt", wheel, "pytest")

    def pip(self, *arguments: str | Path) -> None:
        """Run pip; it must succeed."""
        result = subprocess.run([*self._pip, *map(str, arguments)], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of these sources, installed."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        asked_for = re.findall(rb"^Requires-Dist: .*$", archive.read(metadata), re.MULTILINE)
    pinned = [(REPOSITORY / name).read_bytes() for name in ("requirements.txt", "requirements-test.txt")]
    key = hashlib.sha256(b"\n".join([sys.version.encode(), *asked_for, *pinned])).hexdigest()[:16]
    found = Installed(REPOSITORY / "build" / "installed" / key)
    ready = found.folder / "ready"
    if not ready.exists():
        found.make(wheel)
        ready.touch()
    found.pip("install", "--no-compile", "--no-deps", "--force-reinstall", wheel)
    found.pip("check")
    return found


class Project:
    """A project from `ujobs new kiln`, whose processes are marked by an environment variable."""

    def __init__(self, folder: Path, installed: Installed) -> None:
        self.folder = folder / "kiln"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._mark = f"UJOBS_PROJECT={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        self.environment = {
            "PATH": f"{installed.folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(self.temporary),
            "COLUMNS": "120", name: value,
        }
        self.run("ujobs", "new", "kiln", folder=folder)

    def run(self, *command: str, folder: Path | None = None) -> str:
        """Run a command, which must succeed; return its output."""
        result = subprocess.run(
            command, cwd=folder or self.folder, env=self.environment, capture_output=True, text=True, timeout=100
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def processes(self) -> list[int]:
        """Return the processes started here that still run."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
        return found


@pytest.fixture
def kiln(tmp_path: Path, installed: Installed) -> Project:
    return Project(tmp_path, installed)


def test_a_new_project_passes_its_tests(kiln: Project) -> None:
    where = kiln.run("python", "-c", "import ujobs_tools; print(ujobs_tools.__file__)")
    assert where.startswith(str(REPOSITORY / "build" / "installed"))
    said = kiln.run("pytest", "-v", "--color=no")
    assert "7 passed" in said
    for name in ("test_blink[cpython]", "test_blink[micropython]", "test_power_cut"):
        assert f"{name} PASSED" in said


class Console:
    """The output of `ujobs run`."""

    def __init__(self, log: Path, process: subprocess.Popen[bytes]) -> None:
        self._log = log
        self._process = process
        self._seen = 0

    def expect(self, text: str) -> str:
        """Wait for a line with this text, after the line of the previous call; return it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            said = self._log.read_text()
            at = said.find(text, self._seen)
            if at >= 0:
                self._seen = at + len(text)
                return said[said.rfind("\n", 0, at) + 1 :].partition("\n")[0]
            assert self._process.poll() is None, said
            assert time.monotonic() < deadline, f"no {text!r} in:\n{said}"
            time.sleep(0.05)


@pytest.fixture
def console(kiln: Project) -> Iterator[Console]:
    """`ujobs run`, at a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = kiln.folder / "ujobs.toml"
    settings.write_text(settings.read_text().replace(":8765", f":{port}"))
    log = kiln.folder.with_name("run.txt")
    with log.open("wb") as output, running(["ujobs", "run"], output, kiln.environment, kiln.folder) as process:
        found = Console(log, process)
        assert found.expect("live page:").endswith(f"http://127.0.0.1:{port}/#/things/kiln")
        found.expect("ujobs: connected")
        yield found
        os.killpg(process.pid, signal.SIGINT)  # like Ctrl-C in a terminal
        found.expect("stopped")
        assert process.wait(PATIENCE) == 0
    assert kiln.processes() == []
    assert list(kiln.temporary.iterdir()) == []


def test_a_job_runs_and_a_change_is_deployed(kiln: Project, console: Console) -> None:
    kiln.run("ujobs", "job", "create", "hello", "--document", '{"operation": "blink", "times": 1}')
    assert "SUCCEEDED" in kiln.run("ujobs", "job", "watch", "hello")
    app = kiln.folder / "app" / "app.py"
    app.write_text(app.read_text() + "\n")
    assert str(app) in console.expect("changed:")
    console.expect("ujobs: connected")
