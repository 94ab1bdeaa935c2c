"""The part of a deployment that runs on the board: `remote` sends it there and calls its functions.

Runs on MicroPython, in the REPL's own namespace, so names are few and short on purpose. A file comes as `path.new` and
gets its name when all are there (`commit`): whatever happens before, the board starts with what it had.
"""

import gc
import hashlib
import os
from binascii import a2b_base64, hexlify

_NEW = ".new"
_buffer = memoryview(bytearray(1024))
_file = None
_dog = None
_WATCHDOG = 120_000  # ms


def _watchdog():
    # The program that was stopped may have started it, and nothing tells whether it has. The ESP32 has one for all, so
    # this takes over whatever runs, with a longer timeout; a deployment ends with a reset, which stops it.
    global _dog
    import machine

    try:
        _dog = machine.WDT(timeout=_WATCHDOG)
    except (AttributeError, ValueError):
        pass  # a port without one, or with other limits


def _feed():
    if _dog:
        _dog.feed()


def _read(path, use):
    with open(path, "rb") as file:
        while True:
            count = file.readinto(_buffer)
            if not count:
                return
            use(_buffer[:count])
            _feed()


def digest(path):
    """SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    _read(path, found.update)
    return hexlify(found.digest()).decode()


def names(folder):
    """All files below a folder, or the file itself. Nothing when it is not there."""
    try:
        is_folder = os.stat(folder or "/")[0] & 0x4000
    except OSError:
        return []
    if not is_folder:
        return [folder]
    found = []
    for name in os.listdir(folder or "/"):
        found += names(folder + "/" + name)
    return found


def files(folder):
    """Path and SHA-256 of the same."""
    found = {}
    for path in names(folder):
        found[path] = digest(path)
        # Otherwise a kilobyte of garbage a file lies between the digests: no room in one piece after a hundred files.
        gc.collect()
    return found


def about():
    """What `remote.About` takes."""
    import sys

    try:
        import umqtt.simple

        has_umqtt = bool(umqtt.simple)
    except ImportError:
        has_umqtt = False
    slot = "/app"
    if "app-slot" in os.listdir("/"):
        with open("/app-slot") as file:
            slot = "/app-b" if file.read() == "/app-b" else slot
    it = sys.implementation
    mpy, machine = getattr(it, "_mpy", 0), getattr(it, "_machine", "")
    return tuple(it[1])[:3], mpy, machine, has_umqtt, slot, "trial" in os.listdir("/")


def free():
    """Bytes of flash that are free."""
    state = os.statvfs("/")
    # littlefs counts what it uses too high now and then: on full flash the rest is below zero, which is shown as huge.
    return state[0] * state[3] if state[3] <= state[2] else 0


def begin(path):
    """Begin to write what is to become a file."""
    global _file
    at = path.find("/", 1)
    while at > 0:
        try:
            os.mkdir(path[:at])
        except OSError as error:
            if error.errno != 17:  # EEXIST
                raise
        at = path.find("/", at + 1)
    _file = open(path + _NEW, "wb")  # noqa: SIM115


def write(text):
    """Go on; text: Base64."""
    _feed()
    _file.write(a2b_base64(text))


def end(path):
    """End it; its SHA-256, as flash has it."""
    _file.close()
    return digest(path + _NEW)


def copy(source, path):
    """The same for what is on the board already."""
    begin(path)
    _read(source, _file.write)
    return end(path)


def commit(paths, removed, slot):
    """Give the new files their names, remove others; slot: folder of the application from now on, or ""."""
    _feed()
    for path in paths:
        os.rename(path + _NEW, path)
    remove(removed)
    if slot:
        with open("/app-slot" + _NEW, "w") as file:
            file.write(slot)
        os.rename("/app-slot" + _NEW, "/app-slot")


def remove(paths):
    """Remove files that are there, and folders that are empty then."""
    for path in paths:
        _feed()
        try:
            os.remove(path)
            while path.count("/") > 1:
                path = path[: path.rindex("/")]
                os.rmdir(path)
        except OSError:
            pass  # not there, or a folder with something in it


_watchdog()
