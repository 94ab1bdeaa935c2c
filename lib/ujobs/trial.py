"""Trials: a new application, firmware or settings count only once the board has proved that it works with them.

One file says that a trial is on and how often the board has started in it. `boot()`, called first thing after a reset,
counts, and puts back what was there before when the trial has had its chances; `confirm()` ends it well, `fail()` ends
it badly at once. Every step is one rename or remove: a power cut at any point leaves the old version or the new one.
"""

import asyncio
import os

from micropython import const

_MAX_STARTS = const(3)

# The root of the board's file system; tests have another.
root = ""

APP = "app"
FIRMWARE = "firmware"
SETTINGS = "settings"
_SLOTS = ("/app", "/app-b")
_COUNTS = ("0", "1", "2", "3")


def _read(name):
    try:
        with open(root + name) as file:
            return file.read()
    except (OSError, ValueError):  # ValueError: the flash holds what is no text
        return ""


def _write(name, text):
    with open(root + name + ".tmp", "w") as file:
        file.write(text)
    os.rename(root + name + ".tmp", root + name)


def _remove(name):
    try:
        os.remove(root + name)
    except OSError:
        pass


def slot() -> str:
    """Return the folder of the application that has proved itself."""
    name = _read("/app-slot")
    return name if name in _SLOTS else _SLOTS[0]


def other_slot() -> str:
    """Return the folder that the next version of the application goes to."""
    return _SLOTS[1 - _SLOTS.index(slot())]


def _state():
    # "1 app /app-b": starts so far, what is on trial, and the folder of the application to start.
    state = _read("/trial").split(" ")
    sound = len(state) == 3 and state[0] in _COUNTS and state[1] in (APP, FIRMWARE, SETTINGS) and state[2] in _SLOTS
    return state if sound else ("", "", "")


def current() -> str:
    """Return what is on trial: APP, FIRMWARE, SETTINGS, or "" for nothing."""
    return _state()[1]


def begin(what: str) -> None:
    """Start a trial of what has been put in place: the application in the other slot, the settings in /settings.json
    with those before them in /settings.old, or firmware, which the bootloader takes back by itself. It takes effect at
    the next reset. Raises OSError."""
    forget()
    _write("/trial", "0 %s %s" % (what, other_slot() if what == APP else slot()))


def confirm() -> None:
    """End the trial, if there is one: what was tried is now what counts. Raises OSError."""
    _, what, folder = _state()
    if what == FIRMWARE:
        from esp32 import Partition

        Partition.mark_app_valid_cancel_rollback()
    if what:
        _write("/app-slot", folder)
        _remove("/trial")
        _remove("/settings.old")


def fail(reason: str) -> None:
    """End the trial, if there is one, and go back to what was before it, from the next reset on. Raises OSError."""
    what = current()
    if what:
        _write("/trial-failed", reason)
        if what == SETTINGS:
            try:
                os.rename(root + "/settings.old", root + "/settings.json")
            except OSError:
                pass  # A power cut came after this had been done.
        _remove("/trial")


def forget() -> None:
    """Forget how the last trial went, before the next one."""
    _remove("/trial-failed")


def failure() -> str:
    """Return why the last trial failed, "" when it did not."""
    return _read("/trial-failed")


async def ended() -> None:
    """Wait until the trial is over. Whoever runs the board sees to it that it does not last for ever."""
    while current():
        await asyncio.sleep(0.5)


async def restart() -> None:
    """Restart the board, with what is on trial now. Never returns."""
    # Imported here: ujobs itself runs where there is no board.
    import machine

    # Let whatever is on its way out leave first.
    await asyncio.sleep(0.5)
    machine.reset()


def boot() -> str:
    """Count a start, and return the folder of the application to start. Raises OSError."""
    starts, what, folder = _state()
    if not what:
        return slot()
    if what == APP and folder == slot():
        # The power went within confirm(), and this is what it left to do.
        _remove("/trial")
        return folder
    if starts >= str(_MAX_STARTS):
        fail("it did not prove itself in %d starts" % _MAX_STARTS)
        return slot()
    _write("/trial", "%d %s %s" % (int(starts) + 1, what, folder))
    return folder
