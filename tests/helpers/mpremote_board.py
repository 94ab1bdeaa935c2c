"""A virtual board with a serial port, used through the real `mpremote` in other processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from board_process import BoardProcess, StartBoard, wait_until

MPREMOTE = [sys.executable, "-m", "mpremote"]
_PATIENCE = 120.0  # seconds


class MpremoteBoard:
    """`ujobs board IMAGE --serial PORT OPTIONS...`; port: the link to its terminal. board: its process."""

    def __init__(self, start_board: StartBoard, image: Path, *options: str) -> None:
        self.port = image.with_name("port")
        self.board: BoardProcess = start_board(image, "--serial", str(self.port), *options)
        self.board.wait_for("board: start, PWRON_RESET")

    def command(self, *arguments: str | Path) -> list[str]:
        """`mpremote connect PORT ARGUMENTS...`"""
        # Use the terminal's own name: with another name, mpremote pauses between bytes, as for real ports.
        wait_until(self.port.exists, "serial port")
        return [*MPREMOTE, "connect", os.readlink(self.port), *map(str, arguments)]

    def mpremote(self, *arguments: str | Path) -> str:
        """Run a command, which must succeed; return its output."""
        result = self.tried(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def tried(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command; return exit code, stdout and stderr."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=_PATIENCE)


Start = Callable[..., MpremoteBoard]
"""A fixture that starts a board: from its files, options of `ujobs board` and blocks= to a running board."""
