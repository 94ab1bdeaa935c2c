"""What runs on the board; only this file runs on the host."""

from pathlib import Path

from ujobs_tools.board.device_files import EXAMPLES

_FOLDER = Path(__file__).parent
FACTS = _FOLDER / "facts.py"


def application() -> dict[str, bytes]:
    """The files of the application, with the demo's handlers beside it."""
    files = {name: (_FOLDER / name).read_bytes() for name in ("app.py", "probes.py")}
    return files | {"demo.py": (EXAMPLES / "demo" / "app.py").read_bytes()}
