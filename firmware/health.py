"""Counts boots that do not last, starts safe mode after ten of them, and reports both to the job `report`.

A boot lasts once the board has been connected for a minute. After ten boots in a row that did not last, the board boots
in safe mode: without the application, so that a job can repair it. It leaves safe mode with the trial of an update
(`app`, `firmware`, `settings`), or with a `reboot` job that says `"leave_safe_mode": true`.

The memory of the real-time clock, which survives every reset but power-on, holds how the last boot ended: a boot that
lasts writes nothing to flash. `/starts.count` is written only after a boot that did not last. If that memory is missing
or the application uses it, resets by the watchdog and the boots after them are counted instead.
"""

import asyncio
import io
import os
import sys
import time

import machine

from micropython import const
from ujobs import trial

# What only type checkers read; the compiler leaves it out.
_TYPING = const(0)
if _TYPING:
    from typing import Any

_MOST = 10  # boots in a row that do not last
_LASTING = 60  # seconds connected
_COUNT = "/starts.count"
_TRACEBACK = "/traceback.txt"
_KEPT = 400  # characters of a traceback
_HOUR = 3600  # seconds; ticks_ms wraps around after 12 days
# In the clock's memory: _MARK, how the last boot ended, and the number of boots since power-on.
_MARK = b"ujobs"
_BEGUN = b"-"
_RAISED = b"!"
_LASTED = b"+"

safe = False  # whether this boot is in safe mode
starts = 0  # boots since power-on; 0 where the board cannot count them
_last = b""  # how the previous boot ended
_milliseconds = 0
_ticks = time.ticks_ms()


def begin() -> bool:
    """Count a boot, right after the reset. Return whether it is in safe mode."""
    global safe, starts, _last
    memory = _memory()
    mine = False
    count = before = _read()
    if memory is not None and len(memory) == 8 and memory[:5] == _MARK:
        mine = True
        _last = memory[5:6]
        starts = int.from_bytes(memory[6:], "big")
    cause = machine.reset_cause()
    wanted = [getattr(machine, name, -1) for name in ("DEEPSLEEP_RESET", "SOFT_RESET")]  # not on all ports
    # If there is a count, the previous boot did not last.
    died = _last in (_BEGUN, _RAISED) if mine else (before or cause == getattr(machine, "WDT_RESET", -1))
    _explain(cause)
    if trial.current():
        count = 0  # the version in its trial may be the remedy, and every trial ends
    elif died and cause not in wanted:
        count = min(count + 1, _MOST)
    if count != before:
        _write(count)
    if mine or memory == b"":  # otherwise it is the application's
        starts = starts % 65535 + 1
        _note(_BEGUN)
    safe = count >= _MOST
    if safe:
        print("safe mode: %d starts in a row did not last; the application is not started" % count)
    return safe


def _explain(cause):
    # Add to the reason of a rollback in this boot how the last boot of the new version ended.
    reason = trial.read("/trial-failed")
    if not reason.startswith("not confirmed in ") or ":" in reason:
        return
    why = "a reset"
    if cause == getattr(machine, "WDT_RESET", -1):
        why = "reset by the watchdog"
    elif _last == _RAISED:
        why = trial.read(_TRACEBACK).rstrip().split("\n")[-1]
    try:
        trial.write("/trial-failed", reason + ": " + why)
    except OSError as error:
        print("health: the reason is not kept:", error)


async def run(link) -> None:
    """Record that this boot lasts once `link` has been up for a minute, then keep the uptime. Never returns."""
    connected = 0
    while connected < _LASTING:
        await link.up.wait()
        await asyncio.sleep(1)
        connected = connected + 1 if link.up.is_set() else 0
    lasted()
    while True:
        uptime()
        await asyncio.sleep(_HOUR)


def lasted() -> None:
    """Record that this boot lasts: the count starts again from 0, except in safe mode."""
    _note(_LASTED)
    if not safe and _read():
        _write(0)


def planned(document: dict) -> None:
    """Record that the coming reset is intended. document: of the `reboot` job, which may end safe mode."""
    _note(_LASTED)
    if document.get("leave_safe_mode") is True and _read():
        _write(0)


def keep(error: BaseException, secrets: "list[str]") -> None:
    """Write the end of the traceback of the error that ends the program. secrets: strings to remove from it."""
    _note(_RAISED)
    buffer: "Any" = io.StringIO()
    sys.print_exception(error, buffer)  # type: ignore[attr-defined]
    text = buffer.getvalue()
    for secret in secrets:
        if secret:
            text = text.replace(secret, "...")
    # The query of a presigned URL is as good as a password.
    pieces = text.split("?")
    for at in range(1, len(pieces)):
        begin = 0
        while begin < len(pieces[at]) and pieces[at][begin : begin + 1] not in (" ", "\n", "'", '"', ")"):
            begin += 1
        pieces[at] = pieces[at][begin:]
    text = "?".join(pieces)[-_KEPT:]
    try:
        # The same error again and again does not wear out the flash.
        if text != trial.read(_TRACEBACK):
            trial.write(_TRACEBACK, text)
    except OSError as failed:
        print("health: the traceback is not kept:", failed)


def uptime() -> int:
    """Return the seconds since this boot."""
    global _milliseconds, _ticks
    now = time.ticks_ms()
    _milliseconds += time.ticks_diff(now, _ticks)
    _ticks = now
    return _milliseconds // 1000


def facts() -> dict:
    """Return facts for the job `report`."""
    return {
        "mode": "safe" if safe else "normal",
        "starts": starts or None,
        "uptime": uptime(),
        "traceback": trial.read(_TRACEBACK) or None,
    }


def last_start() -> str:
    """Return how the previous boot ended, for the reason of a job that it interrupted."""
    text = ", start %d since power-on" % starts if starts else ""
    if _last == _RAISED:
        text += ", " + trial.read(_TRACEBACK).rstrip().split("\n")[-1]
    return text + (", safe mode" if safe else "")


def _read():
    try:
        return min(int(trial.read(_COUNT)), _MOST)
    except ValueError:
        return 0


def _write(count):
    try:
        if count:
            trial.write(_COUNT, str(count))
        else:
            os.remove(trial.root + _COUNT)
    except OSError as error:
        print("health: the starts are not counted:", error)


def _memory():
    try:
        return machine.RTC().memory()
    except AttributeError:
        return None  # this port has none


def _note(state):
    if starts:
        machine.RTC().memory(_MARK + state + starts.to_bytes(2, "big"))
