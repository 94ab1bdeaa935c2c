"""Part of `make setup`: tries to install the real umqtt.simple for the host.

ESP32 firmware includes it; the MicroPython unix port does not."""

import subprocess

from ujobs_tools.board.device_files import ROOT
from ujobs_tools.board.interpreter import InterpreterError, find_micropython

_PATIENCE = 20  # seconds


def main() -> None:
    """Try once with MicroPython's package manager. If that fails, the test double in tests/shims is used."""
    target = ROOT / "build" / "umqtt"
    if not target.exists():
        try:
            micropython = find_micropython()
        except InterpreterError as error:
            print(error)
            return
        command = [micropython, "-m", "mip", "install", "--no-mpy", "--target", target, "umqtt.simple"]
        try:
            subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            print(f"umqtt.simple: no answer within {_PATIENCE} s")


if __name__ == "__main__":
    main()
