"""Creates the project of `ujobs new` from the files under template/; replaces NAME with the project's name."""

import json
import re
import shutil
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from ujobs_tools.host.files import write_new

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
# These files have other names in template/: some tools leave out hidden files, and others would run the workflow.
_PLACES = {"gitignore": ".gitignore", "tests.yml": ".github/workflows/tests.yml", "app.py": "app/app.py",
           "test_app.py": "tests/test_app.py"}  # fmt: skip


class CannotCreate(ValueError):
    """The project cannot be created; the text says why."""


def create(folder: Path) -> list[Path]:
    """Create a project; returns the paths of its files, relative to the folder.

    folder: its name becomes the thing name. Raises CannotCreate if the name is invalid or the folder is not empty;
    OSError.
    """
    name = folder.name
    if not _NAME.fullmatch(name):
        raise CannotCreate(f"project name {name!r} must be a letter and up to 63 letters, digits, _ and -")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotCreate(f"{folder} exists and is not empty: choose another name")
    existed = folder.exists()
    try:
        return _write(folder, name)
    except BaseException:
        # Without half a project in it, the folder can be used again.
        if existed:
            for entry in list(folder.iterdir()):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(folder: Path, name: str) -> list[Path]:
    made = []
    template = resources.files("ujobs_tools.project") / "template"
    for source in sorted(template.iterdir(), key=lambda entry: entry.name):
        if not source.is_file():
            continue
        place = Path(_PLACES.get(source.name.removesuffix(".txt"), source.name.removesuffix(".txt")))
        content = source.read_text(encoding="utf-8").replace("NAME", name).replace("VERSION", version("ujobs-tools"))
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(path, content.encode())
        made.append(place)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert settings["thing"] == name
    return sorted(made)
