"""Runs handlers for `run_job` on MicroPython: one process per boot, with the flash in a file."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ujobs_tools.board.device_files import SHIMS
from ujobs_tools.board.fakes_cache import FAKES
from ujobs_tools.board.files import make_bare_files, make_program_files
from ujobs_tools.board.image import BLOCK_SIZE
from ujobs_tools.board.interpreter import environment, find_micropython
from ujobs_tools.testing.order import BootFailed, Target

DEVICE = Path(__file__).with_name("device")
_BLOCKS = 64
_HEAP = "16m"
_PATIENCE = 60  # maximum seconds of one boot
_MARK = "\x02ujobs "


class MicroPython:
    """Boards that run on MicroPython. folder: for the compiled library and the flash files."""

    name = "micropython"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = folder / "lib"
        self._image = b""
        for name, content in (make_program_files() | make_bare_files()).items():
            if name.startswith("lib/"):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    def board(self) -> "_Board":
        """Return a board with empty flash."""
        return _Board(self._folder, self._library)


class _Board:
    def __init__(self, folder: Path, library: Path) -> None:
        descriptor, name = tempfile.mkstemp(suffix=".img", dir=folder)
        os.close(descriptor)
        self._image = Path(name)
        self._image.write_bytes(b"\xff" * (BLOCK_SIZE * _BLOCKS))
        self._library = library

    def boot(self, target: Target, order: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        folders = [DEVICE, self._library, FAKES, *target.folders, SHIMS]
        order = order | {
            "module": target.module, "function": target.function_name, "folders": [str(folder) for folder in folders],
            "files": [(name, content.hex()) for name, content in files.items()],
        }
        # Not by its path: MicroPython dies of an argument over 255 bytes.
        with self._image.open("r+b") as image:
            program = [DEVICE / "micropython_boot.py", FAKES, f"/proc/self/fd/{image.fileno()}", str(_BLOCKS)]
            process = subprocess.Popen(
                [find_micropython(), "-X", f"heapsize={_HEAP}", *program], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), start_new_session=True,
                pass_fds=[image.fileno()],
            )
        assert process.stdin is not None
        assert process.stdout is not None
        timer = _Killer(process)
        console = []
        try:
            with timer:
                process.stdin.write(json.dumps(order).encode() + b"\n")
                process.stdin.flush()
                for line in process.stdout:
                    text = line.decode(errors="replace")
                    if text.startswith(_MARK):
                        report: dict[str, Any] = json.loads(text[len(_MARK) :])
                        break
                    console.append(text)
                else:
                    raise BootFailed(_why(process, timer), "".join(console))
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        report["console"] = "".join(console)
        if report["outcome"] == "failed":
            __tracebackhide__ = True
            raise BootFailed(report["reason"], report["console"])
        report["files"] = {name: bytes.fromhex(content) for name, content in report.get("files", ())}
        return report

    def close(self) -> None:
        """Remove the flash."""
        self._image.unlink()


class _Killer:
    """Kills a process that takes too long."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        import threading

        self.killed = False
        self._process = process
        self._timer = threading.Timer(_PATIENCE, self._kill)

    def _kill(self) -> None:
        self.killed = True
        self._process.kill()

    def __enter__(self) -> "_Killer":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _why(process: subprocess.Popen[bytes], timer: _Killer) -> str:
    if timer.killed:
        return f"the handler was still busy after {_PATIENCE} s: does it wait without `await`, or loop forever?"
    return f"MicroPython ended with exit code {process.wait()}"
