"""Finds umqtt.simple on the host: a board's firmware includes it, the unix port does not.

The real one if it is there, else the test double in tests/shims, which has the same weaknesses.
"""

import os
from pathlib import Path

from ujobs_tools.board.device_files import ROOT, SHIMS


def find() -> tuple[Path, str]:
    """The folder that holds `umqtt/simple.py`, and which one it is in words for the user.

    The environment variable UMQTT_PATH comes first, then build/umqtt of the repository, where `make setup` installs the
    real one, then tests/shims. Raises FileNotFoundError if UMQTT_PATH names a folder without it, or none has it.
    """
    named = os.environ.get("UMQTT_PATH")
    if named:
        folder = Path(named).resolve()
        if not _holds(folder):
            raise FileNotFoundError(f"UMQTT_PATH={named} holds no umqtt/simple.py")
        return folder, f"the real umqtt.simple (UMQTT_PATH={named})"
    installed = ROOT / "build" / "umqtt"
    if _holds(installed):
        return installed, "the real umqtt.simple (build/umqtt)"
    if _holds(SHIMS):
        return SHIMS, "the test double of umqtt.simple (tests/shims)"
    raise FileNotFoundError(f"no umqtt/simple.py in {installed} or {SHIMS}")


def _holds(folder: Path) -> bool:
    return (folder / "umqtt" / "simple.py").is_file()
