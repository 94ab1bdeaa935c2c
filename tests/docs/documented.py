"""Helpers for tests of the documentation: its folder, its tables, and the modules of firmware/."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from ujobs_lab import REPOSITORY

DOCS = REPOSITORY / "docs"


def firmware_module(name: str) -> ModuleType:
    """Load a module of firmware/, which is not a package on the host."""
    spec = importlib.util.spec_from_file_location(f"firmware_{name}", REPOSITORY / "firmware" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table_rows(text: str) -> list[list[str]]:
    """The cells of all rows of all Markdown tables, without the lines of dashes."""
    rows = [line for line in text.splitlines() if line.startswith("|") and not re.fullmatch(r"[|\-: ]+", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def relative(path: Path) -> str:
    """A path relative to the repository, as the documentation writes it."""
    return path.relative_to(REPOSITORY).as_posix()
