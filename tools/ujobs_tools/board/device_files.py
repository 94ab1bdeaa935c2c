"""Paths of the files for boards: at the top of the repository, or in the folder `device` of the installed package.

Both have the same layout; pyproject.toml lists the files of the installed package.
"""

from pathlib import Path

_INSTALLED = Path(__file__).parents[1] / "device"

ROOT = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[3]
"""Contains boot.py, main.py, lib/, firmware/, tests/shims/ and examples/."""
LIBRARY = ROOT / "lib" / "ujobs"
FIRMWARE = ROOT / "firmware"
SHIMS = ROOT / "tests" / "shims"
"""Shims: modules of a board for CPython, and umqtt.simple for MicroPython's unix port."""
EXAMPLES = ROOT / "examples"
SETTINGS_EXAMPLE = FIRMWARE / "settings.example.json"
