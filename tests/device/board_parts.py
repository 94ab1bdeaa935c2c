"""The firmware's modules on the virtual board's fakes of `machine`, `network` and the time server, in one process and
in fast time; on both interpreters."""

import asyncio
import gc
import sys
import time

import fast_time
from cloud import ended
from replaced import Replaced, with_modules

_TODAY = 1780315200  # 2026-06-01 12:00:00, seconds since 1970


class Reset(BaseException):
    """The board resets: no code after it runs, not even `except Exception`.

    On MicroPython it ends the event loop; on CPython only the task that has called machine.reset().
    """


class _Hardware:
    """Replaces the pipe to the supervisor. messages: those of the fakes. radio: whether the access point is on."""

    def __init__(self):
        self.settings = {}
        self.messages = []
        self.radio = True

    def tell(self, message):
        self.messages.append(message)

    def stop(self, message):
        self.messages.append(message)
        raise Reset

    def radio_up(self):
        return self.radio


class _Outside:
    """Replaces the file that the board shares with the host."""

    clock = None

    def State(self):
        return None

    def jumped(self):
        return self.clock.now if self.clock else 0


class _Host:
    """Replaces the host's clock."""

    gmtime = time.gmtime

    @staticmethod
    def time():
        return _TODAY

    @staticmethod
    def mktime(fields):
        year, month, day, hour, minute, second = fields[:6]
        # Days since 1970-01-01; years begin with March here, so that a leap day is the last one.
        year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
        days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719469
        return ((days * 24 + hour) * 60 + minute) * 60 + second


hardware = _Hardware()
_outside = _Outside()


def _import_fakes():
    # Nobody else may get the fakes when importing by these names.
    names = (
        "hardware", "outside", "peripherals", "real_time", "machine", "network", "time_server", "board_socket",
        "board_time",
    )
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.modules["hardware"], sys.modules["outside"] = hardware, _outside
    sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/../../tools/ujobs_tools/board/fakes")
    try:
        return [__import__(name) for name in ("real_time", "machine", "network", "board_socket", "board_time")]
    finally:
        sys.path.pop(0)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


real_time, machine, network, board_socket, board_time = _import_fakes()
real_time._host = _Host
network.time = board_time


def load(name):
    """Import a module with the fakes: one of the firmware, or the program in `main.py`. Return it."""
    missing = {} if hasattr(gc, "mem_alloc") else {"mem_alloc": gc.mem_free, "threshold": int}
    with Replaced(gc, **missing), with_modules(machine=machine, network=network):
        __import__(name)
        return sys.modules[name]


def _show(loop, context):
    # The task that has reset the board does not end otherwise.
    if not isinstance(context.get("exception"), Reset):
        loop.default_exception_handler(context)


def run(scenario, *modules, settings=None):
    """Run scenario(clock) in fast time on a board that was just switched on; return its result, Reset if the board was
    reset, and the lines that these modules printed.

    modules: those of the firmware that it uses. settings: of the fakes, as those of the virtual board.
    """
    lines = []
    hardware.settings = {
        "cause": machine.PWRON_RESET, "unique_id": "00" * 6, "rtc_memory": "", "clock_offset": -_TODAY, "ntp": "right",
        "wifi_ssid": None, "wifi_password": None,
    }
    hardware.settings.update(settings or {})
    hardware.messages = []
    hardware.radio = True
    network.WLAN._station = None

    async def main(clock):
        asyncio.get_event_loop().set_exception_handler(_show)
        _outside.clock = clock
        for name in ("ticks_ms", "ticks_add", "ticks_diff", "sleep", "sleep_ms"):
            setattr(board_time, name, getattr(clock, name))
        return await scenario(clock)

    for module in modules:
        module.print = lambda *words: lines.append(" ".join([str(word) for word in words]))
        if hasattr(module, "time"):
            module.time = board_time
        if hasattr(module, "socket"):
            module.socket = board_socket
    try:
        with with_modules(machine=machine):
            return fast_time.run(main), lines
    except Reset:
        return Reset, lines
    finally:
        _outside.clock = None


async def during(work, scenario):
    """Run the coroutine `work` concurrently with scenario(); cancel it afterwards. Returns the result of scenario()."""
    task = asyncio.create_task(work)
    try:
        return await scenario()
    finally:
        task.cancel()
        await ended(task)
