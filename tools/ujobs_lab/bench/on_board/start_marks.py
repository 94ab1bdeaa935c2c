# Put before a board's own boot.py: says when Wi-Fi and the clock are begun and done, which nothing else shows outside.
# ticks_us() is the system's monotonic clock here, as Python's time.monotonic() is.
import socket
import time

import machine
import network


def _mark(name):
    print("mark: %s at %d" % (name, time.ticks_us()))


_mark("boot")
_connect, _look_up, _datetime = network.WLAN.connect, socket.getaddrinfo, machine.RTC.datetime


def _join(station, *arguments):
    _mark("Wi-Fi")
    _connect(station, *arguments)


def _looking_up(host, port, *arguments):
    if port == 123:
        _mark("clock")
    return _look_up(host, port, *arguments)


def _setting(clock, value=None):
    found = _datetime(clock, value)
    if value is not None:
        _mark("set")
    return found


network.WLAN.connect, socket.getaddrinfo, machine.RTC.datetime = _join, _looking_up, _setting
