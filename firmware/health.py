"""How the board's starts end: safe mode when none of them lasts, and what the job `report` says of it.

A start lasts once the board has been connected for a minute. After ten in a row that do not, the board starts in safe
mode: without the application, so that a job can mend it. It leaves safe mode with the trial of an update (`app`,
`firmware`, `settings`), or with a `reboot` job that says `"leave_safe_mode": true`.

How the last start ended is kept in the memory of the real-time clock, which outlasts all resets but power-on, so that a
start that lasts writes nothing to flash. `/starts.count` is written only after one that did not. Where that memory is
missing or the application uses it, resets by the watchdog and starts after those count instead.
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

_MOST = 10  # starts in a row
_LASTING = 60  # seconds connected
_COUNT = "/starts.count"
_TRACEBACK = "/traceback.txt"
_KEPT = 400  # characters of a traceback
_HOUR = 3600  # seconds; ticks_ms wraps around after 12 days
# In the clock's memory: _MARK, how the last start ended, and how many there were since power-on.
_MARK = b"ujobs"
_BEGUN = b"-"
_RAISED = b"!"
_LASTED = b"+"

safe = False  # whether this start is in safe mode
starts = 0  # since power-on; 0 where the board cannot tell
_last = b""  # how the start before this one ended
_milliseconds = 0
_ticks = time.ticks_ms()


def begin() -> bool:
    """Count a start, first thing after a reset. Return whether it is to be in safe mode."""
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
    # A count that is there means that the last start did not last.
    died = _last in (_BEGUN, _RAISED) if mine else (before or cause == getattr(machine, "WDT_RESET", -1))
    if trial.current():
        count = 0  # what is in its trial may be the remedy, and a trial ends by itself
    elif died and cause not in wanted:
        count = min(count + 1, _MOST)
    if count != before:
        _write(count)
    if mine or memory == b"":  # else it is the application's
        starts = starts % 65535 + 1
        _note(_BEGUN)
    safe = count >= _MOST
    if safe:
        print("safe mode: %d starts in a row did not last; the application is not started" % count)
    return safe


async def run(link) -> None:
    """Note that this start lasts, once `link` has stayed up for a minute; then keep the uptime. Never returns."""
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
    """Note that this start is one that lasts: the next one begins to count anew, but in safe mode."""
    _note(_LASTED)
    if not safe and _read():
        _write(0)


def planned(document: dict) -> None:
    """Note that the reset to come is wanted. document: of the job that wants it, which may end safe mode."""
    _note(_LASTED)
    if document.get("leave_safe_mode") is True and _read():
        _write(0)


def keep(error: BaseException, secrets: "list[str]") -> None:
    """Keep the traceback of what ends the program, cut to its end. secrets: texts that must not be in it."""
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
        # A board that ends the same way again and again does not wear out its flash.
        if text != trial.read(_TRACEBACK):
            trial.write(_TRACEBACK, text)
    except OSError as failed:
        print("health: the traceback is not kept:", failed)


def uptime() -> int:
    """Return the seconds since this start."""
    global _milliseconds, _ticks
    now = time.ticks_ms()
    _milliseconds += time.ticks_diff(now, _ticks)
    _ticks = now
    return _milliseconds // 1000


def facts() -> dict:
    """Return what the job `report` says besides what the library knows."""
    return {
        "mode": "safe" if safe else "normal",
        "starts": starts or None,
        "uptime": uptime(),
        "traceback": trial.read(_TRACEBACK) or None,
    }


def last_start() -> str:
    """Return what is known of how the last start ended, for the reason of a job that it cut short."""
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
