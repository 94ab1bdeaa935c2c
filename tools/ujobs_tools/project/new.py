"""What `ujobs new` makes a project from: the files under template/, with NAME in place of the project's name."""

import json
import re
from importlib import resources
from importlib.metadata import version
from pathlib import Path

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
# Hidden files would be left out by some tools, and a workflow of a template must not look like one of this repository.
_PLACES = {"gitignore": ".gitignore", "tests.yml": ".github/workflows/tests.yml", "app.py": "app/app.py",
           "test_app.py": "tests/test_app.py"}  # fmt: skip


class CannotMake(ValueError):
    """The project cannot be made; the text says why."""


def make(folder: Path) -> list[Path]:
    """Make a project in a folder, whose name becomes the thing's; returns the files made, relative to it.

    Raises CannotMake when the name is none for a thing, or the folder holds something; OSError.
    """
    name = folder.name
    if not _NAME.fullmatch(name):
        raise CannotMake(f"{name!r}: a project's name must be a letter and up to 63 letters, digits, _ and -")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotMake(f"{folder} exists and is not empty: choose another name")
    made = []
    template = resources.files("ujobs_tools.project") / "template"
    for source in sorted(template.iterdir(), key=lambda entry: entry.name):
        if not source.is_file():
            continue
        place = Path(_PLACES.get(source.name.removesuffix(".txt"), source.name.removesuffix(".txt")))
        content = source.read_text(encoding="utf-8").replace("NAME", name).replace("VERSION", version("ujobs-tools"))
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        made.append(place)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert settings["thing"] == name
    return sorted(made)
