"""Where umqtt.simple comes from on the host; a board's firmware carries it, the unix port does not.

The real one when it is there, else the double in tests/shims, which behaves like it on purpose, awkward sides
too.
"""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def find() -> tuple[Path, str]:
    """The folder that holds `umqtt/simple.py`, and which one it is in words for the user.

    The environment variable UMQTT_PATH comes first, then build/umqtt, where set-up installs the real one,
    then tests/shims. Raises FileNotFoundError when UMQTT_PATH names a folder without it, or none of them has
    it.
    """
    named = os.environ.get("UMQTT_PATH")
    if named:
        folder = Path(named).resolve()
        if not _holds(folder):
            raise FileNotFoundError(f"UMQTT_PATH={named} holds no umqtt/simple.py")
        return folder, f"the real umqtt.simple (UMQTT_PATH={named})"
    installed = REPOSITORY / "build" / "umqtt"
    if _holds(installed):
        return installed, "the real umqtt.simple (build/umqtt)"
    double = REPOSITORY / "tests" / "shims"
    if _holds(double):
        return double, "the double of umqtt.simple (tests/shims)"
    raise FileNotFoundError(f"no umqtt/simple.py in {installed} or {double}")


def _holds(folder: Path) -> bool:
    return (folder / "umqtt" / "simple.py").is_file()
