"""Files that hold keys, passwords or jobs: only their owner may read them."""

import contextlib
import os
from pathlib import Path


def make_private(path: Path) -> None:
    """Create the file if there is none, and take everybody else's permissions from it. Raises OSError when it cannot be
    created."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        with contextlib.suppress(PermissionError):  # Another user's file is what its owner made it.
            path.chmod(0o600)
