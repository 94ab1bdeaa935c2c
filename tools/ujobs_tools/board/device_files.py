"""Where the files for boards are: at the top of the repository, or in the folder `device` of the installed package.

Both have the same layout; pyproject.toml says what the installed package contains.
"""

from pathlib import Path

_INSTALLED = Path(__file__).parents[1] / "device"

ROOT = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[3]
"""Holds boot.py, main.py, lib/, firmware/, tests/shims/ and examples/."""
LIBRARY = ROOT / "lib" / "ujobs"
FIRMWARE = ROOT / "firmware"
SHIMS = ROOT / "tests" / "shims"
"""Stand-ins for modules of a board: CPython's, and umqtt.simple for MicroPython's unix port."""
EXAMPLES = ROOT / "examples"
SETTINGS_EXAMPLE = FIRMWARE / "settings.example.json"
