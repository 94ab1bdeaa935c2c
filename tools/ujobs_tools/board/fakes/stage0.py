"""The virtual board's first code: what MicroPython's C start-up and `_boot.py` do on silicon.

Runs on MicroPython only, started by the supervisor. Mounts the image at '/', puts the fakes in place, then
runs boot.py and main.py in one namespace, which the REPL shares when there is a serial port to reach it by. As on every
port since MicroPython 1.22, main.py is skipped when boot.py raised, and after a soft reset in the raw REPL; SystemExit
from either is a soft reset. The exit codes are listed in `ujobs_tools.board.process`.
"""

import os
import sys

import blockdevice
import hardware

_ENDED = 10
_RAISED = 11
_NO_FILE_SYSTEM = 12
_SOFT_RESET = 42
_HIDDEN = (
    "blockdevice", "board_socket", "board_time", "hardware", "outside", "peripherals", "real_time", "time_server",
)


def _prepare() -> None:
    """Swap the host's file system for the image, and the host's modules for the board's."""
    # The fakes stay in sys.modules when this folder is no longer on the path.
    import board_socket
    import board_time
    import esp32  # noqa: F401
    import machine  # noqa: F401
    import ntptime  # noqa: F401
    import vfs

    if hardware.settings["jumps"]:
        import jumps  # noqa: F401

    image = open(hardware.settings["image_fd"], "r+b")  # noqa: SIM115
    vfs.umount("/")
    device = blockdevice.BlockDevice(image, hardware.settings["blocks"])
    try:
        vfs.mount(vfs.VfsLfs2(device), "/")
    except OSError as error:
        print("board: the image holds no littlefs file system:", error)
        sys.exit(_NO_FILE_SYSTEM)
    sys.modules["socket"] = board_socket
    sys.modules["time"] = board_time
    if hardware.settings["jumps"]:
        sys.modules.pop("jumps").install()
    for name in _HIDDEN:
        del sys.modules[name]
    sys.path[:] = ["", ".frozen", "/lib"]


def _run(names: tuple, scope: dict) -> bool:
    """Run those of the files that are there; False when one ended with an exception, whose traceback is printed."""
    try:
        hardware.tell("listening")
        for name in names:
            if name in os.listdir("/"):
                execfile(name, scope)  # noqa: F821 - a builtin of the unix port
    except SystemExit:
        os.putenv("MICROPYINSPECT", "")
        sys.exit(_SOFT_RESET)
    except BaseException as error:
        sys.print_exception(error)
        return False
    return True


def start(scope: dict) -> None:
    """Start the board. scope: the namespace of boot.py, main.py and the REPL."""
    _prepare()
    # The REPL when this has ended, as -i, but not after SystemExit. From here on Ctrl-C may come between any two lines.
    os.putenv("MICROPYINSPECT", "1" if hardware.settings["repl"] else "")
    sound = _run(("boot.py",) if hardware.settings["raw"] else ("boot.py", "main.py"), scope)
    if not hardware.settings["repl"]:
        sys.exit(_ENDED if sound else _RAISED)
