"""Trials: a new application, firmware or new settings take effect only once the board has confirmed that they work.

One file says what is in its trial and how many boots it has had. `boot()` runs first after every reset: it counts the
boot, and rolls back once three boots are used up. `confirm()` makes the new version permanent; `fail()` rolls back at
once. A trial that this boot has not counted is void: nothing can confirm it. Every step is one rename or remove: a
power cut at any point leaves the previous version or the new one.
"""

import asyncio
import os

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Callable

    from .job import Job

_MAX_BOOTS = const("3")

# The root of the board's file system; tests have another.
root = ""

APP = "app"
FIRMWARE = "firmware"
SETTINGS = "settings"

# What this boot has counted as being in its trial.
_counted = ""


def read(name: str) -> str:
    """Return the text of a small file of the board's own, by its absolute path; "" without one."""
    try:
        with open(root + name) as file:
            return file.read()
    except (OSError, ValueError):  # ValueError: not UTF-8
        return ""


def write(name: str, data: "str | bytes") -> None:
    """Write such a file in one step: a power cut leaves what was there before. Raises OSError."""
    with open(root + name + ".tmp", "w" if isinstance(data, str) else "wb") as file:
        file.write(data)
    os.rename(root + name + ".tmp", root + name)


def _remove(name):
    try:
        os.remove(root + name)
    except OSError:
        pass


def slot() -> str:
    """Return the folder of the application that is confirmed."""
    return "/app-b" if read("/app-slot") == "/app-b" else "/app"


def other_slot() -> str:
    """Return the folder that the next version of the application goes to."""
    return "/app" if slot() == "/app-b" else "/app-b"


def _state():
    # "1 app /app-b": boots so far, what is in its trial, and the folder of the application to start; without a trial
    # the folder only.
    state = read("/trial").split(" ")
    valid = (
        len(state) == 3 and state[0] in ("0", "1", "2", "3") and state[1] in (APP, FIRMWARE, SETTINGS)
        and state[2] in ("/app", "/app-b")
    )
    return state if valid else ("", "", slot())


def current() -> str:
    """Return what is in its trial in this boot: APP, FIRMWARE, SETTINGS, or "" for nothing."""
    return _counted


def confirm() -> None:
    """End the trial, if there is one: what was tried is now permanent. Raises OSError."""
    global _counted
    if not _counted:
        return
    if _counted == FIRMWARE:
        from esp32 import Partition

        Partition.mark_app_valid_cancel_rollback()
    write("/app-slot", _state()[2])
    _remove("/trial")
    _remove("/settings.old")
    _counted = ""


def fail(reason: str) -> None:
    """End the trial, if there is one, and return to the previous version from the next reset on."""
    global _counted
    what = _state()[1]
    if what:
        try:
            write("/trial-failed", reason)
        except OSError:
            pass  # A full flash must not keep what has failed.
        if what == SETTINGS:
            try:
                os.rename(root + "/settings.old", root + "/settings.json")
            except OSError:
                pass  # A power cut came after this had been done.
        _remove("/trial")
    _counted = ""


def forget() -> None:
    """Before the next trial: discard the last one's reason, and a trial that no boot has counted."""
    _remove("/trial-failed")
    if not _counted:
        _remove("/trial")


async def ended() -> None:
    """Wait until the trial is over. The firmware bounds it (firmware/proving.py)."""
    while _counted:
        await asyncio.sleep(0.5)


async def outcome(job: "Job") -> None:
    """Wait for the end of the trial that this job has begun, if it has. Raises OSError when it was rolled back."""
    if job.checkpoint is None:
        forget()
    await ended()
    reason = read("/trial-failed")
    if reason:
        raise OSError("rolled back: " + reason)


async def restart(job: "Job", what: str, put: "Callable[[], None] | None" = None) -> None:
    """Restart the board with something in its trial. Never returns. Raises OSError, and nothing has changed then.

    job: whose agent's gate is asked first, which may raise Reject.
    what: APP, which is in the other slot; SETTINGS, which are in /settings.new, the previous ones in /settings.old; or
    FIRMWARE, which put() has the bootloader boot. The last question to the service is whether the job has ended, and
    no task runs between its answer and the reset: a job that is cancelled before leaves no trial behind.
    """
    # Imported here: ujobs itself runs where there is no board.
    import machine

    if job.client.gate:  # type: ignore[attr-defined]
        from .gate import ready

        await ready(job)
    # Once this is answered, whatever was on its way out has left, too.
    await job.check_in()
    begin(what)
    try:
        if what == SETTINGS:
            os.rename(root + "/settings.new", root + "/settings.json")
        if put:
            put()
    except OSError:
        forget()
        raise
    machine.reset()


def begin(what: str) -> None:
    """Have the next boot count a trial, see restart(). Raises OSError."""
    global _counted
    _counted = ""
    forget()
    write("/trial", "%d %s %s" % (0, what, other_slot() if what == APP else slot()))


def boot() -> str:
    """Count a boot, and return the folder of the application to start."""
    global _counted
    _counted = ""
    boots, what, folder = _state()
    if not what:
        return folder
    if what == APP and folder == slot():
        # A power cut interrupted confirm(): finish it.
        _remove("/trial")
        return folder
    if boots >= _MAX_BOOTS:
        fail("not confirmed in %s boots" % _MAX_BOOTS)
        return slot()
    try:
        write("/trial", "%d %s %s" % (int(boots) + 1, what, folder))
    except OSError as error:
        # A trial whose boots cannot be counted would never end.
        fail("flash not writable: " + repr(error))
        return slot()
    _counted = what
    return folder
