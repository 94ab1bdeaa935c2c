"""Finds umqtt.simple on the host: ESP32 firmware includes it, the unix port does not.

Prefers the real module; otherwise uses the shim in tests/shims, which has the same weaknesses.
"""

import os
from pathlib import Path

from ujobs_tools.board.device_files import ROOT, SHIMS


def find() -> tuple[Path, str]:
    """Return the folder that contains `umqtt/simple.py`, and where it is from, for messages.

    Looks in the folder named by the environment variable UMQTT_PATH; without it in build/umqtt of the repository, where
    `make setup` installs the real module, then in tests/shims. Raises FileNotFoundError if it is not found.
    """
    named = os.environ.get("UMQTT_PATH")
    if named:
        folder = Path(named).resolve()
        if not _holds(folder):
            raise FileNotFoundError(f"UMQTT_PATH={named} does not contain umqtt/simple.py")
        return folder, f"the real umqtt.simple (UMQTT_PATH={named})"
    installed = ROOT / "build" / "umqtt"
    if _holds(installed):
        return installed, "the real umqtt.simple (build/umqtt)"
    if _holds(SHIMS):
        return SHIMS, "the test double of umqtt.simple (tests/shims)"
    raise FileNotFoundError(f"no umqtt/simple.py in {installed} or {SHIMS}")


def _holds(folder: Path) -> bool:
    return (folder / "umqtt" / "simple.py").is_file()
