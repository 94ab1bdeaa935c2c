"""Runs `ujobs board` in a process, and reads its output."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ujobs_tools.board.image import build_image

COMMAND = [
    sys.executable,
    "-c",
    "import typer; from ujobs_tools.commands.board import board; typer.run(board)",
]
_PATIENCE = 60.0  # seconds


class BoardProcess:
    """One `ujobs board IMAGE OPTIONS...` process."""

    def __init__(self, image: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, str(image), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="backslashreplace",
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until `times` lines contain `text`; fail after a minute."""
        with self._changed:
            enough = self._changed.wait_for(
                lambda: sum(text in line for line in self.lines) >= times, timeout=_PATIENCE
            )
        assert enough, f"no {text!r} in:\n" + "\n".join(self.lines)

    def wait(self) -> int:
        """Wait for the end of the process and its output; return the exit code."""
        code = self.process.wait(timeout=_PATIENCE)
        self._reader.join(timeout=_PATIENCE)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        self.process.send_signal(number)

    def processor_pid(self) -> int:
        """Return the process id of MicroPython."""
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def stop(self) -> None:
        """Kill the process, close its pipes, and print its output for the report of the test."""
        self.process.kill()
        self.process.wait()
        self._reader.join(timeout=_PATIENCE)
        print("\n".join(self.lines))
        if self.process.stdout is not None:
            self.process.stdout.close()


StartBoard = Callable[..., BoardProcess]
"""Type of the fixture `start_board`: an image and options to a running board."""


def run_board(folder: Path, main: str, *options: str, **files: str) -> tuple[int, list[str]]:
    """Run `main` as main.py on a new image until the board stops; return its exit code and lines.

    files: more files, `boot` for boot.py.
    """
    image = make_image(folder, main, **files)
    board = BoardProcess(image, *options)
    try:
        return board.wait(), board.lines
    finally:
        board.stop()


def make_image(folder: Path, main: str, **files: str) -> Path:
    """Build a small image with `main` as main.py. files: `boot` for boot.py, `wifi` for firmware/wifi.py,
    ..."""
    image = folder / "flash.img"
    contents = {"main.py": main.encode()}
    for name, text in files.items():
        contents["boot.py" if name == "boot" else name] = text.encode()
    build_image(image, contents, blocks=64)
    return image


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll a condition on another process; fail after a minute."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
