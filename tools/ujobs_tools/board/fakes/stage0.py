"""The virtual board's first code. It replaces MicroPython's C start-up code and `_boot.py` of a real board.

Runs on MicroPython only, started by the supervisor. Mounts the image at '/', installs the fakes, then runs boot.py and
main.py in one namespace, which the REPL shares if there is a serial port. As on every port since MicroPython 1.22,
main.py is skipped if boot.py raised an exception, and after a soft reset in the raw REPL; SystemExit from either file
is a soft reset. The exit codes are listed in `ujobs_tools.board.process`.
"""

import os
import sys

import blockdevice
import hardware

_ENDED = 10
_RAISED = 11
_NO_FILE_SYSTEM = 12
_SOFT_RESET = 42


def _prepare() -> None:
    """Replace the host's file system with the image, and the host's modules with the fakes."""
    import board_imports
    import board_os
    import board_socket
    import board_time
    import esp32
    import machine
    import network
    import ntptime
    import vfs

    if hardware.settings["jumps"]:
        import jumps

    image = open(hardware.settings["image_fd"], "r+b")  # noqa: SIM115
    vfs.umount("/")
    device = blockdevice.BlockDevice(image, hardware.settings["blocks"])
    try:
        vfs.mount(vfs.VfsLfs2(device), "/")
    except OSError as error:
        print("board: the image does not contain a littlefs file system:", error)
        sys.exit(_NO_FILE_SYSTEM)
    # From here on the fakes are found like an ESP32's modules: their folder is no longer on the path.
    for name in list(sys.modules):
        del sys.modules[name]
    board_imports.install(
        {"esp32": esp32, "network": network}, {"ntptime": ntptime}, machine, board_os, board_socket, board_time
    )
    if hardware.settings["jumps"]:
        jumps.install()
    sys.path[:] = ["", ".frozen", "/lib"]


def _run(names: tuple, scope: dict) -> bool:
    """Run the files that exist; returns False, after printing a traceback, if one ended with an exception."""
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
    # Like -i: MicroPython starts the REPL when this function ends. From here on, Ctrl-C can interrupt at any line.
    os.putenv("MICROPYINSPECT", "1" if hardware.settings["repl"] else "")
    succeeded = _run(("boot.py",) if hardware.settings["raw"] else ("boot.py", "main.py"), scope)
    if not hardware.settings["repl"]:
        sys.exit(_ENDED if succeeded else _RAISED)
