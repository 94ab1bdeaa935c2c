# Put before a board's own boot.py: says when Wi-Fi and the clock are begun and done, which nothing else shows outside.
# ticks_us() is the system's monotonic clock here, as Python's time.monotonic() is.
import time

import network
import ntptime


def _mark(name):
    print("mark: %s at %d" % (name, time.ticks_us()))


_mark("boot")
_connect, _settime = network.WLAN.connect, ntptime.settime


def _join(station, *arguments):
    _mark("Wi-Fi")
    _connect(station, *arguments)


def _set():
    _mark("clock")
    _settime()
    _mark("set")


network.WLAN.connect, ntptime.settime = _join, _set
