"""The programs that run on the board under test: the folder `device`."""

from pathlib import Path

from ujobs_tools.board.device_files import EXAMPLES

_FOLDER = Path(__file__).with_name("device")
FACTS = _FOLDER / "facts.py"


def application() -> dict[str, bytes]:
    """Return the files of the application, including the demo's handlers."""
    files = {name: (_FOLDER / name).read_bytes() for name in ("app.py", "probes.py")}
    return files | {"demo.py": (EXAMPLES / "demo" / "app.py").read_bytes()}
