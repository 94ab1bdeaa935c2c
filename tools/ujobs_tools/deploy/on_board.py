"""The part of a deployment that runs on the board; `remote` sends it there and calls its functions.

Runs on MicroPython, in the REPL's namespace, so it defines few names. Files are written as `path.new`, and `commit`
renames all of them at the end: if a deployment is interrupted before that, the board boots with its old files.
"""

import sys

# boot.py has put the application's folder first; its files must not hide these modules.
sys.path[:] = [folder for folder in sys.path if folder not in ("/app", "/app-b")]

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
    # The stopped program may have started the watchdog; there is no way to find out. The ESP32 has one watchdog, so
    # this call takes it over, with a longer timeout. The reset at the end of a deployment stops it.
    global _dog
    import machine

    try:
        _dog = machine.WDT(timeout=_WATCHDOG)
    except (AttributeError, OSError, ValueError):
        pass  # no watchdog, or other limits


def feed():
    """Feed the watchdog."""
    if _dog:
        _dog.feed()


def _read(path, use):
    with open(path, "rb") as file:
        while True:
            count = file.readinto(_buffer)
            if not count:
                return
            use(_buffer[:count])
            feed()


def digest(path):
    """Return the SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    _read(path, found.update)
    return hexlify(found.digest()).decode()


def names(folder):
    """Return all files below a folder, or the file itself; nothing if it does not exist."""
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
    """Return the SHA-256 of these files, by path."""
    found = {}
    for path in names(folder):
        found[path] = digest(path)
        # Collect now: a kilobyte of garbage per file would fragment the heap after a hundred files.
        gc.collect()
    return found


def about():
    """Return the fields of `remote.About`."""
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
    """Return the free bytes of flash."""
    state = os.statvfs("/")
    # littlefs sometimes overestimates the used blocks: on full flash, the free number then wraps to a huge one.
    return state[0] * state[3] if state[3] <= state[2] else 0


def begin(path):
    """Open a new file under its temporary name."""
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
    """Append to the open file. text: Base64."""
    feed()
    _file.write(a2b_base64(text))


def end(path):
    """Close the open file; returns the SHA-256 of its content in flash."""
    _file.close()
    return digest(path + _NEW)


def copy(source, path):
    """Copy a file of the board to a temporary name."""
    begin(path)
    _read(source, _file.write)
    return end(path)


def commit(paths, removed, slot):
    """Rename the new files, and remove others. slot: the application's new folder, or ""."""
    feed()
    for path in paths:
        os.rename(path + _NEW, path)
    remove(removed)
    if slot:
        with open("/app-slot" + _NEW, "w") as file:
            file.write(slot)
        os.rename("/app-slot" + _NEW, "/app-slot")


def end_trial():
    """Roll back the version in its trial, like ujobs.trial.fail(); the library on the board may not work."""
    with open("/trial") as file:
        what = file.read()
    with open("/trial-failed", "w") as file:
        file.write("replaced by ujobs deploy")
    if " settings " in what:
        try:
            os.rename("/settings.old", "/settings.json")
        except OSError:
            pass  # a power cut came after this had been done
    os.remove("/trial")


def remove(paths):
    """Remove files, and folders that are empty afterwards; ignore missing files."""
    for path in paths:
        feed()
        try:
            os.remove(path)
            while path.count("/") > 1:
                path = path[: path.rindex("/")]
                os.rmdir(path)
        except OSError:
            pass  # missing, or a folder that is not empty


_watchdog()
