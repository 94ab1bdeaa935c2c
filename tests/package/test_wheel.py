"""The wheel contains the files that users need, also if built from the sdist; all pins of a package agree."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from ujobs_lab import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def build(source: Path, target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(REPOSITORY, "sdist", tmp_path_factory.mktemp("sdist"))


def test_the_wheel_contains_the_tools_and_all_files_for_boards(sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    names = set(zipfile.ZipFile(build(source, "wheel", tmp_path / "wheel")).namelist())
    wanted = {
        f"{place}/{path.relative_to(REPOSITORY / folder).as_posix()}"
        for folder, place in (
            ("tools/ujobs_tools", "ujobs_tools"), ("lib/ujobs", "ujobs_tools/device/lib/ujobs"),
            ("firmware", "ujobs_tools/device/firmware"), ("examples", "ujobs_tools/device/examples"),
            ("tests/shims", "ujobs_tools/device/tests/shims"),
        )
        for path in (REPOSITORY / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts
    } | {f"ujobs_tools/device/{name}" for name in ("boot.py", "main.py")}
    assert {name for name in names if ".dist-info/" not in name} == wanted


def pinned(requirements: str) -> dict[str, str]:
    """Return versions by package name."""
    found = re.findall(r"^([\w.-]+)==([\w.]+)", (REPOSITORY / requirements).read_text(), re.MULTILINE)
    return {_name(name): version for name, version in found}


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("asked_for", "requirements"),
    [
        (PROJECT["dependencies"], ["requirements.txt"]),
        (PROJECT["optional-dependencies"]["test"], ["requirements.txt", "requirements-test.txt"]),
    ],
)
def test_requirements_are_those_of_the_project(asked_for: list[str], requirements: list[str]) -> None:
    installed = {name: version for file in requirements for name, version in pinned(file).items()}
    for requirement in asked_for:
        name, _, version = requirement.partition(";")[0].partition("==")
        assert installed[_name(name.partition("[")[0])] == version.strip()


def test_no_package_is_pinned_twice() -> None:
    assert not pinned("requirements.txt").keys() & pinned("requirements-test.txt").keys()
